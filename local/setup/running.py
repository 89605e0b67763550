"""Owns running other programs in the project: on this terminal, or as a line of progress with its seconds."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from local.setup.places import ROOT, VENV, VENV_BIN, WINDOWS
from local.setup.troubles import explain


def child_environment(**more: str) -> dict[str, str]:
    """The caller's environment, with `.venv` active. Proxies, PIP_* and the like stay."""
    # Not these: Python would look elsewhere for modules, or pip put packages elsewhere.
    python = ("PYTHONHOME", "PYTHONPATH", "PYTHONSAFEPATH", "__PYVENV_LAUNCHER__")
    pip = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "PIP_REQUIRE_VIRTUALENV")
    environ = {name: value for name, value in os.environ.items() if name not in python + pip}
    environ.update(VIRTUAL_ENV=str(VENV), PYTHONUTF8="1", PYTHONUNBUFFERED="1", PIP_USER="0", **more)
    environ["PATH"] = os.pathsep.join(filter(None, (str(VENV_BIN), environ.get("PATH"))))
    return environ


def spawn(command: Sequence[str], more: Mapping[str, str], output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Start a program in the project, on this terminal or, unseen and without input, into a file."""
    sys.stdout.flush()
    unseen = output is not None
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=child_environment(**more),
        stdin=subprocess.DEVNULL if unseen else None,
        stdout=output,
        stderr=subprocess.STDOUT if unseen else None,
    )


def finish(child: subprocess.Popen[bytes], tick: Callable[[], object] = bool) -> int:
    """Wait for a program, calling `tick` every second; returns its exit code. Ctrl-C ends it too."""
    try:
        while (code := wait(child, 1)) is None:
            tick()
    except BaseException:
        # The terminal has told the child of Ctrl-C as well: it gets time to end by itself.
        for insist in (child.terminate, child.kill, child.kill):
            if wait(child, 5) is not None:
                break
            insist()
        raise
    return code


def wait(child: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None


def run_step(title: str, command: Sequence[str], **more: str) -> tuple[int, str]:
    """Run a program as one line of progress with its seconds. Returns its exit code and all it printed."""
    started = time.monotonic()
    begin = f"{title} ..."
    again = f"\r{begin}" if sys.stdout.isatty() else ""  # a terminal shows the seconds while they pass

    def tick() -> None:
        if again:
            print(f"{again} {time.monotonic() - started:.0f} s", end="", flush=True)

    with tempfile.TemporaryFile() as output:
        print(begin, end="", flush=True)
        code = finish(spawn(command, more, output), tick)
        output.seek(0)
        text = output.read().decode("utf-8", "replace").strip()
    print(f"{again} {'failed' if code else 'done'}, {time.monotonic() - started:.1f} s", flush=True)
    return code, text


def must_run(title: str, command: Sequence[str], **more: str) -> str:
    """A step that the next ones rest on. Returns what it printed."""
    code, text = run_step(title, command, **more)
    if code:
        raise explain(title, text)
    return text


def run_visibly(command: Sequence[str], **more: str) -> int:
    """Run a program on this terminal. Returns its exit code."""
    return finish(spawn(command, more))


def hand_over(command: Sequence[str]) -> int:
    """Become another program: signals, exit code and output are then its own."""
    sys.stdout.flush()
    if not WINDOWS:
        os.chdir(ROOT)
        os.execve(command[0], list(command), child_environment())
    # Windows cannot replace a process; but its console sends Ctrl-C to the child too, so waiting is enough.
    child = spawn(command, {})
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue

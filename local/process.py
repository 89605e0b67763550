"""Owns a stack in a process of its own: starts it, waits for its `ready` line, ends it.

For the demo and the tests: a process imports the bundle once, so each stack needs its own.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PROJECT = Path(__file__).resolve().parent.parent
_START_S = 60.0
_END_S = 20.0
_READY = "ready "

if sys.platform == "win32":
    # terminate() would kill it there: no word to the program, exit code 1
    _END_SIGNAL, _CREATION_FLAGS = signal.CTRL_BREAK_EVENT, subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _END_SIGNAL, _CREATION_FLAGS = signal.SIGTERM, 0


class StackFailed(Exception):
    """The stack did not get ready; the text ends with what it printed last."""


class StackProcess:
    """`python -m local.stack --port 0` as a context manager, with settings of the bundle's own and more arguments.

    `url` is where the demo page is.
    """

    def __init__(self, *arguments: str, settings: Mapping[str, str] | None = None) -> None:
        given = (f"--set={name}={value}" for name, value in (settings or {}).items())
        self._command: Sequence[str] = (sys.executable, "-m", "local.stack", "--port", "0", *given, *arguments)
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()
        self.lines: list[str] = []  # everything it printed so far, logs included
        self.url = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            self._command,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            creationflags=_CREATION_FLAGS,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(_START_S) or not self.url:
            self.stop()
            raise StackFailed("the stack did not start; it printed last:\n" + "\n".join(self.lines[-25:]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """End it as Ctrl-C does; by force where it doesn't listen. The exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(_END_SIGNAL)
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join(_END_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def wait_for_line(self, text: str, *, within_s: float = 10, after: int = 0) -> bool:
        """Whether a line with `text` shows up; for what the stack's log says a moment after it happened.

        `after`: not among the first so many lines.
        """
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if any(text in line for line in list(self.lines)[after:]):
                return True
            time.sleep(0.05)
        return False

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith(_READY):
                self.url = line.removeprefix(_READY).strip()
                self._ready.set()
        self._ready.set()  # it has ended

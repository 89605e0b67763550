#!/usr/bin/env python3
"""The one command of the project: makes the environment that a part needs, then runs that part.

Owns the way from a fresh clone to a running part: finding a Python, `.venv`, its packages, and plain words
for what can go wrong on that way. Knows nothing of settings, vaults or tokens.
Standard library only, Python 3.9 or later on Linux, macOS and Windows: the bundle needs a newer Python than
`python3` is on many machines. A new command is one function and one entry in `make_parser`.
"""

from __future__ import annotations

import argparse
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent
WINDOWS = os.name == "nt"
VENV = ROOT / ".venv"
VENV_BIN = VENV / ("Scripts" if WINDOWS else "bin")
VENV_PYTHON = str(VENV_BIN / ("python.exe" if WINDOWS else "python"))
STAMP = VENV / "onenote-auth.json"
UV_HOME = ROOT / ".uv"

# Azure's worker package needs 3.13; the pinned packages are published for these two. Preferred one first.
WANTED = ("3.13", "3.14")
PIP_INSTALL = "-m pip install -q --progress-bar off --disable-pip-version-check --no-input".split()  # noqa: SIM905

# -------------------------------------------------------------------------- what went wrong, in plain words

CAUSES = (  # pattern in the output of pip, venv, uv or the system; cause; mend
    (
        r"No space left|not enough space on the disk|quota exceeded|Errno 28\b|os error (28|112)\b",
        "the disk is full",
        "free about 500 MB and run this again",
    ),
    (
        r"Read-only file system|Permission ?denied|Access is denied|Errno (13|30)\b|os error (5|13|30)\b",
        f"a file or folder in {ROOT} cannot be written",
        "clone the project into a folder of your own, or end the program that uses .venv, and run this again",
    ),
    (
        r"ensurepip is (not available|disabled)|No module named '?(venv|ensurepip)\b",
        "this Python has no working venv module",
        "install it (Debian, Ubuntu: sudo apt install python3.13-venv) and run this again",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|invalid peer certificate",
        "the package index shows a certificate that this machine does not trust",
        "behind a company proxy set PIP_CERT (uv: SSL_CERT_FILE) to the company's root certificates",
    ),
    (
        r"ProxyError|Tunnel connection failed|407 Proxy|Cannot connect to proxy",
        "the proxy refuses the connection to the package index",
        "check HTTPS_PROXY (with user name and password where the proxy wants them) and run this again",
    ),
    (
        r"name resolution|NameResolutionError|getaddrinfo failed|nodename nor servname|NewConnectionError"
        r"|timed out|Network is unreachable|No route to host|Connection (refused|reset)|dns error"
        r"|error sending request",
        "the network does not lead to where packages come from",
        "check it; behind a company proxy set HTTPS_PROXY, with a package index of your own PIP_INDEX_URL",
    ),
    (
        r"No matching distribution found|Could not find a version|no version of .* satisfies",
        "the package index lacks a version that the project needs",
        "let your own index (see: pip config list) mirror that version, or use the public one",
    ),
    (
        r"No module named '?pip\b",
        "this Python has no pip",
        "install it (Debian, Ubuntu: sudo apt install python3-pip) and run this again",
    ),
)


class Trouble(Exception):
    """Something a person can mend: one sentence, and the mend."""

    def __init__(self, sentence: str, mend: str) -> None:
        super().__init__(sentence)
        self.sentence, self.mend = sentence, mend


def explain(doing: str, output: str) -> Trouble:
    """Why something failed, by what it printed; of an unknown cause the end of that is shown."""
    for pattern, cause, mend in CAUSES:
        if re.search(pattern, output, re.IGNORECASE):
            return Trouble(f"{doing} failed: {cause}", mend)
    tail = "".join(f"\n    {line}" for line in output.splitlines()[-12:])
    return Trouble(f"{doing} failed; it printed{tail or ' nothing'}", "remove .venv and run this again")


# -------------------------------------------------------------------------- running programs


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


# -------------------------------------------------------------------------- finding a Python

PROBE = """
import json, sys, sysconfig
from importlib.util import find_spec
print(json.dumps({
    "path": sys.executable,
    "version": "%d.%d.%d" % sys.version_info[:3],
    "modules": [name for name in ("venv", "ensurepip", "pip") if find_spec(name)],
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""


@dataclass(frozen=True)
class Python:
    """A Python that was run: what it is, and which of venv, ensurepip and pip it has."""

    path: str
    version: str
    modules: Sequence[str] = ("venv", "ensurepip", "pip")
    free_threaded: bool = False

    def __str__(self) -> str:
        return f"Python {self.version} ({self.path})"

    @property
    def fault(self) -> str:
        """Why no environment can be made of it; empty when one can."""
        if self.version.rpartition(".")[0] not in WANTED or self.free_threaded:
            kind = ", free-threaded" if self.free_threaded else ""
            return f"{self} is not {' or '.join(WANTED)}{kind}"
        return "" if {"venv", "ensurepip"} <= set(self.modules) else f"{self} has no working venv module"


def probe(command: Sequence[str]) -> Python | None:
    """Run a candidate; None where it does not run, as a shim without a version or a Windows Store stub."""
    try:
        ran = subprocess.run(
            [*command, "-I", "-c", PROBE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=True,
        )
        return Python(**json.loads(ran.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return None


def candidates(environ: Mapping[str, str], home: Path) -> Iterator[list[str]]:
    """Commands that may be a wanted Python, likeliest first; each must be run to be sure."""
    # Of an active virtual environment the base: it may be the very `.venv` that is made anew.
    yield [getattr(sys, "_base_executable", None) or sys.executable]
    # Each folder of the PATH, not only the first hit: pyenv's shim may hide the one that works.
    folders = [Path(folder) for folder in environ.get("PATH", "").split(os.pathsep) if folder]
    folders += [Path("/usr/local/bin"), Path("/usr/bin"), Path("/opt/homebrew/bin"), home / ".local/bin"]
    for name in (*(f"python{version}" for version in WANTED), "python3", "python"):
        yield from ([str(folder / (name + (".exe" if WINDOWS else "")))] for folder in folders)
    if WINDOWS:
        yield from (["py", f"-{version}"] for version in WANTED)
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    local = Path(environ.get("LOCALAPPDATA") or home / "AppData/Local")
    roaming = Path(environ.get("APPDATA") or home / "AppData/Roaming")
    uv_pythons = environ.get("UV_PYTHON_INSTALL_DIR")
    for version in WANTED:
        for folder, pattern in (
            (Path(environ.get("PYENV_ROOT") or home / ".pyenv"), f"versions/{version}*/bin/python"),
            (Path(environ.get("PYENV") or home / ".pyenv/pyenv-win"), f"versions/{version}*/python.exe"),
            (Path(uv_pythons or data / "uv/python"), f"*-{version}*/bin/python{version}"),
            (Path(uv_pythons or roaming / "uv/python"), f"*-{version}*/python.exe"),
            (UV_HOME / "python", f"*-{version}*/bin/python{version}"),
            (UV_HOME / "python", f"*-{version}*/python.exe"),
            (local / "Programs/Python", f"Python{version.replace('.', '')}/python.exe"),
            (Path("/opt/homebrew/opt"), f"python@{version}/bin/python{version}"),
            (Path("/Library/Frameworks/Python.framework/Versions"), f"{version}/bin/python{version}"),
        ):
            # Not Path.glob: before Python 3.13 it raises where a folder may not be read.
            found = glob.glob(os.path.join(glob.escape(str(folder)), pattern))
            yield from ([path] for path in sorted(found, reverse=True))


def find_python(commands: Iterable[list[str]]) -> tuple[Python | None, list[str]]:
    """The first candidate of use; or None, and for each other one that runs why it is of none."""
    faults: dict[str, str] = {}
    for command in commands:
        if len(command) > 1 or os.path.isfile(command[0]):
            python = probe(command)
            if python and not python.fault:
                return python, []
            if python:
                faults.setdefault(os.path.realpath(python.path), python.fault)
    return None, list(faults.values())


def python_from_uv() -> Python:
    """Get a Python into `.uv` in the project: nothing else on the machine changes."""
    uv = shutil.which("uv") or str(UV_HOME / "bin" / ("uv.exe" if WINDOWS else "uv"))
    if not os.path.isfile(uv):
        must_run("Installing uv into .uv", [sys.executable, *PIP_INSTALL, "--target", str(UV_HOME), "uv"])
    folder = {"UV_PYTHON_INSTALL_DIR": str(UV_HOME / "python")}
    install = [uv, "python", "install", WANTED[0]]
    printed = must_run(f"Downloading Python {WANTED[0]}", install, UV_PYTHON_INSTALL_BIN="0", **folder)
    # Only there: this asks whether the download brought one.
    python, _ = find_python(each for each in candidates(folder, UV_HOME) if each[0].startswith(str(UV_HOME)))
    if not python:
        raise explain("Finding the downloaded Python", printed)
    return python


def get_python() -> Python:
    python, faults = find_python(candidates(os.environ, Path.home()))
    if python:
        return python
    print(f"No Python {' or '.join(WANTED)} with a working venv module here: getting one with uv")
    try:
        return python_from_uv()
    except Trouble as trouble:
        seen = "".join(f"\n    {fault}" for fault in faults)
        commands = {"win32": "winget install Python.Python.3.13", "darwin": "brew install python@3.13"}
        command = commands.get(sys.platform, "sudo apt install python3.13 python3.13-venv")
        raise Trouble(
            f"{trouble.sentence}.\n  No Python of use was found here either:{seen}",
            f"install Python 3.13 by hand ({command}, or python.org/downloads) and run this again",
        ) from None


# -------------------------------------------------------------------------- .venv and its packages


def read_stamp() -> dict[str, str]:
    """What was installed into `.venv`: hash by requirements file, and the `folder` it was made for."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def requirement_hashes(file: Path) -> dict[str, str]:
    """Hash of a requirements file and of each that it includes with `-r`, by path in the project."""
    content = file.read_bytes()
    hashes = {os.path.relpath(file, ROOT): hashlib.sha256(content).hexdigest()}
    for included in re.findall(r"^-r\s+(\S+)", content.decode("utf-8"), re.MULTILINE):
        hashes.update(requirement_hashes(file.parent / included))
    return hashes


def venv_fault() -> str:
    """Why `.venv` has to be made anew; empty when it is of use."""
    python = probe([VENV_PYTHON])
    if python is None:
        return "its Python does not run"
    if python.fault or "pip" not in python.modules:
        return python.fault or "it has no pip"
    # Scripts in it name the folder that it was made in.
    return "" if read_stamp().get("folder", str(ROOT)) == str(ROOT) else "the project was moved"


def pip_is_configured() -> bool:
    """Whether pip has settings of its own (an index, a certificate ...): uv reads none of them."""
    command = [VENV_PYTHON, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return bool(listed.returncode or listed.stdout.strip())


def ensure_environment(requirements: str) -> None:
    """Make `.venv` where there is none of use, and install a requirements file unless it is in there."""
    fault = venv_fault()
    if fault:
        VENV.mkdir(exist_ok=True)  # where that fails, nothing else is worth trying
        if any(VENV.iterdir()):
            print(f".venv cannot be used, {fault}: making it anew")
        python = get_python()
        # --clear empties the folder and keeps it, as it may be a link or a mount. pip comes in a step of its
        # own, because venv hides what ensurepip prints.
        must_run(f"Making .venv with {python}", [python.path, "-m", "venv", "--clear", "--without-pip", str(VENV)])
        must_run("Installing pip", [VENV_PYTHON, "-m", "ensurepip", "--default-pip"])
    stamp, wanted = read_stamp(), requirement_hashes(ROOT / requirements)
    if wanted.items() <= stamp.items():
        return
    uv = shutil.which("uv")
    installer = [VENV_PYTHON, *PIP_INSTALL]
    if uv and not pip_is_configured():
        installer = [uv, "pip", "install", "-q", "--python", VENV_PYTHON]
    must_run(f"Installing {requirements}", [*installer, "-r", str(ROOT / requirements)])
    STAMP.write_text(json.dumps({**stamp, **wanted, "folder": str(ROOT)}, indent=1), encoding="utf-8")


# -------------------------------------------------------------------------- commands


def port_fault(port: int) -> str:
    """Why nothing can listen on this port of the loopback; empty when something can."""
    in_use = f"port {port} is in use by another program"
    # By connecting too: what listens on ::1 alone would answer the browsers that go to `localhost`.
    for host in ("127.0.0.1", "::1"):
        try:
            socket.create_connection((host, port), timeout=0.5).close()
        except OSError:
            continue
        return in_use
    with socket.socket() as listener:
        if not WINDOWS:  # there it would let two listen at once; here it forgives connections that just ended
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except PermissionError:
            return f"port {port} is closed to programs without administrator rights"
        except OSError:
            return in_use
    return ""


def check_port(port: int) -> None:
    fault = port_fault(port)
    if fault:
        free = next((other for other in range(max(port, 7070) + 1, 65536) if not port_fault(other)), 7071)
        raise Trouble(fault, f"end what uses it, or choose another: --port {free}")


def start(arguments: argparse.Namespace) -> int:
    check_port(arguments.port)
    ensure_environment("local/requirements.txt")
    https = ["--https"] if arguments.https else []
    settings = [f"--set={setting}" for setting in arguments.set]
    return hand_over([VENV_PYTHON, "-m", "local.stack", "--port", str(arguments.port), *https, *settings])


def demo(arguments: argparse.Namespace) -> int:
    ensure_environment("local/requirements.txt")
    return hand_over([VENV_PYTHON, "-m", "local.demo", *(["--all"] if arguments.all else [])])


def bench(arguments: argparse.Namespace) -> int:
    ensure_environment("local/requirements.txt")
    quick = ["--quick"] if arguments.quick else []
    # Absolute, because the bench runs in the project and the caller need not.
    file = ["--json", os.path.abspath(arguments.json)] if arguments.json else []
    return hand_over([VENV_PYTHON, "-m", "local.bench", *quick, *file])


def doctor(arguments: argparse.Namespace) -> int:
    ensure_environment("requirements.txt")
    stack = ["--local", str(arguments.local)] if arguments.local else []
    return hand_over([VENV_PYTHON, "-m", "local.doctor", *stack])


def plan(arguments: argparse.Namespace) -> int:
    # With this Python and without .venv: a person who wants to see what would be made needs no network for it.
    keep = ["--keep"] if arguments.keep else []
    return hand_over([sys.executable, "-m", "local.plan", "--variant", arguments.variant, *keep])


def serve(arguments: argparse.Namespace) -> int:
    check_port(arguments.port)
    command = [VENV_PYTHON, "-m", "local.host", "--app", "."]
    if arguments.host == "func":
        func = shutil.which("func")
        if not func:
            install = "npm install -g azure-functions-core-tools@4"
            raise Trouble("Azure Functions Core Tools are not on the PATH", f"{install}, or leave out --host func")
        command = [func, "start"]
    ensure_environment("requirements.txt")
    return hand_over([*command, "--port", str(arguments.port)])


CHECKS = {
    "ruff format --check .": ["-m", "ruff", "format", "--check", "."],
    "ruff check .": ["-m", "ruff", "check", "."],
    "mypy": ["-m", "mypy"],
    "lint-imports": ["-c", "from importlinter.cli import lint_imports_command as main; main()"],
}


def test(arguments: argparse.Namespace) -> int:
    ensure_environment("tests/requirements.txt")
    browser = ensure_browser()
    if arguments.pytest:
        return run_visibly([VENV_PYTHON, "-m", "pytest", *arguments.pytest], **browser)
    failed = []
    for name, command in CHECKS.items():
        code, text = run_step(name, [VENV_PYTHON, *command])
        if code:
            failed.append(name)
            print(text)
    print(f"{len(CHECKS) - len(failed)} of {len(CHECKS)} checks passed. Running pytest ...")
    # .ci/run reads the report: no test may have been skipped.
    code = run_visibly([VENV_PYTHON, "-m", "pytest", "--junitxml", ".local/junit.xml"], **browser)
    if failed:  # once more, below pytest's closing line: nobody looks above it
        print(f"failed before pytest: {', '.join(failed)}")
    return code or int(bool(failed))


def ensure_browser() -> dict[str, str]:
    """What the tests are told: where the browser is, or why there is none (they skip what needs it)."""
    asked = subprocess.run(
        [VENV_PYTHON, "-m", "tests.browser"],
        cwd=ROOT,
        env=child_environment(),
        stdout=subprocess.PIPE,
        check=False,
    )
    answer = asked.stdout.decode("utf-8", "replace").strip() or "looking for a browser failed"
    if asked.returncode == 0:
        return {"ONENOTE_AUTH_BROWSER": answer}
    mend = "install Chromium, Chrome or Edge, or set ONENOTE_AUTH_BROWSER to its path"
    if os.environ.get("CI", "").lower() == "true":
        raise Trouble(f"no browser to test with: {answer}", mend)
    print(f"The browser tests will be skipped: {answer}\n  mend: {mend}")
    return {"ONENOTE_AUTH_NO_BROWSER": answer}


def port_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, a number from 1 to 65535")
    return int(text)


EXAMPLES = """\
examples:
  python3 dev.py start               the whole stack with its demo page; Ctrl-C ends it
  python3 dev.py start --https       the same behind TLS
  python3 dev.py demo                the main job without a browser, step by step
  python3 dev.py test                all checks and tests, as CI runs them
  python3 dev.py test -k refresh     pytest alone, with these arguments
  python3 dev.py bench --quick       the benchmarks in short, as a table
  python3 dev.py plan                what would be made in Azure, without Azure
  python3 dev.py serve --port 7071   the functions alone, on the settings of the environment
  python3 dev.py doctor              is all there that those settings name? What is not, and its mend
  python3 dev.py doctor --local      the same of the stack that `start` runs
"""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Runs onenote-auth on this machine. The first run makes .venv and fills it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    command = commands.add_parser("start", help="run the embedded stack with its demo page")
    command.add_argument("--port", type=port_number, default=7071, help="of the demo page (default: 7071)")
    command.add_argument("--https", action="store_true", help="TLS, with a throw-away certificate")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="an app setting, such as FRONTEND_ORIGINS"
    )
    command.set_defaults(run=start)

    command = commands.add_parser("test", help="run formatter, linter, type checker, import rules and tests")
    command.add_argument("pytest", nargs="*", metavar="ARGUMENT", help="for pytest, which then runs alone")
    command.set_defaults(run=test)

    command = commands.add_parser("demo", help="walk through the main job and check every step")
    command.add_argument("--all", action="store_true", help="every row of the requirements, failures too")
    command.set_defaults(run=demo)

    command = commands.add_parser("bench", help="measure everything beside its baselines, 5 minutes at most")
    command.add_argument("--quick", action="store_true", help="under a minute: fewer, shorter rounds")
    command.add_argument("--json", metavar="FILE", help="write every figure there")
    command.set_defaults(run=bench)

    command = commands.add_parser(
        "doctor",
        help="check the settings and all that they lead to",
        description="Checks the settings of the environment and of local.settings.json, and asks everything that they "
        "name. A line a finding, with cause and mend; exit code 1 if anything needs mending.",
        epilog="example:\n  AUTH_TENANT=common python3 dev.py doctor && echo well",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--local",
        type=port_number,
        nargs="?",
        const=7071,
        metavar="PORT",
        help="check the embedded stack that runs on this port (default: 7071) instead",
    )
    command.set_defaults(run=doctor)

    command = commands.add_parser("plan", help="list what the templates would make in Azure; reaches no network")
    command.add_argument("--variant", default="default", metavar="NAME", help="of infra/variants (default: default)")
    command.add_argument("--keep", action="store_true", help="write the snapshots of infra/variants anew instead")
    command.set_defaults(run=plan)

    command = commands.add_parser("serve", help="run the functions on the settings of the environment")
    command.add_argument("--port", type=port_number, required=True, help="where they listen")
    command.add_argument("--host", choices=["own", "func"], default="own", help="func: Core Tools")
    command.set_defaults(run=serve)
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    # What follows `test` is pytest's, options too: `--` keeps argparse off it.
    if argv[:1] == ["test"] and argv[1:2] not in (["--help"], ["-h"], ["--"]):
        argv = ["test", "--", *argv[1:]]
    parser = make_parser()
    if not argv:  # whoever does not know the commands sees them
        parser.print_help(sys.stderr)
        sys.exit(2)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # folders can have names that the console cannot show
    arguments = parse(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs for us is ended too
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except (Trouble, OSError) as error:
        trouble = error if isinstance(error, Trouble) else explain("Preparing .venv", str(error))
        sys.stdout.flush()
        print(f"dev.py: {trouble.sentence}\n  mend: {trouble.mend}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    if sys.version_info < (3, 9):
        sys.exit("dev.py: this Python is too old to run it\n  mend: run it with Python 3.9 or later")
    sys.exit(main(sys.argv[1:]))

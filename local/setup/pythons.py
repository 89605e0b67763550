"""Owns finding a Python of which `.venv` can be made, and getting one where there is none."""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.setup.places import PIP_INSTALL, UV_HOME, WANTED, WINDOWS
from local.setup.running import must_run
from local.setup.troubles import Trouble, explain

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

"""Owns `.venv`: made where there is none of use, and filled with what a requirements file names."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from local.setup.places import PIP_INSTALL, ROOT, VENV, VENV_PYTHON
from local.setup.pythons import get_python, probe
from local.setup.running import must_run

STAMP = VENV / "onenote-auth.json"


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

"""Owns the npm packages of the tests: pinned by `package-lock.json`, installed once into a folder under `.local/`."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.needs import without

_HERE = Path(__file__).resolve().parent
_INSTALL_LIMIT_S = 300


def modules() -> Path:
    """The folder `node_modules`, complete; skips, or fails under CI, where it can't be had."""
    npm = shutil.which("npm")
    if npm is None:
        without("npm is not on the PATH")
    lock = (_HERE / "package-lock.json").read_bytes()
    folder = _HERE.parent / ".local" / f"npm-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_HERE / name, folder)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=_INSTALL_LIMIT_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            without(f"npm ci: {str(error.stderr)[-300:]}")
        (folder / "installed").touch()
    return folder / "node_modules"


def node() -> str:
    """The program; skips, or fails under CI, where there is none."""
    return shutil.which("node") or without("node is not on the PATH")


def run(script: Path | str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Node with a script and its arguments; what it says on both channels is in `stdout`."""
    command = [node(), str(script), *arguments]
    return subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=50, check=False
    )

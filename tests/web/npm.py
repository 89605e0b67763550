"""Owns the npm packages of the tests: pinned here, installed once into a folder under `.local/`."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Every package with those that it wants, so that no run gets another version.
PACKAGES = (
    "@babel/runtime@7.29.7",
    "@microsoft/microsoft-graph-client@3.0.7",
    "@types/react@19.3.0",
    "axe-core@4.14.1",
    "csstype@3.2.4",
    "tslib@2.8.1",
    "typescript@5.9.3",
)
_INSTALL_LIMIT_S = 300


def modules() -> Path:
    """The folder `node_modules` with all of PACKAGES; skips, or fails under CI, where it can't be had."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        _without("npm and node are not on the PATH")
    folder = ROOT / ".local" / ("npm-" + hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12])
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        command = [
            npm,
            "install",
            "--no-save",
            "--no-package-lock",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            *PACKAGES,
        ]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=_INSTALL_LIMIT_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            _without(f"npm install: {str(error.stderr)[-300:]}")
        (folder / "installed").touch()
    return folder / "node_modules"


def run(script: Path | str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Node with a script and its arguments; what it says on both channels is in `stdout`."""
    node = shutil.which("node")
    if node is None:
        _without("node is not on the PATH")
    command = [node, str(script), *arguments]
    return subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=50, check=False
    )


def _without(reason: str) -> NoReturn:
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"CI must run the tests that use npm packages: {reason}")
    pytest.skip(reason)

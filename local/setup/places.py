"""Owns where things lie that the commands make and use, and which Python is wanted."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WINDOWS = os.name == "nt"
VENV = ROOT / ".venv"
VENV_BIN = VENV / ("Scripts" if WINDOWS else "bin")
VENV_PYTHON = str(VENV_BIN / ("python.exe" if WINDOWS else "python"))
UV_HOME = ROOT / ".uv"

# Azure's worker package needs 3.13; the pinned packages are published for these two. Preferred one first.
WANTED = ("3.13", "3.14")
PIP_INSTALL = "-m pip install -q --progress-bar off --disable-pip-version-check --no-input".split()  # noqa: SIM905

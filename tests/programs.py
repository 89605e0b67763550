"""Owns made-up programs that a test puts on a PATH."""

import os
from pathlib import Path

import pytest

posix = pytest.mark.skipif(os.name == "nt", reason="the made-up programs are shell scripts")


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path

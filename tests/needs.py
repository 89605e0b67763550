"""Owns what becomes of a test whose tool is missing: skipped on a person's machine, failed where CI proves the whole."""

import os
from typing import NoReturn

import pytest


def without(reason: str) -> NoReturn:
    """Call it where the tool was looked for. CI is told by CI=true."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"CI must run this test: {reason}")
    pytest.skip(reason)

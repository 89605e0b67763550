"""Owns the shape of the bundle's log lines: one event, one JSON object. Never given a token, code or cookie."""

import json
import logging
from datetime import datetime

_logger = logging.getLogger("onenote_auth")

Field = str | int | float | bool | datetime | None | dict[str, int] | list[str]


def event(name: str, *, level: int = logging.INFO, **fields: Field) -> None:
    """Log `name` with its fields, for machines and for the person who is paged."""
    if _logger.isEnabledFor(level):
        _logger.log(level, json.dumps({"event": name, **fields}, default=str, ensure_ascii=False))


def warning(name: str, **fields: Field) -> None:
    event(name, level=logging.WARNING, **fields)


def error(name: str, **fields: Field) -> None:
    event(name, level=logging.ERROR, **fields)

"""Owns what the host reads from the app's folder: host.json and local.settings.json. Sets nothing.

host.json reference: "host.json reference for Azure Functions 2.x and later"; local settings: "Code and test
Azure Functions locally", Local settings.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.host.errors import HostError


@dataclass(frozen=True, slots=True, kw_only=True)
class HostJson:
    """What of host.json matters here. `custom_headers` go on every answer."""

    route_prefix: str = "api"
    custom_headers: Mapping[str, str] = field(default_factory=dict)


def read_host_json(app_dir: Path) -> HostJson:
    """The app's host.json. Raises HostError where there is none or it is wrong."""
    path = app_dir / "host.json"
    document = _object(path)
    if document.get("version") != "2.0":
        raise HostError(f'{path} must say "version": "2.0".')
    http = document
    for name in ("extensions", "http"):
        http = http.get(name, {})
        if not isinstance(http, dict):
            raise HostError(f'"{name}" in {path} must be an object.')
    prefix, headers = http.get("routePrefix", "api"), http.get("customHeaders", {})
    if not isinstance(prefix, str):
        raise HostError(f'"routePrefix" in {path} must be a text.')
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise HostError(f'"customHeaders" in {path} must be an object of texts.')
    return HostJson(route_prefix=prefix.strip("/"), custom_headers=headers)


def read_local_settings(app_dir: Path) -> Mapping[str, str]:
    """`Values` of local.settings.json; nothing where there is no such file. Raises HostError."""
    path = app_dir / "local.settings.json"
    if not path.exists():
        return {}
    document = _object(path)
    if document.get("IsEncrypted"):
        raise HostError(f"{path} is encrypted: `func settings decrypt` makes it readable.")
    values = document.get("Values", {})
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise HostError(f'"Values" in {path} must be an object of texts.')
    return values


def _object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise HostError(f"There is no {path.name} in {path.parent}.") from None
    except (OSError, ValueError) as error:
        raise HostError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise HostError(f"{path} must be a JSON object.")
    return document

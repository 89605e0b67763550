"""Owns the talk with the peers beside what is measured: filling the vault, its quota, who called what how often."""

import json
import urllib.request
from typing import Any

from local.bench.processes import Peers

_LIMIT_S = 120
_JSON = {"Content-Type": "application/json"}


def fill(peers: Peers, **wanted: int) -> list[str]:
    """Arguments of `local.bench.fill.fill`; the names of the sessions that are due."""
    return list(_post(f"{peers.control}/fill", wanted))


def enforce_quota(peers: Peers) -> None:
    """Refuse from now on what is over the real quotas of a vault."""
    _post(f"{peers.control}/quota", {})


def usage(peers: Peers, label: str) -> dict[str, Any]:
    """A client's calls to the vault so far, as `local.bench.vault.Usage` says."""
    with urllib.request.urlopen(f"{peers.control}/usage", timeout=_LIMIT_S) as answer:  # noqa: S310 - our own server
        everybody: dict[str, dict[str, Any]] = json.load(answer)
    return everybody.get(label, {"writes": 0, "reads": 0, "throttled_writes": 0, "throttled_reads": 0, "by_kind": {}})


def _post(url: str, body: object) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), _JSON)  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=_LIMIT_S) as answer:  # noqa: S310
        return json.load(answer)

"""Owns what the demo and the tests read out of the vaults' contents: which secrets hold tokens, and which tokens."""

import json
from collections.abc import Mapping
from typing import Any

from local.control_client import ControlClient


def holds_token(secret: Mapping[str, Any]) -> bool:
    """Whether any version of a secret is a record with tokens, by the words that every such record has."""
    return any("refresh_token" in value or "access_token" in value for value in secret["values"])


async def token_strings(control: ControlClient) -> list[str]:
    """Every access and refresh token that a vault holds now, in any version of any secret."""
    vaults = await control.vaults(values=True)
    holders = [s for vault in vaults for s in (*vault["secrets"], *vault["deleted"]) if holds_token(s)]
    return [token for secret in holders for value in secret["values"] for token in _tokens_in(json.loads(value))]


def refresh_tokens_in(value: Any) -> list[str]:
    """The refresh tokens in one record, as it lies in the vault."""
    return _tokens_in(value, ("refresh_token",))


def _tokens_in(value: Any, names: tuple[str, ...] = ("access_token", "refresh_token")) -> list[str]:
    if isinstance(value, dict):
        here = [v for k, v in value.items() if k in names and isinstance(v, str)]
        return here + [token for inner in value.values() for token in _tokens_in(inner, names)]
    if isinstance(value, list):
        return [token for inner in value for token in _tokens_in(inner, names)]
    return []

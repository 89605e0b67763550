"""Owns claims challenges: how OneNote words them, and how a sign-in link carries what they ask for. Pure.

Source: "Claims challenges, claims requests, and client capabilities" (Microsoft identity platform).
"""

import json
import re

from shared import base64url

# A parameter's name in any case, blanks about the equals sign: RFC 9110 §11.2.
_CLAIMS = re.compile(r'\bclaims[ \t]*=[ \t]*"([A-Za-z0-9+/_=-]{1,2700})"', re.IGNORECASE)
_TEXT = re.compile(r"[A-Za-z0-9_-]{1,1400}")


def wants_claims(www_authenticate: str) -> bool:
    return "insufficient_claims" in www_authenticate


def claims_of(www_authenticate: str) -> str | None:
    """What a challenge asks for, as JSON; None where it does not say it readably."""
    match = _CLAIMS.search(www_authenticate)
    # In either alphabet, with padding or without.
    return _decoded(match[1].replace("+", "-").replace("/", "_").rstrip("=")) if match else None


def to_link(claims: str | None) -> str | None:
    """Claims as a sign-in link carries them; None where there are none, or more than a link and its cookie can hold."""
    text = base64url.encode(claims.encode()) if claims else ""
    return text if _TEXT.fullmatch(text) else None


def from_link(text: str | None) -> str | None:
    """Claims as JSON, from a link that anybody may have made; None for what are none."""
    return _decoded(text) if text and _TEXT.fullmatch(text) else None


def _decoded(text: str) -> str | None:
    try:
        claims = base64url.decode(text).decode()
        return claims if isinstance(json.loads(claims), dict) else None
    except (ValueError, RecursionError):
        return None

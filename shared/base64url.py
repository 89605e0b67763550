"""Owns base64url without padding, as every token and parameter of OAuth is written (RFC 7515, appendix C)."""

import base64


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Raises ValueError for what can't be it."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

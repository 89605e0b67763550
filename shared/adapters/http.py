"""Owns outgoing connections: one session a peer, with the operator's trust roots and a time limit; and what they carry."""

import json
import re
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode

from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector


def open_session(ca_bundle: str | None, *, total_s: float | None, limit: int = 100) -> ClientSession:
    """A session that keeps connections alive, follows no proxy of the environment and holds no cookie.

    `total_s` bounds a whole call, waiting for a connection included; None where the caller does. `limit` bounds the
    connections at once; 0 for no bound.
    """
    return ClientSession(
        connector=TCPConnector(ssl=_trust(ca_bundle), limit=limit, keepalive_timeout=30),
        # Not `connect`: that would set a clock for every call, and most find a connection that is kept.
        timeout=ClientTimeout(total=total_s, sock_connect=5),
        cookie_jar=DummyCookieJar(),
        auto_decompress=True,
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that a peer asks to be left alone (RFC 9110 §10.2.3); None for none, and for a date."""
    text = headers.get("Retry-After", "")
    return float(text) if re.fullmatch(r"\d{1,5}", text) else None


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """`url`, which may have a query of its own, with these parameters."""
    return url + ("&" if "?" in url else "?") + urlencode(parameters)


async def read_most(answer: ClientResponse, most: int) -> bytes:
    """The body, or about as much of it: a single read gives what has come so far."""
    body = b""
    while len(body) < most and (more := await answer.content.read(most)):
        body += more
    return body


def json_object(body: str | bytes) -> dict[str, Any]:
    """The JSON object that a body is; empty for what is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


@cache
def _trust(ca_bundle: str | None) -> ssl.SSLContext:
    """One for all peers: reading the system's trust roots takes longer than everything else here."""
    context = ssl.create_default_context()
    if ca_bundle:
        context.load_verify_locations(cafile=ca_bundle)
    return context

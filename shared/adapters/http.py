"""Owns outgoing connections: one session a peer, with the operator's trust roots and a time limit."""

import ssl

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector


def open_session(ca_bundle: str | None, *, total_s: float, limit: int = 100) -> ClientSession:
    """A session that keeps connections alive, follows no proxy of the environment and holds no cookie.

    `total_s` bounds a whole call, `limit` the connections at once.
    """
    context = ssl.create_default_context()
    if ca_bundle:
        context.load_verify_locations(cafile=ca_bundle)
    return ClientSession(
        connector=TCPConnector(ssl=context, limit=limit, keepalive_timeout=30),
        timeout=ClientTimeout(total=total_s, connect=5),
        cookie_jar=DummyCookieJar(),
        auto_decompress=True,
    )

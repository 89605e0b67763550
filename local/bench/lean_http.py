"""Owns a small HTTP/1.1 server that costs little beside what calls it (RFC 9112): known lengths, kept connections.

For peers of benchmarks only: it knows no chunked bodies, no trailers and no pipelining.
"""

import asyncio
import json
import ssl
from collections.abc import Callable
from typing import Any

type Handler = Callable[[str, str, bytes], tuple[int, bytes]]
"""(method, target, body) to (status, JSON body)."""

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class _Connection(asyncio.Protocol):
    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while (end := self._buffer.find(_END)) >= 0:
            head = self._buffer[:end]
            body_at = end + len(_END)
            length = content_length(head)
            if len(self._buffer) < body_at + length:
                return
            body = self._buffer[body_at : body_at + length]
            self._buffer = self._buffer[body_at + length :]
            method, target, _ = head[: head.index(b"\r\n")].decode("latin-1").split(" ", 2)
            status, answer = self._handler(method, target, body)
            assert self._transport is not None
            self._transport.write(
                b"HTTP/1.1 %d OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b"
                % (status, len(answer), answer)
            )


def content_length(head: bytes) -> int:
    """The Content-Length that a request's or answer's head names; 0 where it names none."""
    lower = head.lower()
    at = lower.find(_LENGTH)
    if at < 0:
        return 0
    stop = lower.find(b"\r\n", at)
    return int(lower[at + len(_LENGTH) : stop if stop >= 0 else None])


async def serve(handler: Handler, tls: ssl.SSLContext | None = None) -> int:
    """Listen on a free port of 127.0.0.1; the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(handler), "127.0.0.1", 0, ssl=tls, backlog=512)
    await server.start_serving()
    port: int = server.sockets[0].getsockname()[1]
    _serving.append(server)
    return port


_serving: list[asyncio.Server] = []  # a server that nobody refers to is collected


def as_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()

"""Owns the load on an HTTP server: as many requests as it answers over kept connections, and how long each took.

On bare protocols of the event loop, because the generator shares the machine with what it measures.
"""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

from local.bench.lean_http import content_length


class WrongAnswer(Exception):
    """The server answered with another status than 200, or closed the connection."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """One measurement. Latencies in milliseconds; `cpu_ms` of the serving process a request, None where unknown."""

    per_s: float
    p50_ms: float
    p99_ms: float
    requests: int
    cpu_ms: float | None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One stretch of load: seconds that each request took, that the whole took, and of the server's processor."""

    took: Sequence[float]
    elapsed_s: float
    cpu_s: float | None


class _Client(asyncio.Protocol):
    def __init__(self, request: bytes, until: float, took: list[float], done: asyncio.Future[None]) -> None:
        self._request = request
        self._until = until
        self._took = took
        self._done = done
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or len(self._buffer) < end + 4 + content_length(self._buffer[:end]):
            return
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            self._end(WrongAnswer(self._buffer[: self._buffer.find(b"\r\n")].decode("latin-1")))
            return
        now = time.perf_counter()
        self._took.append(now - self._sent_at)
        self._buffer = b""
        if now < self._until:
            self._send()
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(WrongAnswer("the connection was closed"))

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def _end(self, error: WrongAnswer | None) -> None:
        if not self._done.done():
            if error:
                self._done.set_exception(error)
            else:
                self._done.set_result(None)
        if self._transport is not None:
            self._transport.close()


async def load(
    url: str, *, seconds: float, pid: int | None = None, cookies: Sequence[str] = ("",), connections: int = 16
) -> Sample:
    """Ask `url` (http) over and over; the answers must be 200 with a Content-Length. Raises WrongAnswer.

    Each connection sends one of the `cookies`, as far as they go round.
    """
    parts = urlsplit(url)
    headers = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n"
    requests = [(headers + (f"Cookie: {cookie}\r\n" if cookie else "") + "\r\n").encode() for cookie in cookies]
    loop = asyncio.get_running_loop()
    took: list[float] = []
    cpu_before = cpu_s(pid)
    began = time.perf_counter()
    done: list[asyncio.Future[None]] = [loop.create_future() for _ in range(connections)]
    for one, request in zip(done, cycle(requests), strict=False):
        await loop.create_connection(
            lambda one=one, request=request: _Client(request, began + seconds, took, one),  # type: ignore[misc]
            parts.hostname or "",
            parts.port or 80,
        )
    await asyncio.gather(*done)
    elapsed_s = time.perf_counter() - began
    cpu_after = cpu_s(pid)
    used = cpu_after - cpu_before if cpu_before is not None and cpu_after is not None else None
    return Sample(took=took, elapsed_s=elapsed_s, cpu_s=used)


def together(samples: Sequence[Sample]) -> Load:
    """One measurement of several stretches."""
    took = sorted(one for sample in samples for one in sample.took)
    cpu = [sample.cpu_s for sample in samples if sample.cpu_s is not None]
    return Load(
        per_s=len(took) / sum(sample.elapsed_s for sample in samples),
        p50_ms=took[len(took) // 2] * 1e3,
        p99_ms=took[len(took) * 99 // 100] * 1e3,
        requests=len(took),
        cpu_ms=sum(cpu) / len(took) * 1e3 if len(cpu) == len(samples) else None,
    )


def cpu_s(pid: int | None) -> float | None:
    """Seconds of processor that a process has used; None where the system does not say (it is Linux that does)."""
    if pid is None or sys.platform != "linux":
        return None
    # After the name in parentheses, which may hold anything: utime and stime are fields 14 and 15 (proc(5)).
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

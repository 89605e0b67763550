"""Owns an event loop on which waiting is short and working is not: time limits of minutes pass in a second.

For tests over real sockets, whose peers run on the same loop: while nothing arrives, the loop's clock runs `PACE`
times as fast; while code runs, it runs as the real one does. So a slow machine never makes a time limit pass early.
The time of day is not touched.
"""

import asyncio
import selectors
import socket
import time
from collections.abc import Mapping
from selectors import SelectorKey
from typing import Any

PACE = 250.0
"""Seconds of the loop in one second of waiting."""

_GRACE_S = 0.005
"""So long after an event the clock runs as the real one does."""

_SHORTEST_S = 0.001
"""What epoll can wait; less is slept."""


class HurriedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._waited_s = 0.0
        super().__init__(_Hurried(self))

    def time(self) -> float:
        return time.perf_counter() + self._waited_s

    def credit(self, seconds: float) -> None:
        self._waited_s += seconds

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
        # In place, not in a thread: while one looked up "localhost", the loop would seem to wait.
        return socket.getaddrinfo(host, port, **hints)


class _Hurried(selectors.BaseSelector):
    def __init__(self, loop: HurriedLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()
        self._event_at = 0.0

    def register(self, fileobj: int, events: int, data: object = None) -> SelectorKey:  # type: ignore[override]
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: int) -> SelectorKey:  # type: ignore[override]
        return self._real.unregister(fileobj)

    def modify(self, fileobj: int, events: int, data: object = None) -> SelectorKey:  # type: ignore[override]
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[int, SelectorKey]:  # type: ignore[override]
        return self._real.get_map()  # type: ignore[return-value]

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        if timeout is None or timeout <= 0 or time.perf_counter() - self._event_at < _GRACE_S:
            # Something may still be on its way: the kernel of a busy machine takes its time.
            return self._real_select(timeout if timeout is None else min(timeout, _GRACE_S))
        began, wait_s = time.perf_counter(), timeout / PACE
        if wait_s < _SHORTEST_S:
            time.sleep(wait_s)
            wait_s = 0
        ready = self._real_select(wait_s)
        waited_s = time.perf_counter() - began
        # Without an event exactly what was asked for: the machine's own delay makes no later timer fire, too.
        passed_s = min(waited_s * PACE, timeout) if ready else timeout
        self._loop.credit(max(0.0, passed_s - waited_s))
        return ready

    def _real_select(self, timeout: float | None) -> list[tuple[SelectorKey, int]]:
        ready = self._real.select(timeout)
        if ready:
            self._event_at = time.perf_counter()
        return ready

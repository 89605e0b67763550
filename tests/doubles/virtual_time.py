"""Owns virtual time: an event loop that never waits, and the clock that goes with it.

When every task sleeps, the loop moves its own time to the next timer. So a test sees latencies, back-offs and time
boxes exactly, and takes no time of its own. Real sockets don't belong on this loop.
"""

import asyncio
import math
import selectors
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from selectors import SelectorKey

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_STUCK_AFTER_S = 5.0


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and jumps from timer to timer."""

    def __init__(self) -> None:
        self.now_s = 0.0
        super().__init__(_Impatient(self))

    def time(self) -> float:
        return self.now_s


class _Impatient(selectors.BaseSelector):
    """A selector that moves the loop's time instead of waiting for it."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()

    def register(self, fileobj: int, events: int, data: object = None) -> SelectorKey:  # type: ignore[override]
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: int) -> SelectorKey:  # type: ignore[override]
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[int, SelectorKey]:  # type: ignore[override]
        return self._real.get_map()  # type: ignore[return-value]

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        if timeout is None:
            # Nothing is timed: only a thread (the executor at the loop's end) can wake us.
            ready = self._real.select(_STUCK_AFTER_S)
            if not ready:
                raise RuntimeError("every task waits for something that never comes")
            return ready
        ready = self._real.select(0)
        if not ready:
            now_s = self._loop.now_s + timeout
            # A little more: after months of virtual time the loop's own tolerance (1 ns) is less than a float's step,
            # and a timer that is due at this very moment would never count as due.
            self._loop.now_s = now_s + 4 * math.ulp(now_s)
        return ready


class LoopClock:
    """`Clock` of a running `VirtualTimeLoop`. `jump` moves the time of day alone, as an operator's hand would."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time()) + self._offset

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def jump(self, by: timedelta) -> None:
        self._offset += by

"""Owns a clock that a test moves by hand, for tests on a real event loop; `virtual_time` is for whole timelines."""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class ManualClock:
    """`Clock` that stands still until `advance`. A sleeper waits until the clock has been moved past its end.

    With `sleeping_advances` a sleep moves the clock itself and returns at once; `slept` holds every sleep, in seconds.
    """

    def __init__(self, at: datetime = START, *, sleeping_advances: bool = False) -> None:
        self.sleeping_advances = sleeping_advances
        self.slept: list[float] = []
        self._now = at
        self._sleepers: list[tuple[datetime, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        end = self._now + timedelta(seconds=seconds)
        if self.sleeping_advances:
            self.advance(max(seconds, 0.0))
        if end <= self._now:
            await asyncio.sleep(0)
            return
        sleeper = (end, asyncio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)

    def advance(self, by: timedelta | float) -> None:
        """Move the clock, by seconds or a timedelta; backwards too. Wakes who has slept long enough."""
        self._now += by if isinstance(by, timedelta) else timedelta(seconds=by)
        for end, woken in self._sleepers:
            if end <= self._now:
                woken.set()

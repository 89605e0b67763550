"""Owns how many calls one person has under way: five at once as OneNote allows, the rest wait briefly (R-15).

Source: "Microsoft Graph throttling limits", OneNote service limits. On one instance: others don't know of it.
"""

import asyncio
from dataclasses import dataclass, field

from shared.errors import TooManyCalls

AT_ONCE = 5
WAIT_MOST_S = 10.0
"""A caller that waits still holds its whole request here."""


@dataclass(slots=True)
class _Queue:
    """Who waits for places of one person."""

    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    given_back: asyncio.Event = field(default_factory=asyncio.Event)


class Gates:
    """`take` places, and `give_back` as many in the end."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._queues: dict[str, _Queue] = {}

    async def take(self, who: str, count: int) -> int:
        """`count` places of that person's, five at most: how many it became. Raises TooManyCalls after ten seconds."""
        count = min(count, AT_ONCE)
        # Most calls find a place, and nobody who waits: no clock is set for them.
        if who in self._queues or not self._fits(who, count):
            await self._wait(who, count)
        self._held[who] = self._held.get(who, 0) + count
        return count

    def give_back(self, who: str, count: int) -> None:
        self._held[who] -= count
        if not self._held[who]:
            del self._held[who]
        if queue := self._queues.get(who):
            queue.given_back.set()

    def _fits(self, who: str, count: int) -> bool:
        return self._held.get(who, 0) + count <= AT_ONCE

    async def _wait(self, who: str, count: int) -> None:
        queue = self._queues.setdefault(who, _Queue())
        queue.waiting += 1
        try:
            # In turn: a batch that waits for several places is not overtaken for ever.
            async with asyncio.timeout(WAIT_MOST_S), queue.turn:
                while not self._fits(who, count):
                    queue.given_back.clear()
                    await queue.given_back.wait()
        except TimeoutError:
            raise TooManyCalls from None
        finally:
            queue.waiting -= 1
            if not queue.waiting:
                del self._queues[who]

"""Owns how many calls one person has under way: five at once as OneNote allows, the rest wait briefly (R-15).

Source: "Microsoft Graph throttling limits", OneNote service limits. On one instance: others don't know of it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from shared.errors import TooManyCalls

AT_ONCE = 5
WAIT_MOST_S = 10.0
"""A caller that waits still holds its whole request here."""


@dataclass(slots=True)
class _Gate:
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Gates:
    def __init__(self) -> None:
        self._gates: dict[str, _Gate] = {}

    @asynccontextmanager
    async def places(self, who: str, count: int) -> AsyncIterator[None]:
        """`count` places of that person's, five at most. Raises TooManyCalls after ten seconds of waiting."""
        gate = self._gates.get(who)
        if gate is None:
            gate = self._gates[who] = _Gate()
        gate.users += 1
        held = 0
        try:
            try:
                if count == 1 and not gate.turn.locked() and not gate.free.locked():
                    await gate.free.acquire()  # most calls: there is a place and nobody waits, so no clock is set
                    held = 1
                else:
                    # In turn: a batch that waits for several places is not overtaken for ever.
                    async with asyncio.timeout(WAIT_MOST_S), gate.turn:
                        while held < min(count, AT_ONCE):
                            await gate.free.acquire()
                            held += 1
            except TimeoutError:
                raise TooManyCalls from None
            yield
        finally:
            for _ in range(held):
                gate.free.release()
            gate.users -= 1
            if not gate.users:
                del self._gates[who]

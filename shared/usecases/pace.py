"""Owns the sweep's share of a vault's write quota: begins at the documented one, gives way when it is too much.

Key Vault allows 300 secret creations in 10 s ("Azure Key Vault service limits"); sign-ins need their part of it.
"""

import asyncio

SHARE_PER_S = 24.0
"""80 % of the documented quota."""

_LEAST_PER_S = 1.0
_GROWTH_PER_S = 0.25
_PAUSE_S = 1.0


class Pace:
    """`turn` returns when the next write may go out; additive increase, multiplicative decrease."""

    def __init__(self) -> None:
        self._per_s = SHARE_PER_S
        self._next_at = 0.0

    @property
    def per_s(self) -> float:
        return self._per_s

    async def turn(self) -> None:
        now = asyncio.get_running_loop().time()
        at = max(self._next_at, now)
        self._next_at = at + 1 / self._per_s
        if at > now:
            await asyncio.sleep(at - now)

    def went_well(self) -> None:
        self._per_s = min(SHARE_PER_S, self._per_s + _GROWTH_PER_S)

    def throttled(self) -> None:
        """A call was refused for a quota, or nobody answers any more: half as fast, after a pause."""
        self._per_s = max(_LEAST_PER_S, self._per_s / 2)
        self._next_at = max(self._next_at, asyncio.get_running_loop().time() + _PAUSE_S)

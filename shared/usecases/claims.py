"""Owns the claim on a renewal: which of several instances may send a refresh token now.

Where a spent refresh token stays valid, as at Entra, nobody needs it. A provider that revokes the whole family on
reuse (RFC 9700 §4.14.2) punishes two instances that renew one session at the same moment. Key Vault has no
compare-and-swap, so a claim in the tags (write, wait, read back) makes that rare; it can't make it impossible.
A claim runs out by itself: an instance that is killed blocks nobody for longer than CLAIM_S.
"""

import asyncio
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.errors import Unavailable
from shared.model import Stored
from shared.ports import Clock, SessionStore

CLAIM_S = 60
"""Longer than the call to the provider (15 s) and the write after it (30 s) can take."""

_SKEW_S = 30
_SETTLE_S = 0.2
_LOOK_AGAIN_S = 0.5
_PATIENCE_S = 2.0


class Claims:
    """`take` before a refresh token is sent; the write of the new tokens drops the claim."""

    def __init__(self, store: SessionStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def take(self, stored: Stored) -> tuple[Stored, bool]:
        """The newest record, and whether this instance may renew it now.

        Where another instance has the claim, this waits until it has renewed or its claim has run out, so the
        caller looks at the record again. Raises SessionUnknown, StoreUnavailable.
        """
        if self._taken(stored):
            return await self._others(stored), False
        until = int(self._clock.now().timestamp()) + CLAIM_S
        mine = f"{secrets.token_hex(8)}.{until}"
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._store.annotate(stored.ref, stored.version, replace(stored.record.marks, claim=mine))
        # Two that claim at the same moment overwrite each other: whose claim is left has won. A write that was slow may
        # have landed on a claim that had been read back already: its owner is renewing by now, so give it time.
        slow = loop.time() - began > _SETTLE_S
        await self._clock.sleep(_PATIENCE_S if slow else _SETTLE_S)
        back = await self._store.load(stored.ref)
        return back, back.version == stored.version and back.record.marks.claim == mine

    async def drop(self, stored: Stored) -> None:
        """After a renewal that came to nothing, so that the next try need not wait."""
        try:
            await self._store.annotate(stored.ref, stored.version, replace(stored.record.marks, claim=None))
        except Unavailable:
            return  # it runs out by itself

    async def _others(self, stored: Stored) -> Stored:
        while self._taken(stored):
            await self._clock.sleep(_LOOK_AGAIN_S)
            newest = await self._store.load(stored.ref)
            if newest.version != stored.version:
                return newest
            stored = newest
        return stored

    def _taken(self, stored: Stored) -> bool:
        _, _, until = (stored.record.marks.claim or "").partition(".")
        if not until.isdigit():
            return False
        left = datetime.fromtimestamp(int(until), UTC) - self._clock.now()
        # Another instance's clock may be ahead of ours; one that was set back must not make the wait much longer.
        return timedelta(0) < left <= timedelta(seconds=CLAIM_S + _SKEW_S)

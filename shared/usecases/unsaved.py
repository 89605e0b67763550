"""Owns tokens that the vault could not take yet: they serve from memory, and writing is tried again until it works.

The provider has answered, so these are all there is of the grant (R-11). Knows no provider: what it keeps is right.
"""

import asyncio
from collections.abc import Collection

from shared import log
from shared.errors import Misconfigured, RecordTooNew, SessionEnded, SessionUnknown, StoreUnavailable
from shared.model import SessionRef, Stored
from shared.ports import Clock, SessionStore
from shared.usecases.sessions import Sessions

_RETRIES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_MOST = 1_000


class Unsaved:
    """`keep` what could not be stored; say what was `stored` since."""

    def __init__(self, store: SessionStore, sessions: Sessions, clock: Clock) -> None:
        self._store = store
        self._sessions = sessions
        self._clock = clock
        self._kept: dict[SessionRef, Stored] = {}
        self._saving: dict[SessionRef, asyncio.Task[None]] = {}

    @property
    def under_way(self) -> Collection[asyncio.Task[None]]:
        """One task a session; each ends when nothing is left to store."""
        return self._saving.values()

    def keep(self, unsaved: Stored) -> None:
        ref = unsaved.ref
        self._kept[ref] = unsaved
        self._sessions.put(unsaved)
        task = self._saving.get(ref)
        if task is None or task.done():  # what has ended writes no more, though it is still on the list for a moment
            task = self._saving[ref] = asyncio.create_task(self._save(ref))
            task.add_done_callback(lambda ended: self._ended(ref, ended))

    def stored(self, newer: Stored) -> None:
        """The vault has taken newer tokens of this session."""
        task = self._saving.get(newer.ref)
        if task is None or task.done():
            self._forget(newer.ref)
        else:
            # A write of older tokens may be on its way and arrive after this one: whoever saves them looks once more.
            self._kept[newer.ref] = newer

    def check(self, vault: str) -> None:
        """Raises StoreUnavailable where so many wait for that vault that the timer must not add to them."""
        if sum(ref.vault == vault for ref in self._kept) >= _MOST:
            raise StoreUnavailable("renewed tokens wait to be stored")

    def _forget(self, ref: SessionRef) -> None:
        self._kept.pop(ref, None)

    def _ended(self, ref: SessionRef, task: asyncio.Task[None]) -> None:
        if self._saving.get(ref) is task:
            del self._saving[ref]

    async def _save(self, ref: SessionRef) -> None:
        """Retry until it sticks. Each write follows a read by seconds, so that none comes after a purge (R-12)."""
        attempts = 0
        while ref in self._kept:
            await self._clock.sleep(_RETRIES_S[min(attempts, len(_RETRIES_S) - 1)])
            attempts += 1
            unsaved = self._kept.get(ref)  # a later renewal's tokens by now, perhaps, or stored with them
            if unsaved is None:
                return
            try:
                if await self._saved(unsaved):
                    log.event("new_tokens_stored", session=ref.name[:12], vault=ref.vault, attempts=attempts)
            except (SessionUnknown, SessionEnded):
                self._sessions.end(ref)
                self._forget(ref)
            except RecordTooNew:
                self._forget(ref)
            except (StoreUnavailable, Misconfigured):
                continue

    async def _saved(self, unsaved: Stored) -> bool:
        ref = unsaved.ref
        if self._sessions.has_ended(ref):
            raise SessionEnded
        there = await self._store.load(ref)
        if self._kept.get(ref) is not unsaved:
            return False
        if there.record.refreshed_at >= unsaved.record.refreshed_at:
            self._forget(ref)  # another instance has renewed it since, or our own write arrived after all
            return False
        if self._sessions.has_ended(ref):
            raise SessionEnded
        kept = await self._store.replace(ref, unsaved.record)
        if self._kept.get(ref) is unsaved:
            self._forget(ref)
            self._sessions.put(kept)
        return True

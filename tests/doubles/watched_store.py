"""Owns a session store that a test watches and disturbs: calls counted, failures and delays on request."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime

from shared.model import Entry, Listing, Marks, PassNote, Record, SessionRef, Stored
from shared.ports import SessionStore


class WatchedStore:
    """`SessionStore` around another one, so that a test can look into the vault without being counted or delayed.

    `fail(name, error, times)` makes calls of that name raise; with `after=True` the work is done first and only the
    answer is lost. `latency_s` holds every call back; `during` runs between a call's beginning and its work.
    """

    def __init__(self, inner: SessionStore) -> None:
        self.inner = inner
        self.calls: Counter[str] = Counter()
        self.latency_s = 0.0
        self.refused_for_quota = 0
        self.during: dict[str, Callable[[], Awaitable[None]]] = {}
        self._failures: dict[str, list[tuple[Exception, bool]]] = {}

    def fail(self, name: str, error: Exception, *, times: int = 1, after: bool = False) -> None:
        self._failures.setdefault(name, []).extend([(error, after)] * times)

    def heal(self) -> None:
        self._failures.clear()

    @property
    def vaults(self) -> Sequence[str]:
        return self.inner.vaults

    async def create(self, ref: SessionRef, record: Record) -> Stored:
        return await self._watched("create", lambda: self.inner.create(ref, record))

    async def load(self, ref: SessionRef) -> Stored:
        return await self._watched("load", lambda: self.inner.load(ref))

    async def replace(self, ref: SessionRef, record: Record) -> Stored:
        return await self._watched("replace", lambda: self.inner.replace(ref, record))

    async def annotate(self, ref: SessionRef, version: str, marks: Marks) -> None:
        return await self._watched("annotate", lambda: self.inner.annotate(ref, version, marks))

    async def delete(self, ref: SessionRef) -> None:
        return await self._watched("delete", lambda: self.inner.delete(ref))

    async def by_account(self, account_hash: str) -> Sequence[SessionRef]:
        return await self._watched("by_account", lambda: self.inner.by_account(account_hash))

    async def by_sid(self, sid_hash: str) -> Sequence[SessionRef]:
        return await self._watched("by_sid", lambda: self.inner.by_sid(sid_hash))

    async def listing(self, vault: str) -> Listing:
        return await self._watched("listing", lambda: self.inner.listing(vault))

    async def account_page(self, vault: str, page: str | None) -> tuple[Sequence[str], str | None]:
        return await self._watched("account_page", lambda: self.inner.account_page(vault, page))

    async def purge(self, vault: str, deleted_before: datetime) -> int:
        return await self._watched("purge", lambda: self.inner.purge(vault, deleted_before))

    async def repair_indexes(
        self, vault: str, listing: Listing, listed_at: datetime, removed: Collection[Entry] = ()
    ) -> int:
        return await self._watched(
            "repair_indexes", lambda: self.inner.repair_indexes(vault, listing, listed_at, removed)
        )

    async def last_pass(self, vault: str) -> PassNote | None:
        return await self._watched("last_pass", lambda: self.inner.last_pass(vault))

    async def note_pass(self, vault: str, note: PassNote) -> None:
        return await self._watched("note_pass", lambda: self.inner.note_pass(vault, note))

    def throttled(self, vault: str) -> int:
        return self.inner.throttled(vault) + self.refused_for_quota

    async def _watched[T](self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        self.calls[name] += 1
        scripted = self._failures.get(name)
        error, after = scripted.pop(0) if scripted else (None, False)
        await asyncio.sleep(self.latency_s)
        if error and not after:
            raise error
        if name in self.during:
            await self.during[name]()
        done = await work()
        if error:
            raise error
        return done

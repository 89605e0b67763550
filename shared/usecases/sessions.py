"""Owns the sessions that this instance knows: a bounded cache over the store, one look-up a session at a time.

In the request path a warm instance asks the vault nothing. A sign-out elsewhere is noticed within `cache_s`; a
sign-out here at once, whatever the vault says.
"""

import asyncio
from collections import OrderedDict
from dataclasses import replace
from datetime import datetime, timedelta

from shared import schedule
from shared.errors import BundleError, NotSignedIn, ReauthRequired, SessionUnknown
from shared.model import Flow, Health, Marks, SessionRef, Stored, whole_second
from shared.ports import Clock, SessionStore
from shared.schedule import Policy

_MOST = 10_000
_JUST_MADE_RETRIES_S = (0.1, 0.3, 0.6, 1.0)


class Sessions:
    """`get` is the way to a session; it never returns one that is over."""

    def __init__(self, store: SessionStore, clock: Clock, policy: Policy, *, cache_s: float) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._cache_for = timedelta(seconds=cache_s)
        self._known: OrderedDict[SessionRef, tuple[datetime, Stored]] = OrderedDict()
        self._ended: OrderedDict[SessionRef, None] = OrderedDict()
        self._loading: dict[SessionRef, asyncio.Task[Stored]] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def get(self, ref: SessionRef, *, just_made: bool = False) -> Stored:
        """The session, from memory when it was read lately.

        Raises NotSignedIn, ReauthRequired (a token flow's session that ran out), StoreUnavailable.

        `just_made`: the cookie is seconds old, so a vault that does not show the secret yet is asked again.
        """
        known = self._known.get(ref)
        now = self._clock.now()
        if known and abs(now - known[0]) <= self._cache_for:
            self._known.move_to_end(ref)
            return self._alive(known[1], now)
        for wait_s in (*_JUST_MADE_RETRIES_S, None) if just_made else (None,):
            try:
                stored = await self._load_once(ref)
                return self._alive(stored, self._clock.now())
            except SessionUnknown:
                if wait_s is None or ref in self._ended:
                    raise NotSignedIn from None
                await self._clock.sleep(wait_s)
        raise AssertionError("unreachable")

    async def newest(self, ref: SessionRef) -> Stored:
        """Past the cache. Raises SessionUnknown, StoreUnavailable."""
        # Never a look-up that is under way: it may have begun before what the caller needs to see.
        return await self._loaded(ref, self._begin(ref))

    def put(self, stored: Stored, *, read_at: datetime | None = None) -> None:
        """Remember what was read or written, just now or at `read_at`."""
        known = self._known.get(stored.ref)
        if stored.ref in self._ended or (known and known[1].record.refreshed_at > stored.record.refreshed_at):
            return  # over, or renewed since the caller got it
        self._known[stored.ref] = (read_at or self._clock.now(), stored)
        self._known.move_to_end(stored.ref)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)

    def end(self, ref: SessionRef) -> None:
        """Refuse this session from now on in this process."""
        self._known.pop(ref, None)
        self._ended[ref] = None
        while len(self._ended) > _MOST:
            self._ended.popitem(last=False)

    def has_ended(self, ref: SessionRef) -> bool:
        return ref in self._ended

    def seen(self, stored: Stored) -> None:
        """Note that the session is in use; written to the store a few times a day at most, in the background."""
        now = self._clock.now()
        if abs(now - stored.record.marks.seen_at) < schedule.SEEN_STEP:
            return
        marks = replace(stored.record.marks, seen_at=whole_second(now))
        if marks.flow is Flow.CODE and marks.health is Health.OK:
            # Who comes back after days is in use from now on: the timer must not think of the session once a day only.
            wanted = schedule.due_at(
                stored.record.grant, seen_at=now, now=now, name=stored.ref.name, policy=self._policy
            )
            marks = replace(marks, due_at=min(marks.due_at, wanted))
        if known := self._known.get(stored.ref):
            # As old as it was: noting reads nothing, and a sign-out elsewhere must not stay unseen for longer.
            self.put(replace(stored, record=replace(stored.record, marks=marks)), read_at=known[0])
        task = asyncio.create_task(self._write_seen(stored.ref, stored.version, marks))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _write_seen(self, ref: SessionRef, version: str, marks: Marks) -> None:
        try:
            await self._store.annotate(ref, version, marks)
        except BundleError:
            return  # the next use writes it

    async def _load_once(self, ref: SessionRef) -> Stored:
        return await self._loaded(ref, self._loading.get(ref) or self._begin(ref))

    def _begin(self, ref: SessionRef) -> asyncio.Task[Stored]:
        def done(task: asyncio.Task[Stored]) -> None:
            if self._loading.get(ref) is task:
                del self._loading[ref]

        if ref in self._ended:
            raise SessionUnknown
        task = self._loading[ref] = asyncio.create_task(self._store.load(ref))
        task.add_done_callback(done)
        return task

    async def _loaded(self, ref: SessionRef, task: asyncio.Task[Stored]) -> Stored:
        try:
            stored = await asyncio.shield(task)
        except SessionUnknown:
            self._known.pop(ref, None)
            raise
        if ref in self._ended:
            raise SessionUnknown
        known = self._known.get(ref)
        if known and known[1].record.refreshed_at > stored.record.refreshed_at:
            # What serves from memory is newer than what could be written so far, or than this look-up's beginning.
            stored = known[1]
        self.put(stored)
        return stored

    def _alive(self, stored: Stored, now: datetime) -> Stored:
        why = schedule.over(stored.record.marks, now=now, policy=self._policy)
        if why == "token_flow_expired":
            raise ReauthRequired(why)
        if why:
            raise NotSignedIn
        return stored

"""Owns the timer's run over every session: renew what is due, mark what is dead, remove what has ended (R-11).

Listing is the only index there is; a value is read only when it will be used. The run keeps a time box, takes
the most urgent first, and is harmless when it is started twice or cut off anywhere.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared import log, schedule
from shared.errors import (
    BundleError,
    Misconfigured,
    NotSignedIn,
    ReauthRequired,
    SessionEnded,
    SessionUnknown,
    StoreUnavailable,
    Unavailable,
)
from shared.model import Entry, Flow, Health, Listing, PassNote
from shared.ports import Clock, KeyRing, SessionStore
from shared.schedule import Policy
from shared.usecases.pace import Pace
from shared.usecases.refresh import Engine
from shared.usecases.sessions import Sessions
from shared.usecases.summary import Summary

TIME_BOX_S = 240
"""Under the default functionTimeout of five minutes, and under the schedule's step."""

PURGE_AFTER = timedelta(seconds=60)
"""A renewal under way ends its writes within 30 s, so nothing comes back after this (R-12)."""

_AT_ONCE = 16
_SETTLE_S, _SETTLE_UNTIL_S = 20.0, 45.0
_LIST_FOR_S = 120.0
_HOUSEKEEPING_S = 25.0
"""After the time box: with what is under way by then, the run still ends within the function's time limit."""

_PLANNED_FOR = schedule.PASS_LATEST + timedelta(minutes=30)
"""Longer than until the next listing, which may come a few runs late."""

_PLANNED_MOST = 50_000
_REFUSED_MOST = 20
_IN_VAIN_MOST = 20
_KEY_LIFETIME = timedelta(days=30)

type _Act = Callable[[Entry, Summary], Coroutine[object, object, Entry | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What this instance knows of a vault between two listings: every session that is due before `until`."""

    until: datetime
    entries: list[Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A listing, under way or done. A vault of very many pages takes longer to list than a run may last."""

    began: datetime
    listing: asyncio.Task[Listing]


class Sweep:
    """`run` is one run of the timer. Never raises for one session's sake."""

    def __init__(
        self,
        store: SessionStore,
        sessions: Sessions,
        engine: Engine,
        ring: KeyRing,
        clock: Clock,
        policy: Policy,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._engine = engine
        self._ring = ring
        self._clock = clock
        self._policy = policy
        self._running = asyncio.Lock()
        self._paces: dict[str, Pace] = {}
        self._plans: dict[str, _Plan] = {}
        self._looks: dict[str, _Look] = {}

    async def run(self, *, past_due: bool = False) -> Summary:
        """One run over every vault, several vaults at the same time."""
        summary = Summary()
        if self._running.locked():
            log.event("sweep_already_running")
            return summary
        async with self._running:
            began = self._clock.now()
            deadline = asyncio.get_running_loop().time() + TIME_BOX_S
            each = (self._try(summary, self._vault(vault, began, deadline, summary)) for vault in self._store.vaults)
            await asyncio.gather(*each)
            await self._try(summary, self._rotate(began))
            left_s = deadline + _SETTLE_UNTIL_S - asyncio.get_running_loop().time()
            await self._engine.settle(within_s=min(_SETTLE_S, left_s))
            duration_s = (self._clock.now() - began).total_seconds()
            summary.report(duration_s=duration_s, past_due=past_due)
        return summary

    async def _vault(self, vault: str, began: datetime, deadline: float, summary: Summary) -> None:
        end = deadline + _HOUSEKEEPING_S
        wanted = vault in self._looks or not await self._listed_lately(vault, began)
        look = await self._looked(vault, began, summary) if wanted else None
        if look is None:
            if plan := self._plans.get(vault):
                await self._renew_all(vault, plan, began, deadline, summary)
            await self._try(summary, self._purge(vault, began, summary), end=end)
            return
        listing = look.listing.result()
        # As of then: who has come back since is in use again, whatever the listing says.
        over = [e for e in listing.entries if schedule.over(e.marks, now=look.began, policy=self._policy)]
        summary.sessions += len(listing.entries)
        _, removed = await self._each(vault, over, self._remove, deadline, summary)
        until = look.began + _PLANNED_FOR
        plan = _Plan(until=until, entries=[e for e in listing.entries if self._is_due_by(e, began, until)])
        due = await self._renew_all(vault, plan, began, deadline, summary)
        summary.kept += len(listing.entries) - due - len(over)
        # What is left over stands in the plan.
        note = PassNote(at=look.began, secrets=listing.secrets)
        await self._try(summary, self._store.note_pass(vault, note))
        await self._try(summary, self._purge(vault, began, summary), end=end)
        await self._try(summary, self._repair(vault, look, removed, summary), end=end)

    async def _looked(self, vault: str, began: datetime, summary: Summary) -> _Look | None:
        """A vault listed whole; None where that fails, or goes on behind this run for a later one to use."""
        look = self._looks.get(vault)
        if look is None or look.listing.cancelled():
            look = _Look(began=began, listing=asyncio.create_task(self._store.listing(vault)))
            self._looks[vault] = look
        await asyncio.wait({look.listing}, timeout=_LIST_FOR_S)
        if not look.listing.done():
            log.event("vault_listing_goes_on", vault=vault)
            return None
        del self._looks[vault]
        try:
            look.listing.result()
        except (StoreUnavailable, Misconfigured) as error:
            summary.add_failure(error.code, str(error))
            log.error("vault_not_listed", vault=vault, cause=str(error))
            return None
        return look

    async def _listed_lately(self, vault: str, now: datetime) -> bool:
        """Whether any instance has listed the vault so lately that it is not worth the reads again."""
        try:
            note = await self._store.last_pass(vault)
        except BundleError:
            return False
        if note is None:
            return False
        every = schedule.pass_every(note.secrets)
        plan = self._plans.get(vault)
        if plan is None or plan.until < now:
            # Whoever listed is gone perhaps, and its plan with it: nobody may know what is due.
            every /= 2
        return timedelta(0) <= now - note.at < every

    async def _renew_all(self, vault: str, plan: _Plan, began: datetime, deadline: float, summary: Summary) -> int:
        """Renew what is due of a plan, the most urgent first, and plan anew; how many were due."""
        due = sorted((e for e in plan.entries if self._is_due(e, began)), key=lambda e: e.marks.due_at)
        summary.due += len(due)
        left, again = await self._each(vault, due, self._renew, deadline, summary)
        later = [e for e in plan.entries if e.marks.due_at > began and not self._is_due(e, began)]
        ahead = sorted((*again, *later), key=lambda e: e.marks.due_at)
        entries, until = [*left, *(e for e in ahead if e.marks.due_at <= plan.until)], plan.until
        if len(entries) > _PLANNED_MOST:
            # The plan reaches no further than what it holds, so that the next listing comes early enough.
            entries = entries[:_PLANNED_MOST]
            until = min(until, entries[-1].marks.due_at)
        self._plans[vault] = _Plan(until=until, entries=entries)
        return len(due)

    def _is_due_by(self, entry: Entry, now: datetime, until: datetime) -> bool:
        return entry.marks.due_at <= until or self._is_due(entry, now)

    def _is_due(self, entry: Entry, now: datetime) -> bool:
        marks = entry.marks
        return (
            schedule.is_due(marks, now=now, policy=self._policy)
            and marks.flow is Flow.CODE
            and marks.health is not Health.REAUTH_REQUIRED
            and schedule.over(marks, now=now, policy=self._policy) is None
        )

    async def _each(
        self, vault: str, entries: Iterable[Entry], act: _Act, deadline: float, summary: Summary
    ) -> tuple[list[Entry], list[Entry]]:
        """Some at once, no faster than the vault's share of writes and the provider allow, until the time box is full.

        What is left, and what the others have become.
        """
        left: list[Entry] = []
        become: list[Entry] = []
        queue = iter(entries)
        loop = asyncio.get_running_loop()
        pace = self._paces.setdefault(vault, Pace())
        refused = self._store.throttled(vault)

        async def worker() -> None:
            nonlocal refused
            for entry in queue:
                if loop.time() >= deadline:
                    left.append(entry)
                    continue
                await pace.turn()
                if now := await self._try(summary, act(entry, summary)):
                    become.append(now)
                if self._store.throttled(vault) > refused:
                    refused = self._store.throttled(vault)
                    pace.throttled()
                elif summary.in_vain > _IN_VAIN_MOST:
                    # It is out of order or has enough of us. Who is not asked for now has no back-off when it is back.
                    pace.throttled()
                else:
                    pace.went_well()

        await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))
        summary.left_for_next_run += len(left)
        return left, become

    async def _renew(self, entry: Entry, summary: Summary) -> Entry | None:
        """The session with the marks that it has now; None where the timer has nothing more to do with it."""
        if summary.refused >= _REFUSED_MOST and not summary.renewed:
            # It is the app that is refused: asking for everybody else would change nothing.
            summary.left_for_next_run += 1
            return entry
        try:
            renewal = await self._engine.renew_due(entry.ref, entry.marks.due_at)
        except ReauthRequired:
            summary.dead += 1
            return None
        except (NotSignedIn, SessionUnknown, SessionEnded):
            return None
        except (StoreUnavailable, Misconfigured) as error:
            summary.add_failure(error.code, str(error))
            summary.refused += isinstance(error, Misconfigured) and error.everywhere
            return entry
        except Unavailable as error:
            summary.add_failure(error.code, str(error))
            summary.in_vain += 1
            return await self._back_off(entry, summary)
        summary.in_vain = 0
        summary.renewed += renewal.done
        return replace(entry, marks=renewal.marks)

    async def _back_off(self, entry: Entry, summary: Summary) -> Entry | None:
        try:
            stored = await self._sessions.newest(entry.ref)
            marks = stored.record.marks
            if marks.health is Health.REAUTH_REQUIRED:
                return None  # another instance has a verdict on it by now
            failed = replace(marks, health=Health.RETRYING, failures=marks.failures + 1)
            due = schedule.after_failure(failed, now=self._clock.now(), name=entry.ref.name)
            marks = replace(failed, due_at=due)
            await self._store.annotate(entry.ref, stored.version, marks)
        except (SessionUnknown, SessionEnded):
            return None  # signed out meanwhile
        except BundleError as error:
            summary.add_failure(error.code, str(error))
            return entry
        return replace(entry, marks=marks)

    async def _remove(self, entry: Entry, summary: Summary) -> Entry:
        self._sessions.end(entry.ref)
        await self._store.delete(entry.ref)
        summary.removed += 1
        return entry

    async def _repair(self, vault: str, look: _Look, removed: list[Entry], summary: Summary) -> None:
        summary.indexes_repaired += await self._store.repair_indexes(vault, look.listing.result(), look.began, removed)

    async def _purge(self, vault: str, began: datetime, summary: Summary) -> None:
        summary.purged += await self._store.purge(vault, began - PURGE_AFTER)

    async def _rotate(self, now: datetime) -> None:
        if await self._ring.rotate(older_than=now - _KEY_LIFETIME):
            log.event("cookie_key_rotated")

    async def _try[T](
        self, summary: Summary, work: Coroutine[object, object, T], *, end: float | None = None
    ) -> T | None:
        """What `work` gives; None where it fails, or is cut off at `end` (the loop's time) for a later run to go on."""
        limit = asyncio.timeout_at(end)
        try:
            async with limit:
                return await work
        except BundleError as error:
            summary.add_failure(error.code, str(error))
        except Exception as error:
            if limit.expired():
                return None
            # A fault of ours with one session must not cost all the others their renewal.
            summary.add_failure(BundleError.code, type(error).__name__)
            log.error("sweep_step_broke", type=type(error).__name__)
        return None

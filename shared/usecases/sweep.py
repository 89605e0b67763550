"""Owns the timer's run over every session: renew what is due, mark what is dead, remove what has ended (R-11).

A value is read only when it will be used. The run keeps a time box, takes the most urgent first, and is harmless
when it is started twice or cut off anywhere.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
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
from shared.model import Entry, Flow, Health, PassNote
from shared.ports import Clock, KeyRing, SessionStore
from shared.schedule import Policy
from shared.usecases.pace import Pace
from shared.usecases.plans import PLANNED_FOR, Look, Plan, Plans
from shared.usecases.refresh import Engine
from shared.usecases.sessions import Sessions
from shared.usecases.summary import Summary

TIME_BOX_S = 240
"""Under the default functionTimeout of five minutes, and under the schedule's step."""

PURGE_AFTER = timedelta(seconds=60)
"""A renewal under way ends its writes within 30 s, so nothing comes back after this (R-12)."""

_AT_ONCE = 16
_SETTLE_S, _SETTLE_UNTIL_S = 20.0, 45.0
_HOUSEKEEPING_S = 25.0
"""After the time box: with what is under way by then, the run still ends within the function's time limit."""

_IN_VAIN_MOST = 20
_KEY_LIFETIME = timedelta(days=30)

type _Act = Callable[[Entry, Summary], Coroutine[object, object, Entry | None]]


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
        self._plans = Plans(store)

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
        look = await self._plans.look(vault, began, summary)
        if look is None:
            if plan := self._plans.of(vault):
                await self._renew_all(vault, plan, began, deadline, summary)
            await self._try(summary, self._purge(vault, began, summary), end=end)
            return
        listing = look.listing
        # As of then: who has come back since is in use again, whatever the listing says.
        over = [e for e in listing.entries if schedule.over(e.marks, now=look.began, policy=self._policy)]
        summary.sessions += len(listing.entries)
        _, removed = await self._each(vault, over, self._remove, deadline, summary)
        until = look.began + PLANNED_FOR
        plan = Plan(until=until, entries=[e for e in listing.entries if self._is_due_by(e, began, until)])
        due = await self._renew_all(vault, plan, began, deadline, summary)
        summary.kept += len(listing.entries) - due - len(over)
        # What is left over stands in the plan.
        note = PassNote(at=look.began, secrets=listing.secrets)
        await self._try(summary, self._store.note_pass(vault, note))
        await self._try(summary, self._purge(vault, began, summary), end=end)
        await self._try(summary, self._repair(vault, look, removed, summary), end=end)

    async def _renew_all(self, vault: str, plan: Plan, began: datetime, deadline: float, summary: Summary) -> int:
        """Renew what is due of a plan, the most urgent first, and plan anew; how many were due."""
        due = sorted((e for e in plan.entries if self._is_due(e, began)), key=lambda e: e.marks.due_at)
        summary.due += len(due)
        left, again = await self._each(vault, due, self._renew, deadline, summary)
        later = [e for e in plan.entries if e.marks.due_at > began and not self._is_due(e, began)]
        ahead = sorted((*again, *later), key=lambda e: e.marks.due_at)
        entries = [*left, *(e for e in ahead if e.marks.due_at <= plan.until)]
        self._plans.keep(vault, Plan(until=plan.until, entries=entries))
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
        try:
            renewal = await self._engine.renew_due(entry.ref, entry.marks.due_at)
        except ReauthRequired:
            summary.dead += 1
            return None
        except (NotSignedIn, SessionUnknown, SessionEnded):
            return None
        except (StoreUnavailable, Misconfigured) as error:
            summary.add_failure(error.code, str(error))
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

    async def _repair(self, vault: str, look: Look, removed: list[Entry], summary: Summary) -> None:
        summary.indexes_repaired += await self._store.repair_indexes(vault, look.listing, look.began, removed)

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

"""Owns when a vault is listed whole, and what this instance knows of it between two listings (R-11).

Listing is the only index there is, and what an idle session costs most.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared import log, schedule
from shared.errors import BundleError, Misconfigured, StoreUnavailable
from shared.model import Entry, Listing
from shared.ports import SessionStore
from shared.usecases.summary import Summary

PLANNED_FOR = schedule.PASS_LATEST + timedelta(minutes=30)
"""Longer than until the next listing, which may come a few runs late."""

PLANNED_MOST = 50_000
_LIST_FOR_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every session of a vault that is due before `until`."""

    until: datetime
    entries: list[Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A vault as it was found from `began` on."""

    began: datetime
    listing: Listing


class Plans:
    """`look` at the beginning of a vault's turn, `keep` at its end, `of` in between."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._plans: dict[str, Plan] = {}
        self._under_way: dict[str, asyncio.Task[Look]] = {}

    def of(self, vault: str) -> Plan | None:
        return self._plans.get(vault)

    def keep(self, vault: str, plan: Plan) -> None:
        if len(plan.entries) > PLANNED_MOST:
            # It reaches no further than what it holds, so that the next listing comes early enough.
            entries = plan.entries[:PLANNED_MOST]
            plan = replace(plan, entries=entries, until=min(plan.until, entries[-1].marks.due_at))
        self._plans[vault] = plan

    async def look(self, vault: str, now: datetime, summary: Summary) -> Look | None:
        """A vault listed whole; None where it isn't time for that, where it fails, and where it goes on behind this run.

        A vault of very many pages takes longer to list than a run may last: a later run finds it done.
        """
        looking = self._under_way.get(vault)
        if looking is None:
            if await self._listed_lately(vault, now):
                return None
            looking = self._under_way[vault] = asyncio.create_task(self._list(vault, now))
        await asyncio.wait({looking}, timeout=_LIST_FOR_S)
        if not looking.done():
            log.event("vault_listing_goes_on", vault=vault)
            return None
        del self._under_way[vault]
        try:
            return looking.result()
        except (StoreUnavailable, Misconfigured) as error:
            summary.add_failure(error.code, str(error))
            log.error("vault_not_listed", vault=vault, cause=str(error))
            return None

    async def _list(self, vault: str, now: datetime) -> Look:
        return Look(began=now, listing=await self._store.listing(vault))

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

"""Owns the timers' runs: when one begins, that there is one at a time, and what is remembered of it.

The wall clock decides and is looked at every second, so a clock that is moved is noticed. As on the platform's
host a run that takes longer than the schedule's gap lets occurrences pass, and one that was missed while
nobody was there is made up for at the start, with IsPastDue.
"""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.host.errors import FunctionFailed
from local.host.ncrontab import Schedule

STEP_S = 1.0
_BACKWARDS = timedelta(seconds=1)  # less is a clock being corrected, and no reason to plan anew
_NEVER = datetime(1, 1, 1, tzinfo=UTC)  # what .NET gives for "no run so far"

log = logging.getLogger("local.host")

Run = Callable[[str], Awaitable[None]]  # takes the timer's JSON; raises FunctionFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerState:
    """For people. `last` is when a run last began, whoever started it; `next` is what the schedule says."""

    name: str
    schedule: str
    last: datetime | None
    next: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatus:
    """What is kept over restarts, and handed to the function."""

    last: datetime
    next: datetime
    last_updated: datetime


class StatusFile:
    """The status of one timer in a file of its own, as the platform's host keeps it in a blob."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.json"

    def read(self, schedule: Schedule) -> ScheduleStatus | None:
        """None where nothing was kept for this schedule, or nothing that can be read."""
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            if kept["schedule"] != schedule.text:
                return None
            last, following, updated = (
                datetime.fromisoformat(kept[name]).astimezone(UTC) for name in ("last", "next", "last_updated")
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("the state of a timer in %s is not used: %s", self._path, error)
            return None
        return ScheduleStatus(last=last, next=following, last_updated=updated)

    def write(self, schedule: Schedule, status: ScheduleStatus) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        kept = {
            "schedule": schedule.text,
            "last": status.last.isoformat(),
            "next": status.next.isoformat(),
            "last_updated": status.last_updated.isoformat(),
        }
        fresh = self._path.with_suffix(".tmp")
        fresh.write_text(json.dumps(kept), encoding="utf-8")
        os.replace(fresh, self._path)


class Timer:
    """One timer. `now` gives the time in UTC; `keep` is None for a timer whose runs nobody monitors."""

    def __init__(
        self,
        name: str,
        schedule: Schedule,
        *,
        run: Run,
        keep: StatusFile | None = None,
        run_on_startup: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        step_s: float = STEP_S,
    ) -> None:
        self._name = name
        self._schedule = schedule
        self._run = run
        self._keep = keep
        self._run_on_startup = run_on_startup
        self._now = now
        self._step_s = step_s
        self._one_at_a_time = asyncio.Lock()
        self._last_begin: datetime | None = None
        self._status: ScheduleStatus | None = None
        self._under_way: asyncio.Task[ScheduleStatus] | None = None

    @property
    def state(self) -> TimerState:
        following = self._status.next if self._status is not None else None
        return TimerState(name=self._name, schedule=self._schedule.text, last=self._last_begin, next=following)

    async def serve(self) -> None:
        """Run by the schedule until cancelled; a run under way goes on then."""
        start = self._now()
        status = self._recall(start)
        missed = status.next <= start
        if missed or self._run_on_startup:
            status = await self._scheduled_run(past_due=missed)
        seen = self._now()
        while True:
            now = self._now()
            if now < seen - _BACKWARDS:
                status = self._remember(replace(status, next=self._schedule.next_after(now)))
            seen = now
            if now >= status.next:
                past_due = self._schedule.next_after(status.next) <= now  # the clock jumped over one
                status = await self._scheduled_run(past_due=past_due)
            else:
                await asyncio.sleep(min(self._step_s, (status.next - now).total_seconds()))

    async def run_now(self) -> None:
        """One run now, after the one under way if there is one. Leaves the schedule as it is.

        Raises FunctionFailed.
        """
        async with self._one_at_a_time:
            self._last_begin = self._now()
            status = self._status or self._first_status(self._last_begin)
            await self._run(_timer_json(status, past_due=False))

    async def _scheduled_run(self, *, past_due: bool) -> ScheduleStatus:
        self._under_way = asyncio.create_task(self._run_and_remember(past_due=past_due))
        return await asyncio.shield(self._under_way)

    async def _run_and_remember(self, *, past_due: bool) -> ScheduleStatus:
        async with self._one_at_a_time:
            begin = self._last_begin = self._now()
            try:
                await self._run(_timer_json(self._status or self._first_status(begin), past_due=past_due))
            except FunctionFailed:
                log.info("%s failed and runs again at its next time", self._name)
            end = self._now()
            return self._remember(ScheduleStatus(last=begin, next=self._schedule.next_after(end), last_updated=end))

    def _first_status(self, now: datetime) -> ScheduleStatus:
        return ScheduleStatus(last=_NEVER, next=self._schedule.next_after(now), last_updated=_NEVER)

    def _recall(self, now: datetime) -> ScheduleStatus:
        kept = self._keep.read(self._schedule) if self._keep is not None else None
        if kept is not None:
            self._status = kept
            return kept
        return self._remember(self._first_status(now))

    def _remember(self, status: ScheduleStatus) -> ScheduleStatus:
        self._status = status
        if self._keep is not None:
            self._keep.write(self._schedule, status)
        return status


def _timer_json(status: ScheduleStatus, *, past_due: bool) -> str:
    return json.dumps(
        {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": {
                "Last": status.last.isoformat(),
                "Next": status.next.isoformat(),
                "LastUpdated": status.last_updated.isoformat(),
            },
            "IsPastDue": past_due,
        }
    )

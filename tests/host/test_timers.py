"""Timers' runs, with a clock that the tests move; `test_lifecycle` restarts a real host."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.host.errors import FunctionFailed
from local.host.ncrontab import parse
from local.host.timers import StatusFile, Timer

START = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
SCHEDULE = parse("0 */5 * * * *")


class Scene:
    """A clock, and a function that writes down what it is given."""

    def __init__(self) -> None:
        self.time = START
        self.runs: list[dict[str, Any]] = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once = 0
        self.most_at_once = 0
        self.fails = False

    async def run(self, timer_json: str) -> None:
        self.runs.append(json.loads(timer_json))
        self.begun.set()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.gate.wait()
        self.at_once -= 1
        if self.fails:
            raise FunctionFailed("tick")

    def timer(self, keep: StatusFile | None = None, *, run_on_startup: bool = False) -> Timer:
        return Timer(
            "tick",
            SCHEDULE,
            run=self.run,
            keep=keep,
            run_on_startup=run_on_startup,
            now=lambda: self.time,
            step_s=0.001,
        )

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():  # noqa: ASYNC110 - what it waits for has no event
                await asyncio.sleep(0.001)

    async def a_few_steps(self) -> None:
        """Time enough for a run that should not come."""
        await asyncio.sleep(0.02)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@asynccontextmanager
async def serving(timer: Timer) -> AsyncIterator[Timer]:
    loop = asyncio.create_task(timer.serve())
    await asyncio.sleep(0)
    try:
        yield timer
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


async def test_a_timer_runs_when_its_time_has_come_and_not_before(scene: Scene) -> None:
    """One run an occurrence, told the times as .NET writes them."""
    async with serving(scene.timer()) as timer:
        await scene.a_few_steps()
        assert scene.runs == []
        assert timer.state.next == datetime(2026, 1, 1, 12, 5, tzinfo=UTC)
        assert timer.state.last is None
        scene.time = datetime(2026, 1, 1, 12, 5, tzinfo=UTC)
        await scene.until(lambda: timer.state.next == datetime(2026, 1, 1, 12, 10, tzinfo=UTC))
        await scene.a_few_steps()
        assert timer.state.last == scene.time
    assert scene.runs == [
        {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": {
                "Last": "0001-01-01T00:00:00+00:00",
                "Next": "2026-01-01T12:05:00+00:00",
                "LastUpdated": "0001-01-01T00:00:00+00:00",
            },
            "IsPastDue": False,
        }
    ]


async def test_a_clock_moved_ahead_is_noticed_and_the_run_is_past_due(scene: Scene) -> None:
    """Ten days forward: one run, not one for each that was missed."""
    async with serving(scene.timer()) as timer:
        scene.time += timedelta(days=10)
        await scene.until(lambda: len(scene.runs) == 1)
        await scene.a_few_steps()
        assert timer.state.next == datetime(2026, 1, 11, 12, 5, tzinfo=UTC)
    assert [run["IsPastDue"] for run in scene.runs] == [True]


async def test_a_clock_moved_back_is_noticed(scene: Scene) -> None:
    """Back an hour: the next run is five minutes away, not an hour and five minutes."""
    async with serving(scene.timer()) as timer:
        scene.time -= timedelta(hours=1)
        await scene.until(lambda: timer.state.next == datetime(2026, 1, 1, 11, 5, tzinfo=UTC))
    assert scene.runs == []


async def test_there_is_one_run_at_a_time(scene: Scene) -> None:
    """Occurrences that pass meanwhile are skipped; a run asked for waits for the one under way."""
    scene.gate.clear()
    async with serving(scene.timer()) as timer:
        scene.time = datetime(2026, 1, 1, 12, 5, tzinfo=UTC)
        await scene.begun.wait()
        asked_for = asyncio.create_task(timer.run_now())
        scene.time = datetime(2026, 1, 1, 12, 17, tzinfo=UTC)
        await scene.a_few_steps()
        assert len(scene.runs) == 1
        scene.gate.set()
        await asked_for
        assert timer.state.next == datetime(2026, 1, 1, 12, 20, tzinfo=UTC)
    assert (len(scene.runs), scene.most_at_once) == (2, 1)


async def test_a_run_asked_for_leaves_the_schedule_as_it_is(scene: Scene) -> None:
    """As a POST to /admin/functions/NAME does."""
    async with serving(scene.timer()) as timer:
        await timer.run_now()
        assert timer.state.next == datetime(2026, 1, 1, 12, 5, tzinfo=UTC)
        assert timer.state.last == START
    assert [run["IsPastDue"] for run in scene.runs] == [False]


async def test_a_failing_run_does_not_end_the_timer(scene: Scene) -> None:
    """No retry: the next chance is the next occurrence. Who asked for the run is told."""
    scene.fails = True
    async with serving(scene.timer()) as timer:
        for minute in (5, 10):
            scene.time = datetime(2026, 1, 1, 12, minute, tzinfo=UTC)
            await scene.until(lambda minute=minute: timer.state.last == scene.time)  # type: ignore[misc]
            await scene.until(lambda: timer.state.next is not None and timer.state.next > scene.time)
        with pytest.raises(FunctionFailed):
            await timer.run_now()
    assert len(scene.runs) == 3


async def test_run_on_startup_runs_at_the_start(scene: Scene) -> None:
    """And is not past due when nothing was missed."""
    async with serving(scene.timer(run_on_startup=True)):
        await scene.until(lambda: len(scene.runs) == 1)
    assert scene.runs[0]["IsPastDue"] is False


async def test_a_run_missed_while_no_host_was_there_is_made_up_for(scene: Scene, tmp_path: Path) -> None:
    """Its state is kept: after a restart past the next time it runs at once, past due, once."""
    async with serving(scene.timer(StatusFile(tmp_path, "tick"))):
        await scene.a_few_steps()
    assert scene.runs == []
    scene.time += timedelta(minutes=7)
    async with serving(scene.timer(StatusFile(tmp_path, "tick"))) as timer:
        await scene.until(lambda: timer.state.next == datetime(2026, 1, 1, 12, 10, tzinfo=UTC))
    scene.time += timedelta(minutes=1)
    async with serving(scene.timer(StatusFile(tmp_path, "tick"))):
        await scene.a_few_steps()
    (run,) = scene.runs
    assert run["IsPastDue"] is True
    assert run["ScheduleStatus"]["Next"] == "2026-01-01T12:05:00+00:00"


async def test_what_was_kept_for_another_schedule_is_not_used(scene: Scene, tmp_path: Path) -> None:
    """A changed REFRESH_SCHEDULE is no missed run."""
    keep = StatusFile(tmp_path, "tick")
    async with serving(scene.timer(keep)):
        await scene.a_few_steps()
    scene.time += timedelta(days=1)
    assert keep.read(parse("0 0 * * * *")) is None
    assert keep.read(SCHEDULE) is not None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schedule": 1}', '{"schedule": "0 */5 * * * *", "last": 5}'])
async def test_a_damaged_state_file_is_no_state(scene: Scene, tmp_path: Path, text: str) -> None:
    """The timer starts as if it were new."""
    (tmp_path / "tick.json").write_text(text)
    async with serving(scene.timer(StatusFile(tmp_path, "tick"))) as timer:
        assert timer.state.next == datetime(2026, 1, 1, 12, 5, tzinfo=UTC)

"""The sweep's share of the vault's writes, and how often it may list (R-11)."""

import asyncio
from datetime import timedelta

import pytest

from shared import schedule
from shared.errors import StoreUnavailable
from shared.model import PassNote
from shared.usecases.pace import SHARE_PER_S, Pace
from tests.usecases.world import World


async def turns(pace: Pace, count: int) -> float:
    """Seconds that so many turns take."""
    began = asyncio.get_running_loop().time()
    for _ in range(count):
        await pace.turn()
    return asyncio.get_running_loop().time() - began


async def test_writes_keep_to_four_fifths_of_the_documented_quota() -> None:
    """R-11: 300 creations in 10 s are the vault's; 240 of them the sweep's."""
    assert await turns(Pace(), 241) == pytest.approx(10)


async def test_a_throttled_vault_is_asked_half_as_fast_after_a_pause_and_then_a_little_faster_each_time() -> None:
    """R-11: additive increase, multiplicative decrease, and never more than the share."""
    pace = Pace()
    pace.throttled()
    assert pace.per_s == SHARE_PER_S / 2
    assert await turns(pace, 1) == pytest.approx(1)
    for _ in range(20):
        pace.throttled()
    assert pace.per_s == 1
    for _ in range(1000):
        pace.went_well()
    assert pace.per_s == SHARE_PER_S


async def test_a_429_that_a_retry_mended_slows_the_sweep_too(world: World) -> None:
    """R-11: sign-ins must not be throttled by it."""
    for _ in range(60):
        await world.signed_in(lives_s=-1)
    await asyncio.sleep(90_000)

    async def refuse() -> None:
        world.store.refused_for_quota += 1

    began = asyncio.get_running_loop().time()
    world.store.during["replace"] = refuse
    summary = await world.here.sweep.run()
    assert summary.renewed == 60
    assert asyncio.get_running_loop().time() - began > 3 * 60 / SHARE_PER_S


@pytest.mark.parametrize(
    ("secrets", "every_s"), [(0, 0), (3_000, 0), (30_000, 600), (90_000, 1_800), (3_000_000, 3_600)]
)
def test_a_vault_is_listed_for_one_percent_of_its_reads_and_hourly_at_least(secrets: int, every_s: int) -> None:
    """R-11."""
    assert schedule.pass_every(secrets) == timedelta(seconds=every_s)


async def test_between_passes_a_run_is_one_read_and_renews_what_it_knows_to_be_due(world: World) -> None:
    """R-11: listing is the only index, and it costs."""
    session = await world.signed_in(lives_s=3600)
    await world.here.sweep.run()
    await world.memory.note_pass("main", PassNote(at=world.clock.now(), secrets=3_000_000))
    world.store.calls.clear()
    assert (await world.here.sweep.run()).renewed == 0
    assert {name: world.store.calls[name] for name in ("last_pass", "entries", "load")} == {
        "last_pass": 1,
        "entries": 0,
        "load": 0,
    }
    await asyncio.sleep((session.record.marks.due_at - world.clock.now()).total_seconds() + 1)
    assert (await world.here.sweep.run()).renewed == 1
    assert world.store.calls["entries"] == 0


async def test_a_pass_by_another_instance_counts_and_an_hour_later_it_is_time_again(world: World) -> None:
    """R-11: timers start anywhere."""
    await world.memory.note_pass("main", PassNote(at=world.clock.now(), secrets=3_000_000))
    other = world.instance()
    await other.sweep.run()
    assert world.store.calls["entries"] == 0
    await asyncio.sleep(3_601)
    await other.sweep.run()
    assert world.store.calls["entries"] == 1


async def test_a_note_from_the_future_or_none_to_be_read_means_listing(world: World) -> None:
    """R-11: a clock that was set back must not stop the timer."""
    note = PassNote(at=world.clock.now() + timedelta(days=1), secrets=3_000_000)
    await world.memory.note_pass("main", note)
    await world.here.sweep.run()
    assert world.store.calls["entries"] == 1
    world.store.fail("last_pass", StoreUnavailable("x"))
    await world.here.sweep.run()
    assert world.store.calls["entries"] == 2

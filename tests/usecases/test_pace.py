"""The sweep's share of the vault's writes, and how often it may list (R-11)."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from shared import schedule
from shared.errors import BundleError, Misconfigured, ProviderUnavailable, StoreUnavailable
from shared.model import Health, Listing, PassNote, Stored
from shared.ports import SessionStore
from shared.usecases import plans
from shared.usecases.pace import SHARE_PER_S, Pace
from tests.doubles.identity import work_account
from tests.doubles.watched_store import WatchedStore
from tests.usecases.world import POLICY, World


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
    ("secrets", "every_s"), [(0, 0), (3_000, 0), (30_000, 600), (90_000, 1_800), (3_000_000, 5_400)]
)
def test_a_vault_is_listed_for_half_a_percent_of_its_reads_and_every_ninety_minutes_at_least(
    secrets: int, every_s: int
) -> None:
    """R-11."""
    assert schedule.pass_every(secrets) == timedelta(seconds=every_s)


async def test_between_passes_a_run_is_one_read_and_renews_what_it_knows_to_be_due(world: World) -> None:
    """R-11: listing is the only index, and it costs."""
    session = await world.signed_in(lives_s=3600)
    await world.here.sweep.run()
    await world.memory.note_pass("main", PassNote(at=world.clock.now(), secrets=3_000_000))
    world.store.calls.clear()
    assert (await world.here.sweep.run()).renewed == 0
    assert {name: world.store.calls[name] for name in ("last_pass", "listing", "load")} == {
        "last_pass": 1,
        "listing": 0,
        "load": 0,
    }
    await asyncio.sleep((session.record.marks.due_at - world.clock.now()).total_seconds() + 1)
    assert (await world.here.sweep.run()).renewed == 1
    assert world.store.calls["listing"] == 0


class LargeVault(WatchedStore):
    """Says that it holds three million secrets, so that it is listed as seldom as a vault ever is."""

    async def listing(self, vault: str) -> Listing:
        return replace(await super().listing(vault), secrets=3_000_000)


async def test_a_pass_by_another_instance_counts_for_half_the_time(world: World) -> None:
    """R-11: timers start anywhere, and the plan of a pass is known to the instance that made it alone."""
    await world.memory.note_pass("main", PassNote(at=world.clock.now(), secrets=3_000_000))
    other = world.instance()
    for wait_s, listings in ((44 * 60, 0), (61, 1)):
        await asyncio.sleep(wait_s)
        await other.sweep.run()
        assert world.store.calls["listing"] == listings


async def test_ones_own_pass_lasts_for_ninety_minutes(world: World) -> None:
    """R-11: the plan that it made reaches further."""
    store = LargeVault(world.memory)
    here = world.instance(store)
    for wait_s, listings in ((0, 1), (89 * 60, 1), (61, 2)):
        await asyncio.sleep(wait_s)
        await here.sweep.run()
        assert store.calls["listing"] == listings


async def test_between_passes_a_session_in_use_is_renewed_in_time_again_and_again(world: World) -> None:
    """R-11: what was renewed is planned anew, without another look at the vault."""
    store = LargeVault(world.memory)
    here = world.instance(store)
    world.identity.lifetime_s = 1800
    session = await world.signed_in(lives_s=1800)
    for _ in range(17):
        await here.sweep.run()
        await asyncio.sleep(300)
        assert (await world.stored(session)).record.grant.expires_at > world.clock.now()
    assert len(world.identity.refreshes) >= 4
    assert store.calls["listing"] == 1


async def test_between_passes_what_was_signed_out_is_purged(world: World) -> None:
    """R-12: purging lists the deleted alone."""
    store = LargeVault(world.memory)
    here = world.instance(store)
    session = await world.signed_in()
    await here.sweep.run()
    await here.sign_out.session(session.ref)
    await asyncio.sleep(300)
    assert (await here.sweep.run()).purged == 1
    assert store.calls["listing"] == 1


@pytest.mark.parametrize("failing", ["provider", "vault", "app", "both"])
async def test_between_passes_what_failed_is_tried_again(world: World, failing: str) -> None:
    """R-11: no session waits for the next listing because something was away for a moment."""
    store = LargeVault(world.memory)
    here = world.instance(store)
    session = await world.signed_in(lives_s=3600)
    await here.sweep.run()
    await asyncio.sleep((session.record.marks.due_at - world.clock.now()).total_seconds() + 1)
    if failing == "vault":
        store.fail("load", StoreUnavailable("HTTP 503"))
    else:
        away = Misconfigured(["The secret has expired."]) if failing == "app" else ProviderUnavailable("HTTP 503")
        world.identity.always = away
    if failing == "both":
        store.fail("annotate", StoreUnavailable("HTTP 503"))
    assert (await here.sweep.run()).failed.total() == (2 if failing == "both" else 1)
    world.identity.always = None
    await asyncio.sleep(300)
    assert (await here.sweep.run()).renewed == 1
    assert store.calls["listing"] == 1


@pytest.mark.parametrize("seed", range(6))
async def test_no_session_is_left_longer_than_a_pass_apart_whatever_happens_to_the_timers_instance(
    world: World, seed: int
) -> None:
    """R-11: sign-ins and use elsewhere, instances that come and go with their plans, runs that do not take place.

    So a grant is at most a keep-alive and a pass old, where the provider's own limit is weeks.
    """
    print(f"seed {seed}")
    rng = random.Random(seed)
    store = LargeVault(world.memory)
    timer, elsewhere = world.instance(store), world.instance()
    sessions: list[Stored] = []
    latest = oldest = timedelta()
    for step in range(2 * 288):
        if rng.random() < 0.05 and len(sessions) < 30:
            seen_ago = timedelta(hours=rng.choice([0, 0, 5]))
            sessions.append(await world.signed_in(work_account(f"p{step}"), seen_ago=seen_ago))
        if sessions and rng.random() < 0.1:
            elsewhere.sessions.seen(await elsewhere.engine.usable(rng.choice(sessions).ref))
        if rng.random() < 0.05:
            timer = world.instance(store)
        if rng.random() < 0.9:
            await timer.sweep.run()
        await asyncio.sleep(300)
        now = world.clock.now()
        for session in [await world.stored(s) for s in sessions]:
            latest = max(latest, now - session.record.marks.due_at)
            oldest = max(oldest, now - session.record.refreshed_at)
    slack = timedelta(minutes=20)  # runs that did not take place
    assert len(sessions) > 10
    assert latest <= schedule.PASS_LATEST + slack
    assert oldest <= POLICY.keep_alive + schedule.PASS_LATEST + slack
    assert store.calls["listing"] <= 2 * 24 * 2


async def test_a_note_from_the_future_or_none_to_be_read_means_listing(world: World) -> None:
    """R-11: a clock that was set back must not stop the timer."""
    note = PassNote(at=world.clock.now() + timedelta(days=1), secrets=3_000_000)
    await world.memory.note_pass("main", note)
    await world.here.sweep.run()
    assert world.store.calls["listing"] == 1
    world.store.fail("last_pass", StoreUnavailable("x"))
    await world.here.sweep.run()
    assert world.store.calls["listing"] == 2


async def test_a_plan_that_had_to_be_cut_makes_the_next_listing_come_early(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-11: what did not fit into memory is not forgotten until the latest hour for a listing."""
    monkeypatch.setattr(plans, "PLANNED_MOST", 10)
    store = LargeVault(world.memory)
    here = world.instance(store)
    sessions = []
    for n in range(30):
        sessions.append(await world.signed_in(work_account(f"p{n}"), lives_s=1800 + 60 * n))
    for _ in range(18):
        await here.sweep.run()
        await asyncio.sleep(300)
        late = [world.clock.now() - (await world.stored(s)).record.marks.due_at for s in sessions]
        assert max(late) <= schedule.PASS_LATEST / 2 + timedelta(minutes=10)
    assert 2 <= store.calls["listing"] <= 3


@pytest.mark.parametrize("error", [StoreUnavailable("HTTP 429"), Misconfigured(["May not list."], everywhere=False)])
async def test_what_is_planned_is_renewed_although_the_vault_can_not_be_listed(
    world: World, error: BundleError
) -> None:
    """R-11: one page that is refused must not stop the renewals of a whole vault."""
    session = await world.signed_in(lives_s=3600)
    await world.here.sweep.run()
    await asyncio.sleep((session.record.marks.due_at - world.clock.now()).total_seconds() + 1)
    world.store.fail("listing", error, times=100)
    summary = await world.here.sweep.run()
    assert (summary.renewed, summary.failed) == (1, {error.code: 1})


@pytest.mark.parametrize("another_lists", [False, True])
async def test_a_vault_that_takes_longer_to_list_than_a_run_may_last_is_swept_all_the_same(
    world: World, another_lists: bool
) -> None:
    """R-11: the listing goes on behind the runs; else no run would ever come to its renewals. It is used whoever else
    has listed by then."""
    sessions = [await world.signed_in(work_account(f"p{n}"), lives_s=1200) for n in range(30)]
    store = SlowListing(world.memory, whole_s=800)
    here = world.instance(store)
    loop = asyncio.get_running_loop()
    renewed = 0
    for _ in range(4):
        began = loop.time()
        renewed += (await here.sweep.run()).renewed
        if another_lists:
            await world.memory.note_pass("main", PassNote(at=world.clock.now(), secrets=3_000_000))
        assert loop.time() - began < 300
        await asyncio.sleep(max(0.0, began + 300 - loop.time()))
    assert renewed == 30
    assert store.calls["listing"] == 1
    for session in sessions:
        assert (await world.stored(session)).record.grant.expires_at > world.clock.now()


async def test_a_listing_that_took_long_ends_nobody_who_has_come_back_meanwhile(world: World) -> None:
    """R-11: an old listing shows when people were last seen then, not now."""
    almost = POLICY.idle - timedelta(minutes=5)
    session = await world.signed_in(seen_ago=almost)
    here, elsewhere = world.instance(SlowListing(world.memory, whole_s=700)), world.instance()
    await here.sweep.run()
    elsewhere.sessions.seen(await elsewhere.sessions.get(session.ref))
    for _ in range(4):
        await asyncio.sleep(300)
        await here.sweep.run()
    assert (await world.stored(session)).record.marks.health is Health.OK


class SlowListing(WatchedStore):
    """Looks at the vault at once and says what it saw after `whole_s`."""

    def __init__(self, inner: SessionStore, *, whole_s: float) -> None:
        super().__init__(inner)
        self._whole_s = whole_s

    async def listing(self, vault: str) -> Listing:
        seen = await super().listing(vault)
        await asyncio.sleep(self._whole_s)
        return seen

"""What an instance knows of sessions: from memory when it can, never one that is over (R-10, R-12)."""

import asyncio
from datetime import timedelta

import pytest

from shared.errors import Misconfigured, NotSignedIn, ReauthRequired, StoreUnavailable
from shared.model import Flow, Health, SessionRef
from shared.usecases.sessions import Sessions
from tests.usecases.world import CACHE_S, POLICY, World

NOBODY = SessionRef(vault="main", name="s-" + "0" * 64)


async def test_a_warm_instance_asks_the_vault_nothing(world: World) -> None:
    """R-10: within SESSION_CACHE_SECONDS; then once."""
    session = await world.signed_in()
    for _ in range(5):
        assert await world.here.sessions.get(session.ref) == session
    assert world.store.calls["load"] == 1
    await asyncio.sleep(CACHE_S + 1)
    await world.here.sessions.get(session.ref)
    assert world.store.calls["load"] == 2


async def test_many_at_once_look_a_session_up_once(world: World) -> None:
    """R-10: one look-up a session at a time, and one that hangs up costs the others nothing."""
    session = await world.signed_in()
    world.store.latency_s = 0.5
    lookers = [asyncio.create_task(world.here.sessions.get(session.ref)) for _ in range(20)]
    await asyncio.sleep(0.1)
    lookers[0].cancel()
    outcomes = await asyncio.gather(*lookers, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1:] == [session] * 19
    assert world.store.calls["load"] == 1


async def test_a_sign_out_elsewhere_is_noticed_within_the_cache_time(world: World) -> None:
    """R-12."""
    session = await world.signed_in()
    await world.here.sessions.get(session.ref)
    await world.instance().sign_out.session(session.ref)
    await asyncio.sleep(CACHE_S + 1)
    with pytest.raises(NotSignedIn):
        await world.here.sessions.get(session.ref)


async def test_a_clock_that_jumps_does_not_stretch_the_cache_time(world: World) -> None:
    """R-12: set back by a day, it would hide a sign-out for a day."""
    session = await world.signed_in()
    await world.here.sessions.get(session.ref)
    world.clock.jump(-timedelta(days=1))
    await world.memory.delete(session.ref)
    with pytest.raises(NotSignedIn):
        await world.here.sessions.get(session.ref)


async def test_noting_use_does_not_stretch_the_cache_time(world: World) -> None:
    """R-12: what is noted was not read; a sign-out elsewhere would stay hidden for twice as long."""
    session = await world.signed_in(seen_ago=timedelta(minutes=59, seconds=30))
    await world.here.sessions.get(session.ref)
    await world.instance().sign_out.session(session.ref)
    await asyncio.sleep(CACHE_S - 5)
    world.here.sessions.seen(await world.here.sessions.get(session.ref))
    await asyncio.sleep(6)
    with pytest.raises(NotSignedIn):
        await world.here.sessions.get(session.ref)


async def test_a_vault_that_cannot_be_asked_is_never_read_as_signed_out(world: World) -> None:
    """R-12: 503, and afterwards the session is there."""
    session = await world.signed_in()
    world.store.fail("load", StoreUnavailable("HTTP 503"), times=3)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await world.here.sessions.get(session.ref)
    assert await world.here.sessions.get(session.ref) == session


async def test_a_cookie_of_seconds_ago_is_given_time_to_show_in_the_vault(world: World) -> None:
    """R-04: a vault may not show at once what was written; the wait is short and bounded."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(NotSignedIn):
        await world.here.sessions.get(NOBODY, just_made=True)
    assert 1 <= loop.time() - began <= 3
    asked = world.store.calls["load"]
    with pytest.raises(NotSignedIn):
        await world.here.sessions.get(NOBODY)
    assert world.store.calls["load"] == asked + 1

    session = await world.signed_in()
    await world.memory.delete(session.ref)
    looker = asyncio.create_task(world.instance().sessions.get(session.ref, just_made=True))
    await asyncio.sleep(0.2)
    await world.memory.purge("main", world.clock.now())
    await world.memory.create(session.ref, session.record)
    assert (await looker).record == session.record


@pytest.mark.parametrize(
    ("flow", "later", "error"),
    [
        (Flow.CODE, POLICY.idle + timedelta(seconds=2), NotSignedIn),
        (Flow.TOKEN, timedelta(hours=1), ReauthRequired),
    ],
)
async def test_a_session_that_is_over_is_not_given_out(
    world: World, flow: Flow, later: timedelta, error: type[Exception]
) -> None:
    """R-05, R-11: from memory neither."""
    session = await world.signed_in(flow=flow)
    await asyncio.sleep((later - timedelta(seconds=30)).total_seconds())
    await world.here.sessions.get(session.ref)
    await asyncio.sleep(31)
    with pytest.raises(error):
        await world.here.sessions.get(session.ref)


async def test_use_is_written_down_a_few_times_a_day_at_most(world: World) -> None:
    """R-11: once an hour of use, as marks, which cost no write of the scarce quota."""
    session = await world.signed_in()
    for _ in range(24 * 12):
        world.here.sessions.seen(await world.here.sessions.get(session.ref))
        await asyncio.sleep(300)
    assert 20 <= world.store.calls["annotate"] <= 24
    assert world.store.calls["replace"] == 0
    assert world.clock.now() - (await world.stored(session)).record.marks.seen_at < timedelta(hours=2)


async def test_a_burst_of_use_is_written_down_once(world: World) -> None:
    """R-11."""
    session = await world.signed_in(seen_ago=timedelta(days=2))
    for _ in range(5):
        world.here.sessions.seen(await world.here.sessions.get(session.ref))
    await asyncio.sleep(1)
    assert world.store.calls["annotate"] == 1


async def test_use_does_not_cut_the_timers_back_off_short(world: World) -> None:
    """R-11: a provider in trouble is not asked sooner because somebody is at their browser."""
    session = await world.signed_in(seen_ago=timedelta(days=2), health=Health.RETRYING)
    world.here.sessions.seen(session)
    await asyncio.sleep(1)
    marks = (await world.stored(session)).record.marks
    assert (marks.seen_at, marks.due_at) == (world.clock.now() - timedelta(seconds=1), session.record.marks.due_at)


async def test_use_that_cannot_be_written_down_disturbs_nobody(world: World) -> None:
    """R-11: the next use writes it."""
    session = await world.signed_in(seen_ago=timedelta(days=2))
    world.store.fail("annotate", StoreUnavailable("HTTP 503"))
    world.here.sessions.seen(await world.here.sessions.get(session.ref))
    await asyncio.sleep(CACHE_S + 1)
    world.here.sessions.seen(await world.here.sessions.get(session.ref))
    await asyncio.sleep(1)
    assert world.clock.now() - (await world.stored(session)).record.marks.seen_at < timedelta(minutes=2)


async def test_an_ended_session_stays_ended_in_this_process(world: World) -> None:
    """R-12: whatever comes back late from the vault."""
    session = await world.signed_in()
    world.store.latency_s = 0.5
    looker = asyncio.create_task(world.here.sessions.get(session.ref))
    await asyncio.sleep(0.1)
    world.here.sessions.end(session.ref)
    with pytest.raises(NotSignedIn):
        await looker
    world.here.sessions.put(session)
    with pytest.raises(NotSignedIn):
        await world.here.sessions.get(session.ref)
    assert world.store.calls["load"] == 1


async def test_a_slow_look_up_does_not_undo_what_was_written_meanwhile(world: World) -> None:
    """R-11: the look-up began before the renewal, and comes back after it."""
    session = await world.signed_in(lives_s=0)
    before = await world.stored(session)
    await world.here.engine.usable(session.ref)
    renewed = await world.stored(session)

    late = Sessions(_Frozen(before), world.clock, POLICY, cache_s=CACHE_S)  # type: ignore[arg-type]
    late.put(renewed)
    assert (await late.newest(session.ref)).record.grant == renewed.record.grant


class _Frozen:
    """A vault that answers with what it held before."""

    def __init__(self, stored: object) -> None:
        self._stored = stored

    async def load(self, _: SessionRef) -> object:
        return self._stored


async def test_memory_is_bounded(world: World) -> None:
    """R-10: ten thousand sessions, the ones used last."""
    session = await world.signed_in()
    sessions = world.here.sessions
    await sessions.get(session.ref)
    for n in range(10_000):
        sessions.put(session.__class__(ref=SessionRef(vault="main", name=f"s-{n}"), record=session.record, version="1"))
    await sessions.get(session.ref)
    assert world.store.calls["load"] == 2


async def test_use_that_the_vault_refuses_to_note_is_no_unheard_of_failure(world: World) -> None:
    """R-15: the app's role was taken away; the task behind the request must not end in a traceback."""
    session = await world.signed_in(seen_ago=timedelta(hours=2))
    world.store.fail("annotate", Misconfigured(["Give the app its role."]))
    world.here.sessions.seen(session)
    (task,) = world.here.sessions._background
    await asyncio.wait({task})
    assert task.exception() is None
    assert not world.here.sessions._background


async def test_noting_use_does_not_put_an_older_record_over_a_renewal(world: World) -> None:
    """R-11: what a slow request came with may have been renewed since, and the vault may not have that yet."""
    session = await world.signed_in(lives_s=0, seen_ago=timedelta(hours=3))
    before = await world.here.sessions.get(session.ref)
    world.store.fail("replace", StoreUnavailable("HTTP 503"), times=3)
    renewed = await world.here.engine.usable(session.ref)
    world.here.sessions.seen(before)
    assert (await world.here.sessions.get(session.ref)).record.grant == renewed.record.grant
    await world.here.engine.challenged(before, None)
    assert (await world.here.engine.usable(session.ref)).record.grant == renewed.record.grant
    assert len(world.identity.refreshes) == 1
    await world.here.engine.settle()
    assert (await world.stored(session)).record.grant == renewed.record.grant

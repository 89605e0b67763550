"""A clock that jumps ten days ahead, or an hour back: sessions live, nothing is stale for long, nothing gets stuck."""

import pytest

from local.faults import Fault
from tests.faults.test_sign_out import tokens_go
from tests.faults.world import APP, Instance, World

TEN_DAYS_S = 10 * 86_400
HOUR_S = 3600
JUMPS = pytest.mark.parametrize("jump_s", [TEN_DAYS_S, -HOUR_S], ids=["ten_days_ahead", "an_hour_back"])
THERE_AND_BACK = pytest.mark.parametrize(
    "jumps_s", [(TEN_DAYS_S, -TEN_DAYS_S), (-HOUR_S, HOUR_S), (TEN_DAYS_S,), (-HOUR_S,)], ids=str
)


async def lives(instance: Instance) -> None:
    """Signed in, healthy, and OneNote answers."""
    session = (await instance.session()).json
    assert session["signed_in"] is True
    assert session["health"] == {"state": "ok", "reason": None, "reconnect_url": None}
    assert (await instance.notebooks()).status == 200


@THERE_AND_BACK
async def test_a_session_and_its_cookie_live_through_jumps(world: World, jumps_s: tuple[float, ...]) -> None:
    """Also a cookie that was issued again while the clock was wrong."""
    warm = await world.instance()
    await world.sign_in(warm)
    for jump_s in jumps_s:
        world.advance(jump_s)
        await lives(warm)
        await lives(await world.instance())
    world.advance(2 * HOUR_S)
    await lives(warm)


@THERE_AND_BACK
async def test_the_timers_runs_go_on_through_jumps(world: World, jumps_s: tuple[float, ...]) -> None:
    """R-11: renewed when due, and no run fails; a week later the session still is kept alive."""
    timer = await world.instance()
    await world.sign_in(timer)
    for jump_s in jumps_s:
        await timer.parts.sweep.run()
        world.advance(jump_s)
        summary = await timer.parts.sweep.run()
        assert summary.failed == {}
    for _ in range(7):
        world.advance(86_400)
        assert (await timer.parts.sweep.run()).failed == {}
    tokens = sum(call.path.endswith("/token") for call in world.provider.faults.calls)
    assert tokens >= 6
    await lives(await world.instance())


@JUMPS
async def test_a_sign_out_elsewhere_is_noticed_within_the_caches_minute(world: World, jump_s: float) -> None:
    """R-12: what was read "in an hour" is not believed until then."""
    here, elsewhere = await world.instance(), await world.instance()
    await world.sign_in(here)
    cookie = dict(world.jar)
    await lives(here)
    assert (await elsewhere.logout()).status == 303
    await tokens_go(world)
    world.jar |= cookie
    world.advance(jump_s)
    assert (await here.session()).json == {"signed_in": False}


@JUMPS
async def test_a_permission_added_elsewhere_is_seen(world: World, jump_s: float) -> None:
    """R-08: which record is newer does not depend on what a clock showed when it was written."""
    here, elsewhere = await world.instance(), await world.instance()
    await world.sign_in(here)
    await lives(here)
    world.advance(jump_s)
    await world.sign_in(elsewhere, scope="Notes.ReadWrite")
    assert (await here.session()).json["scopes"] == ["Notes.Read", "Notes.ReadWrite"]


@JUMPS
async def test_a_back_off_does_not_last_longer_than_it_was_meant_to(world: World, jump_s: float) -> None:
    """The request path's back-off: a minute at most by any clock."""
    instance = await world.instance()
    await world.sign_in(instance)
    world.provider.expire_access_tokens()
    world.faults("provider").add(Fault(method="POST", path="/token$", action="status", status=503, times=None))
    assert (await instance.notebooks()).status == 503
    await world.mend()
    world.advance(jump_s)
    await lives(instance)


@JUMPS
async def test_the_timers_back_off_does_not_get_stuck(world: World, jump_s: float) -> None:
    """R-11: it lies in the tags as a time; a clock set back makes it an hour longer, never more."""
    timer = await world.instance()
    await world.sign_in(timer)
    world.advance(86_400)
    world.faults("provider").add(Fault(method="POST", path="/token$", action="status", status=503, times=None))
    assert (await timer.parts.sweep.run()).failed == {"provider_unavailable": 1}
    await world.mend()
    world.advance(jump_s)
    world.advance(HOUR_S + 600)
    assert (await timer.parts.sweep.run()).renewed == 1
    await lives(await world.instance())


@JUMPS
async def test_a_sign_in_under_way_ends_well_or_with_the_page_that_says_why(world: World, jump_s: float) -> None:
    """R-14: in ten days an attempt has expired."""
    instance = await world.instance()
    form = await world.authorize((await instance.login(return_to=f"{APP}/?page=2")).location)
    world.advance(jump_s)
    reply = await instance.callback(form)
    assert "code=attempt_expired&" in reply.location
    assert (await world.sign_in(instance, return_to=f"{APP}/?page=2")).location == f"{APP}/?page=2"
    await lives(instance)


@JUMPS
async def test_a_sign_out_whose_deletion_waits_for_its_next_try_still_comes(world: World, jump_s: float) -> None:
    """R-12: it waits by the loop's clock, which never jumps."""
    instance = await world.instance()
    await world.sign_in(instance)
    await world.doors["vault"].shut()
    assert (await instance.logout()).status == 303
    await world.mend()
    world.advance(jump_s)
    await tokens_go(world)


@JUMPS
async def test_tokens_that_wait_to_be_stored_are_stored(world: World, jump_s: float) -> None:
    """R-11."""
    instance = await world.instance()
    await world.sign_in(instance)
    before = next(iter(world.records().values())).grant.refresh_token
    world.advance(jump_s)
    world.provider.expire_access_tokens()
    world.faults("vault").add(Fault(method="PUT", action="status", status=503, times=None))
    assert (await instance.notebooks()).status == 200
    await world.mend()
    await instance.parts.engine.settle(within_s=60)
    assert next(iter(world.records().values())).grant.refresh_token != before
    await lives(await world.instance())

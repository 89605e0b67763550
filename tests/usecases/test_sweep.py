"""The timer's run: due only, within its share and its time box, harmless whatever happens to it (R-11)."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.errors import Misconfigured, ProviderUnavailable, SessionUnknown, StoreUnavailable
from shared.model import Account, Flow, Health, Stored, digest
from shared.usecases import unsaved
from shared.usecases.pace import SHARE_PER_S
from shared.usecases.sweep import PURGE_AFTER, TIME_BOX_S
from tests.doubles.identity import personal_account, refused, work_account
from tests.usecases.world import POLICY, World


async def due_sessions(
    world: World, count: int, *, lives_s: float = 300, of: Callable[[str], Account] = work_account
) -> list[Stored]:
    """Sessions in use whose renewal is due now: their tokens live `lives_s` more."""
    sessions = []
    for n in range(count):
        session = await world.signed_in(of(f"p{n}"), lives_s=lives_s)
        due = world.clock.now() - timedelta(seconds=count - n)
        await world.memory.annotate(session.ref, session.version, replace(session.record.marks, due_at=due))
        sessions.append(await world.stored(session))
    return sessions


async def renewed(world: World, session: Stored) -> bool:
    return (await world.stored(session)).record.grant != session.record.grant


# What is due ------------------------------------------------------------------------------------------------


async def test_only_what_is_due_is_renewed(world: World) -> None:
    """R-11: and only what is due is even read."""
    due = await due_sessions(world, 5)
    fresh = [await world.signed_in(work_account(f"f{n}")) for n in range(20)]
    summary = await world.here.sweep.run()
    assert (summary.sessions, summary.due, summary.renewed, summary.kept) == (25, 5, 5, 20)
    assert all([await renewed(world, s) for s in due])
    assert not any([await renewed(world, s) for s in fresh])
    assert world.store.calls["replace"] == 5
    assert world.store.calls["load"] <= 10
    again = await world.here.sweep.run()
    assert (again.due, again.renewed) == (0, 0)
    assert len(world.identity.refreshes) == 5


async def test_a_session_in_use_always_finds_a_valid_token(world: World) -> None:
    """R-11: a day with a run every five minutes; a click never waits for the provider."""
    session = await world.signed_in()
    here = world.instance()
    for minute in range(0, 24 * 60, 5):
        if minute % 60 == 30:
            asked = len(world.identity.refreshes)
            here.sessions.seen(await here.engine.usable(session.ref))
            assert len(world.identity.refreshes) == asked
        await world.here.sweep.run()
        await asyncio.sleep(300)
    assert 24 <= len(world.identity.refreshes) <= 40


async def test_who_comes_back_after_days_waits_for_the_provider_once(world: World) -> None:
    """R-11: from then on the session is in use, and the timer is ahead of it."""
    session = await world.signed_in(lives_s=-1, seen_ago=timedelta(days=2))
    here = world.instance()
    here.sessions.seen(await here.engine.usable(session.ref))
    for minute in range(0, 180, 5):
        if minute % 20 == 15:
            asked = len(world.identity.refreshes)
            here.sessions.seen(await here.engine.usable(session.ref))
            assert len(world.identity.refreshes) == asked
        await world.here.sweep.run()
        await asyncio.sleep(300)
    assert len(world.identity.refreshes) <= 6


async def test_an_idle_session_costs_about_one_renewal_a_day_until_it_ends(world: World) -> None:
    """R-11, R-18: the grant lives while nobody is there, and not for ever."""
    session = await world.signed_in()
    for _ in range(31 * 24):
        await world.here.sweep.run()
        await asyncio.sleep(3600)
    assert 30 <= len(world.identity.refreshes) <= 34
    with pytest.raises(SessionUnknown):
        await world.stored(session)


@pytest.mark.parametrize("seen_ago", [POLICY.idle + timedelta(minutes=1), POLICY.longest + timedelta(minutes=1)])
async def test_a_session_that_is_over_is_removed_unread(world: World, seen_ago: timedelta) -> None:
    """R-11: without a call to the provider."""
    session = await world.signed_in(seen_ago=seen_ago, lives_s=0)
    kept = await world.signed_in(work_account("b"))
    summary = await world.here.sweep.run()
    assert (summary.removed, summary.due, summary.kept) == (1, 0, 1)
    assert world.identity.refreshes == []
    assert world.store.calls["load"] == 0
    with pytest.raises(SessionUnknown):
        await world.stored(session)
    assert await world.stored(kept) == kept


async def test_a_session_of_the_token_flow_is_never_renewed_and_removed_when_it_ends(world: World) -> None:
    """R-05."""
    session = await world.signed_in(lives_s=600, flow=Flow.TOKEN)
    assert (await world.here.sweep.run()).due == 0
    await asyncio.sleep(601)
    assert (await world.here.sweep.run()).removed == 1
    assert world.identity.refreshes == []
    with pytest.raises(SessionUnknown):
        await world.stored(session)


async def test_several_vaults_are_swept() -> None:
    """R-11: at the same time, and one that can't be listed costs the others nothing."""
    world = World(vaults=("a", "b"))
    sessions = [await world.signed_in(work_account(v), lives_s=0, vault=v, seen_ago=timedelta(days=3)) for v in "ab"]
    await asyncio.sleep(POLICY.keep_alive.total_seconds())
    world.store.fail("listing", StoreUnavailable("HTTP 503"))
    summary = await world.here.sweep.run()
    assert (summary.renewed, summary.failed) == (1, {"store_unavailable": 1})
    assert sorted([await renewed(world, s) for s in sessions]) == [False, True]
    assert (await world.here.sweep.run()).renewed == 1
    assert all([await renewed(world, s) for s in sessions])


# Refusals and failures --------------------------------------------------------------------------------------


async def test_a_dead_grant_is_marked_and_never_asked_for_again(world: World) -> None:
    """R-13: the person gets a link; nothing is deleted."""
    (session,) = await due_sessions(world, 1)
    world.identity.revoke(session.record.account)
    summary = await world.here.sweep.run()
    assert (summary.dead, summary.renewed, dict(summary.failed)) == (1, 0, {})
    marks = (await world.stored(session)).record.marks
    assert (marks.health, marks.reason) == (Health.REAUTH_REQUIRED, "grant_revoked")
    for _ in range(3):
        await asyncio.sleep(3600)
        assert (await world.here.sweep.run()).due == 0
    assert len(world.identity.refreshes) == 1


@pytest.mark.parametrize("lives_s", [0, 300])
async def test_a_failing_provider_writes_a_back_off_into_the_marks(world: World, lives_s: float) -> None:
    """R-11: growing from run to run, also while the old token still lives; and the failure is counted."""
    (session,) = await due_sessions(world, 1, lives_s=lives_s)
    world.identity.always = ProviderUnavailable("HTTP 500")
    waits: list[timedelta] = []
    for failures in range(1, 6):
        summary = await world.here.sweep.run()
        assert summary.failed == {"provider_unavailable": 1}
        marks = (await world.stored(session)).record.marks
        assert (marks.health, marks.failures) == (Health.RETRYING, failures)
        assert (await world.here.sweep.run()).due == 0
        waits.append(marks.due_at - world.clock.now())
        await asyncio.sleep((marks.due_at - world.clock.now()).total_seconds() + 61)
    assert waits == sorted(waits)
    assert waits[-1] > 8 * waits[0]
    assert (await world.stored(session)).record.grant == session.record.grant
    world.identity.always = None
    assert (await world.here.sweep.run()).renewed == 1
    marks = (await world.stored(session)).record.marks
    assert (marks.health, marks.failures) == (Health.OK, 0)


async def test_a_fault_of_our_own_set_up_touches_no_session_and_is_not_asked_about_for_everybody(world: World) -> None:
    """R-13: a wrong client secret with a thousand sessions: some twenty calls a run, and nobody is signed out."""
    sessions = await due_sessions(world, 200)
    world.identity.always = Misconfigured(["AUTH_CLIENT_SECRET has expired"])
    summary = await world.here.sweep.run()
    assert summary.failed["misconfigured"] + summary.left_for_next_run == 200
    assert len(world.identity.refreshes) <= 40
    assert [await world.stored(s) for s in sessions] == sessions
    world.identity.always = None
    await asyncio.sleep(300)
    assert (await world.here.sweep.run()).renewed == 200


async def test_one_credential_that_is_refused_stops_nobody_whom_another_serves(world: World) -> None:
    """R-01, R-11: the secret for personal accounts has expired, the managed identity for work accounts has not."""
    personal = await due_sessions(world, 300, of=personal_account)
    work = await due_sessions(world, 40)
    world.identity.refuses_at = {"consumers": Misconfigured(["AUTH_CLIENT_SECRET has expired"])}
    summary = await world.here.sweep.run()
    assert summary.renewed == 40
    assert all([await renewed(world, s) for s in work])
    assert len(world.identity.refreshes) < 40 + 60, "and of the others nobody is asked for in vain by the hundred"
    assert [await world.stored(s) for s in personal] == personal


async def test_one_organizations_trouble_is_not_everybodys(world: World) -> None:
    """R-13: an app that one tenant has removed."""
    await due_sessions(world, 100)
    world.identity.next_refreshes = [None, *[refused("unauthorized_client", 700016)] * 30]
    summary = await world.here.sweep.run()
    assert (summary.renewed, summary.failed["misconfigured"]) == (70, 30)


async def test_a_provider_that_answers_nobody_is_asked_gently_and_everybody_is_renewed_when_it_is_back(
    world: World,
) -> None:
    """R-11: a 429 to everybody is no better for six thousand more calls, and what was not asked waits for no back-off."""
    sessions = await due_sessions(world, 1_000)
    world.identity.always = ProviderUnavailable("429")
    summary = await world.here.sweep.run()
    assert summary.failed["provider_unavailable"] == len(world.identity.refreshes)
    assert TIME_BOX_S * 0.8 < len(world.identity.refreshes) < TIME_BOX_S * 1.5
    untouched = [s for s in sessions if await world.stored(s) == s]
    assert len(untouched) == 1_000 - len(world.identity.refreshes)
    world.identity.always = None
    await asyncio.sleep(300)
    assert (await world.here.sweep.run()).left_for_next_run == 0
    assert all([await renewed(world, s) for s in untouched])


async def test_one_tenant_without_an_answer_slows_nobody_elses_run(world: World) -> None:
    """R-11: some tenants' trouble among a thousand others."""
    await due_sessions(world, 1_000)
    world.identity.next_refreshes = [ProviderUnavailable("503") if n % 2 else None for n in range(600)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    summary = await world.here.sweep.run()
    assert (summary.renewed, summary.failed["provider_unavailable"]) == (700, 300)
    assert loop.time() - began < 1.2 * 1_000 / SHARE_PER_S


@pytest.mark.parametrize("error", [refused("unauthorized_client", 700016), StoreUnavailable("x"), None])
async def test_trouble_of_the_most_urgent_keeps_nobody_else_waiting(world: World, error: Exception | None) -> None:
    """R-13: fifty sessions of a tenant that has removed the app, or of a vault without its role, come first in every run."""
    sessions = await due_sessions(world, 60)
    if error:
        world.identity.next_refreshes = [error] * 50
    else:
        world.store.fail("load", Misconfigured(["Give the app its role."], everywhere=False), times=50)
    assert (await world.here.sweep.run()).renewed == 10
    assert all([await renewed(world, s) for s in sessions[50:]])


async def test_one_sessions_fault_costs_the_others_nothing(world: World) -> None:
    """R-11: also one that nobody thought of."""
    await due_sessions(world, 10)
    world.identity.next_refreshes = [None, ZeroDivisionError(), None]
    summary = await world.here.sweep.run()
    assert (summary.renewed, summary.failed) == (9, {"internal_error": 1})
    assert (await world.here.sweep.run()).renewed == 1


async def test_a_session_that_ends_during_the_run_is_no_failure(world: World) -> None:
    """R-12: a sign-out between listing and renewal revives nothing."""
    sessions = await due_sessions(world, 10)
    world.identity.latency_s = 1.0
    run = asyncio.create_task(world.here.sweep.run())
    await asyncio.sleep(0.5)
    for session in sessions:
        await world.instance().sign_out.session(session.ref)
    summary = await run
    assert (summary.renewed, dict(summary.failed)) == (0, {})
    for session in sessions:
        with pytest.raises(SessionUnknown):
            await world.stored(session)


# Share, time box, kills -------------------------------------------------------------------------------------


async def test_the_run_keeps_to_its_share_of_the_vaults_writes(world: World) -> None:
    """R-11: sign-ins need the rest."""
    await due_sessions(world, 240)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await world.here.sweep.run()
    assert loop.time() - began == pytest.approx(240 / SHARE_PER_S, rel=0.05)


async def test_the_run_keeps_its_time_box_takes_the_most_urgent_first_and_the_next_takes_up(world: World) -> None:
    """R-11."""
    sessions = await due_sessions(world, 200)
    world.identity.latency_s = 50.0
    loop = asyncio.get_running_loop()
    began = loop.time()
    summary = await world.here.sweep.run()
    assert loop.time() - began < TIME_BOX_S + 60
    assert 60 <= summary.renewed <= 100
    assert summary.renewed + summary.left_for_next_run == 200
    done = [await renewed(world, session) for session in sessions]
    assert done == sorted(done, reverse=True)
    world.identity.latency_s = 0.1
    assert (await world.here.sweep.run()).renewed == 200 - summary.renewed


async def test_a_vault_that_takes_no_writes_does_not_hang_the_run(world: World) -> None:
    """R-11: the function's own time limit would kill the instance, and with it tokens that are not stored yet."""
    sessions = await due_sessions(world, 3)
    world.store.fail("replace", StoreUnavailable("HTTP 503"), times=1_000)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await world.here.sweep.run()
    assert loop.time() - began < 60
    world.store.heal()
    await world.here.engine.settle()
    assert all([await renewed(world, s) for s in sessions])


async def test_a_run_started_twice_on_one_instance_runs_once(world: World) -> None:
    """R-11: host issue 2968."""
    await due_sessions(world, 20)
    world.identity.latency_s = 1.0
    one, other = await asyncio.gather(world.here.sweep.run(), world.here.sweep.run())
    assert sorted([(one.sessions, one.renewed), (other.sessions, other.renewed)]) == [(0, 0), (20, 20)]
    assert len(world.identity.refreshes) == 20


@pytest.mark.parametrize(("later_s", "most_calls"), [(0.0, 200), (0.52, 100)])
async def test_a_run_started_twice_on_two_instances_is_harmless(world: World, later_s: float, most_calls: int) -> None:
    """R-11: the store is read again before a token is sent; only runs in lockstep do anything twice."""
    sessions = await due_sessions(world, 100)
    other = world.instance()
    one = asyncio.create_task(world.here.sweep.run())
    await asyncio.sleep(later_s)
    two = await other.sweep.run()
    assert 100 <= (await one).renewed + two.renewed <= most_calls
    assert len(world.identity.refreshes) <= most_calls
    for session in sessions:
        assert (await world.stored(session)).record.marks.health is Health.OK
        assert await renewed(world, session)


@pytest.mark.parametrize("killed_after_s", [0.01, 0.3, 1.0, 2.5])
async def test_a_run_that_is_killed_anywhere_loses_no_session(world: World, killed_after_s: float) -> None:
    """R-11: where a spent refresh token stays valid (Entra), the next run simply goes on."""
    sessions = await due_sessions(world, 60)
    world.identity.latency_s, world.store.latency_s = 0.2, 0.05
    ours = asyncio.all_tasks()
    run = asyncio.create_task(world.here.sweep.run())
    await asyncio.sleep(killed_after_s)
    killed = asyncio.all_tasks() - ours
    for task in killed:
        task.cancel()
    await asyncio.gather(*killed, return_exceptions=True)
    assert run.cancelled()
    await world.instance().sweep.run()
    for session in sessions:
        stored = await world.stored(session)
        assert stored.record.marks.health is Health.OK
        assert await renewed(world, session)


# Housekeeping -----------------------------------------------------------------------------------------------


async def test_deleted_sessions_are_purged_no_sooner_than_a_minute_later(world: World) -> None:
    """R-12: a renewal under way ends its writes within 30 s, so nothing comes back."""
    session = await world.signed_in()
    await world.here.sign_out.session(session.ref)
    assert (await world.here.sweep.run()).purged == 0
    await asyncio.sleep(PURGE_AFTER.total_seconds() - 1)
    assert (await world.here.sweep.run()).purged == 0
    await asyncio.sleep(2)
    assert (await world.here.sweep.run()).purged == 1
    assert session.ref.name not in world.memory.names(deleted=True)


async def test_an_index_entry_that_was_lost_is_repaired_from_the_marks(world: World) -> None:
    """R-12: so that "sign out everywhere" finds the session."""
    world.memory.fail_next("index", StoreUnavailable("HTTP 429"), times=2)
    session = await world.signed_in()
    account_hash = digest(session.record.account.home_account_id)
    assert await world.memory.by_account(account_hash) == []
    await asyncio.sleep(120)
    assert (await world.here.sweep.run()).indexes_repaired >= 1
    assert await world.memory.by_account(account_hash) == [session.ref]


@pytest.mark.parametrize("step", ["purge", "repair_indexes"])
async def test_housekeeping_that_fails_is_counted_and_done_by_the_next_run(world: World, step: str) -> None:
    """R-11: the renewals are done by then."""
    await due_sessions(world, 2)
    world.store.fail(step, StoreUnavailable("HTTP 503"))
    summary = await world.here.sweep.run()
    assert (summary.renewed, summary.failed) == (2, {"store_unavailable": 1})
    assert (await world.here.sweep.run()).failed == {}


async def test_the_key_that_signs_cookies_is_changed_after_a_month(world: World) -> None:
    """R-16: older keys stay and verify."""
    first = await world.ring.newest()
    await world.here.sweep.run()
    assert await world.ring.newest() == first
    await asyncio.sleep(timedelta(days=30, seconds=1).total_seconds())
    await world.here.sweep.run()
    second = await world.ring.newest()
    assert second.id != first.id
    assert await world.ring.by_id(first.id) == first
    await world.here.sweep.run()
    assert await world.ring.newest() == second


async def test_a_run_ends_in_one_line_of_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """R-11: counts and duration; no token, no name of a person (R-16)."""
    caplog.set_level(logging.INFO, logger="onenote_auth")
    sessions = await due_sessions(world, 3)
    world.identity.next_refreshes = [ProviderUnavailable("HTTP 500")]
    await world.here.sweep.run(past_due=True)
    (line,) = [json.loads(r.message) for r in caplog.records if '"event": "sweep"' in r.message]
    expected = {"sessions": 3, "due": 3, "renewed": 2, "failed": {"provider_unavailable": 1}, "past_due": True}
    assert line.items() >= expected.items()
    assert line["duration_s"] >= 0
    for session in sessions:
        assert session.record.account.username not in caplog.text
        assert (session.record.grant.refresh_token or "") not in caplog.text


async def test_a_session_that_is_over_and_stays_keeps_its_place_in_the_indexes(world: World) -> None:
    """R-12: signing out everywhere still finds what could not be removed."""
    session = await world.signed_in(seen_ago=POLICY.idle + timedelta(days=1))
    await asyncio.sleep(120)
    world.store.fail("delete", StoreUnavailable("HTTP 503"))
    await world.here.sweep.run()
    assert await world.memory.by_account(session.record.marks.account_hash) == [session.ref]
    await world.here.sweep.run()
    assert await world.memory.by_account(session.record.marks.account_hash) == []


@pytest.mark.parametrize("step", ["purge", "repair_indexes"])
async def test_housekeeping_without_end_does_not_hang_the_run(world: World, step: str) -> None:
    """R-11: the function's own time limit would kill the instance, and the next run would do no better."""

    async def without_end() -> None:
        await asyncio.sleep(100_000)

    await due_sessions(world, 2)
    world.store.during[step] = without_end
    loop = asyncio.get_running_loop()
    began = loop.time()
    summary = await world.here.sweep.run()
    assert loop.time() - began < 300
    assert (summary.renewed, summary.failed) == (2, {})


async def test_a_fault_of_ours_with_one_vault_costs_the_others_nothing() -> None:
    """R-11."""
    world = World(vaults=("one", "two"))
    sessions = [await world.signed_in(work_account(v), lives_s=300, vault=v) for v in ("one", "two")]
    await asyncio.sleep(200)
    world.store.fail("last_pass", RuntimeError("ours"))
    summary = await world.here.sweep.run()
    assert summary.failed == {"internal_error": 1}
    assert summary.renewed == 1
    assert [await renewed(world, s) for s in sessions].count(True) == 1


async def test_a_vault_that_takes_no_writes_fills_no_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-11: tokens that wait to be stored are bounded, run after run; people who click are served all the same."""
    monkeypatch.setattr(unsaved, "_MOST", 20)
    sessions = await due_sessions(world, 60)
    world.store.fail("replace", StoreUnavailable("HTTP 503"), times=100_000)
    for _ in range(3):
        await world.here.sweep.run()
        await asyncio.sleep(300)
    assert len(world.identity.refreshes) <= 20 + 16
    unlucky = [
        s for s in sessions if s.record.grant.refresh_token not in {r.refresh_token for r in world.identity.refreshes}
    ]
    assert await world.here.engine.usable(unlucky[0].ref)
    world.store.heal()
    await world.here.engine.settle()
    await world.here.sweep.run()
    assert all([await renewed(world, s) for s in sessions])

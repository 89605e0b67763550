"""The life of a grant: one renewal a session at a time, nothing lost, nothing concluded too early (R-10, R-11, R-13).

The figures of the first part are the goal that was set: with fifty requests at once the provider is asked 1, 1, 1 and
0 times, at whatever latency.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.attempts import Wish
from shared.errors import (
    Misconfigured,
    NotSignedIn,
    ProviderUnavailable,
    ReauthRequired,
    SessionUnknown,
    StoreUnavailable,
)
from shared.model import Flow, Health, SessionRef, Stored
from shared.usecases.claims import Claims
from shared.usecases.refresh import Renewal
from tests.doubles.identity import personal_account, refused, work_account
from tests.doubles.virtual_time import LoopClock
from tests.doubles.watched_store import WatchedStore
from tests.usecases.world import CACHE_S, Instance, World

LATENCIES = [0.0, 0.1, 1.0]
BURST = 50


async def burst(here: Instance, ref: SessionRef) -> Sequence[Stored | BaseException]:
    return await asyncio.gather(*(here.engine.usable(ref) for _ in range(BURST)), return_exceptions=True)


def raised(outcomes: Sequence[object], kind: type[BaseException]) -> bool:
    return all(isinstance(outcome, kind) for outcome in outcomes)


# One, one, one and none -------------------------------------------------------------------------------------


@pytest.mark.parametrize("latency_s", LATENCIES)
@pytest.mark.parametrize("store_latency_s", [0.0, 0.05])
@pytest.mark.parametrize("lives_s", [-10, 0, 30, 119])
async def test_fifty_requests_at_once_make_one_provider_call(
    world: World, latency_s: float, store_latency_s: float, lives_s: float
) -> None:
    """R-10: with an expired token, and with one that is only due early; then none until the new one is due."""
    session = await world.signed_in(lives_s=lives_s)
    world.identity.latency_s, world.store.latency_s = latency_s, store_latency_s
    outcomes = await burst(world.here, session.ref)
    assert len(world.identity.refreshes) == 1
    assert {o.record.grant.access_token for o in outcomes if isinstance(o, Stored)} == {
        (await world.stored(session)).record.grant.access_token
    }
    await burst(world.here, session.ref)
    assert len(world.identity.refreshes) == 1


@pytest.mark.parametrize("latency_s", LATENCIES)
async def test_a_final_verdict_costs_one_call_and_none_after(world: World, latency_s: float) -> None:
    """R-13: and the reason is told each time."""
    session = await world.signed_in(lives_s=0)
    world.identity.latency_s = latency_s
    world.identity.revoke(session.record.account)
    for _ in range(3):
        outcomes = await burst(world.here, session.ref)
        assert raised(outcomes, ReauthRequired)
        assert {o.reason for o in outcomes if isinstance(o, ReauthRequired)} == {"grant_revoked"}
        assert len(world.identity.refreshes) == 1
    await asyncio.sleep(3600)
    assert raised(await burst(world.instance(), session.ref), ReauthRequired)
    assert len(world.identity.refreshes) == 1


@pytest.mark.parametrize("latency_s", LATENCIES)
async def test_a_failing_provider_costs_one_call_and_none_within_the_back_off(world: World, latency_s: float) -> None:
    """R-11: and the wait grows, is told, and ends with the first success."""
    session = await world.signed_in(lives_s=0)
    world.identity.latency_s = latency_s
    world.identity.always = ProviderUnavailable("token endpoint: HTTP 500")
    waits: list[float] = []
    for round_ in range(1, 5):
        outcomes = await burst(world.here, session.ref)
        assert raised(outcomes, ProviderUnavailable)
        assert len(world.identity.refreshes) == round_
        assert raised(await burst(world.here, session.ref), ProviderUnavailable)
        assert len(world.identity.refreshes) == round_
        wait = max(o.retry_after_s or 0 for o in outcomes if isinstance(o, ProviderUnavailable))
        waits.append(wait)
        await asyncio.sleep(wait)
    assert waits == sorted(waits)
    assert waits[0] < waits[-1]
    world.identity.always = None
    assert not raised(await burst(world.here, session.ref), Exception)
    assert (await world.stored(session)).record.marks.health is Health.OK
    world.identity.always = ProviderUnavailable("token endpoint: HTTP 500")
    await asyncio.sleep(3600)
    outcomes = await burst(world.here, session.ref)
    assert max(o.retry_after_s or 0 for o in outcomes if isinstance(o, ProviderUnavailable)) == waits[0]


async def test_a_refused_app_is_asked_for_one_person_every_ten_seconds_and_serves_everybody_once_it_is_mended(
    world: World,
) -> None:
    """R-13: people who click must not ask the provider on and on with a wrong secret; other kinds of account go on."""
    people = [await world.signed_in(work_account(f"p{n}"), lives_s=0) for n in range(200)]
    kim = await world.signed_in(personal_account(), lives_s=0)
    wrong = Misconfigured(["AUTH_CLIENT_SECRET is wrong"])
    world.identity.refuses_at = {people[0].record.account.authority: wrong}

    async def everybody() -> Sequence[object]:
        return await asyncio.gather(*(one(person) for person in people), return_exceptions=True)

    async def one(person: Stored) -> Stored:
        return await world.here.engine.usable(person.ref)

    for person in people:
        with pytest.raises(Misconfigured) as told:
            await one(person)
        assert told.value.findings == wrong.findings
    assert len(world.identity.refreshes) == 20
    await one(kim)
    for seconds in range(1, 6):
        await asyncio.sleep(10)
        assert raised(await everybody(), Misconfigured)
        assert len(world.identity.refreshes) == 21 + seconds
    world.identity.refuses_at = {}
    await asyncio.sleep(10)
    await one(people[-1])
    assert not raised(await everybody(), Exception)


async def test_the_back_off_honours_what_the_provider_asks_for(world: World) -> None:
    """R-11: Retry-After."""
    session = await world.signed_in(lives_s=0)
    world.identity.next_refreshes = [ProviderUnavailable("HTTP 429", retry_after_s=30)]
    with pytest.raises(ProviderUnavailable) as caught:
        await world.here.engine.usable(session.ref)
    assert caught.value.retry_after_s == 30
    await asyncio.sleep(29)
    with pytest.raises(ProviderUnavailable):
        await world.here.engine.usable(session.ref)
    assert len(world.identity.refreshes) == 1
    await asyncio.sleep(1.5)
    await world.here.engine.usable(session.ref)
    assert len(world.identity.refreshes) == 2


async def test_a_clock_set_back_does_not_make_the_back_off_longer(world: World) -> None:
    """R-11: an hour's correction must not stop renewals for an hour."""
    session = await world.signed_in(lives_s=0)
    world.identity.next_refreshes = [ProviderUnavailable("HTTP 500")]
    with pytest.raises(ProviderUnavailable):
        await world.here.engine.usable(session.ref)
    world.clock.jump(-timedelta(minutes=1))
    await world.here.engine.renew(await world.stored(session))
    assert len(world.identity.refreshes) == 2


async def test_no_two_sessions_wait_for_each_other(world: World) -> None:
    """R-10: no lock wider than a session; fifty sessions take as long as one, and each gets its own token."""
    sessions = [await world.signed_in(work_account(f"p{n}"), lives_s=0) for n in range(BURST)]
    world.identity.latency_s = 1.0
    loop = asyncio.get_running_loop()
    before = loop.time()
    answers = await asyncio.gather(*(world.here.engine.usable(s.ref) for s in sessions))
    assert loop.time() - before == pytest.approx(1.0)
    for session, answer in zip(sessions, answers, strict=True):
        assert answer.record.grant.access_token.endswith(session.record.account.home_account_id)


async def test_whose_token_an_answer_carries_is_right_under_load(world: World, rng: random.Random) -> None:
    """R-16: two hundred sessions, two thousand calls, three instances, random latencies: nobody gets another's."""
    sessions = [await world.signed_in(work_account(f"p{n}"), lives_s=rng.choice([0, 60, 3600])) for n in range(200)]
    instances = [world.here, world.instance(), world.instance()]

    async def call() -> None:
        await asyncio.sleep(rng.random() * 5)
        session = rng.choice(sessions)
        answer = await rng.choice(instances).engine.usable(session.ref)
        assert answer.ref == session.ref
        assert answer.record.account == session.record.account
        assert answer.record.grant.access_token.endswith(session.record.account.home_account_id)

    world.identity.latency_s, world.store.latency_s = 0.2, 0.01
    await asyncio.gather(*(call() for _ in range(2_000)))


# What is sent, and where ------------------------------------------------------------------------------------


async def test_a_valid_token_is_used_without_asking_anybody(world: World) -> None:
    """R-10: a warm instance asks neither the provider nor the vault."""
    session = await world.signed_in()
    await world.here.engine.usable(session.ref)
    world.store.calls.clear()
    for _ in range(20):
        await world.here.engine.usable(session.ref)
    assert world.identity.refreshes == []
    assert world.store.calls.total() == 0


@pytest.mark.parametrize(
    ("account", "authority"),
    [(personal_account(), "consumers"), (work_account(), work_account().tenant_id)],
)
async def test_a_grant_is_renewed_at_the_accounts_own_authority(world: World, account: object, authority: str) -> None:
    """R-02, R-03: for its whole life, with the scopes asked for at sign-in."""
    session = await world.signed_in(account, lives_s=0, scopes=("Notes.ReadWrite",))  # type: ignore[arg-type]
    for _ in range(3):
        await world.here.engine.usable(session.ref)
        await asyncio.sleep(3600)
    assert {(r.authority, r.scopes) for r in world.identity.refreshes} == {(authority, ("Notes.ReadWrite",))}


async def test_the_newest_refresh_token_is_stored_before_it_is_relied_on(world: World) -> None:
    """R-11: the answer is given only when the vault has it."""
    session = await world.signed_in(lives_s=0)
    world.store.latency_s = 0.5
    answer = await world.here.engine.usable(session.ref)
    stored = await world.stored(session)
    assert stored.record.grant == answer.record.grant
    assert stored.record.grant.refresh_token != session.record.grant.refresh_token


@pytest.mark.parametrize("strict", [False, True])
async def test_every_renewal_sends_the_newest_refresh_token(strict: bool) -> None:
    """R-11: never a spent one, also at a provider that revokes the family for it."""
    world = World(strict=strict)
    session = await world.signed_in(lives_s=0)
    for _ in range(5):
        newest = await world.stored(session)
        await burst(world.here, session.ref)
        assert world.identity.refreshes[-1].refresh_token == newest.record.grant.refresh_token
        await asyncio.sleep(3600)
    assert len({r.refresh_token for r in world.identity.refreshes}) == 5


async def test_a_waiter_does_not_send_the_token_that_it_came_with(world: World) -> None:
    """R-11: another instance renewed it since this one read it; the store is read again first."""
    session = await world.signed_in(lives_s=300)
    other = world.instance()
    stale = await world.here.engine.usable(session.ref)
    await other.engine.renew(await world.stored(session))
    await asyncio.sleep(200)
    answer = await world.here.engine.usable(session.ref)
    assert len(world.identity.refreshes) == 1
    assert answer.record.grant.refresh_token != stale.record.grant.refresh_token


async def test_a_renewal_looks_into_the_vault_once(world: World) -> None:
    """R-11: right before the refresh token is sent; the look that the timer has just had is enough."""
    asked, due = await world.signed_in(lives_s=0), await world.signed_in(lives_s=0)
    await world.here.sessions.get(asked.ref)
    before = world.store.calls["load"]
    await world.here.engine.usable(asked.ref)
    await world.here.engine.renew_due(due.ref, due.record.marks.due_at)
    assert world.store.calls["load"] == before + 2


async def test_the_timer_leaves_alone_what_was_renewed_since_it_was_listed(world: World) -> None:
    """R-11: by a request, or by another instance's timer."""
    session = await world.signed_in(lives_s=0)
    await world.instance().engine.usable(session.ref)
    renewal = await world.here.engine.renew_due(session.ref, session.record.marks.due_at)
    assert renewal == Renewal(marks=(await world.stored(session)).record.marks, done=False)
    assert len(world.identity.refreshes) == 1


async def test_a_provider_that_keeps_the_refresh_token_is_as_good(world: World) -> None:
    """R-11: RFC 6749 §6 leaves rotation to the provider."""
    world.identity.rotates = False
    session = await world.signed_in(lives_s=0)
    await burst(world.here, session.ref)
    await asyncio.sleep(3600)
    await burst(world.here, session.ref)
    assert [r.refresh_token for r in world.identity.refreshes] == [session.record.grant.refresh_token] * 2


# A caller's wishes ------------------------------------------------------------------------------------------


async def test_a_caller_may_ask_for_more_life_than_others(world: World) -> None:
    """R-18: `min_validity`; a renewal for a lesser wish that is under way is not taken for enough."""
    session = await world.signed_in(lives_s=100)
    answers = await asyncio.gather(
        world.here.engine.usable(session.ref, min_validity_s=50),
        world.here.engine.usable(session.ref, min_validity_s=120),
        world.here.engine.usable(session.ref, min_validity_s=3000),
    )
    left = [a.record.grant.expires_at - world.clock.now() for a in answers]
    assert left[0] >= timedelta(seconds=50)
    assert left[1] >= timedelta(seconds=120)
    assert left[2] >= timedelta(seconds=3000)
    assert len(world.identity.refreshes) == 1


async def test_tokens_that_live_shorter_than_what_is_asked_for_are_not_renewed_at_every_call(world: World) -> None:
    """R-10: a provider may hand out ten-minute tokens; fifty calls for fifty minutes of life then cost one renewal."""
    session = await world.signed_in(lives_s=0)
    world.identity.lifetime_s = 600
    for _ in range(BURST):
        await world.here.engine.usable(session.ref, min_validity_s=3000)
    assert len(world.identity.refreshes) == 1
    world.identity.lifetime_s = 60
    other = await world.signed_in(work_account("b"), lives_s=0)
    for _ in range(BURST):
        await world.here.engine.usable(other.ref)
    assert len(world.identity.refreshes) == 2


@pytest.mark.parametrize("error", [ProviderUnavailable("x"), Misconfigured(["x"]), StoreUnavailable("x")])
async def test_a_token_that_still_lives_serves_while_renewal_is_out_of_order(world: World, error: Exception) -> None:
    """R-10: due early is not expired."""
    session = await world.signed_in(lives_s=100)
    if isinstance(error, StoreUnavailable):
        await world.here.sessions.get(session.ref)
        world.store.fail("load", error, times=9)
    else:
        world.identity.always = error
    answer = await world.here.engine.usable(session.ref)
    assert answer.record.grant.access_token == session.record.grant.access_token
    assert answer.record.marks.health is Health.OK
    await asyncio.sleep(101)
    with pytest.raises(type(error)):
        await world.here.engine.usable(session.ref)


# Callers that go away ---------------------------------------------------------------------------------------


async def test_a_caller_that_hangs_up_does_not_lose_the_renewal(world: World) -> None:
    """R-11: the provider's answer is stored although nobody waits for it any more."""
    session = await world.signed_in(lives_s=0)
    world.identity.latency_s = 1.0
    callers = [asyncio.create_task(world.here.engine.usable(session.ref)) for _ in range(3)]
    await asyncio.sleep(0.5)
    for caller in callers:
        caller.cancel()
    assert raised(await asyncio.gather(*callers, return_exceptions=True), asyncio.CancelledError)
    await world.here.engine.settle()
    stored = await world.stored(session)
    assert stored.record.grant.refresh_token != session.record.grant.refresh_token
    await world.here.engine.usable(session.ref)
    assert len(world.identity.refreshes) == 1


async def test_a_caller_that_hangs_up_costs_the_others_nothing(world: World) -> None:
    """R-11: also when it was the one that began the renewal."""
    session = await world.signed_in(lives_s=0)
    world.identity.latency_s = 1.0
    first = asyncio.create_task(world.here.engine.usable(session.ref))
    await asyncio.sleep(0.1)
    others = asyncio.gather(*(world.here.engine.usable(session.ref) for _ in range(5)))
    await asyncio.sleep(0.1)
    first.cancel()
    assert len(await others) == 5
    assert len(world.identity.refreshes) == 1


async def test_a_failure_that_nobody_waits_for_is_quiet(world: World) -> None:
    """R-11: no "exception was never retrieved" in the operator's log (warnings are errors here)."""
    session = await world.signed_in(lives_s=0)
    world.identity.latency_s = 1.0
    world.identity.always = ProviderUnavailable("HTTP 500")
    caller = asyncio.create_task(world.here.engine.usable(session.ref))
    await asyncio.sleep(0.5)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await world.here.engine.settle()


# The vault fails after the provider answered ----------------------------------------------------------------


@pytest.mark.parametrize("error", [StoreUnavailable("HTTP 503"), Misconfigured(["no role"])])
@pytest.mark.parametrize("strict", [False, True])
async def test_new_tokens_serve_from_memory_until_they_can_be_stored(error: Exception, strict: bool) -> None:
    """R-11: the refresh token is spent, so the answer is all there is."""
    world = World(strict=strict)
    session = await world.signed_in(lives_s=0)
    world.store.fail("replace", error, times=4)
    answers = await burst(world.here, session.ref)
    tokens = {a.record.grant.access_token for a in answers if isinstance(a, Stored)}
    assert len(tokens) == 1
    assert len(world.identity.refreshes) == 1
    assert (await world.stored(session)).record.grant == session.record.grant
    # The cache runs out: the vault's older copy does not win over the memory's.
    await asyncio.sleep(61)
    assert {(await world.here.engine.usable(session.ref)).record.grant.access_token} == tokens
    await world.here.engine.settle()
    assert {(await world.stored(session)).record.grant.access_token} == tokens
    assert len(world.identity.refreshes) == 1


async def test_a_write_whose_answer_was_lost_is_found_and_not_repeated(world: World) -> None:
    """R-11: the vault had stored it."""
    session = await world.signed_in(lives_s=0)
    world.store.fail("replace", StoreUnavailable("no answer"), after=True)
    answer = await world.here.engine.usable(session.ref)
    await world.here.engine.settle()
    assert world.store.calls["replace"] == 1
    assert (await world.stored(session)).record.grant == answer.record.grant


async def test_unsaved_tokens_give_way_to_another_instances_newer_ones(world: World) -> None:
    """R-11: what lies in the vault by then was got later."""
    session = await world.signed_in(lives_s=0)
    world.store.fail("replace", StoreUnavailable("HTTP 503"))
    await world.here.engine.usable(session.ref)
    await asyncio.sleep(0.2)
    theirs = await world.instance(world.memory).engine.renew(await world.stored(session))
    await world.here.engine.settle()
    assert (await world.stored(session)).record.grant == theirs.record.grant


async def test_a_second_renewal_while_the_first_is_unsaved_leaves_the_newest_in_the_vault(world: World) -> None:
    """R-11: one writer a session, and it writes what is newest when its turn comes."""
    session = await world.signed_in(lives_s=0)
    world.identity.lifetime_s = 10
    world.store.fail("replace", StoreUnavailable("HTTP 503"), times=6)
    await world.here.engine.usable(session.ref)
    await asyncio.sleep(11)
    world.identity.lifetime_s = 3600
    newest = await world.here.engine.usable(session.ref)
    await world.here.engine.settle()
    assert (await world.stored(session)).record.grant == newest.record.grant
    assert (await world.here.engine.usable(session.ref)).record.grant == newest.record.grant


async def test_tokens_are_never_stored_after_the_session_was_deleted(world: World) -> None:
    """R-12: signed out on this instance while they could not be stored."""
    session = await world.signed_in(lives_s=0)
    world.store.fail("replace", StoreUnavailable("HTTP 503"), times=2)
    await world.here.engine.usable(session.ref)
    await world.here.sign_out.session(session.ref)
    await world.here.engine.settle()
    await asyncio.sleep(120)
    assert await world.memory.purge("main", world.clock.now()) == 1
    await asyncio.sleep(120)
    with pytest.raises(SessionUnknown):
        await world.stored(session)
    with pytest.raises(NotSignedIn):
        await world.here.engine.usable(session.ref)


async def test_tokens_are_never_stored_after_the_session_was_deleted_elsewhere(world: World) -> None:
    """R-12: signed out on another instance, purged by the timer: the late write reads first, and gives up."""
    session = await world.signed_in(lives_s=0)
    world.store.fail("replace", StoreUnavailable("HTTP 503"), times=2)
    await world.here.engine.usable(session.ref)
    await world.memory.delete(session.ref)
    await asyncio.sleep(0.1)
    await world.memory.purge("main", world.clock.now())
    await world.here.engine.settle()
    with pytest.raises(SessionUnknown):
        await world.stored(session)
    with pytest.raises(NotSignedIn):
        await world.here.sessions.get(session.ref)


async def test_a_vault_that_takes_no_writes_is_tried_ever_more_seldom(world: World) -> None:
    """R-11: after a minute twice a minute, for each session whose tokens wait."""
    session = await world.signed_in(lives_s=0)
    world.store.fail("replace", StoreUnavailable("HTTP 503"), times=1_000)
    await world.here.engine.usable(session.ref)
    await asyncio.sleep(600)
    assert 20 <= world.store.calls["replace"] <= 27


async def test_settle_has_an_end_where_the_vault_has_none(world: World) -> None:
    """R-11: the timer's run must not hang on a vault that takes no writes; the retries go on behind it."""
    session = await world.signed_in(lives_s=0)
    world.store.fail("replace", StoreUnavailable("HTTP 503"), times=100)
    answer = await world.here.engine.usable(session.ref)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await world.here.engine.settle(within_s=20)
    assert loop.time() - began == pytest.approx(20)
    world.store.heal()
    await world.here.engine.settle()
    assert (await world.stored(session)).record.grant == answer.record.grant


# Verdicts ---------------------------------------------------------------------------------------------------


async def test_a_refusal_of_a_stale_token_ends_nothing(world: World) -> None:
    """R-13: another instance renewed it in between; only the newest stored token's refusal counts."""
    session = await world.signed_in(lives_s=0)
    other = world.instance(world.memory)
    world.identity.next_refreshes = [refused("invalid_grant", 70000)]
    world.identity.latency_s = 1.0
    ours = asyncio.create_task(world.here.engine.usable(session.ref))
    await asyncio.sleep(0.5)
    world.identity.latency_s = 0.1
    theirs = await other.engine.usable(session.ref)
    assert (await ours).record.grant == theirs.record.grant
    stored = await world.stored(session)
    assert (stored.record.marks.health, stored.record.grant) == (Health.OK, theirs.record.grant)


async def test_races_without_end_are_put_off_and_end_nothing(world: World) -> None:
    """R-13: each time that our token is refused, another instance has stored a newer one."""
    session = await world.signed_in(lives_s=0)
    world.identity.next_refreshes = [refused("invalid_grant", 70000)] * 9

    async def another_instance_wins() -> None:
        there = await world.stored(session)
        grant = world.identity.grant_for(session.record.account, ("Notes.Read",))
        expired = grant.__class__(
            access_token=grant.access_token,
            refresh_token=grant.refresh_token,
            expires_at=world.clock.now(),
            refresh_at=None,
            scopes=grant.scopes,
        )
        record = there.record
        await world.memory.replace(
            session.ref,
            record.__class__(
                account=record.account,
                grant=expired,
                requested=record.requested,
                refreshed_at=world.clock.now(),
                marks=record.marks,
            ),
        )

    world.store.during["load"] = another_instance_wins
    world.identity.latency_s = 1.0
    with pytest.raises(ProviderUnavailable):
        await world.here.engine.usable(session.ref)
    assert len(world.identity.refreshes) == 3
    assert (await world.stored(session)).record.marks.health is Health.OK


@pytest.mark.parametrize("strict", [False, True])
async def test_two_instances_that_renew_at_once_lose_no_session_where_spent_tokens_stay_valid(strict: bool) -> None:
    """R-11: at a strict provider no client can promise it for two instances, but it never loops."""
    world = World(strict=strict)
    session = await world.signed_in(lives_s=0)
    world.identity.latency_s = 0.2
    instances = [world.instance() for _ in range(4)]
    outcomes = await asyncio.gather(*(burst(i, session.ref) for i in instances))
    if not strict:
        assert not any(isinstance(o, BaseException) for group in outcomes for o in group)
    assert len(world.identity.refreshes) <= 8
    asked = len(world.identity.refreshes)
    for instance in instances:
        await burst(instance, session.ref)
    assert len(world.identity.refreshes) == asked
    stored = await world.stored(session)
    if not strict:
        assert stored.record.marks.health is Health.OK


async def test_a_dead_grant_is_marked_with_its_reason_and_claims_and_nothing_else_is_deleted(world: World) -> None:
    """R-13: the account, the scopes and the session itself stay, so that the way back is short."""
    session = await world.signed_in(lives_s=0)
    world.identity.next_refreshes = [refused("interaction_required", 50076, claims='{"access_token":{}}')]
    with pytest.raises(ReauthRequired) as caught:
        await world.here.engine.usable(session.ref)
    assert caught.value.reason == "mfa_required"
    stored = await world.stored(session)
    marks = stored.record.marks
    assert (marks.health, marks.reason, marks.claims) == (
        Health.REAUTH_REQUIRED,
        "mfa_required",
        '{"access_token":{}}',
    )
    assert stored.record.grant == session.record.grant
    assert stored.record.account == session.record.account
    assert world.store.calls["replace"] == world.store.calls["delete"] == 0


async def test_a_verdict_that_cannot_be_stored_holds_in_memory(world: World) -> None:
    """R-13: and is stored by whoever meets it next."""
    session = await world.signed_in(lives_s=0)
    world.identity.revoke(session.record.account)
    world.store.fail("annotate", StoreUnavailable("HTTP 503"))
    assert raised(await burst(world.here, session.ref), ReauthRequired)
    assert raised(await burst(world.here, session.ref), ReauthRequired)
    assert len(world.identity.refreshes) == 1
    await asyncio.sleep(61)
    assert raised(await burst(world.here, session.ref), ReauthRequired)
    assert (await world.stored(session)).record.marks.health is Health.REAUTH_REQUIRED


async def test_a_verdict_of_another_instance_is_taken_although_we_renewed_last(world: World) -> None:
    """R-13: marks change without a new version; memory must not hide them."""
    session = await world.signed_in(lives_s=0)
    await world.here.engine.usable(session.ref)
    await asyncio.sleep(3600)
    world.identity.revoke(session.record.account)
    with pytest.raises(ReauthRequired):
        await world.instance().engine.usable(session.ref)
    asked = len(world.identity.refreshes)
    with pytest.raises(ReauthRequired):
        await world.here.engine.usable(session.ref)
    assert len(world.identity.refreshes) == asked


@pytest.mark.parametrize(
    "error",
    [
        refused("invalid_client", 7000215),
        refused("invalid_grant", 700016),
        refused("unauthorized_client"),
        Misconfigured(["AUTH_CLIENT_SECRET is wrong"]),
    ],
)
async def test_a_fault_of_our_own_set_up_touches_no_session(world: World, error: Exception) -> None:
    """R-13: the operator mends it, and everybody is still signed in."""
    session = await world.signed_in(lives_s=0)
    world.identity.next_refreshes = [error]
    assert raised(await burst(world.here, session.ref), Misconfigured)
    assert len(world.identity.refreshes) == 1
    assert await world.stored(session) == session
    await asyncio.sleep(1)
    await world.here.engine.usable(session.ref)


@pytest.mark.parametrize(
    "error",
    [
        refused("temporarily_unavailable"),
        refused("invalid_grant", 90033),
        refused("invalid_grant", 50053),
        refused("invalid_grant", 54005),
    ],
)
async def test_a_refusal_that_is_not_about_this_grant_ends_nothing(world: World, error: Exception) -> None:
    """R-13: the provider is busy, the account locked for now, or it was a code that was refused."""
    session = await world.signed_in(lives_s=0)
    world.identity.next_refreshes = [error]
    assert raised(await burst(world.here, session.ref), ProviderUnavailable)
    assert (await world.stored(session)).record.marks.health is Health.OK
    await asyncio.sleep(2)
    await world.here.engine.usable(session.ref)


async def test_a_loop_seen_by_the_provider_is_left_alone_for_minutes(world: World) -> None:
    """R-11: AADSTS50196."""
    session = await world.signed_in(lives_s=0)
    world.identity.next_refreshes = [refused("invalid_grant", 50196)]
    with pytest.raises(ProviderUnavailable) as caught:
        await world.here.engine.usable(session.ref)
    assert caught.value.retry_after_s == 300


async def test_a_renewal_brings_a_struggling_session_back_to_health(world: World) -> None:
    """R-11: failures, reason and claims of the past are gone."""
    session = await world.signed_in(lives_s=0, health=Health.RETRYING, reason="x")
    await world.here.engine.usable(session.ref)
    marks = (await world.stored(session)).record.marks
    assert (marks.health, marks.reason, marks.claims, marks.failures) == (Health.OK, None, None, 0)
    assert marks.due_at > world.clock.now()


# Sign-out meets renewal -------------------------------------------------------------------------------------


@pytest.mark.parametrize("latency_s", LATENCIES)
async def test_a_sign_out_during_a_renewal_revives_nothing(world: World, latency_s: float) -> None:
    """R-12: whatever the provider answers afterwards."""
    session = await world.signed_in(lives_s=0)
    world.identity.latency_s = latency_s + 0.1
    callers = [asyncio.create_task(world.here.engine.usable(session.ref)) for _ in range(5)]
    await asyncio.sleep(0.05)
    await world.here.sign_out.session(session.ref)
    assert raised(await asyncio.gather(*callers, return_exceptions=True), NotSignedIn)
    with pytest.raises(SessionUnknown):
        await world.stored(session)
    assert world.store.calls["replace"] == 0


async def test_a_sign_out_elsewhere_during_a_renewal_revives_nothing(world: World) -> None:
    """R-12: the vault refuses the write, and this instance forgets the session."""
    session = await world.signed_in(lives_s=0)
    world.identity.latency_s = 1.0
    caller = asyncio.create_task(world.here.engine.usable(session.ref))
    await asyncio.sleep(0.5)
    await world.instance().sign_out.session(session.ref)
    with pytest.raises(NotSignedIn):
        await caller
    with pytest.raises(NotSignedIn):
        await world.here.sessions.get(session.ref)
    with pytest.raises(SessionUnknown):
        await world.stored(session)


async def test_a_claims_challenge_after_a_sign_out_elsewhere_ends_the_session_here(world: World) -> None:
    """R-12: there is nothing left to mark, and the cache need not run out first."""
    session = await world.signed_in()
    stored = await world.here.sessions.get(session.ref)
    await world.instance().sign_out.session(session.ref)
    await world.here.engine.challenged(stored, None)
    with pytest.raises(NotSignedIn):
        await world.here.sessions.get(session.ref)


async def test_signing_out_and_renewing_in_any_order_never_leaves_a_session_behind(rng: random.Random) -> None:
    """R-12: a thousand interleavings."""
    world = World()
    for n in range(1_000):
        session = await world.signed_in(work_account(f"p{n}"), lives_s=0)
        world.identity.latency_s, world.store.latency_s = rng.random(), rng.random() / 2

        async def late(delay_s: float, ref: SessionRef) -> None:
            await asyncio.sleep(delay_s)
            await rng.choice([world.here, world.instance()]).sign_out.session(ref)

        await asyncio.gather(
            world.here.engine.usable(session.ref), late(rng.random() * 2.5, session.ref), return_exceptions=True
        )
        await world.here.engine.settle()
        with pytest.raises(SessionUnknown):
            await world.stored(session)


# The token flow ---------------------------------------------------------------------------------------------


async def test_a_token_flows_session_is_good_until_it_ends_and_never_renewed(world: World) -> None:
    """R-05."""
    session = await world.signed_in(lives_s=600, flow=Flow.TOKEN)
    assert (await world.here.engine.usable(session.ref, min_validity_s=3000)).record.grant == session.record.grant
    await asyncio.sleep(599)
    await world.here.engine.usable(session.ref)
    await asyncio.sleep(1)
    with pytest.raises(ReauthRequired) as caught:
        await world.here.engine.usable(session.ref)
    assert caught.value.reason == "token_flow_expired"
    assert world.identity.refreshes == []


async def test_a_refused_token_of_the_token_flow_needs_a_new_sign_in(world: World) -> None:
    """R-05, R-10."""
    session = await world.signed_in(lives_s=600, flow=Flow.TOKEN)
    with pytest.raises(ReauthRequired):
        await world.here.engine.renew(session)
    assert world.identity.refreshes == []


# What an adversary would try --------------------------------------------------------------------------------


async def first_write_hangs(world: World) -> asyncio.Event:
    """Once the next write is on its way: what lets it arrive. Those after it pass it."""
    sent, arrive = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        if not sent.is_set():
            sent.set()
            await arrive.wait()

    world.store.during["replace"] = hang
    await sent.wait()
    return arrive


async def test_a_late_write_of_older_tokens_does_not_stay_the_newest(world: World) -> None:
    """R-11: two writes of one session under way at once may arrive in either order."""
    session = await world.signed_in(lives_s=0)
    world.identity.lifetime_s = 10
    world.store.fail("replace", StoreUnavailable("HTTP 503"))
    await world.here.engine.usable(session.ref)
    arrive = await first_write_hangs(world)
    await asyncio.sleep(11)
    world.identity.lifetime_s = 3600
    newest = await world.here.engine.usable(session.ref)
    arrive.set()
    await world.here.engine.settle()
    assert (await world.stored(session)).record.grant == newest.record.grant


async def test_a_late_write_of_older_tokens_does_not_take_back_permissions(world: World) -> None:
    """R-08."""
    account = work_account()
    session = await world.signed_in(account, lives_s=0)
    world.store.fail("replace", StoreUnavailable("HTTP 503"))
    await world.here.engine.usable(session.ref)
    arrive = await first_write_hangs(world)
    by = world.here.sign_in()
    attempt, _ = await by.begin(
        Wish(return_to="https://app.example/", scope="Notes.ReadWrite", current=await world.stored(session))
    )
    await by.complete(attempt, world.identity.code_for(account), None)
    arrive.set()
    await world.here.engine.settle()
    assert "Notes.ReadWrite" in (await world.stored(session)).record.requested


async def test_a_look_up_that_began_before_a_refusal_does_not_count_as_looking_again(world: World) -> None:
    """R-11: it may show what was there before another instance stored its newer tokens."""
    session = await world.signed_in(lives_s=0)
    store = SlowAnswers(world.memory)
    here, elsewhere = world.instance(store), world.instance(world.memory)
    world.identity.next_refreshes = [refused("invalid_grant", 70000)]
    world.identity.latency_s = 100.0
    renewing = asyncio.create_task(here.engine.usable(session.ref))
    await asyncio.sleep(CACHE_S + 30)
    store.slow_s = 50.0
    looking = asyncio.create_task(here.sessions.get(session.ref))
    await asyncio.sleep(0.1)
    store.slow_s = world.identity.latency_s = 0.0
    theirs = await elsewhere.engine.renew(session)
    assert (await renewing).record.grant == theirs.record.grant
    await looking


class SlowAnswers(WatchedStore):
    """Looks at once, and says after `slow_s` what it saw."""

    slow_s = 0.0

    async def load(self, ref: SessionRef) -> Stored:
        slow_s = self.slow_s
        seen = await super().load(ref)
        await asyncio.sleep(slow_s)
        return seen


async def test_a_grant_without_a_refresh_token_ends_with_its_access_token_and_is_marked_once(world: World) -> None:
    """R-13: the provider gave none; nobody is asked, and the timer does not read the session again and again."""
    session = await world.signed_in(lives_s=300)
    grant = replace(session.record.grant, refresh_token=None)
    due = world.clock.now() - timedelta(seconds=1)
    record = replace(session.record, grant=grant, marks=replace(session.record.marks, due_at=due))
    await world.memory.replace(session.ref, record)
    await world.here.sweep.run()
    assert (await world.stored(session)).record.marks.health is Health.OK
    assert (await world.here.engine.usable(session.ref)).record.grant == grant
    await asyncio.sleep(301)
    await world.here.sweep.run()
    marks = (await world.stored(session)).record.marks
    assert (marks.health, marks.reason) == (Health.REAUTH_REQUIRED, "grant_expired")
    world.store.calls.clear()
    await world.here.sweep.run()
    assert world.store.calls["load"] == 0
    assert world.identity.refreshes == []


async def test_nobody_is_shut_out_for_a_day_because_a_broken_proxy_says_so(world: World) -> None:
    """R-11: `Retry-After` is honoured within reason."""
    session = await world.signed_in(lives_s=0)
    world.identity.next_refreshes = [ProviderUnavailable("HTTP 503", retry_after_s=86_400)]
    with pytest.raises(ProviderUnavailable):
        await world.here.engine.usable(session.ref)
    await asyncio.sleep(901)
    assert await world.here.engine.usable(session.ref)


async def test_a_verdict_stands_although_the_vault_refuses_the_app(world: World) -> None:
    """R-13: the person hears that they must sign in, whatever role the app has lost."""
    session = await world.signed_in(lives_s=0)
    world.identity.always = refused("invalid_grant", 50173)
    world.store.fail("annotate", Misconfigured(["Give the app its role."]))
    with pytest.raises(ReauthRequired):
        await world.here.engine.usable(session.ref)


async def test_people_who_poll_do_not_ask_the_provider_on_and_on_with_a_wrong_secret(world: World) -> None:
    """R-11: each hears the operator's finding, from memory; and it ends soon after the operator has acted."""
    session = await world.signed_in(lives_s=0)
    world.identity.always = Misconfigured(["The client secret has expired."])
    for _ in range(60):
        with pytest.raises(Misconfigured, match="expired"):
            await world.here.engine.usable(session.ref)
        await asyncio.sleep(1)
    assert len(world.identity.refreshes) <= 10
    world.identity.always = None
    await asyncio.sleep(10)
    assert await world.here.engine.usable(session.ref)


@pytest.mark.parametrize(
    "error",
    [
        refused("invalid_client", 7000215),
        refused("temporarily_unavailable"),
        Misconfigured(["AUTH_CLIENT_SECRET is wrong"]),
        ProviderUnavailable("HTTP 503"),
    ],
)
async def test_a_renewal_that_came_to_nothing_gives_its_claim_back(error: Exception) -> None:
    """R-11: the next try, on whichever instance, need not wait until it runs out."""
    world = World(strict=True)
    session = await world.signed_in(lives_s=0)
    world.identity.next_refreshes = [error]
    with pytest.raises((Misconfigured, ProviderUnavailable)):
        await world.here.engine.usable(session.ref)
    assert (await world.stored(session)).record.marks.claim is None


async def test_a_claim_counts_although_its_instances_clock_is_ahead() -> None:
    """R-11: at a provider that revokes on reuse, some seconds of skew must not make two renew at once."""
    world = World(strict=True)
    session = await world.signed_in(lives_s=0)
    ahead = LoopClock()
    ahead.jump(timedelta(seconds=20))
    claimed, mine = await Claims(world.store, ahead).take(session)
    assert mine
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await Claims(world.store, world.clock).take(claimed)
    _, mine = await Claims(world.store, world.clock).take(claimed)
    assert not mine

"""What the operator does about accounts: see their health, act for one, end them (R-18)."""

import asyncio
from datetime import timedelta

import pytest

from shared.errors import (
    BadRequest,
    Misconfigured,
    NotSignedIn,
    ProviderUnavailable,
    ReauthRequired,
    RecordTooNew,
    SessionUnknown,
    StoreUnavailable,
)
from shared.model import Health, Stored
from shared.usecases.accounts import best_health
from tests.doubles.identity import personal_account, work_account
from tests.usecases.world import World


async def every_account(world: World) -> list[tuple[Stored, ...]]:
    found: list[tuple[Stored, ...]] = []
    following: str | None = None
    for _ in range(100):
        page = await world.here.accounts.page(following)
        found.extend(page.accounts)
        following = page.following
        if following is None:
            return found
    raise AssertionError("the pages have no end")


async def test_every_account_is_listed_once_over_pages_and_vaults() -> None:
    """R-18: also one with sessions in several vaults, with all of them."""
    world = World(vaults=("a", "b", "c"))
    for n in range(70):
        await world.signed_in(work_account(f"p{n}"), vault="abc"[n % 3])
    for vault in ("b", "c"):
        await world.signed_in(personal_account(), vault=vault)
    listed = await every_account(world)
    names = [sessions[0].record.account.username for sessions in listed]
    assert len(names) == len(set(names)) == 71
    (of_kim,) = [s for s in listed if s[0].record.account.username.startswith("kim")]
    assert {s.ref.vault for s in of_kim} == {"b", "c"}


@pytest.mark.parametrize("page", ["nowhere", "nowhere|1", "|"])
async def test_a_page_that_there_is_not_is_refused(world: World, page: str) -> None:
    """R-18."""
    with pytest.raises(BadRequest):
        await world.here.accounts.page(page)


async def test_a_job_gets_a_valid_token_while_nobody_is_there(world: World) -> None:
    """R-18: renewed by the same engine, and never a refresh token's business."""
    session = await world.signed_in(lives_s=0, seen_ago=timedelta(days=3))
    usable = await world.here.accounts.token(session.record.account.home_account_id, min_validity_s=600)
    assert usable.record.grant.expires_at - world.clock.now() >= timedelta(seconds=600)
    assert len(world.identity.refreshes) == 1


async def test_use_by_the_operators_jobs_counts_as_use(world: World) -> None:
    """R-18: an account that only jobs use does not end as idle."""
    session = await world.signed_in(seen_ago=timedelta(days=29))
    await world.here.accounts.token(session.record.account.home_account_id, min_validity_s=120)
    await asyncio.sleep(1)
    assert world.clock.now() - (await world.stored(session)).record.marks.seen_at < timedelta(minutes=1)


async def test_of_several_sessions_the_freshest_healthy_one_is_used(world: World) -> None:
    """R-18: a dead one is in nobody's way."""
    await world.signed_in(health=Health.REAUTH_REQUIRED, reason="grant_revoked")
    old = await world.signed_in(lives_s=1800)
    fresh = await world.signed_in(lives_s=3600)
    usable = await world.here.accounts.token(fresh.record.account.home_account_id, min_validity_s=120)
    assert usable.ref == fresh.ref != old.ref


async def test_when_the_freshest_turns_out_dead_the_next_is_tried(world: World) -> None:
    """R-13, R-18."""
    old = await world.signed_in(lives_s=1800)
    fresh = await world.signed_in(lives_s=3600)
    await world.memory.delete(fresh.ref)
    world.identity.revoke(fresh.record.account)
    usable = await world.here.accounts.token(old.record.account.home_account_id, min_validity_s=120)
    assert usable.ref == old.ref


async def test_a_job_is_told_that_the_person_must_act_while_the_old_token_still_lives(world: World) -> None:
    """R-18: 409 with the health, as early as it is known."""
    session = await world.signed_in(health=Health.REAUTH_REQUIRED, reason="consent_revoked")
    with pytest.raises(ReauthRequired) as raised:
        await world.here.accounts.token(session.record.account.home_account_id, min_validity_s=120)
    assert raised.value.reason == "consent_revoked"


async def test_a_person_who_must_act_is_told_apart_from_an_unknown_account(world: World) -> None:
    """R-18: 409 with the reason against 404."""
    session = await world.signed_in(lives_s=0, health=Health.REAUTH_REQUIRED, reason="password_changed")
    with pytest.raises(ReauthRequired) as caught:
        await world.here.accounts.token(session.record.account.home_account_id, min_validity_s=120)
    assert caught.value.reason == "password_changed"
    with pytest.raises(NotSignedIn):
        await world.here.accounts.token("nobody.at-all", min_validity_s=120)


@pytest.mark.parametrize("name", ["by_account", "load"])
@pytest.mark.parametrize("error", [StoreUnavailable("x"), Misconfigured(["Give the app its role."])])
async def test_a_vault_that_cannot_be_asked_is_no_unknown_account(world: World, name: str, error: Exception) -> None:
    """R-18."""
    session = await world.signed_in()
    world.store.fail(name, error)
    with pytest.raises(type(error)):
        await world.here.accounts.token(session.record.account.home_account_id, min_validity_s=120)


async def test_a_provider_out_of_order_is_told_to_the_job(world: World) -> None:
    """R-18: wait and try again."""
    session = await world.signed_in(lives_s=0)
    world.identity.always = ProviderUnavailable("HTTP 500")
    with pytest.raises(ProviderUnavailable):
        await world.here.accounts.token(session.record.account.home_account_id, min_validity_s=120)


async def test_ending_an_account_deletes_its_tokens(world: World) -> None:
    """R-18."""
    sessions = [await world.signed_in(), await world.signed_in()]
    other = await world.signed_in(work_account("b"))
    assert await world.here.accounts.end(sessions[0].record.account.home_account_id) == 2
    for session in sessions:
        with pytest.raises(SessionUnknown):
            await world.stored(session)
    assert await world.stored(other) == other


async def test_revoke_all_ends_everything_in_every_vault_and_says_when_it_is_done() -> None:
    """R-18: after an incident."""
    world = World(vaults=("a", "b"))
    for n in range(80):
        await world.signed_in(work_account(f"p{n}"), vault="ab"[n % 2])
    assert await world.here.accounts.revoke_all() == (80, True)
    assert (await world.memory.listing("a")).entries == []
    assert (await world.memory.listing("b")).entries == []


async def test_revoke_all_ends_what_another_release_wrote(world: World) -> None:
    """R-18: after an incident a rolled-back release leaves no tokens behind either."""
    session = await world.signed_in()
    world.memory.put_raw(session.ref, '{"v": 2}', {"v": "2"})
    assert await world.here.accounts.revoke_all() == (1, True)
    assert session.ref.name in world.memory.names(deleted=True)


async def test_revoke_all_keeps_its_minute_and_is_called_again() -> None:
    """R-18: a request has an end; what is left is ended by the next."""
    world = World()
    for n in range(800):
        await world.signed_in(work_account(f"p{n}"))
    world.store.latency_s = 3.5
    ended, done = await world.here.accounts.revoke_all()
    assert not done
    assert 0 < ended < 800
    world.store.latency_s = 0
    assert await world.here.accounts.revoke_all() == (800 - ended, True)


async def test_revoke_all_comes_to_its_end_where_listing_takes_longer_than_a_request(world: World) -> None:
    """R-18: after an incident, of the largest vault too."""
    for n in range(40):
        await world.signed_in(work_account(f"p{n}"))

    async def long_listing() -> None:
        await asyncio.sleep(400)

    world.store.during["listing"] = long_listing
    answers = [await world.here.accounts.revoke_all() for _ in range(7)]
    assert answers == [(0, False)] * 6 + [(40, True)]
    assert (await world.memory.listing("main")).entries == []


async def test_revoke_all_that_fails_says_so_and_begins_anew_at_the_next_call(world: World) -> None:
    """R-18."""
    await world.signed_in()
    world.store.fail("listing", StoreUnavailable("HTTP 503"))
    with pytest.raises(StoreUnavailable):
        await world.here.accounts.revoke_all()
    assert await world.here.accounts.revoke_all() == (1, True)


async def test_revoke_all_ends_the_other_vaults_sessions_where_one_can_not_be_listed() -> None:
    """R-18: after an incident no vault waits for another that is out of order, and the operator hears of that one."""
    world = World(vaults=("a", "b"))
    for vault in world.memory.vaults:
        await world.signed_in(work_account(vault), vault=vault)
    world.store.fail("listing", Misconfigured(["Give the app its role."], everywhere=False))
    with pytest.raises(Misconfigured):
        await world.here.accounts.revoke_all()
    assert [len((await world.memory.listing(vault)).entries) for vault in "ab"] == [1, 0]
    assert await world.here.accounts.revoke_all() == (2, True)


async def test_a_session_of_a_newer_release_hides_no_other(world: World) -> None:
    """R-18: after a roll-back the operator still sees the accounts, and a job still gets a token."""
    for other in ("a", "b"):
        await world.signed_in(work_account(other))
    newer = await world.signed_in(work_account("b"))
    alone = await world.signed_in(work_account("c"))
    for session in (newer, alone):
        world.memory.put_raw(session.ref, '{"v": 2}', {"v": "2"})
    accounts = world.instance().accounts
    assert len((await accounts.page(None)).accounts) == 2
    home = newer.record.account.home_account_id
    assert (await accounts.token(home, min_validity_s=120)).ref != newer.ref
    with pytest.raises(RecordTooNew):  # which is no unknown account
        await accounts.token(alone.record.account.home_account_id, min_validity_s=120)


async def test_a_session_that_can_not_be_renewed_now_is_in_no_others_way(world: World) -> None:
    """R-18: and with none that can, the job hears of the outage, not of a person who must act."""
    fresh = await world.signed_in(lives_s=1800)
    old = await world.signed_in(lives_s=900)
    home = old.record.account.home_account_id
    world.store.fail("load", StoreUnavailable("x"))
    with pytest.raises(StoreUnavailable):
        await world.here.accounts.token(home, min_validity_s=120)
    world.identity.always = ProviderUnavailable("HTTP 500")
    await asyncio.sleep(1000)
    dead = await world.signed_in(health=Health.REAUTH_REQUIRED, reason="grant_revoked")
    assert (await world.here.accounts.token(home, min_validity_s=120)).ref == fresh.ref
    await asyncio.sleep(1000)
    with pytest.raises(ProviderUnavailable):
        await world.here.accounts.token(dead.record.account.home_account_id, min_validity_s=120)


async def test_an_account_is_as_healthy_as_its_healthiest_session(world: World) -> None:
    """R-18."""
    dead = await world.signed_in(health=Health.REAUTH_REQUIRED)
    trying = await world.signed_in(health=Health.RETRYING)
    fine = await world.signed_in()
    assert best_health([dead, trying, fine]) is Health.OK
    assert best_health([dead, trying]) is Health.RETRYING
    assert best_health([dead]) is Health.REAUTH_REQUIRED

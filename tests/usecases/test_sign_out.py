"""The end of sessions: tokens gone first, each step surviving the failure of the next (R-12)."""

import asyncio

import pytest

from shared.errors import NotSignedIn, ProviderUnavailable, SessionEnded, SessionUnknown, StoreUnavailable
from shared.model import Flow, SessionRef, digest
from tests.doubles.identity import personal_account, work_account
from tests.usecases.world import World

BACK = "https://notes.example/api/auth/callback"
NOBODY = SessionRef(vault="main", name="s-" + "0" * 64)


async def gone(world: World, ref: SessionRef) -> bool:
    try:
        await world.memory.load(ref)
    except SessionUnknown:
        return True
    return False


async def test_signing_out_deletes_the_tokens_and_leads_to_the_providers_own_sign_out(world: World) -> None:
    """R-12: at the account's own authority."""
    session = await world.signed_in(personal_account())
    url = await world.here.sign_out.this(session.ref, BACK, state="abc")
    assert url == "https://login.example/consumers/logout?state=abc"
    assert await gone(world, session.ref)
    with pytest.raises(SessionEnded):
        await world.memory.replace(session.ref, session.record)
    with pytest.raises(NotSignedIn):
        await world.here.engine.usable(session.ref)


@pytest.mark.parametrize("ref", [None, NOBODY])
async def test_signing_out_of_nothing_is_a_success(world: World, ref: SessionRef | None) -> None:
    """R-12: a second click, another tab."""
    assert (await world.here.sign_out.this(ref, BACK, state="x")).startswith("https://login.example/common/logout")


async def test_the_tokens_are_gone_although_the_provider_cannot_be_asked(world: World) -> None:
    """R-12: the browser then comes straight back."""
    session = await world.signed_in()
    world.identity.sign_out_error = ProviderUnavailable("metadata")
    assert await world.here.sign_out.this(session.ref, BACK, state="x") == BACK
    assert await gone(world, session.ref)
    assert await world.here.sign_out.provider_origin() == ""


async def test_the_session_is_refused_at_once_although_the_vault_cannot_be_asked(world: World) -> None:
    """R-12: and its deletion is tried again until it sticks."""
    session = await world.signed_in()
    for name in ("load", "delete"):
        world.store.fail(name, StoreUnavailable("HTTP 503"), times=3)
    url = await world.here.sign_out.this(session.ref, BACK, state="x")
    assert url.startswith("https://login.example/")
    with pytest.raises(NotSignedIn):
        await world.here.engine.usable(session.ref)
    assert not await gone(world, session.ref)
    await asyncio.sleep(60)
    assert await gone(world, session.ref)


async def test_a_vault_that_does_not_answer_holds_a_sign_out_up_for_seconds_only(world: World) -> None:
    """R-12: the deletion goes on behind it."""
    session = await world.signed_in()

    async def silence() -> None:
        await asyncio.sleep(60)

    world.store.during = {"load": silence, "delete": silence}
    async with asyncio.timeout(10):
        await world.here.sign_out.this(session.ref, BACK, state="x")
    with pytest.raises(NotSignedIn):
        await world.here.sessions.get(session.ref)
    world.store.during = {}
    await asyncio.sleep(10)
    assert await gone(world, session.ref)


async def test_a_deletion_that_fails_is_tried_ever_more_seldom(world: World) -> None:
    """R-12: an outage must not end with every sign-out's retries spent in its first second."""
    session = await world.signed_in()
    world.store.fail("delete", StoreUnavailable("HTTP 503"), times=100)
    await world.here.sign_out.session(session.ref)
    await asyncio.sleep(60)
    assert world.store.calls["delete"] == 6


async def test_deletion_is_given_up_in_the_end_and_the_session_is_still_refused(world: World) -> None:
    """R-12: the operator was told; the sweep removes it when it is over."""
    session = await world.signed_in()
    world.store.fail("delete", StoreUnavailable("HTTP 503"), times=100)
    await world.here.sign_out.session(session.ref)
    await asyncio.sleep(3600)
    assert world.store.calls["delete"] == 10
    with pytest.raises(NotSignedIn):
        await world.here.sessions.get(session.ref)


async def test_signing_out_everywhere_ends_the_accounts_sessions_and_nobody_elses() -> None:
    """R-12: in every vault."""
    world = World(vaults=("a", "b"))
    mine = [await world.signed_in(vault=v) for v in ("a", "b", "b")]
    other = await world.signed_in(work_account("somebody-else"))
    assert await world.here.sign_out.everywhere(mine[0].record.marks.account_hash) == 3
    assert all([await gone(world, s.ref) for s in mine])
    assert not await gone(world, other.ref)
    assert await world.here.sign_out.everywhere(mine[0].record.marks.account_hash) == 0


async def test_signing_out_everywhere_ends_sessions_of_the_token_flow_too(world: World) -> None:
    """R-05, R-12: also one that has run out but is not swept yet."""
    session = await world.signed_in(lives_s=60, flow=Flow.TOKEN)
    await asyncio.sleep(61)
    assert await world.here.sign_out.everywhere(session.record.marks.account_hash) == 1
    assert await gone(world, session.ref)


async def test_the_providers_front_channel_call_ends_what_its_sid_names(world: World) -> None:
    """R-12: Entra sends nothing but `sid`."""
    session = await world.signed_in(work_account(sid="s-1"))
    other = await world.signed_in(work_account("b", sid="s-2"))
    assert await world.here.sign_out.by_sid("s-1", None) == 1
    assert await gone(world, session.ref)
    assert not await gone(world, other.ref)


async def test_an_unknown_sid_costs_one_read_and_writes_nothing(world: World) -> None:
    """R-12: anybody can call that route."""
    await world.signed_in()
    assert await world.here.sign_out.by_sid("never-heard-of", None) == 0
    assert dict(world.store.calls) == {"by_sid": 1}


async def test_a_front_channel_call_of_another_issuer_ends_nothing(world: World) -> None:
    """R-12: OpenID Connect Front-Channel Logout §2."""
    session = await world.signed_in(work_account(sid="s-1"))
    assert await world.here.sign_out.by_sid("s-1", "https://evil.example/v2.0") == 0
    assert not await gone(world, session.ref)
    assert await world.here.sign_out.by_sid("s-1", "https://login.example/common/v2.0") == 1


async def test_an_index_that_names_ended_sessions_does_no_harm(world: World) -> None:
    """R-12: indexes may lag behind."""
    session = await world.signed_in()
    await world.memory.delete(session.ref)
    assert await world.here.sign_out.everywhere(digest(session.record.account.home_account_id)) == 0

"""A sign-in from its beginning to a stored session (R-02 to R-08)."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from shared.attempts import ATTEMPT_FOR, Wish, allowed_kinds
from shared.errors import (
    BadRequest,
    Misconfigured,
    NotSignedIn,
    ProviderUnavailable,
    ReauthRequired,
    SessionUnknown,
    SignInFailed,
    StoreUnavailable,
)
from shared.model import (
    PERSONAL_TENANT,
    Account,
    AccountKind,
    Attempt,
    Flow,
    Health,
    ProviderRefusal,
    Stored,
    TokenAnswer,
    digest,
)
from shared.ports import InvalidIdToken
from shared.usecases.sign_in import Completed, SignIn, StartAgain
from tests.doubles.identity import WORK_TENANT, personal_account, refused, work_account
from tests.usecases.world import World

HOME = "https://app.example/home"


async def begin(sign_in: SignIn, **wish: object) -> Attempt:
    attempt, url = await sign_in.begin(Wish(return_to=HOME, **wish))  # type: ignore[arg-type]
    assert attempt.state in url
    return attempt


async def finish(
    world: World, sign_in: SignIn, account: Account, attempt: Attempt, *, hint: str | None = None
) -> Completed:
    done = await sign_in.complete(attempt, world.identity.code_for(account), hint)
    assert isinstance(done, Completed)
    return done


async def failure(sign_in: SignIn, attempt: Attempt, code: str) -> str:
    with pytest.raises(SignInFailed) as caught:
        await sign_in.complete(attempt, code, None)
    assert caught.value.return_to == HOME
    return caught.value.code


async def living(world: World) -> list[Stored]:
    return [
        await world.memory.load(e.ref) for v in world.memory.vaults for e in (await world.memory.listing(v)).entries
    ]


# The main road ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("account", [personal_account(), work_account()], ids=["personal", "work"])
async def test_signing_in_stores_a_session_with_all_that_renewal_needs(world: World, account: Account) -> None:
    """R-02, R-03, R-04: each kind at its own authority, found by account and by sid."""
    sign_in = world.here.sign_in()
    attempt = await begin(sign_in, account=account.kind.value)
    assert attempt.authority == ("consumers" if account.kind is AccountKind.PERSONAL else "organizations")
    done = await finish(world, sign_in, account, attempt)
    assert done.session is not None
    stored = await world.memory.load(done.session.ref)
    record = stored.record
    assert (record.account, record.requested) == (account, ("Notes.Read",))
    assert record.grant.refresh_token
    assert (record.marks.health, record.marks.flow) == (Health.OK, Flow.CODE)
    assert world.clock.now() < record.marks.due_at < record.grant.expires_at
    assert await world.memory.by_account(digest(account.home_account_id)) == [done.session.ref]
    assert await world.memory.by_sid(digest(account.sid or "")) == [done.session.ref]
    await asyncio.sleep(3600)
    await world.here.engine.usable(done.session.ref)
    assert world.identity.refreshes[0].authority == account.authority
    assert done.return_to == HOME


async def test_every_attempt_has_its_own_state_nonce_and_verifier(world: World) -> None:
    """R-04: at least 128 bits each (RFC 9700 §4.7), 256 and more for the verifier (RFC 7636 §4.1)."""
    sign_in = world.here.sign_in()
    attempts = [await begin(sign_in) for _ in range(100)]
    for field in ("state", "nonce", "code_verifier"):
        values = {getattr(attempt, field) for attempt in attempts}
        assert len(values) == 100
        assert min(map(len, values)) >= 22
    assert 43 <= len(attempts[0].code_verifier) <= 128


async def test_session_ids_are_new_at_every_sign_in(world: World) -> None:
    """R-16: no session fixation."""
    sign_in = world.here.sign_in()
    first = await finish(world, sign_in, work_account(), await begin(sign_in))
    second = await finish(world, sign_in, work_account(), await begin(sign_in, current=first.stored))
    assert first.session
    assert second.session
    assert first.session.value != second.session.value


async def test_new_sessions_are_spread_over_the_vaults() -> None:
    """R-11: each vault has its own quota."""
    world = World(vaults=("a", "b", "c"))
    sign_in = world.here.sign_in()
    vaults = set()
    for n in range(60):
        done = await finish(world, sign_in, work_account(f"p{n}"), await begin(sign_in))
        vaults.add(done.stored.ref.vault)
    assert vaults == {"a", "b", "c"}


# Who may sign in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tenant", "account", "kind", "authority"),
    [
        ("common", None, None, "common"),
        ("common", "any", None, "common"),
        ("common", "personal", AccountKind.PERSONAL, "consumers"),
        ("common", "work", AccountKind.WORK, "organizations"),
        ("organizations", None, AccountKind.WORK, "organizations"),
        ("organizations", "any", AccountKind.WORK, "organizations"),
        ("organizations", "work", AccountKind.WORK, "organizations"),
        ("consumers", None, AccountKind.PERSONAL, "consumers"),
        ("consumers", "any", AccountKind.PERSONAL, "consumers"),
        ("consumers", "personal", AccountKind.PERSONAL, "consumers"),
        (PERSONAL_TENANT, None, AccountKind.PERSONAL, "consumers"),
        (WORK_TENANT, None, AccountKind.WORK, WORK_TENANT),
        (WORK_TENANT, "work", AccountKind.WORK, WORK_TENANT),
        ("contoso.example", "any", AccountKind.WORK, "contoso.example"),
    ],
)
async def test_the_authority_follows_from_the_setting_and_the_kind_asked_for(
    world: World, tenant: str, account: str | None, kind: AccountKind | None, authority: str
) -> None:
    """R-02, R-03."""
    attempt = await begin(world.here.sign_in(tenant=tenant), account=account)
    assert (attempt.kind, attempt.authority) == (kind, authority)


@pytest.mark.parametrize(
    ("tenant", "account", "code"),
    [
        ("organizations", "personal", "account_kind_not_allowed"),
        (WORK_TENANT, "personal", "account_kind_not_allowed"),
        ("consumers", "work", "account_kind_not_allowed"),
        ("common", "robot", "unknown_account_kind"),
        ("consumers", "robot", "unknown_account_kind"),
    ],
)
async def test_a_kind_that_may_not_sign_in_is_refused_before_the_redirect(
    world: World, tenant: str, account: str, code: str
) -> None:
    """R-02, R-03."""
    with pytest.raises(BadRequest) as caught:
        await begin(world.here.sign_in(tenant=tenant), account=account)
    assert caught.value.code == code
    assert world.identity.authorizations == []


@pytest.mark.parametrize(
    ("tenant", "asked", "account", "code"),
    [
        ("organizations", None, personal_account(), "account_kind_not_allowed"),
        (WORK_TENANT, None, personal_account(), "account_kind_not_allowed"),
        (WORK_TENANT, None, work_account(tenant="99999999-2222-3333-4444-555555555555"), "tenant_not_allowed"),
        ("common", "work", personal_account(), "wrong_account"),
    ],
)
async def test_an_account_that_may_not_sign_in_is_refused_whatever_the_provider_let_in(
    world: World, tenant: str, asked: str | None, account: Account, code: str
) -> None:
    """R-02, R-03: and nothing is stored."""
    sign_in = world.here.sign_in(tenant=tenant)
    attempt = await begin(sign_in, account=asked)
    assert await failure(sign_in, attempt, world.identity.code_for(account)) == code
    assert world.memory.names() == []


async def test_an_account_of_the_named_tenant_may_sign_in(world: World) -> None:
    """R-03."""
    for tenant in (WORK_TENANT, "contoso.example"):  # a domain says nothing of the id: there the issuer is the check
        sign_in = world.here.sign_in(tenant=tenant)
        assert (await finish(world, sign_in, work_account(), await begin(sign_in))).session


@pytest.mark.parametrize(
    ("tenant", "kinds"),
    [
        ("common", (AccountKind.PERSONAL, AccountKind.WORK)),
        ("organizations", (AccountKind.WORK,)),
        ("consumers", (AccountKind.PERSONAL,)),
        (PERSONAL_TENANT, (AccountKind.PERSONAL,)),
        (WORK_TENANT, (AccountKind.WORK,)),
    ],
)
def test_which_kinds_a_setting_lets_in(tenant: str, kinds: Sequence[AccountKind]) -> None:
    """R-02, R-03."""
    assert tuple(allowed_kinds(tenant)) == tuple(kinds)


# Personal accounts that came by way of common ---------------------------------------------------------------


async def test_a_personal_account_at_common_is_redeemed_at_consumers(world: World) -> None:
    """R-02: its refresh token would be refused at the first renewal otherwise."""
    sign_in = world.here.sign_in()
    done = await finish(world, sign_in, personal_account(), await begin(sign_in), hint=PERSONAL_TENANT)
    assert [authority for _, authority in world.identity.redemptions] == ["consumers"]
    await asyncio.sleep(3600)
    assert done.session
    await world.here.engine.usable(done.session.ref)
    assert world.identity.refreshes[0].authority == "consumers"


@pytest.mark.parametrize("refusal", [refused("invalid_grant", 700005), Misconfigured(["wrong_authority"])])
async def test_a_code_that_consumers_does_not_take_starts_sign_in_again_there(world: World, refusal: Exception) -> None:
    """R-02: nobody has confirmed that it takes codes of common."""
    sign_in = world.here.sign_in()
    attempt = await begin(sign_in, login_hint="kim@outlook.example", prompt="login")
    world.identity.next_redemptions = [refusal]
    again = await sign_in.complete(attempt, world.identity.code_for(personal_account()), PERSONAL_TENANT)
    assert isinstance(again, StartAgain)
    assert (again.attempt.authority, again.attempt.kind) == ("consumers", AccountKind.PERSONAL)
    assert (again.attempt.login_hint, again.attempt.prompt) == ("kim@outlook.example", None)
    assert again.attempt.return_to == HOME
    for field in ("state", "nonce", "code_verifier"):
        assert getattr(again.attempt, field) != getattr(attempt, field)
    assert (await finish(world, sign_in, personal_account(), again.attempt)).session


async def test_an_account_that_turns_out_to_be_personal_starts_again_at_consumers_with_its_hint(world: World) -> None:
    """R-02: no hint came with the code; the tokens got at common are not kept."""
    sign_in = world.here.sign_in()
    again = await sign_in.complete(await begin(sign_in), world.identity.code_for(personal_account()), None)
    assert isinstance(again, StartAgain)
    assert again.attempt.authority == "consumers"
    assert again.attempt.login_hint == "hint-of-kim"
    assert world.memory.names() == []


async def test_a_work_account_at_common_stays_there(world: World) -> None:
    """R-03: an unsigned hint at another tenant changes nothing."""
    sign_in = world.here.sign_in()
    await finish(world, sign_in, work_account(), await begin(sign_in), hint=WORK_TENANT)
    assert [authority for _, authority in world.identity.redemptions] == ["common"]


async def test_a_forged_hint_signs_nobody_in(world: World) -> None:
    """R-02: the id token decides."""
    sign_in = world.here.sign_in()
    attempt = await begin(sign_in)
    with pytest.raises(SignInFailed) as caught:
        await sign_in.complete(attempt, world.identity.code_for(work_account()), PERSONAL_TENANT)
    assert caught.value.code == "id_token_refused"
    assert world.memory.names() == []


# The attempt ------------------------------------------------------------------------------------------------


async def test_an_attempt_is_good_for_once(world: World) -> None:
    """R-04: the back button; whatever the first try came to."""
    sign_in = world.here.sign_in()
    attempt = await begin(sign_in)
    await finish(world, sign_in, work_account(), attempt)
    assert await failure(sign_in, attempt, world.identity.code_for(work_account())) == "attempt_spent"
    failed = await begin(sign_in)
    world.identity.next_redemptions = [ProviderUnavailable("HTTP 500")]
    assert await failure(sign_in, failed, world.identity.code_for(work_account())) == "provider_unavailable"
    assert await failure(sign_in, failed, world.identity.code_for(work_account())) == "attempt_spent"


async def test_an_attempt_that_is_refused_at_the_provider_is_spent_too(world: World) -> None:
    """R-14."""
    sign_in = world.here.sign_in()
    attempt = await begin(sign_in)
    assert sign_in.refused(attempt, ProviderRefusal(error="access_denied")).code == "access_denied"
    assert await failure(sign_in, attempt, world.identity.code_for(work_account())) == "attempt_spent"


async def test_an_attempt_expires(world: World) -> None:
    """R-04: a little after the authorization code would."""
    sign_in = world.here.sign_in()
    in_time, late = await begin(sign_in), await begin(sign_in)
    await asyncio.sleep(ATTEMPT_FOR.total_seconds())
    await finish(world, sign_in, work_account(), in_time)
    await asyncio.sleep(1)
    assert await failure(sign_in, late, world.identity.code_for(work_account())) == "attempt_expired"


async def test_an_attempt_from_the_future_is_refused(world: World) -> None:
    """R-04: clocks differ by minutes at most."""
    sign_in = world.here.sign_in()
    near, far = await begin(sign_in), await begin(sign_in)
    world.clock.jump(-timedelta(minutes=4))
    await finish(world, sign_in, work_account(), near)
    world.clock.jump(-timedelta(minutes=2))
    assert await failure(sign_in, far, world.identity.code_for(work_account())) == "attempt_expired"


async def test_a_code_that_was_spent_before_starts_sign_in_again_three_times_at_most(world: World) -> None:
    """R-04: a form sent twice must not end in an error, nor in a loop."""
    sign_in = world.here.sign_in()
    attempt = await begin(sign_in, account="work")
    for _ in range(2):
        again = await sign_in.complete(attempt, "spent-code", None)
        assert isinstance(again, StartAgain)
        assert (again.attempt.authority, again.attempt.kind) == ("organizations", AccountKind.WORK)
        attempt = again.attempt
    assert await failure(sign_in, attempt, "spent-code") == "sign_in_again"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (refused("invalid_grant", 65001), "consent_revoked"),
        (refused("invalid_grant", 50105), "not_assigned"),
        (refused("invalid_grant", 50053), "account_locked"),
        (refused("invalid_client", 7000215), "misconfigured"),
        (refused("temporarily_unavailable"), "provider_unavailable"),
        (Misconfigured(["AUTH_CLIENT_SECRET is wrong"]), "misconfigured"),
        (ProviderUnavailable("HTTP 500"), "provider_unavailable"),
        (InvalidIdToken("nonce"), "id_token_refused"),
    ],
)
async def test_a_sign_in_that_comes_to_nothing_says_why(world: World, error: Exception, code: str) -> None:
    """R-14: and stores nothing."""
    sign_in = world.here.sign_in()
    world.identity.next_redemptions = [error]
    assert await failure(sign_in, await begin(sign_in), world.identity.code_for(work_account())) == code
    assert world.memory.names() == []


async def test_a_vault_that_takes_nothing_is_told_to_the_person(world: World) -> None:
    """R-11: no cookie for a session that isn't stored."""
    sign_in = world.here.sign_in()
    world.store.fail("create", StoreUnavailable("HTTP 503"))
    assert await failure(sign_in, await begin(sign_in), world.identity.code_for(work_account())) == "store_unavailable"


async def test_a_sign_in_that_failed_leaves_no_session_although_the_vault_had_taken_it(world: World) -> None:
    """R-12: nobody holds its cookie, so nobody could ever sign out of it."""
    sign_in = world.here.sign_in()
    world.store.fail("create", StoreUnavailable("no answer"), after=True)
    world.store.fail("delete", StoreUnavailable("HTTP 503"), times=3)
    assert await failure(sign_in, await begin(sign_in), world.identity.code_for(work_account())) == "store_unavailable"
    assert any(name.startswith("s-") for name in world.memory.names())
    await asyncio.sleep(60)
    assert not any(name.startswith("s-") for name in world.memory.names())


# Permissions ------------------------------------------------------------------------------------------------


async def test_more_permissions_for_the_same_account_keep_the_session(world: World) -> None:
    """R-08: incremental consent; the cookie stays, the old permissions are asked for again."""
    sign_in = world.here.sign_in()
    first = await finish(world, sign_in, work_account(), await begin(sign_in))
    attempt = await begin(sign_in, scope="Notes.Create", current=first.stored)
    assert attempt.scopes == ("Notes.Create", "Notes.Read")
    await asyncio.sleep(60)
    second = await finish(world, sign_in, work_account(), attempt)
    assert second.session is None
    assert second.stored.ref == first.stored.ref
    (stored,) = await living(world)
    assert stored.record.requested == ("Notes.Create", "Notes.Read")
    assert stored.record.marks.created_at == first.stored.record.marks.created_at
    usable = await world.here.engine.usable(first.stored.ref)
    assert usable.record.grant.scopes == ("Notes.Create", "Notes.Read")
    assert (world.store.calls["create"], world.store.calls["load"]) == (1, 1)


@pytest.mark.parametrize("step", ["load", "replace"])
async def test_more_permissions_that_can_not_be_stored_leave_the_session_as_it_was(world: World, step: str) -> None:
    """R-08: a vault that is away makes nobody another session, and ends none."""
    sign_in = world.here.sign_in()
    first = await finish(world, sign_in, work_account(), await begin(sign_in))
    attempt = await begin(sign_in, scope="Notes.Create", current=first.stored)
    world.store.fail(step, StoreUnavailable("HTTP 503"))
    assert await failure(sign_in, attempt, world.identity.code_for(work_account())) == "store_unavailable"
    assert await living(world) == [first.stored]


async def test_more_permissions_for_another_account_start_another_session(world: World) -> None:
    """R-08: the account picker may have been used; no session holds two people's permissions."""
    sign_in = world.here.sign_in()
    first = await finish(world, sign_in, work_account(), await begin(sign_in))
    attempt = await begin(sign_in, scope="Notes.Create", current=first.stored)
    second = await finish(world, sign_in, work_account("somebody-else"), attempt)
    assert second.session is not None
    (stored,) = await living(world)
    assert stored.record.account.username == "somebody-else@contoso.example"
    with pytest.raises(SessionUnknown):
        await world.stored(first.stored)


async def test_more_permissions_for_a_session_that_has_ended_start_another(world: World) -> None:
    """R-08, R-12: a sign-out in another tab is not undone."""
    sign_in = world.here.sign_in()
    first = await finish(world, sign_in, work_account(), await begin(sign_in))
    attempt = await begin(sign_in, scope="Notes.Create", current=first.stored)
    await world.here.sign_out.session(first.stored.ref)
    second = await finish(world, sign_in, work_account(), attempt)
    assert second.session is not None
    assert second.stored.ref != first.stored.ref


async def test_nothing_of_the_present_account_goes_into_a_sign_in_of_the_other_kind(world: World) -> None:
    """R-07, R-08: a personal account can't have what only work accounts can."""
    sign_in = world.here.sign_in()
    first = await finish(world, sign_in, work_account(), await begin(sign_in, scope="Notes.ReadWrite.All"))
    attempt = await begin(sign_in, account="personal", scope="Notes.Create", current=first.stored)
    assert (attempt.scopes, attempt.login_hint, attempt.extends) == (("Notes.Create",), None, False)
    assert attempt.replaces == first.stored.ref


async def test_permissions_above_a_ceiling_that_was_lowered_are_not_asked_for_again(world: World) -> None:
    """R-08: the operator's list holds for sessions of before, too."""
    first = await world.signed_in(scopes=("Notes.Read", "Notes.ReadWrite"))
    sign_in = world.here.sign_in(allowed_scopes=("Notes.Read", "Notes.Create"))
    attempt = await begin(sign_in, scope="Notes.Create", current=first)
    assert attempt.scopes == ("Notes.Create", "Notes.Read")


async def test_a_new_sign_in_replaces_the_browsers_session_once_the_new_one_is_stored(world: World) -> None:
    """R-04: the old tokens are deleted, and not before."""
    sign_in = world.here.sign_in()
    first = await finish(world, sign_in, work_account(), await begin(sign_in))
    world.store.fail("create", StoreUnavailable("HTTP 503"))
    attempt = await begin(sign_in, current=first.stored)
    await failure(sign_in, attempt, world.identity.code_for(work_account()))
    assert await world.stored(first.stored)
    second = await finish(world, sign_in, work_account(), await begin(sign_in, current=first.stored))
    assert [s.ref for s in await living(world)] == [second.stored.ref]


async def test_an_old_session_that_cannot_be_deleted_does_not_spoil_the_new_one(world: World) -> None:
    """R-04: it is refused in this process, and its deletion is tried again."""
    sign_in = world.here.sign_in()
    first = await finish(world, sign_in, work_account(), await begin(sign_in))
    world.store.fail("delete", StoreUnavailable("HTTP 503"), times=3)
    second = await finish(world, sign_in, work_account(), await begin(sign_in, current=first.stored))
    assert second.session
    with pytest.raises(NotSignedIn):
        await world.here.sessions.get(first.stored.ref)
    await asyncio.sleep(60)
    assert [s.ref for s in await living(world)] == [second.stored.ref]


@pytest.mark.parametrize(
    ("scope", "account", "code"),
    [
        ("Notes.ReadWrite.All", "personal", "scope_not_for_account"),
        ("Mail.Read", "work", "scope_not_allowed"),
        ("<x>", "work", "invalid_scope"),
    ],
)
async def test_a_permission_that_cannot_be_had_is_refused_before_the_redirect(
    world: World, scope: str, account: str, code: str
) -> None:
    """R-07, R-08."""
    with pytest.raises(BadRequest) as caught:
        await begin(world.here.sign_in(), scope=scope, account=account)
    assert caught.value.code == code
    assert world.identity.authorizations == []


async def test_the_operator_is_told_of_a_permission_without_effect(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """R-07."""
    attempt = await begin(world.here.sign_in(), scope="Notes.ReadWrite.CreatedByApp")
    assert attempt.scopes == ("Notes.ReadWrite",)
    assert "scope_without_effect" in caplog.text


# Signing in again -------------------------------------------------------------------------------------------


async def test_signing_in_again_goes_to_the_same_account_with_what_the_provider_asked_for(world: World) -> None:
    """R-13: the account's own kind, its hint, and the claims of the refusal."""
    session = await world.signed_in(personal_account(), lives_s=0)
    marks_before = session.record.marks
    world.identity.next_refreshes = [refused("interaction_required", 50076, claims='{"access_token":{}}')]
    with pytest.raises(Exception, match="mfa_required"):
        await world.here.engine.usable(session.ref)
    current = await world.stored(session)
    attempt = await begin(world.here.sign_in(), current=current)
    assert (attempt.authority, attempt.login_hint) == ("consumers", "hint-of-kim")
    assert attempt.claims == '{"access_token":{}}'
    assert current.record.marks.account_hash == marks_before.account_hash


async def test_signing_in_again_asks_for_no_more_than_the_session_had(world: World) -> None:
    """R-08, R-13: the default is for who names nothing and has nothing."""
    session = await world.signed_in(health=Health.REAUTH_REQUIRED, reason="grant_revoked", scopes=("Notes.Create",))
    assert (await begin(world.here.sign_in(), current=session)).scopes == ("Notes.Create",)
    lowered = world.here.sign_in(allowed_scopes=("Notes.Read",))
    assert (await begin(lowered, current=session)).scopes == ("Notes.Read",)


async def test_consent_that_was_taken_back_is_asked_for_again(world: World) -> None:
    """R-13: `prompt=consent`, unless the caller says otherwise."""
    signed_in = await world.signed_in(lives_s=0)
    world.identity.next_refreshes = [refused("invalid_grant", 65001)]
    with pytest.raises(ReauthRequired, match="consent_revoked"):
        await world.here.engine.usable(signed_in.ref)
    session = await world.stored(signed_in)
    sign_in = world.here.sign_in()
    assert (await begin(sign_in, current=session)).prompt == "consent"
    assert (await begin(sign_in, current=session, prompt="login")).prompt == "login"


async def test_a_refusal_that_wants_another_account_chosen_makes_the_next_sign_in_ask_which(world: World) -> None:
    """R-13: the parameters of the next sign-in come from the verdict; a hint would name the old account again."""
    signed_in = await world.signed_in(lives_s=0)
    world.identity.next_refreshes = [refused("invalid_grant", 50034)]
    with pytest.raises(ReauthRequired, match="wrong_account"):
        await world.here.engine.usable(signed_in.ref)
    attempt = await begin(world.here.sign_in(), current=await world.stored(signed_in))
    assert (attempt.prompt, attempt.login_hint) == ("select_account", None)


async def test_choosing_an_account_takes_no_hint_along(world: World) -> None:
    """R-04: the provider takes one or the other."""
    session = await world.signed_in()
    attempt = await begin(world.here.sign_in(), current=session, prompt="select_account", login_hint="x@y.example")
    assert attempt.login_hint is None


# The token flow ---------------------------------------------------------------------------------------------


def token_answer(id_token: str = "good") -> TokenAnswer:
    return TokenAnswer(id_token=id_token, access_token="at-token-flow", expires_in="3000", scope=None)


async def test_the_token_flow_is_off_unless_the_operator_allows_it(world: World) -> None:
    """R-05."""
    for flow, code in (("token", "token_flow_not_allowed"), ("robot", "unknown_flow")):
        with pytest.raises(BadRequest) as caught:
            await begin(world.here.sign_in(), flow=flow)
        assert caught.value.code == code
    assert (await begin(world.here.sign_in(allow_token_flow=True), flow="token")).flow is Flow.TOKEN


async def test_the_token_flow_makes_a_session_as_long_as_its_token(world: World) -> None:
    """R-05: without a refresh token; due never, over with the token."""
    sign_in = world.here.sign_in(allow_token_flow=True)
    world.identity.accepts["good"] = work_account()
    attempt = await begin(sign_in, flow="token", account="work")
    done = await sign_in.complete_token(attempt, token_answer())
    record = done.stored.record
    assert record.grant.refresh_token is None
    assert (record.marks.flow, record.marks.due_at) == (Flow.TOKEN, world.clock.now() + timedelta(seconds=3000))
    with pytest.raises(SignInFailed) as caught:
        await sign_in.complete_token(attempt, token_answer())
    assert caught.value.code == "attempt_spent"


async def test_tokens_that_fail_a_check_sign_nobody_in(world: World) -> None:
    """R-05: they came through the browser."""
    sign_in = world.here.sign_in(allow_token_flow=True)
    for account, code in ((None, "id_token_refused"), (personal_account(), "wrong_account")):
        world.identity.accepts = {"it": account} if account else {}
        with pytest.raises(SignInFailed) as caught:
            await sign_in.complete_token(await begin(sign_in, flow="token", account="work"), token_answer("it"))
        assert (caught.value.code, caught.value.return_to) == (code, HOME)
    assert world.memory.names() == []


async def test_a_token_flows_session_that_can_not_be_stored_says_why_where_the_person_was(world: World) -> None:
    """R-05, R-14."""
    sign_in = world.here.sign_in(allow_token_flow=True)
    world.identity.accepts["good"] = work_account()
    world.store.fail("create", StoreUnavailable("HTTP 503"))
    with pytest.raises(SignInFailed) as caught:
        await sign_in.complete_token(await begin(sign_in, flow="token"), token_answer())
    assert (caught.value.code, caught.value.return_to) == ("store_unavailable", HOME)


async def test_a_token_flows_session_is_never_extended_and_extends_none(world: World) -> None:
    """R-05, R-08."""
    short = await world.signed_in(flow=Flow.TOKEN)
    lasting = await world.signed_in()
    sign_in = world.here.sign_in(allow_token_flow=True)
    for current, flow in ((short, "code"), (short, "token"), (lasting, "token")):
        assert not (await begin(sign_in, scope="Notes.Create", flow=flow, current=current)).extends


async def test_the_memory_of_spent_attempts_is_bounded(world: World) -> None:
    """R-04: ten thousand; they expire by then."""
    sign_in = world.here.sign_in()
    attempt = await begin(sign_in)
    refusal = ProviderRefusal(error="access_denied")
    for _ in range(10_001):
        sign_in.refused(await begin(sign_in), refusal)
    assert sign_in.refused(attempt, refusal).code == "access_denied"

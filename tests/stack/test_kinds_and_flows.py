"""Every kind of account, every authority, both flows and several vaults, over HTTP.

Each setting needs a stack of its own: a process imports the bundle once. They start when they are first needed.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from local.browser import Answer, Browser, Form
from local.browser.sign_in import PERSONAL_USER, WORK_USER, open_sign_in, sign_in, sign_in_on
from local.control_client import ControlClient
from local.demo import DAY_S, NOTEBOOKS, PURGE_AFTER_S, holds_token
from local.identity_provider import CONTOSO_TENANT, FABRIKAM_TENANT
from local.process import StackProcess
from tests.stack.test_bad_input import is_error_page
from tests.stack.test_failures import code_of, token_calls_at
from tests.stack.test_lifecycle import token_calls
from tests.stack.test_sign_in import session_of, stored_sessions
from tests.stacks import quiet_stack

OTHER_TENANTS_USER = "erin@fabrikam.example"
HOUR_S = 3600


@dataclass(frozen=True, kw_only=True)
class World:
    """A freshly seeded stack with settings of its own, and two browsers on it."""

    stack: StackProcess
    control: ControlClient
    browser: Browser
    other_browser: Browser


class Stacks:
    """One process for each set of arguments, ended together."""

    def __init__(self, exits: ExitStack) -> None:
        self._exits = exits
        self._running: dict[tuple[str, ...], StackProcess] = {}

    def get(self, *arguments: str) -> StackProcess:
        if arguments not in self._running:
            process = quiet_stack(*arguments)
            self._running[arguments] = self._exits.enter_context(process)
        return self._running[arguments]


@pytest.fixture(scope="module")
def stacks() -> Iterator[Stacks]:
    with ExitStack() as exits:
        yield Stacks(exits)


@pytest.fixture
async def exits() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def world_on(exits: AsyncExitStack, stack: StackProcess) -> World:
    control = await exits.enter_async_context(ControlClient(stack.url))
    await control.reset()
    one, other = [await exits.enter_async_context(Browser(stack.url)) for _ in range(2)]
    return World(stack=stack, control=control, browser=one, other_browser=other)


@pytest.fixture
async def token_world(stacks: Stacks, exits: AsyncExitStack) -> World:
    """Both kinds, the token flow allowed, two vaults."""
    return await world_on(exits, stacks.get("--set", "AUTH_ALLOW_TOKEN_FLOW=true", "--vaults", "2"))


async def secrets_with_tokens(control: ControlClient, *, deleted: bool = False) -> list[dict[str, Any]]:
    vaults = await control.vaults(values=True)
    found = [secret for vault in vaults for secret in (*vault["secrets"], *(vault["deleted"] if deleted else ()))]
    return [secret for secret in found if holds_token(secret)]


async def username_of(browser: Browser) -> str:
    account = (await session_of(browser))["account"]
    assert isinstance(account, dict)
    return str(account["username"])


# Which accounts may sign in ----------------------------------------------------------------------------------

TENANTS = [
    ("consumers", PERSONAL_USER, "consumers", "consumers"),
    ("organizations", WORK_USER, "organizations", CONTOSO_TENANT),
    ("organizations", OTHER_TENANTS_USER, "organizations", FABRIKAM_TENANT),
    (CONTOSO_TENANT, WORK_USER, CONTOSO_TENANT, CONTOSO_TENANT),
]


@pytest.mark.parametrize("account", ["any", "of the kind"])
@pytest.mark.parametrize(("tenant", "username", "redeemed_at", "refreshed_at"), TENANTS)
async def test_an_account_that_may_sign_in_is_refreshed_at_its_own_authority(
    stacks: Stacks,
    exits: AsyncExitStack,
    account: str,
    tenant: str,
    username: str,
    redeemed_at: str,
    refreshed_at: str,
) -> None:
    """R-02, R-03: whatever AUTH_TENANT is, a day later the timer renews where the account is at home."""
    world = await world_on(exits, stacks.get("--set", f"AUTH_TENANT={tenant}"))
    kind = "personal" if username == PERSONAL_USER else "work"
    page = await sign_in(world.browser, "any" if account == "any" else kind, username)
    assert page.url == world.browser.base_url + "/"
    shown = (await session_of(world.browser))["account"]
    assert shown == {"kind": kind, "username": username, "name": shown["name"]}  # type: ignore[index]
    assert await token_calls_at(world.control) == [redeemed_at]
    await world.control.advance(DAY_S)
    await world.control.run_timer()
    assert await token_calls_at(world.control) == [redeemed_at, refreshed_at]
    assert (await world.browser.fetch(NOTEBOOKS)).status == 200


EXCLUDED = [
    ("consumers", "work", "Only personal accounts", "personal Microsoft accounts"),
    ("organizations", "personal", "Only work and school accounts", "work and school accounts"),
    (CONTOSO_TENANT, "personal", "Only work and school accounts", "work and school accounts"),
]


@pytest.mark.parametrize(("tenant", "account", "to_programs", "to_people"), EXCLUDED)
async def test_a_kind_that_is_excluded_is_refused_before_the_redirect_with_the_kinds_that_may(
    stacks: Stacks, exits: AsyncExitStack, tenant: str, account: str, to_programs: str, to_people: str
) -> None:
    """R-03, R-14: on the page, in the fragment, and to programs."""
    world = await world_on(exits, stacks.get("--set", f"AUTH_TENANT={tenant}"))
    page = await open_sign_in(world.browser, account)
    assert is_error_page(page)
    assert code_of(page) == page.fragment["error"] == "account_kind_not_allowed"
    assert to_people in page.text
    assert to_people in page.fragment["error_description"]
    assert "/authorize" not in "".join(page.chain)
    answer = await world.browser.fetch(f"/api/auth/login?account={account}")
    assert (answer.status, answer.json()["code"]) == (400, "account_kind_not_allowed")
    assert to_programs in answer.json()["detail"]


async def test_an_account_of_another_tenant_gets_no_further_than_the_provider(
    stacks: Stacks, exits: AsyncExitStack
) -> None:
    """R-03: the request goes to the named tenant, which knows nobody else."""
    world = await world_on(exits, stacks.get("--set", f"AUTH_TENANT={CONTOSO_TENANT}"))
    page = await open_sign_in(world.browser, "work")
    page = await world.browser.submit(page, page.form(field_name="username"), {"username": OTHER_TENANTS_USER})
    assert "AADSTS50020" in page.text
    assert await stored_sessions(world.control) == []


async def test_a_kind_that_is_asked_for_narrows_the_choice_at_the_provider(browser: Browser) -> None:
    """R-02, R-03: `account=personal` shows no work account, and the other way round."""
    personal, work = await open_sign_in(browser, "personal"), await open_sign_in(browser, "work")
    assert PERSONAL_USER in personal.text
    assert WORK_USER not in personal.text
    assert PERSONAL_USER not in work.text
    assert "/consumers/" in personal.address
    assert "/organizations/" in work.address


# `any` with a personal account -------------------------------------------------------------------------------


@pytest.mark.parametrize("hinted", [True, False], ids=["hinted", "not hinted"])
@pytest.mark.parametrize("taken", [True, False], ids=["code taken", "code not taken"])
async def test_a_personal_account_through_any_is_renewed_for_good(
    browser: Browser, control: ControlClient, hinted: bool, taken: bool
) -> None:
    """R-03: what was redeemed at common dies at its first refresh, so nothing that is stored was redeemed there."""
    await control.behaviour(client_info_in_answer=hinted, consumers_takes_common_code=taken)
    page = await sign_in(browser, "any", PERSONAL_USER)
    assert page.url == browser.base_url + "/"
    assert page.fragment == {}
    assert len(await stored_sessions(control)) == 1
    assert (await token_calls_at(control))[-1] == "consumers"
    if hinted and taken:
        assert await token_calls_at(control) == ["consumers"]  # one round
    for _ in range(3):
        before = str((await session_of(browser))["refreshed_at"])
        await control.advance(DAY_S)
        await control.run_timer()
        assert str((await session_of(browser))["refreshed_at"]) > before
        assert (await token_calls_at(control))[-1] == "consumers"
    assert (await session_of(browser))["health"] == {"state": "ok", "reason": None, "reconnect_url": None}
    assert (await browser.fetch(NOTEBOOKS)).status == 200


@pytest.mark.parametrize("hinted", [True, False])
async def test_a_work_account_through_any_takes_one_round_and_is_renewed_at_its_tenant(
    browser: Browser, control: ControlClient, hinted: bool
) -> None:
    """R-03."""
    await control.behaviour(client_info_in_answer=hinted, consumers_takes_common_code=False)
    await sign_in(browser, "any", WORK_USER)
    await control.advance(DAY_S)
    await control.run_timer()
    assert await token_calls_at(control) == ["common", CONTOSO_TENANT]


async def test_a_round_more_keeps_scopes_and_the_way_back(browser: Browser, control: ControlClient) -> None:
    """R-03, R-08: the second attempt is the first one's in all that the person asked for."""
    await control.behaviour(client_info_in_answer=False)
    wanted = browser.base_url + "/?page=2"
    page = await sign_in(browser, "any", PERSONAL_USER, scope="Notes.Create", return_to=wanted)
    assert page.url == wanted  # no second consent: the first round's was for the same permissions
    assert (await session_of(browser))["scopes"] == ["Notes.Create"]


async def test_a_code_that_consumers_does_not_take_alarms_nobody(
    browser: Browser, control: ControlClient, stack: StackProcess
) -> None:
    """R-03: it is how that provider is, and the second round mends it."""
    await control.behaviour(client_info_in_answer=True, consumers_takes_common_code=False)
    already = len(stack.lines)
    await sign_in(browser, "any", PERSONAL_USER)
    assert not [line for line in stack.lines[already:] if " ERROR onenote_auth" in line]


# Permissions -------------------------------------------------------------------------------------------------

LEGACY = [
    ("personal", "office.onenote", ["Notes.Read"]),
    ("personal", "office.onenote_create", ["Notes.Create"]),
    ("personal", "office.onenote_update_by_app", ["Notes.ReadWrite"]),
    ("personal", "wl.signin wl.offline_access office.onenote_update", ["Notes.ReadWrite"]),
    ("personal", "OFFICE.ONENOTE,Notes.Read Notes.Read", ["Notes.Read"]),
    ("work", "Notes.ReadWrite.CreatedByApp", ["Notes.ReadWrite"]),
    ("work", "https://onenote.com/Notes.Read.All", ["Notes.Read.All"]),
    ("work", "https://onenote.com/", ["Notes.Read"]),
]


@pytest.mark.parametrize(("account", "scope", "held"), LEGACY)
async def test_names_of_both_generations_end_as_todays_permissions(
    browser: Browser, account: str, scope: str, held: list[str]
) -> None:
    """R-06, R-07: aliases folded, duplicates and order irrelevant."""
    username = PERSONAL_USER if account == "personal" else WORK_USER
    page = await sign_in(browser, account, username, scope=scope)
    assert page.url == browser.base_url + "/"
    assert (await session_of(browser))["scopes"] == held


@pytest.mark.parametrize("scope", ["Notes.Read.All", "Notes.ReadWrite.All", "Notes.Read Notes.ReadWrite.All"])
async def test_what_a_personal_account_cannot_have_is_refused_with_what_it_can(browser: Browser, scope: str) -> None:
    """R-07: before the redirect; OneNote would answer every call with 401."""
    page = await open_sign_in(browser, "personal", scope=scope)
    assert is_error_page(page)
    assert code_of(page) == "scope_not_for_account"
    assert "/authorize" not in "".join(page.chain)
    answer = await browser.fetch(f"/api/auth/login?account=personal&scope={quote(scope)}")
    assert (answer.status, answer.json()["code"]) == (400, "scope_not_for_account")
    assert "a personal account can give Notes.Read" in answer.json()["detail"]


async def test_a_permission_for_work_accounts_asked_for_with_a_personal_session_is_refused(
    browser: Browser, control: ControlClient
) -> None:
    """R-07, R-08: without `account`, the account that is signed in is meant; its session stays as it is."""
    await sign_in(browser, "personal", PERSONAL_USER)
    page = await browser.goto("/api/auth/login?scope=Notes.Read.All")
    assert code_of(page) == "scope_not_for_account"
    assert (await session_of(browser))["scopes"] == ["Notes.Read"]


async def test_more_permissions_for_the_same_account_keep_cookie_and_session(
    browser: Browser, control: ControlClient
) -> None:
    """R-08: incremental consent; the timer renews what was added."""
    await sign_in(browser, "work", WORK_USER)
    secrets, cookies = await stored_sessions(control), {c.value for c in browser.cookies if c.same_site == "lax"}
    page = await browser.goto("/api/auth/login?scope=Notes.Create")
    assert "username" not in page.text.partition("<form")[2]  # no account to choose: consent only
    assert (await sign_in_on(browser, page, WORK_USER)).url == browser.base_url + "/"
    assert (await session_of(browser))["scopes"] == ["Notes.Create", "Notes.Read"]
    assert await stored_sessions(control) == secrets
    assert {c.value for c in browser.cookies if c.same_site == "lax"} == cookies
    await control.advance(DAY_S)
    await control.run_timer()
    assert (await session_of(browser))["scopes"] == ["Notes.Create", "Notes.Read"]


async def test_more_permissions_refused_leave_the_session_as_it_was(browser: Browser, control: ControlClient) -> None:
    """R-08, R-14: a no to more is no sign-out."""
    await sign_in(browser, "work", WORK_USER)
    page = await browser.goto("/api/auth/login?scope=Notes.ReadWrite")
    page = await sign_in_on(browser, page, WORK_USER, decision="cancel")
    assert page.fragment["error"] == "access_denied"
    assert (await session_of(browser))["scopes"] == ["Notes.Read"]
    assert (await browser.fetch(NOTEBOOKS)).status == 200


async def test_another_account_chosen_there_starts_a_session_of_its_own(
    browser: Browser, control: ControlClient
) -> None:
    """R-08: never a mixture; the old tokens are gone."""
    await sign_in(browser, "work", WORK_USER)
    before = await stored_sessions(control)
    page = await browser.goto("/api/auth/login?scope=Notes.ReadWrite&prompt=select_account")
    await sign_in_on(browser, page, OTHER_TENANTS_USER)
    assert await username_of(browser) == OTHER_TENANTS_USER
    after = await stored_sessions(control)
    assert len(after) == 1
    assert set(after).isdisjoint(before)


# The token flow ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "username"), [("personal", PERSONAL_USER), ("work", WORK_USER), ("any", WORK_USER)]
)
async def test_a_token_flows_session_lives_as_long_as_its_token_and_is_never_renewed(
    token_world: World, account: str, username: str
) -> None:
    """R-05: no refresh token stored, no call to the token endpoint, then reauth_required, then deleted and purged."""
    browser, control = token_world.browser, token_world.control
    page = await sign_in(browser, account, username, flow="token")
    assert page.url == browser.base_url + "/"
    assert page.fragment == {}
    assert (await session_of(browser))["signed_in"] is True
    assert (await browser.fetch(NOTEBOOKS)).status == 200
    (secret,) = await secrets_with_tokens(control)
    assert '"refresh_token": null' in secret["values"][-1] or '"refresh_token":null' in secret["values"][-1]

    await control.advance(HOUR_S - 60)
    await control.run_timer()
    assert (await browser.fetch(NOTEBOOKS)).status == 200
    await control.advance(61)
    ended = await browser.fetch(f"/api/auth/session?return_to={browser.base_url}/?page=2")
    assert ended.status == 200
    health = ended.json()["health"]
    assert (health["state"], health["reason"]) == ("reauth_required", "token_flow_expired")
    refused = await browser.fetch(NOTEBOOKS)
    assert (refused.status, refused.json()["reason"]) == (401, "token_flow_expired")
    assert await token_calls(control) == 0

    await control.run_timer()
    assert await secrets_with_tokens(control) == []
    await control.advance(PURGE_AFTER_S)
    await control.run_timer()
    assert await secrets_with_tokens(control, deleted=True) == []
    assert await token_calls(control) == 0
    assert (await session_of(browser)) == {"signed_in": False}

    page = await sign_in_on(browser, await browser.goto(health["reconnect_url"]), username)
    assert page.url == browser.base_url + "/?page=2"
    assert (await session_of(browser))["signed_in"] is True


async def test_a_token_that_graph_refuses_early_ends_in_a_new_sign_in_and_no_refresh(token_world: World) -> None:
    """R-05, R-10."""
    await sign_in(token_world.browser, "work", WORK_USER, flow="token")
    await token_world.control.expire_access_tokens()
    refused = await token_world.browser.fetch(NOTEBOOKS)
    assert (refused.status, refused.json()["reason"]) == (401, "token_flow_expired")
    assert await token_calls(token_world.control) == 0


async def test_signing_out_of_a_token_flows_session_deletes_its_token(token_world: World) -> None:
    """R-05, R-12: also when it has run out."""
    for wait_s in (0, 2 * HOUR_S):
        await sign_in(token_world.browser, "work", WORK_USER, flow="token")
        await token_world.control.advance(wait_s)
        page = await token_world.browser.post("/api/auth/logout")
        assert page.url == token_world.browser.base_url + "/"
        assert await secrets_with_tokens(token_world.control) == []


@pytest.mark.parametrize("scope", ["offline_access", "wl.offline_access", "Notes.Read wl.offline_access"])
async def test_lasting_access_with_the_token_flow_is_refused(token_world: World, scope: str) -> None:
    """R-05, R-06: with a clear error, before the redirect."""
    page = await open_sign_in(token_world.browser, "personal", scope=scope, flow="token")
    assert is_error_page(page)
    assert code_of(page) == "offline_access_not_for_token_flow"
    answer = await token_world.browser.fetch(f"/api/auth/login?flow=token&scope={quote(scope)}")
    assert (answer.status, answer.json()["code"]) == (400, "offline_access_not_for_token_flow")
    assert "wl.offline_access" in answer.json()["detail"]


async def test_the_token_flow_is_off_unless_the_operator_allows_it(browser: Browser) -> None:
    """R-05."""
    page = await open_sign_in(browser, "personal", flow="token")
    assert code_of(page) == "token_flow_not_allowed"
    assert "/authorize" not in "".join(page.chain)


async def test_an_app_registration_without_the_token_flow_is_the_operators_to_mend(token_world: World) -> None:
    """R-05, R-13: two boxes in the registration; the person is told that it is not their fault."""
    await token_world.control.behaviour(implicit_enabled=False)
    page = await sign_in(token_world.browser, "work", WORK_USER, flow="token")
    assert code_of(page) == "misconfigured"


# Forged answers of the token flow ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class HeldBack:
    """The provider's answer before it reaches the bundle, with the claims of its id token."""

    page: Answer
    form: Form
    claims: dict[str, Any]
    header: dict[str, Any]


class Signer:
    """A key that the provider publishes beside its own, in its hands: so that one thing at a time can be wrong."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def public(self, issuer: str) -> dict[str, Any]:
        own = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {**own, "kid": "of-the-test", "use": "sig", "issuer": issuer}

    def public_pem(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, claims: dict[str, Any], **header: str) -> str:
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": "of-the-test", **header})


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture
async def held_back(token_world: World, signer: Signer) -> HeldBack:
    """An answer held back in the browser, on a stack whose provider also publishes the signer's key."""
    addresses = (await token_world.control.state())["services"]
    async with aiohttp.ClientSession() as http:
        keys = await (await http.get(f"{addresses['identity_pages']}/common/discovery/v2.0/keys")).json()
    keys["keys"].append(signer.public(addresses["identity"] + "/{tenantid}/v2.0"))
    await token_world.control.fault(
        "identity", "status", status=200, path="/discovery/v2.0/keys$", body=json.dumps(keys), times=None
    )
    await token_world.control.advance(3 * DAY_S)  # whatever keys were fetched before count as old
    browser = token_world.browser
    browser.plays_scripts = False
    page = await sign_in_on(browser, await open_sign_in(browser, "any", flow="token"), WORK_USER)
    browser.plays_scripts = True
    form = page.form(field_name="id_token")
    token = dict(form.fields)["id_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    return HeldBack(page=page, form=form, claims=claims, header=jwt.get_unverified_header(token))


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def refused(world: World, held: HeldBack, fields: dict[str, str], check: str) -> None:
    """Nobody is signed in, nothing is stored, and the log names the check that failed."""
    already = len(world.stack.lines)
    page = await world.browser.submit(held.page, held.form, fields)
    assert is_error_page(page)
    assert code_of(page) == "id_token_refused"
    assert (await session_of(world.browser)) == {"signed_in": False}
    assert await secrets_with_tokens(world.control) == []
    assert await asyncio.to_thread(world.stack.wait_for_line, '"event": "id_token_refused"', after=already)
    said = [
        json.loads(line.partition("onenote_auth ")[2])
        for line in world.stack.lines[already:]
        if '"event": "id_token_refused"' in line
    ]
    assert [event["check"] for event in said] == [check]


async def test_a_token_of_a_published_key_with_all_claims_right_signs_in(
    token_world: World, held_back: HeldBack, signer: Signer
) -> None:
    """R-05: so the refusals below are for what they name; and keys that the provider adds are found."""
    fields = {"id_token": signer.sign(held_back.claims)}
    page = await token_world.browser.submit(held_back.page, held_back.form, fields)
    assert page.url == token_world.browser.base_url + "/"
    assert await username_of(token_world.browser) == WORK_USER


WRONG_CLAIMS = [
    ({"aud": "another-app"}, "aud"),
    ({"iss": "https://login.example/common/v2.0"}, "key issuer"),
    ({"tid": FABRIKAM_TENANT}, "key issuer"),
    ({"tid": None}, "key issuer"),
    ({"nonce": "of-another-attempt"}, "nonce"),
    ({"nonce": None}, "nonce"),
    ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash"),
    ({"at_hash": None}, "at_hash"),
    ({"exp": "an hour ago"}, "exp"),
    ({"exp": None}, "exp"),
    ({"nbf": "in an hour"}, "nbf"),
]


@pytest.mark.parametrize(("wrong", "check"), WRONG_CLAIMS)
async def test_an_id_token_with_one_wrong_claim_is_refused(
    token_world: World, held_back: HeldBack, signer: Signer, wrong: dict[str, Any], check: str
) -> None:
    """R-05: OpenID Connect Core §3.2.2.11, claim by claim, the signature being right each time."""
    at = held_back.claims["iat"]
    times = {"an hour ago": at - HOUR_S, "in an hour": at + HOUR_S}
    claims = held_back.claims | {name: times.get(str(value), value) for name, value in wrong.items()}
    claims = {name: value for name, value in claims.items() if value is not None}
    await refused(token_world, held_back, {"id_token": signer.sign(claims)}, check)


async def test_an_id_token_of_a_foreign_key_is_refused(token_world: World, held_back: HeldBack) -> None:
    """R-05: under a key id of its own, and under the provider's."""
    foreign = Signer()
    own_name = foreign.sign(held_back.claims, kid="nobody-knows-me")
    await refused(token_world, held_back, {"id_token": own_name}, "kid")


async def test_an_id_token_of_a_foreign_key_under_the_providers_key_id_is_refused(
    token_world: World, held_back: HeldBack
) -> None:
    """R-05."""
    forged = Signer().sign(held_back.claims, kid=held_back.header["kid"])
    await refused(token_world, held_back, {"id_token": forged}, "signature")


async def test_an_id_token_without_a_signature_is_refused(token_world: World, held_back: HeldBack) -> None:
    """R-05: `alg: none` (RFC 8725 §2.1)."""
    unsigned = f"{part(held_back.header | {'alg': 'none'})}.{part(held_back.claims)}."
    await refused(token_world, held_back, {"id_token": unsigned}, "alg")


async def test_an_id_token_signed_with_the_public_key_as_a_password_is_refused(
    token_world: World, held_back: HeldBack, signer: Signer
) -> None:
    """R-05: HS256 with what everybody can read (RFC 8725 §2.1)."""
    text = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'of-the-test'})}.{part(held_back.claims)}"
    mac = hmac.digest(signer.public_pem(), text.encode(), hashlib.sha256)
    forged = f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    await refused(token_world, held_back, {"id_token": forged}, "alg")


@pytest.mark.parametrize("text", ["x", "a.b.c", "..", "é.é.é"])
async def test_an_id_token_that_is_none_is_refused(token_world: World, held_back: HeldBack, text: str) -> None:
    """R-05."""
    await refused(token_world, held_back, {"id_token": text}, "form")


async def test_another_access_token_than_the_id_token_names_is_refused(token_world: World, held_back: HeldBack) -> None:
    """R-05: token substitution; the id token is the provider's own."""
    await refused(token_world, held_back, {"access_token": "EwB-somebody-elses"}, "at_hash")


async def test_the_answer_to_another_attempt_is_refused(token_world: World, held_back: HeldBack) -> None:
    """R-05: both tokens are the provider's own, for another sign-in."""
    browser = token_world.browser
    browser.plays_scripts = False
    page = await sign_in_on(browser, await open_sign_in(browser, "any", flow="token"), WORK_USER)
    browser.plays_scripts = True
    other = dict(page.form(field_name="id_token").fields)
    fields = {name: other[name] for name in ("id_token", "access_token")}
    await refused(token_world, held_back, fields, "nonce")


@pytest.mark.parametrize("left_out", ["id_token", "access_token", "state"])
async def test_an_answer_with_something_left_out_signs_nobody_in(
    token_world: World, held_back: HeldBack, left_out: str
) -> None:
    """R-05, R-14."""
    page = await token_world.browser.submit(held_back.page, held_back.form, {left_out: ""})
    assert is_error_page(page)
    assert await secrets_with_tokens(token_world.control) == []


async def test_a_code_flows_answer_does_not_end_a_token_flows_attempt(token_world: World, held_back: HeldBack) -> None:
    """R-05: and a token flow's answer to a code flow's attempt stores nothing either."""
    page = await token_world.browser.submit(
        held_back.page, held_back.form, {"id_token": "", "access_token": "", "code": "made-up"}
    )
    assert is_error_page(page)
    login = await token_world.browser.request("GET", "/api/auth/login?account=work")
    state = Answer(login.headers["location"], 302, {}, "").query["state"]
    tokens = {name: value for name, value in held_back.form.fields if name in ("id_token", "access_token")}
    page = await token_world.browser.submit(held_back.page, held_back.form, {**tokens, "state": state})
    assert is_error_page(page)
    assert await secrets_with_tokens(token_world.control) == []


# Several vaults ----------------------------------------------------------------------------------------------


@pytest.fixture
async def spread(token_world: World, exits: AsyncExitStack) -> list[Browser]:
    """Browsers of one person, signed in until each of the two vaults holds a session."""
    browsers: list[Browser] = []
    while True:
        browsers.append(await exits.enter_async_context(Browser(token_world.stack.url)))
        await sign_in(browsers[-1], "work", WORK_USER)
        vaults = await token_world.control.vaults(values=True)
        if all(any(map(holds_token, vault["secrets"])) for vault in vaults):
            return browsers
        assert len(browsers) < 30, "sessions are not spread over the vaults"


async def test_sessions_are_spread_over_the_vaults_and_all_are_renewed(
    token_world: World, spread: list[Browser]
) -> None:
    """R-11: the timer works on each vault."""
    await token_world.control.advance(DAY_S)
    calls = await token_calls(token_world.control)
    await token_world.control.run_timer()
    assert await token_calls(token_world.control) == calls + len(spread)
    for browser in spread:
        assert (await browser.fetch(NOTEBOOKS)).status == 200
    assert await token_calls(token_world.control) == calls + len(spread)


async def test_own_sessions_are_listed_and_ended_across_vaults(token_world: World, spread: list[Browser]) -> None:
    """R-12: sign out everywhere; somebody else's session lives on."""
    await sign_in(token_world.other_browser, "personal", PERSONAL_USER)
    listed = (await spread[0].fetch("/api/auth/sessions")).json()["sessions"]
    assert len(listed) == len(spread)
    assert [session["current"] for session in listed].count(True) == 1
    ended = await spread[0].fetch("/api/auth/sessions", method="DELETE")
    assert ended.json() == {"ended": len(spread)}
    for browser in spread:
        assert (await session_of(browser)) == {"signed_in": False}
    assert await username_of(token_world.other_browser) == PERSONAL_USER
    assert len(await secrets_with_tokens(token_world.control)) == 1


async def test_front_channel_sign_out_finds_a_session_in_any_vault(token_world: World, spread: list[Browser]) -> None:
    """R-12: each browser's own session at the provider, and no other."""
    provider = (await token_world.control.state())["services"]["identity_pages"]
    for browser in (spread[0], spread[-1]):
        await browser.goto(f"{provider}/common/oauth2/v2.0/logout")
    for browser in spread:
        signed_in = browser not in (spread[0], spread[-1])
        assert (await session_of(browser))["signed_in"] is signed_in


async def test_an_account_in_several_vaults_is_listed_once_for_the_operator(
    token_world: World, spread: list[Browser]
) -> None:
    """R-18: with all its sessions; one call ends them all."""
    key = {"x-functions-key": await token_world.control.function_key()}
    found: list[dict[str, Any]] = []
    address: str | None = "/api/ops/accounts"
    while address:
        page = (await spread[0].fetch(address, headers=key)).json()
        found += page["accounts"]
        address = page.get("next")
    assert [(account["username"], len(account["sessions"])) for account in found] == [(WORK_USER, len(spread))]
    ended = await spread[0].fetch(f"/api/ops/accounts/{found[0]['home_account_id']}", method="DELETE", headers=key)
    assert ended.json() == {"ended": len(spread)}
    assert await secrets_with_tokens(token_world.control) == []


async def test_one_vault_that_is_away_costs_only_its_own_sessions(token_world: World, spread: list[Browser]) -> None:
    """R-11: 503 for those, never a sign-out; the others go on."""
    await token_world.control.advance(HOUR_S)
    await token_world.control.fault("vault2", "status", status=503, times=None)
    statuses = [(await browser.fetch("/api/auth/session")).status for browser in spread]
    assert set(statuses) == {200, 503}
    await token_world.control.clear_faults()
    for browser in spread:
        assert (await session_of(browser))["signed_in"] is True

"""The talk with the identity platform, against the embedded provider (R-01 to R-05, R-11 to R-13, R-16)."""

import asyncio
import base64
import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msal
import pytest

from local.faults import Fault
from local.identity_provider import CONTOSO_TENANT, FABRIKAM_TENANT, USERS, User
from local.tls import LocalAuthority
from shared.adapters.client_credential import ClientCredential, MsalCredential
from shared.adapters.clock import SystemClock
from shared.adapters.metadata import Endpoints, Metadata
from shared.adapters.msal_app import NoCache
from shared.adapters.msal_identity import MsalIdentity
from shared.adapters.msal_seam import CapturedError, Discovered, RefreshForm, capture, captured_from
from shared.adapters.token_endpoint import TokenEndpoint
from shared.errors import Misconfigured, ProviderUnavailable
from shared.model import AccountKind, Flow, ProviderRefusal, digest
from shared.ports import InvalidIdToken, ProviderRefused
from tests.adapters.provider_world import (
    CLIENT_ID,
    SECRET,
    ProviderWorld,
    new_attempt,
    provider_world,
    unsigned,
)
from tests.doubles.clock import ManualClock
from tests.doubles.identity import personal_account, work_account

ADA = next(user for user in USERS if user.personal)
CAROL = next(user for user in USERS if user.tenant_id == CONTOSO_TENANT)
SECRET_ADDRESS = "https://vault.example/secrets/app-credential"
ODD_CLIENT_INFO = ["", "!", "bm90IGpzb24", base64.urlsafe_b64encode(b'{"uid":"a\\r\\nX: y","utid":"b"}').decode()]


@pytest.fixture
async def world(authority: LocalAuthority) -> AsyncIterator[ProviderWorld]:
    async with provider_world(authority) as world:
        yield world


def metadata_calls(world: ProviderWorld) -> list[str]:
    return [call.path for call in world.provider.faults.calls if "openid-configuration" in call.path]


# The seam to msal ----------------------------------------------------------------------------------------------


ENDPOINTS = Endpoints(
    issuer="https://login.example/{tenantid}/v2.0",
    authorization="https://login.example/common/authorize",
    token="https://login.example/common/token",
    end_session=None,
    jwks=None,
)


def test_msal_honours_post_and_makes_no_call_of_its_own() -> None:
    """The contract with an undocumented keyword: a msal that stops honouring it must fail here, not in production."""
    app = msal.ConfidentialClientApplication(
        CLIENT_ID,
        authority="https://login.example/common",
        client_credential=SECRET,
        instance_discovery=False,
        http_client=Discovered(ENDPOINTS),
        token_cache=NoCache(),
        azure_region=False,
    )
    with pytest.raises(CapturedError) as refresh:
        app.acquire_token_by_refresh_token("the-refresh-token", ["Notes.Read"], post=capture)
    assert refresh.value.url == ENDPOINTS.token
    assert refresh.value.data["grant_type"] == "refresh_token"
    assert refresh.value.data["refresh_token"] == "the-refresh-token"
    assert refresh.value.data["client_secret"] == SECRET
    assert set(refresh.value.data["scope"].split()) == {"Notes.Read", "openid", "profile", "offline_access"}
    flow = {"state": "s", "nonce": "n", "code_verifier": "v", "redirect_uri": "https://app.example/cb", "scope": ["a"]}
    with pytest.raises(CapturedError) as redeem:
        app.acquire_token_by_auth_code_flow(flow, {"code": "the-code", "state": "s"}, post=capture)
    assert redeem.value.data["grant_type"] == "authorization_code"
    assert redeem.value.data["code"] == "the-code"
    assert redeem.value.data["code_verifier"] == "v"
    assert redeem.value.data["redirect_uri"] == "https://app.example/cb"
    assert "the-code" not in str(redeem.value)


@pytest.mark.parametrize(
    "credential", [SECRET, {"client_assertion": lambda: "the-assertion"}], ids=["secret", "assertion"]
)
def test_a_renewals_form_differs_in_the_refresh_token_alone(credential: Any) -> None:
    """The contract that lets one form serve everybody: a msal that puts more of a person into it must fail here."""
    app = msal.ConfidentialClientApplication(
        CLIENT_ID,
        authority="https://login.example/common",
        client_credential=credential,
        instance_discovery=False,
        http_client=Discovered(ENDPOINTS),
        token_cache=NoCache(),
        azure_region=False,
    )
    ask = partial(app.acquire_token_by_refresh_token, scopes=["Notes.Read"])
    form = RefreshForm.built(ask)
    for token in ("0.AXkA-one_two~three", "with&=+% and ü"):
        by_msal = captured_from(partial(ask, token))
        ours = form.request(token)
        assert parse_qs(ours.body.decode(), strict_parsing=True) == {k: [str(v)] for k, v in by_msal.data.items()}
        assert ours.url == by_msal.url
        ever_new = {"client-request-id": ""}
        assert {**ours.headers, **ever_new} == {**by_msal.headers, **ever_new}


def test_a_msal_that_sends_by_itself_or_hides_the_token_elsewhere_is_not_used() -> None:
    def sends(refresh_token: str, post: object) -> object:
        return {}

    def hides(refresh_token: str, post: Callable[..., object]) -> object:
        return post("https://login.example", headers={"x": refresh_token}, data={"refresh_token": refresh_token})

    def renames(refresh_token: str, post: Callable[..., object]) -> object:
        return post("https://login.example", headers={}, data={"token": refresh_token})

    for ask in (sends, hides, renames):
        with pytest.raises(Misconfigured, match="install the pinned version"):
            RefreshForm.built(ask)


# Where the browser goes ----------------------------------------------------------------------------------------


async def test_the_code_flow_asks_with_pkce_nonce_and_form_post(world: ProviderWorld) -> None:
    """R-04: RFC 6749 §4.1.1, RFC 7636 §4.3, OAuth 2.0 Form Post Response Mode."""
    attempt = new_attempt(
        authority="organizations",
        kind=AccountKind.WORK,
        scopes=("Notes.Create", "Notes.Read"),
        prompt="select_account",
        login_hint="carol@contoso.example",
        claims='{"access_token":{"x":{}}}',
    )
    url = await world.identity.authorization_url(attempt)
    assert url.startswith(f"{world.front}/organizations/oauth2/v2.0/authorize?")
    challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.code_verifier.encode()).digest()).decode().rstrip("=")
    assert sent_in(url) == {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": f"{world.app}/api/auth/callback",
        "response_mode": "form_post",
        "scope": "openid profile offline_access Notes.Create Notes.Read",
        "state": attempt.state,
        "nonce": digest(attempt.nonce),
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "client_info": "1",
        "prompt": "select_account",
        "login_hint": "carol@contoso.example",
        "domain_hint": "organizations",
        "claims": '{"access_token":{"x":{}}}',
    }


async def test_the_token_flow_asks_for_tokens_and_no_refresh_token(world: ProviderWorld) -> None:
    """R-05: neither offline_access nor PKCE, which it doesn't have."""
    url = await world.identity.authorization_url(new_attempt(flow=Flow.TOKEN, kind=AccountKind.PERSONAL))
    sent = sent_in(url)
    assert sent["response_type"] == "id_token token"
    assert sent["scope"] == "openid profile Notes.Read"
    assert sent["domain_hint"] == "consumers"
    assert not {"code_challenge", "code_challenge_method", "prompt", "login_hint", "claims"} & set(sent)


async def test_a_domain_that_the_person_named_goes_before_the_kinds(world: ProviderWorld) -> None:
    url = await world.identity.authorization_url(new_attempt(kind=AccountKind.WORK, domain_hint="contoso.example"))
    assert sent_in(url)["domain_hint"] == "contoso.example"
    assert "domain_hint" not in sent_in(await world.identity.authorization_url(new_attempt()))


async def test_the_provider_shows_its_own_sign_out_at_the_accounts_authority(world: ProviderWorld) -> None:
    """R-12: OpenID Connect RP-Initiated Logout §2."""
    for account, segment in (
        (work_account(tenant=CONTOSO_TENANT), CONTOSO_TENANT),
        (personal_account(), "consumers"),
        (None, "common"),
    ):
        url = await world.identity.sign_out_url(account, f"{world.app}/signed-out", "the state")
        assert url.startswith(f"{world.front}/{segment}/oauth2/v2.0/logout?")
        expected = {"post_logout_redirect_uri": f"{world.app}/signed-out", "state": "the state"}
        assert sent_in(url) == expected | ({"logout_hint": account.login_hint} if account else {})


async def test_a_user_name_is_no_hint_for_the_providers_sign_out(world: ProviderWorld) -> None:
    """R-12: it takes the claim `login_hint` only; an account without one keeps the user name in its place."""
    account = work_account(tenant=CONTOSO_TENANT)
    account = replace(account, login_hint=account.username)
    url = await world.identity.sign_out_url(account, f"{world.app}/signed-out", "the state")
    assert sent_in(url) == {"post_logout_redirect_uri": f"{world.app}/signed-out", "state": "the state"}


# Metadata ------------------------------------------------------------------------------------------------------


async def test_a_thousand_tenants_cost_no_metadata_call_of_their_own(world: ProviderWorld) -> None:
    """R-03."""
    await world.identity.authorization_url(new_attempt())
    await world.identity.authorization_url(new_attempt(authority="consumers"))
    before = metadata_calls(world)
    for n in range(20):
        tenant = f"00000000-0000-0000-0000-{n:012d}"
        assert f"/{tenant}/" in await world.identity.sign_out_url(work_account(tenant=tenant), "", "")
    await world.identity.sign_out_url(personal_account(), "", "")
    assert metadata_calls(world) == before
    assert len(before) == 2


async def test_an_issuer_is_known_by_the_providers_template(world: ProviderWorld) -> None:
    knows = world.identity.knows_issuer
    assert await knows(f"{world.back}/{CONTOSO_TENANT}/v2.0")
    for other in (
        f"https://elsewhere.example/{CONTOSO_TENANT}/v2.0",
        f"{world.back}/a/b/v2.0",
        f"{world.back}//v2.0",
        f"{world.back}/v2.0",
        f"{world.back}/{CONTOSO_TENANT}/v2.0/more",
        "",
    ):
        assert not await knows(other)
    single = world.rebuilt(AUTH_TENANT=CONTOSO_TENANT)
    assert await single.knows_issuer(f"{world.back}/{CONTOSO_TENANT}/v2.0")
    assert not await single.knows_issuer(f"{world.back}/{FABRIKAM_TENANT}/v2.0")


# Codes for tokens ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("person", "segment"), [(ADA, "consumers"), (CAROL, "common"), (CAROL, "organizations")])
async def test_a_code_becomes_a_grant_and_an_account(world: ProviderWorld, person: User, segment: str) -> None:
    """R-02, R-03, R-04: the whole way, PKCE and nonce included; renewed at the account's own authority."""
    attempt = new_attempt(authority=segment)
    began = datetime.now(UTC)
    signed_in = await world.identity.redeem(await world.code(attempt, person.username), attempt, segment)
    account, grant = signed_in.account, signed_in.grant
    assert account.home_account_id == f"{person.oid}.{person.tenant_id}"
    assert account.kind is (AccountKind.PERSONAL if person.personal else AccountKind.WORK)
    assert (account.username, account.name, account.tenant_id) == (person.username, person.name, person.tenant_id)
    assert account.sid
    assert grant.scopes == ("Notes.Read",)
    assert timedelta(minutes=59) < grant.expires_at - began <= timedelta(minutes=61)
    assert world.provider.access_token(grant.access_token)
    assert grant.refresh_token
    renewed = await world.identity.refresh(grant.refresh_token, ("Notes.Read",), account.authority)
    assert renewed.access_token != grant.access_token
    assert renewed.refresh_token not in (None, grant.refresh_token)
    assert world.provider.token_calls["refresh_token", account.authority] == 1


async def test_a_code_of_another_attempt_is_refused_by_its_nonce(world: ProviderWorld) -> None:
    """R-04: OpenID Connect Core §3.1.3.7 step 11. The text holds neither nonce."""
    attempt = new_attempt()
    other = new_attempt(code_verifier=attempt.code_verifier)
    with pytest.raises(InvalidIdToken, match=r"^nonce$") as refused:
        await world.identity.redeem(await world.code(attempt, CAROL.username), other, "common")
    assert refused.value.__cause__ is None


async def test_a_code_that_somebody_else_began_is_refused_by_its_verifier(world: ProviderWorld) -> None:
    """R-04: RFC 7636 §4.6."""
    attempt = new_attempt()
    code = await world.code(attempt, CAROL.username)
    with pytest.raises(ProviderRefused) as refused:
        await world.identity.redeem(code, new_attempt(nonce=attempt.nonce), "common")
    assert refused.value.refusal.error == "invalid_grant"
    assert refused.value.refusal.codes == (501481,)
    assert refused.value.refusal.correlation_id


async def test_a_spent_code_is_refused(world: ProviderWorld) -> None:
    attempt = new_attempt()
    code = await world.code(attempt, CAROL.username)
    await world.identity.redeem(code, attempt, "common")
    with pytest.raises(ProviderRefused) as refused:
        await world.identity.redeem(code, attempt, "common")
    assert refused.value.refusal.codes == (54005,)


@pytest.mark.parametrize(
    ("claims", "check"),
    [
        ({"iss": "https://elsewhere.example/v2.0"}, "iss"),
        ({"iss": None}, "iss"),
        ({"tid": None}, "tid"),
        ({"tid": FABRIKAM_TENANT}, "iss"),
        ({"aud": "another-app"}, "aud"),
        ({"aud": []}, "aud"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"exp": 1}, "exp"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "exp"),
        ({"nbf": 2**40}, "nbf"),
        ({"oid": None, "sub": None}, "oid"),
    ],
)
async def test_an_id_token_that_fails_a_check_signs_nobody_in(
    world: ProviderWorld, claims: dict[str, object], check: str
) -> None:
    """R-04: OpenID Connect Core §3.1.3.7; the text names the check and no value."""
    attempt = new_attempt()
    world.answer_with(world.tokens(attempt, id_token=unsigned(world.claims(attempt, **claims))))
    with pytest.raises(InvalidIdToken, match=f"^{check}$"):
        await world.identity.redeem("a-code", attempt, "common")


async def test_a_work_account_is_not_taken_from_the_personal_authority(world: ProviderWorld) -> None:
    """R-02: at `consumers` the only tenant is the personal one, whatever issuer the token names."""
    attempt = new_attempt(authority="consumers")
    world.answer_with(world.tokens(attempt))
    with pytest.raises(InvalidIdToken):
        await world.identity.redeem("a-code", attempt, "consumers")


@pytest.mark.parametrize(
    "id_token", [None, "", "x", "x.y", "x.!!.z", unsigned([]), unsigned(7), unsigned(None), 7, {"a": 1}, ["x"]]
)
async def test_an_answer_without_a_readable_id_token_signs_nobody_in(world: ProviderWorld, id_token: object) -> None:
    attempt = new_attempt()
    world.answer_with(world.tokens(attempt, id_token=id_token))
    with pytest.raises(InvalidIdToken):
        await world.identity.redeem("a-code", attempt, "common")


@pytest.mark.parametrize("client_info", [None, 7, *ODD_CLIENT_INFO])
async def test_odd_client_info_is_no_reason_to_fail(world: ProviderWorld, client_info: object) -> None:
    """It is unsigned and a hint; msal would raise, or put its line breaks into a header."""
    attempt = new_attempt()
    world.answer_with(world.tokens(attempt, client_info=client_info))
    signed_in = await world.identity.redeem("a-code", attempt, "common")
    assert signed_in.account.home_account_id == f"an-oid.{CONTOSO_TENANT}"


@pytest.mark.parametrize(
    ("fields", "lives_s", "renew_s"),
    [
        ({}, 3600, None),
        ({"expires_in": "1800"}, 1800, None),
        ({"expires_in": None}, 3600, None),
        ({"expires_in": "soon"}, 3600, None),
        ({"expires_in": -5}, 3600, None),
        ({"expires_in": float("inf")}, 3600, None),
        ({"expires_in": [1]}, 3600, None),
        ({"refresh_in": 600}, 3600, 600),
        ({"refresh_in": "600"}, 3600, 600),
        ({"refresh_in": None}, 3600, None),
        ({"refresh_in": {}}, 3600, None),
        ({"refresh_in": float("inf")}, 3600, None),
    ],
)
async def test_odd_times_do_not_cost_the_tokens(
    world: ProviderWorld, fields: dict[str, object], lives_s: int, renew_s: int | None
) -> None:
    """R-11: a refresh token that was spent is not thrown away with its answer. Microsoft has sent strings."""
    attempt = new_attempt()
    world.answer_with(world.tokens(attempt, **fields))
    for grant in (
        (await world.identity.redeem("a-code", attempt, "common")).grant,
        await world.identity.refresh("a-refresh-token", ("Notes.Read",), "common"),
    ):
        now = datetime.now(UTC)
        assert abs(grant.expires_at - now - timedelta(seconds=lives_s)) < timedelta(seconds=10)
        if renew_s is None:
            assert grant.refresh_at is None
        else:
            assert grant.refresh_at is not None
            assert abs(grant.refresh_at - now - timedelta(seconds=renew_s)) < timedelta(seconds=10)


# Renewal -------------------------------------------------------------------------------------------------------


async def test_a_renewal_without_a_new_refresh_token_keeps_the_old_one(world: ProviderWorld) -> None:
    """R-11: RFC 6749 §6."""
    for missing in (None, "", 7):
        world.provider.faults.clear()
        world.answer_with(world.tokens(new_attempt(), refresh_token=missing, id_token=None))
        grant = await world.identity.refresh("the-old-one", ("Notes.Read",), CONTOSO_TENANT)
        assert grant.refresh_token == "the-old-one"


@pytest.mark.parametrize("id_token", ["x", "x.!!.z", 7, None, unsigned({"nonce": "another"})])
async def test_a_renewals_id_token_is_of_no_matter(world: ProviderWorld, id_token: object) -> None:
    """R-11: nobody signs in with it, and the refresh token is spent already."""
    world.answer_with(world.tokens(new_attempt(), id_token=id_token))
    grant = await world.identity.refresh("a-refresh-token", ("Notes.Read",), CONTOSO_TENANT)
    assert grant.refresh_token == "a-refresh-token"


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (None, ("Notes.Create", "Notes.Read")),
        ("https://graph.microsoft.com/Notes.Read openid", ("Notes.Read",)),
        (["Notes.Read"], ("Notes.Create", "Notes.Read")),
    ],
)
async def test_an_absent_scope_means_the_one_that_was_asked_for(
    world: ProviderWorld, scope: object, expected: tuple[str, ...]
) -> None:
    """R-08: RFC 6749 §5.1."""
    world.answer_with(world.tokens(new_attempt(), scope=scope))
    grant = await world.identity.refresh("a-refresh-token", ("Notes.Create", "Notes.Read"), CONTOSO_TENANT)
    assert grant.scopes == expected


async def test_a_dead_grant_is_told_with_the_providers_reason(world: ProviderWorld) -> None:
    """R-13."""
    attempt = new_attempt()
    signed_in = await world.identity.redeem(await world.code(attempt, CAROL.username), attempt, "common")
    world.provider.refuse(CAROL.username, "invalid_grant", [50076], "basic_action", '{"access_token":{"c":1}}')
    with pytest.raises(ProviderRefused) as refused:
        await world.identity.refresh(signed_in.grant.refresh_token or "", ("Notes.Read",), CONTOSO_TENANT)
    refusal = refused.value.refusal
    assert (refusal.error, refusal.codes, refusal.suberror) == ("invalid_grant", (50076,), "basic_action")
    assert refusal.claims == '{"access_token":{"c":1}}'
    assert "token" not in str(refused.value)


# When the provider can't be asked ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path="/token$", action="status", status=429, body='{"error":"x"}', times=None),
        Fault(path="/token$", action="status", status=500, body='{"error":"server_error"}', times=None),
        Fault(path="/token$", action="status", status=503, times=None),
        Fault(
            path="/token$", action="status", status=302, headers={"Location": "https://elsewhere.example"}, times=None
        ),
        Fault(path="/token$", action="status", status=400, body="<html>a proxy</html>", times=None),
        Fault(path="/token$", action="status", status=200, body="", times=None),
        Fault(path="/token$", action="status", status=200, body="[]", times=None),
        Fault(path="/token$", action="status", status=200, body="null", times=None),
        Fault(path="/token$", action="status", status=200, body="{}", times=None),
        Fault(path="/token$", action="status", status=200, body='{"message":"a proxy"}', times=None),
        Fault(path="/token$", action="status", status=200, body='{"access_token":""}', times=None),
        Fault(path="/token$", action="status", status=200, body='{"access_token":7}', times=None),
        Fault(path="/token$", action="status", status=400, body='{"error":{"code":"x"}}', times=None),
        Fault(path="/token$", action="status", status=400, body='{"error":""}', times=None),
        Fault(path="/token$", action="status", status=403, body='{"error":null}', times=None),
        Fault(path="/token$", action="garbage", times=None),
        Fault(path="/token$", action="wrong_type", times=None),
        Fault(path="/token$", action="truncate", times=None),
        Fault(path="/token$", action="reset_before", times=None),
        Fault(path="/token$", action="reset_after", times=None),
        Fault(path="/token$", action="hang", times=None),
    ],
    ids=lambda fault: f"{fault.action} {fault.status} {fault.body}",
)
async def test_an_answer_that_is_no_providers_is_an_outage(
    world: ProviderWorld, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """R-11, R-13: never a reason to end a session, within the time limit, nothing sent is logged, no word on the app either."""
    caplog.set_level(logging.DEBUG)
    world.provider.faults.add(fault)
    attempt = new_attempt()
    results = await asyncio.gather(
        world.identity.redeem("the-secret-code", attempt, "common"),
        world.identity.refresh("the-refresh-token", ("Notes.Read",), CONTOSO_TENANT),
        world.endpoint.ask_as_app("common", {"grant_type": "client_credentials"}),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [ProviderUnavailable] * 3
    for secret in ("the-secret-code", "the-refresh-token", attempt.code_verifier, SECRET, "a proxy"):
        assert secret not in caplog.text
        assert not [r for r in results if secret in str(r)]


async def test_a_token_endpoint_that_points_elsewhere_is_not_followed(world: ProviderWorld) -> None:
    """R-16: 307 sends the form again, and with it the app's secret and the person's refresh token."""
    elsewhere = {"Location": f"{world.back}/elsewhere"}
    world.provider.faults.add(Fault(path="/token$", action="status", status=307, headers=elsewhere, times=None))
    with pytest.raises(ProviderUnavailable, match="HTTP 307"):
        await world.identity.refresh("the-refresh-token", ("Notes.Read",), CONTOSO_TENANT)
    assert not [call for call in world.provider.faults.calls if call.path == "/elsewhere"]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"error_codes": None, "suberror": None, "claims": None, "correlation_id": None},
        {"error_codes": "50076", "suberror": 7, "claims": ["x"], "correlation_id": {}},
        {"error_codes": 7, "suberror": {}, "claims": 7, "correlation_id": 7},
        {"error_codes": ["50076", None], "suberror": [], "claims": "x" * 2000, "correlation_id": "x" * 64},
    ],
)
async def test_a_refusal_without_microsofts_fields_is_told_by_its_error(
    world: ProviderWorld, odd: dict[str, object]
) -> None:
    """R-13: RFC 6749 §5.2 has `error` alone."""
    world.answer_with({"error": "invalid_grant", **odd}, status=400)
    with pytest.raises(ProviderRefused) as refused:
        await world.identity.refresh("a-refresh-token", ("Notes.Read",), CONTOSO_TENANT)
    refusal = refused.value.refusal
    assert refusal == ProviderRefusal(error="invalid_grant", correlation_id=refusal.correlation_id)
    assert len(refusal.correlation_id or "") == 36


async def test_the_providers_retry_after_is_passed_on(world: ProviderWorld) -> None:
    for header, wait_s in (("120", 120.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("", None)):
        world.provider.faults.clear()
        world.provider.faults.add(Fault(path="/token$", action="status", status=429, headers={"Retry-After": header}))
        with pytest.raises(ProviderUnavailable) as refused:
            await world.identity.refresh("a-refresh-token", ("Notes.Read",), CONTOSO_TENANT)
        assert refused.value.retry_after_s == wait_s


# The app's own credential --------------------------------------------------------------------------------------


async def test_a_rotated_credential_is_read_again_once(world: ProviderWorld) -> None:
    """R-01: a rotation in the operator's vault needs no restart; the sign-in under way succeeds."""
    identity = world.rebuilt(AUTH_CLIENT_SECRET=SECRET_ADDRESS)
    world.operator.secret = "the old secret"
    attempt = new_attempt()
    code = await world.code(attempt, CAROL.username)
    await world.credential.get("common")
    assert world.operator.reads == 1
    world.operator.secret = SECRET
    signed_in = await identity.redeem(code, attempt, "common")
    assert world.operator.reads == 2
    await identity.refresh(signed_in.grant.refresh_token or "", ("Notes.Read",), CONTOSO_TENANT)
    assert world.operator.reads == 2


async def test_a_second_round_asks_with_the_same_claims(world: ProviderWorld) -> None:
    """msal takes the claims challenge out of what it is given; the round after a rotation must not lose it."""
    identity = world.rebuilt(AUTH_CLIENT_SECRET=SECRET_ADDRESS)
    attempt = new_attempt(claims='{"access_token":{"c":{"essential":true}}}')
    world.answer_with({"error": "invalid_client", "error_codes": [7000215]}, status=401, times=1)
    world.provider.faults.add(
        Fault(path="/token$", form={"claims": attempt.claims or ""}, action="status", status=200, body="{}")
    )
    with pytest.raises(ProviderUnavailable):
        await identity.redeem("a-code", attempt, "common")
    assert world.provider.faults.waiting() == []


async def test_a_wrong_credential_alarms_the_operator_and_ends_no_session(
    world: ProviderWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """R-01: two rounds at the most where it can be read again, one where it can't; the secret shows nowhere."""
    for given, calls in (("a wrong secret", 1), (SECRET_ADDRESS, 2)):
        identity = world.rebuilt(AUTH_CLIENT_SECRET=given)
        world.operator.secret = "a wrong secret"
        before = world.provider.token_calls.total()
        with pytest.raises(Misconfigured, match="AUTH_CLIENT_SECRET is wrong"):
            await identity.refresh("a-refresh-token", ("Notes.Read",), CONTOSO_TENANT)
        assert world.provider.token_calls.total() - before == calls
    assert "provider_refused_the_app" in caplog.text
    assert "client_secret_wrong" in caplog.text
    assert "a wrong secret" not in caplog.text


async def test_an_app_that_a_tenant_does_not_know_is_that_tenants_trouble_alone(world: ProviderWorld) -> None:
    """R-13: somebody else's organization has removed it; everybody else's sessions are renewed all the same."""
    world.answer_with({"error": "unauthorized_client", "error_codes": [700016]}, status=400)
    with pytest.raises(Misconfigured) as refused:
        await world.identity.refresh("a-refresh-token", ("Notes.Read",), CONTOSO_TENANT)
    assert not refused.value.everywhere


class AskedCredential(ClientCredential):
    """Counts how often msal has asked for the proof."""

    asked = 0

    async def get(self, authority: str) -> MsalCredential:
        return self._same

    @cached_property
    def _same(self) -> MsalCredential:
        return {"client_assertion": self._assertion_of}

    def _assertion_of(self, _context: dict[str, str]) -> str:
        self.asked += 1
        return f"assertion {self.asked}"


async def test_a_renewals_request_is_built_once_a_minute_for_each_authority_and_scopes(world: ProviderWorld) -> None:
    """R-11: so that an assertion in it never gets old, and a thousand renewals don't ask for a thousand."""
    clock = ManualClock()
    operator = world.operator
    credential = AskedCredential(world.settings, operator.read_secret, operator.identity_token)
    metadata = Metadata(world.http, world.settings.authority_host, world.settings.tenant, SystemClock())
    tokens = TokenEndpoint(world.settings, world.http, metadata, credential, clock)
    identity = MsalIdentity(world.settings, world.http, metadata, tokens, clock)
    world.answer_with({"access_token": "an-access-token", "expires_in": 3600})
    asked: list[int] = []
    for waited_s, scope, authority in (
        (0, "Notes.Read", CONTOSO_TENANT),
        (59, "Notes.Read", CONTOSO_TENANT),
        (2, "Notes.Read", CONTOSO_TENANT),
        (0, "Notes.ReadWrite", CONTOSO_TENANT),
        (0, "Notes.Read", FABRIKAM_TENANT),
        (-7200, "Notes.Read", FABRIKAM_TENANT),
    ):
        clock.advance(timedelta(seconds=waited_s))
        await identity.refresh("a-refresh-token", (scope,), authority)
        asked.append(credential.asked)
    assert asked == [1, 1, 2, 3, 4, 5]


async def test_a_managed_identity_stands_in_for_the_secret(world: ProviderWorld) -> None:
    """R-01: the assertion is fetched for each token call, so that a stale one is never sent."""
    identity = world.rebuilt(AUTH_CLIENT_SECRET="", AUTH_MANAGED_IDENTITY_CLIENT_ID="an-identity")
    attempt = new_attempt()
    signed_in = await identity.redeem(await world.code(attempt, CAROL.username), attempt, "common")
    await identity.refresh(signed_in.grant.refresh_token or "", ("Notes.Read",), CONTOSO_TENANT)
    assert world.operator.assertions == 2


async def test_asked_as_the_app_the_provider_says_what_it_thinks_of_the_credential(
    world: ProviderWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """R-01: with a grant that is nobody's, so nothing of a person is spent; and nobody is alarmed by the question."""
    nobodys = {"grant_type": "refresh_token", "refresh_token": "nobodys"}
    as_itself = {"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default"}
    refused = await world.endpoint.ask_as_app("common", nobodys)
    assert refused is not None
    assert (refused.error, refused.codes) == ("invalid_grant", (70000,))
    assert await world.endpoint.ask_as_app(CONTOSO_TENANT, as_itself) is None
    for given, calls in (("a wrong secret", 1), (SECRET_ADDRESS, 2)):
        world.rebuilt(AUTH_CLIENT_SECRET=given)
        world.operator.secret = "a wrong secret"
        before = world.provider.token_calls.total()
        refused = await world.endpoint.ask_as_app("common", as_itself)
        assert refused is not None
        assert (refused.error, refused.codes) == ("invalid_client", (7000215,))
        assert world.provider.token_calls.total() - before == calls
    assert "provider_refused_the_app" not in caplog.text


def sent_in(url: str) -> dict[str, str]:
    """The query, every name once."""
    parsed = parse_qs(urlsplit(url).query, strict_parsing=True)
    assert all(len(values) == 1 for values in parsed.values())
    return {name: values[0] for name, values in parsed.items()}

"""The embedded identity provider over HTTP: what an app gets, and what it is refused (R-02 to R-05, R-08, R-12 to R-14)."""

import asyncio
import base64
import hashlib
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
import jwt
import msal
import pytest
import requests
import time_machine
from aiohttp import web
from jwt import PyJWK

from local.browser import Answer, Browser
from local.identity_provider import (
    CONTOSO_TENANT,
    FABRIKAM_TENANT,
    PERSONAL_TENANT,
    USERS,
    IdentityProvider,
)
from local.identity_provider.grants import Family, Ledger
from local.identity_provider.scopes import parse
from local.listen import Listener
from local.tls import LocalAuthority

CLIENT_ID = "0d7e4c1a-9b55-4a43-8f0a-6a4f0b9f2f11"
SECRET = "a secret+with/odd=signs"
ADA, BOB, CAROL, DAVE, ERIN = (user.username for user in USERS)
SCOPE = "openid profile offline_access Notes.Read"
DAY_S = 86_400


@dataclass
class World:
    """The provider on its two addresses, and an app that it sends people back to."""

    idp: IdentityProvider
    front: str
    back: str
    app: str
    ca: Path
    http: aiohttp.ClientSession
    front_channel: list[dict[str, str]] = field(default_factory=list)

    @property
    def redirect_uri(self) -> str:
        return f"{self.app}/callback"

    def authorize_url(self, tenant: str, **parameters: str) -> str:
        sent = {
            "client_id": CLIENT_ID,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "response_mode": "form_post",
            "scope": SCOPE,
            "state": "my state",
            "nonce": "my nonce",
            **parameters,
        }
        query = urlencode({name: value for name, value in sent.items() if value})
        return f"{self.front}/{tenant}/oauth2/v2.0/authorize?{query}"

    async def post_token(self, tenant: str, headers: Mapping[str, str] | None = None, /, **form: str) -> "Reply":
        sent = {"client_id": CLIENT_ID, "client_secret": SECRET, **form}
        sent = {name: value for name, value in sent.items() if value}
        url = f"{self.back}/{tenant}/oauth2/v2.0/token"
        async with self.http.post(url, data=sent, headers=headers) as answer:
            return Reply(answer.status, await answer.json())

    async def redeem(self, tenant: str, code: str, **form: str) -> "Reply":
        sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect_uri, **form}
        return await self.post_token(tenant, None, **sent)

    async def refresh(self, tenant: str, refresh_token: str, **form: str) -> "Reply":
        return await self.post_token(tenant, None, grant_type="refresh_token", refresh_token=refresh_token, **form)

    async def grant(self, browser: Browser, username: str, tenant: str, **parameters: str) -> dict[str, Any]:
        """Sign in and redeem at the same place: a token answer."""
        answer = await sign_in(browser, self.authorize_url(tenant, **parameters), username)
        reply = await self.redeem(tenant, answer["code"])
        assert reply.status == 200, reply.body
        return reply.body


@dataclass(frozen=True)
class Reply:
    status: int
    body: dict[str, Any]

    @property
    def error(self) -> tuple[int, str, list[int], str | None]:
        codes = self.body["error_codes"]
        assert self.body["error_description"].startswith(f"AADSTS{codes[0]}: ")
        assert {"timestamp", "trace_id", "correlation_id"} <= set(self.body)
        return self.status, self.body["error"], codes, self.body.get("suberror")


async def sign_in(browser: Browser, url: str, username: str, decision: str = "Accept") -> dict[str, str]:
    """Choose the account, decide on consent where asked; what the app's callback got."""
    page = await choose(browser, await browser.goto(url), username)
    if page.forms:
        page = await browser.submit(page, page.form(button=decision), button=decision)
    return got(page)


async def choose(browser: Browser, page: Answer, username: str) -> Answer:
    return await browser.submit(page, page.form(button=username), button=username)


def got(page: Answer) -> dict[str, str]:
    """Form and query as the callback saw them, with the fragment that only the browser sees."""
    assert page.status == 200, page.text
    answer: dict[str, str] = page.json()
    return answer | page.fragment


@pytest.fixture
async def world(authority: LocalAuthority) -> AsyncIterator[World]:
    front, back, app = Listener(), Listener(tls=authority.context), Listener()
    idp = IdentityProvider(
        front_url=front.url("127.0.0.1"),
        back_url=back.url(),
        client_id=CLIENT_ID,
        client_secret=SECRET,
        redirect_uris=[f"{app.url()}/callback"],
        front_channel_logout_url=f"{app.url()}/frontchannel-logout",
        post_logout_redirect_uris=[f"{app.url()}/bye"],
        accepts_assertion=lambda assertion: assertion == "a good one",
    )
    trust = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=authority.bundle))
    async with aiohttp.ClientSession(connector=trust) as http:
        world = World(idp, front.url("127.0.0.1"), back.url(), app.url(), authority.bundle, http)
        await front.serve(idp.make_app())
        await back.serve(idp.make_app())
        await app.serve(_app(world))
        yield world
    for listener in (front, back, app):
        await listener.close()


@pytest.fixture
async def browser(world: World) -> AsyncIterator[Browser]:
    async with Browser(world.front) as fresh:
        yield fresh


def _app(world: World) -> web.Application:
    async def callback(request: web.Request) -> web.Response:
        sent = await request.post()
        return web.json_response({**request.query, **{name: str(value) for name, value in sent.items()}})

    async def front_channel(request: web.Request) -> web.Response:
        world.front_channel.append(dict(request.query))
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/callback", callback)
    app.router.add_get("/bye", callback)
    app.router.add_get("/frontchannel-logout", front_channel)
    return app


async def verified(world: World, tenant: str, token: str, **options: Any) -> dict[str, Any]:
    """The claims of an id token whose signature, audience and times are right."""
    async with world.http.get(f"{world.back}/{tenant}/discovery/v2.0/keys") as answer:
        keys = {key["kid"]: key for key in (await answer.json())["keys"]}
    key = PyJWK(keys[jwt.get_unverified_header(token)["kid"]])
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=["RS256"], audience=CLIENT_ID, **options)
    return claims


# --- metadata ---


@pytest.mark.parametrize(
    ("tenant", "issuer_tenant"),
    [
        ("common", "{tenantid}"),
        ("organizations", "{tenantid}"),
        ("consumers", PERSONAL_TENANT),
        (PERSONAL_TENANT, PERSONAL_TENANT),
        (CONTOSO_TENANT, CONTOSO_TENANT),
        (FABRIKAM_TENANT.upper(), FABRIKAM_TENANT),
    ],
)
async def test_metadata_names_the_issuer_by_template_where_several_tenants_sign_in(
    world: World, tenant: str, issuer_tenant: str
) -> None:
    """R-03: browsers go to the front address, programs to the back one; endpoints keep the path's tenant."""
    async with world.http.get(f"{world.back}/{tenant}/v2.0/.well-known/openid-configuration") as answer:
        document = await answer.json()
    segment = tenant.lower()
    assert document["issuer"] == f"{world.back}/{issuer_tenant}/v2.0"
    assert document["authorization_endpoint"] == f"{world.front}/{segment}/oauth2/v2.0/authorize"
    assert document["end_session_endpoint"] == f"{world.front}/{segment}/oauth2/v2.0/logout"
    assert document["token_endpoint"] == f"{world.back}/{segment}/oauth2/v2.0/token"
    assert document["jwks_uri"] == f"{world.back}/{segment}/discovery/v2.0/keys"


@pytest.mark.parametrize("path", ["v2.0/.well-known/openid-configuration", "discovery/v2.0/keys"])
async def test_an_unknown_tenant_has_no_metadata(world: World, path: str) -> None:
    """R-03: a mistyped tenant is said, not guessed."""
    async with world.http.get(f"{world.back}/no-such-tenant/{path}") as answer:
        assert Reply(answer.status, await answer.json()).error == (400, "invalid_tenant", [90002], None)


# --- the code flow ---


@pytest.mark.parametrize(
    ("username", "tenant"),
    [
        (ADA, "consumers"),
        (ADA, PERSONAL_TENANT),
        (BOB, "common"),
        (CAROL, "organizations"),
        (CAROL, CONTOSO_TENANT),
        (ERIN, "common"),
        (DAVE, "organizations"),
    ],
)
async def test_code_flow_with_pkce_for_every_kind_of_account(
    world: World, browser: Browser, username: str, tenant: str
) -> None:
    """R-02, R-03, R-04: code by form post, tokens for it, an id token that checks out."""
    user = next(user for user in USERS if user.username == username)
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    url = world.authorize_url(tenant, code_challenge=challenge, code_challenge_method="S256", client_info="1")
    answer = await sign_in(browser, url, username)
    assert set(answer) == {"code", "state", "session_state", "client_info"}
    assert answer["state"] == "my state"

    reply = await world.redeem(tenant, answer["code"], code_verifier=verifier, client_info="1")
    body = reply.body
    assert reply.status == 200, body
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, "openid profile Notes.Read")
    assert body["client_info"] == answer["client_info"]
    assert body["access_token"].startswith("EwB") == user.personal
    claims = await verified(world, tenant, body["id_token"], issuer=f"{world.back}/{user.tenant_id}/v2.0")
    assert (claims["tid"], claims["oid"], claims["nonce"]) == (user.tenant_id, user.oid, "my nonce")
    assert (claims["preferred_username"], claims["name"]) == (username, user.name)
    assert claims["sid"] == answer["session_state"]

    token = world.idp.access_token(body["access_token"])
    assert token is not None
    assert (token.username, token.scopes) == (username, frozenset({"Notes.Read"}))
    assert (token.personal, token.licensed) == (user.personal, username != DAVE)
    assert token.expires_at == pytest.approx(time.time() + 3600, abs=30)


async def test_the_form_post_page_works_without_scripts(world: World, browser: Browser) -> None:
    """R-14: a visible button stands where a script would press it."""
    browser.plays_scripts = False
    page = await choose(browser, await browser.goto(world.authorize_url("common")), ADA)
    page = await browser.submit(page, page.form(button="Accept"), button="Accept")
    assert page.headers["Cache-Control"] == "no-store"
    assert got(await browser.submit(page, page.form(button="Continue"), button="Continue"))["code"]


async def test_query_is_the_default_answer_for_a_code_and_fragment_is_possible(world: World, browser: Browser) -> None:
    """R-04: the three response modes."""
    answer = await sign_in(browser, world.authorize_url("common", response_mode=""), ADA)
    assert answer["code"]
    page = await browser.goto(world.authorize_url("common", response_mode="fragment"))
    assert page.fragment["code"]
    assert page.query == {}


async def test_an_authorization_request_may_come_by_post(world: World, browser: Browser) -> None:
    """OpenID Connect Core §3.1.2.1."""
    url, _, query = world.authorize_url("common").partition("?")
    page = await browser.post(url, dict(parse_qsl(query)), origin=world.app)
    assert page.form(button="Sign in as Ada (personal)")


async def test_client_info_can_be_missing_from_the_answer(world: World, browser: Browser) -> None:
    """R-03: a provider that does not say the account's kind beforehand."""
    world.idp.behaviour.client_info_in_answer = False
    assert "client_info" not in await sign_in(browser, world.authorize_url("common", client_info="1"), ADA)


async def test_a_code_is_good_once(world: World, browser: Browser) -> None:
    """RFC 6749 §4.1.2: 54005 for the second one."""
    code = (await sign_in(browser, world.authorize_url("consumers"), ADA))["code"]
    assert (await world.redeem("consumers", code)).status == 200
    assert (await world.redeem("consumers", code)).error == (400, "invalid_grant", [54005], None)


@pytest.mark.parametrize("verifier", ["", "another-verifier-than-the-one-that-was-challenged"])
async def test_a_wrong_code_verifier_is_refused_and_spends_the_code(
    world: World, browser: Browser, verifier: str
) -> None:
    """RFC 7636 §4.6."""
    url = world.authorize_url("consumers", code_challenge="x" * 43, code_challenge_method="S256")
    code = (await sign_in(browser, url, ADA))["code"]
    reply = await world.redeem("consumers", code, code_verifier=verifier)
    assert reply.error == (400, "invalid_grant", [501481], None)
    assert (await world.redeem("consumers", code)).error[2] == [54005]


async def test_a_verifier_without_a_challenge_is_refused(world: World, browser: Browser) -> None:
    """RFC 9700 §4.8.2: the downgrade of PKCE."""
    code = (await sign_in(browser, world.authorize_url("consumers"), ADA))["code"]
    assert (await world.redeem("consumers", code, code_verifier="v" * 43)).error[2] == [501481]


async def test_a_code_lives_ten_minutes(world: World, browser: Browser) -> None:
    """R-04: then 70008."""
    code = (await sign_in(browser, world.authorize_url("consumers"), ADA))["code"]
    with time_machine.travel(time.time() + 601, tick=True):
        assert (await world.redeem("consumers", code)).error == (400, "invalid_grant", [70008], None)


async def test_a_code_is_bound_to_its_redirect_uri(world: World, browser: Browser) -> None:
    """RFC 6749 §4.1.3."""
    code = (await sign_in(browser, world.authorize_url("consumers"), ADA))["code"]
    reply = await world.redeem("consumers", code, redirect_uri=f"{world.app}/bye")
    assert reply.error == (400, "invalid_grant", [500112], None)


async def test_an_unknown_code_is_refused(world: World) -> None:
    """RFC 6749 §5.2."""
    assert (await world.redeem("common", "made-up")).error == (400, "invalid_grant", [70000], None)


@pytest.mark.parametrize(
    ("username", "issued_at", "redeemed_at", "works"),
    [
        (ADA, "common", "consumers", True),
        (ADA, "common", PERSONAL_TENANT, True),
        (ADA, "consumers", PERSONAL_TENANT, True),
        (ADA, "consumers", "common", False),
        (ADA, "common", CONTOSO_TENANT, False),
        (CAROL, "common", CONTOSO_TENANT, True),
        (CAROL, "organizations", CONTOSO_TENANT, True),
        (CAROL, "organizations", "common", False),
        (CAROL, "common", FABRIKAM_TENANT, False),
        (CAROL, "common", "consumers", False),
    ],
)
async def test_where_a_code_can_be_redeemed(
    world: World, browser: Browser, username: str, issued_at: str, redeemed_at: str, works: bool
) -> None:
    """R-03: where it was issued, or at the account's own authority; 700005 elsewhere."""
    code = (await sign_in(browser, world.authorize_url(issued_at), username))["code"]
    reply = await world.redeem(redeemed_at, code)
    if works:
        assert reply.status == 200, reply.body
    else:
        assert reply.error == (400, "invalid_grant", [700005], None)


async def test_consumers_can_be_told_to_refuse_codes_of_common(world: World, browser: Browser) -> None:
    """R-03: nobody knows whether the real one takes them."""
    world.idp.behaviour.consumers_takes_common_code = False
    code = (await sign_in(browser, world.authorize_url("common"), ADA))["code"]
    assert (await world.redeem("consumers", code)).error[2] == [700005]


async def test_without_offline_access_there_is_no_refresh_token_and_without_openid_no_id_token(
    world: World, browser: Browser
) -> None:
    """R-04, R-08: each token only where its scope was asked for; Graph's full names are as good as short ones."""
    scope = "https://graph.microsoft.com/Notes.Read"
    tokens = await world.grant(browser, ADA, "consumers", scope=scope)
    assert not {"refresh_token", "id_token"} & set(tokens)
    assert tokens["scope"] == scope
    assert (await world.grant(browser, CAROL, "organizations", scope=scope, prompt="login"))["scope"] == "Notes.Read"


# --- who signs in, and consent ---


async def test_the_picker_offers_the_accounts_of_the_authority(world: World, browser: Browser) -> None:
    """R-02, R-03: and domain_hint and login_hint narrow it down."""

    async def offered(tenant: str, **parameters: str) -> list[str]:
        page = await browser.goto(world.authorize_url(tenant, **parameters))
        return [button.value for form in page.forms for button in form.buttons if button.name == "username"]

    assert await offered("consumers") == [ADA, BOB]
    assert await offered("organizations") == [CAROL, DAVE, ERIN]
    assert await offered(CONTOSO_TENANT) == [CAROL, DAVE]
    assert await offered("common") == [ADA, BOB, CAROL, DAVE, ERIN]
    assert await offered("common", domain_hint="consumers") == [ADA, BOB]
    assert await offered("common", domain_hint="fabrikam.example") == [ERIN]
    assert (await offered("common", login_hint=CAROL))[0] == CAROL


@pytest.mark.parametrize(
    ("tenant", "typed", "code"),
    [
        ("organizations", ADA, "AADSTS50020"),
        ("consumers", CAROL, "AADSTS50020"),
        (CONTOSO_TENANT, ERIN, "AADSTS50020"),
        ("common", "zoe@nowhere.example", "AADSTS50034"),
        ("common", "<b>", "AADSTS50034"),
    ],
)
async def test_an_account_that_the_authority_does_not_take_is_refused_on_the_page(
    world: World, browser: Browser, tenant: str, typed: str, code: str
) -> None:
    """R-03: the person may choose another one there; the app hears nothing."""
    page = await browser.goto(world.authorize_url(tenant))
    page = await browser.submit(page, page.form(button="Sign in"), {"username": typed}, button="Sign in")
    assert code in page.text
    assert page.url.startswith(world.front)
    assert "<b>" not in page.text
    fitting = next(b.value for form in page.forms for b in form.buttons if b.name == "username")
    assert (await choose(browser, page, fitting)).form(button="Accept")


async def test_consent_is_asked_in_words_once_for_each_permission(world: World, browser: Browser) -> None:
    """R-08: what was consented to is not asked again, what is new is."""
    page = await choose(browser, await browser.goto(world.authorize_url("consumers")), ADA)
    assert "Read your OneNote notebooks" in page.text
    assert got(await browser.submit(page, page.form(button="Accept"), button="Accept"))["code"]
    assert got(await browser.goto(world.authorize_url("consumers")))["code"]

    page = await browser.goto(world.authorize_url("consumers", scope=f"{SCOPE} Notes.Create"))
    assert "Create OneNote pages" in page.text
    assert "Read your OneNote notebooks" not in page.text
    page = await browser.goto(world.authorize_url("consumers", prompt="consent"))
    assert "Read your OneNote notebooks" in page.text


async def test_consent_refused_comes_back_as_access_denied(world: World, browser: Browser) -> None:
    """R-14: with state, and nothing is remembered."""
    answer = await sign_in(browser, world.authorize_url("consumers"), ADA, decision="Cancel")
    assert (answer["error"], answer["state"]) == ("access_denied", "my state")
    assert answer["error_description"].startswith("AADSTS65004: ")
    page = await browser.goto(world.authorize_url("consumers"))
    assert page.form(button="Accept")


async def test_a_page_answered_twice_says_so(world: World, browser: Browser) -> None:
    """A double click or the back button: no second code."""
    page = await choose(browser, await browser.goto(world.authorize_url("consumers")), ADA)
    form = page.form(button="Accept")
    assert got(await browser.submit(page, form, button="Accept"))["code"]
    again = await browser.submit(page, form, button="Accept")
    assert again.status == 400
    assert "This sign-in has ended" in again.text


async def test_two_tabs_sign_in_at_once(world: World, browser: Browser) -> None:
    """R-04: each page answers its own request."""
    first = await browser.goto(world.authorize_url("common", state="first"))
    second = await browser.goto(world.authorize_url("common", state="second"))
    page = await choose(browser, second, CAROL)
    assert got(await browser.submit(page, page.form(button="Accept"), button="Accept"))["state"] == "second"
    page = await choose(browser, first, ADA)
    assert got(await browser.submit(page, page.form(button="Accept"), button="Accept"))["state"] == "first"


async def test_prompt_none_never_shows_a_page(world: World, browser: Browser) -> None:
    """OpenID Connect Core §3.1.2.6: an error until somebody has signed in and consented."""
    silent = world.authorize_url("common", prompt="none")
    answer = got(await browser.goto(silent))
    assert (answer["error"], answer["state"]) == ("login_required", "my state")
    assert answer["error_description"].startswith("AADSTS50058")

    await sign_in(browser, world.authorize_url("common"), ADA, decision="Cancel")
    answer = got(await browser.goto(silent))
    assert (answer["error"], answer["error_description"][:11]) == ("interaction_required", "AADSTS65001")

    await browser.goto(world.authorize_url("common"))
    page = await browser.goto(world.authorize_url("common"))
    assert got(await browser.submit(page, page.form(button="Accept"), button="Accept"))["code"]
    assert got(await browser.goto(silent))["code"]

    await sign_in(browser, world.authorize_url("common", prompt="select_account"), CAROL)
    answer = got(await browser.goto(silent))
    assert (answer["error"], answer["error_description"][:11]) == ("interaction_required", "AADSTS16000")
    assert got(await browser.goto(world.authorize_url("common", prompt="none", login_hint=CAROL)))["code"]
    assert got(await browser.goto(world.authorize_url("organizations", prompt="none")))["code"]


async def test_prompt_login_and_select_account_ask_a_signed_in_person_again(world: World, browser: Browser) -> None:
    """R-12: signing in as somebody else must be possible."""
    await sign_in(browser, world.authorize_url("common"), ADA)
    for prompt in ("login", "select_account"):
        page = await browser.goto(world.authorize_url("common", prompt=prompt))
        assert page.form(button="Sign in as Bob (personal)")


@pytest.mark.parametrize(
    ("parameters", "error", "code"),
    [
        ({"response_type": ""}, "invalid_request", "AADSTS900144"),
        ({"response_type": "code id_token"}, "unsupported_response_type", "AADSTS70005"),
        ({"response_mode": "web_message"}, "invalid_request", "AADSTS90023"),
        ({"response_type": "id_token", "response_mode": "query"}, "invalid_request", "AADSTS70007"),
        ({"response_type": "id_token", "nonce": ""}, "invalid_request", "AADSTS90014"),
        ({"response_type": "id_token", "scope": "Notes.Read"}, "invalid_request", "AADSTS9002313"),
        ({"scope": ""}, "invalid_request", "AADSTS900144"),
        ({"scope": "openid Notes.Everything"}, "invalid_client", "AADSTS650053"),
        ({"scope": "https://onenote.com/Notes.Read"}, "invalid_resource", "AADSTS500011"),
        ({"prompt": "please"}, "invalid_request", "AADSTS90023"),
        ({"prompt": "select_account", "login_hint": ADA}, "invalid_request", "AADSTS90023"),
        ({"code_challenge": "x" * 43}, "invalid_request", "AADSTS50147"),
        ({"code_challenge": "x" * 43, "code_challenge_method": "plain"}, "invalid_request", "AADSTS50147"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request", "AADSTS50147"),
        ({"claims": "not JSON"}, "invalid_request", "AADSTS9002313"),
    ],
)
async def test_a_wrong_request_comes_back_to_the_app_as_an_error(
    world: World, browser: Browser, parameters: dict[str, str], error: str, code: str
) -> None:
    """R-14: with state, and with Microsoft's code."""
    answer = got(await browser.goto(world.authorize_url("common", **parameters)))
    assert (answer["error"], answer["error_description"].partition(":")[0]) == (error, code)
    assert answer["state"] == "my state"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"client_id": ""}, "AADSTS900144"),
        ({"client_id": "somebody-else"}, "AADSTS700016"),
        ({"redirect_uri": ""}, "AADSTS50011"),
        ({"redirect_uri": "http://localhost:1/callback"}, "AADSTS50011"),
        ({"redirect_uri": "https://<i>evil</i>.example/"}, "AADSTS50011"),
    ],
)
async def test_nothing_is_sent_to_an_address_that_is_not_registered(
    world: World, browser: Browser, parameters: dict[str, str], code: str
) -> None:
    """RFC 6749 §4.1.2.1: an error page instead."""
    page = await browser.goto(world.authorize_url("common", **parameters))
    assert (page.status, len(page.chain)) == (400, 1)
    assert code in page.text
    assert "<i>" not in page.text


async def test_a_repeated_parameter_or_an_unknown_tenant_ends_on_a_page(world: World, browser: Browser) -> None:
    """RFC 6749 §3.1."""
    page = await browser.goto(world.authorize_url("common") + "&state=another")
    assert (page.status, "AADSTS9002313" in page.text) == (400, True)
    page = await browser.goto(world.authorize_url("no-such-tenant"))
    assert (page.status, "AADSTS90002" in page.text) == (400, True)


# --- refreshing ---


async def test_a_spent_refresh_token_stays_valid_at_a_lenient_provider(world: World, browser: Browser) -> None:
    """R-11: Microsoft's way. Every use gives a new one."""
    first = (await world.grant(browser, ADA, "consumers"))["refresh_token"]
    second = (await world.refresh("consumers", first)).body["refresh_token"]
    assert second != first
    for token in (first, second, first):
        reply = await world.refresh("consumers", token, scope=SCOPE)
        assert reply.status == 200, reply.body
        assert "nonce" not in await verified(world, "consumers", reply.body["id_token"])


async def test_reuse_of_a_spent_refresh_token_revokes_the_family_at_a_strict_provider(
    world: World, browser: Browser
) -> None:
    """R-11: RFC 9700 §4.14.2."""
    world.idp.behaviour.rotation = "strict"
    first = (await world.grant(browser, CAROL, CONTOSO_TENANT))["refresh_token"]
    second = (await world.refresh(CONTOSO_TENANT, first)).body["refresh_token"]
    revoked = (400, "invalid_grant", [50173], "bad_token")
    assert (await world.refresh(CONTOSO_TENANT, first)).error == revoked
    assert (await world.refresh(CONTOSO_TENANT, second)).error == revoked


async def test_a_personal_refresh_token_got_at_common_dies_at_its_first_refresh(world: World, browser: Browser) -> None:
    """R-02: reported in 2026; the same sign-in redeemed at consumers lives."""
    dying = (await world.grant(browser, ADA, "common"))["refresh_token"]
    dead = (400, "invalid_grant", [70000], "bad_token")
    for tenant in ("common", "consumers", PERSONAL_TENANT):
        assert (await world.refresh(tenant, dying)).error == dead

    code = got(await browser.goto(world.authorize_url("common")))["code"]
    living = (await world.redeem("consumers", code)).body["refresh_token"]
    assert (await world.refresh("common", living)).error == dead
    assert (await world.refresh("consumers", living)).status == 200
    assert (await world.refresh(PERSONAL_TENANT, living)).status == 200

    world.idp.behaviour.common_personal_dies = False
    assert (await world.refresh("common", dying)).status == 200
    assert (await world.refresh("organizations", dying)).error[2] == [50020]


async def test_a_work_account_is_refreshed_at_its_own_tenant(world: World, browser: Browser) -> None:
    """R-03: at the shared authorities too, but not at another tenant."""
    token = (await world.grant(browser, CAROL, "common"))["refresh_token"]
    for tenant in (CONTOSO_TENANT, "organizations", "common"):
        assert (await world.refresh(tenant, token)).status == 200
    for tenant in (FABRIKAM_TENANT, "consumers"):
        assert (await world.refresh(tenant, token)).error == (400, "invalid_grant", [50020], None)


async def test_a_refresh_token_lives_ninety_days_from_its_last_use(world: World, browser: Browser) -> None:
    """R-11: sliding; then 700082."""
    token = (await world.grant(browser, ADA, "consumers"))["refresh_token"]
    start = time.time()
    with time_machine.travel(start + 89 * DAY_S, tick=True):
        newer = (await world.refresh("consumers", token)).body["refresh_token"]
    with time_machine.travel(start + 91 * DAY_S, tick=True):
        assert (await world.refresh("consumers", token)).error == (400, "invalid_grant", [700082], "bad_token")
        assert (await world.refresh("consumers", newer)).status == 200


async def test_an_unknown_refresh_token_is_a_bad_one(world: World) -> None:
    """RFC 6749 §5.2."""
    reply = await world.refresh("consumers", "made-up")
    assert reply.error == (400, "invalid_grant", [70000], "bad_token")


async def test_a_refresh_may_ask_for_less_and_never_for_more_than_was_consented_to(
    world: World, browser: Browser
) -> None:
    """R-08: consent given in another sign-in counts too."""
    tokens = await world.grant(browser, ADA, "consumers", scope=f"{SCOPE} Notes.Create")
    token = tokens["refresh_token"]
    less = (await world.refresh("consumers", token, scope="Notes.Create")).body
    known = world.idp.access_token(less["access_token"])
    assert known is not None
    assert known.scopes == {"Notes.Create"}
    assert not {"refresh_token", "id_token"} & set(less)
    more = (400, "invalid_grant", [65001], "consent_required")
    assert (await world.refresh("consumers", token, scope="Notes.ReadWrite")).error == more
    await sign_in(browser, world.authorize_url("consumers", prompt="login", scope="Notes.ReadWrite"), ADA)
    assert (await world.refresh("consumers", token, scope="Notes.ReadWrite")).status == 200


async def test_consent_is_revoked_on_its_page(world: World, browser: Browser) -> None:
    """R-13: refresh tokens die for good, others' live on, consent is asked anew."""
    adas = (await world.grant(browser, ADA, "consumers"))["refresh_token"]
    carols = (await world.grant(browser, CAROL, "organizations", prompt="login"))["refresh_token"]
    page = await browser.goto("/consent")
    assert "Read your OneNote notebooks" in page.text
    page = await browser.submit(page, page.form(button="Revoke Ada (personal)"), button="Revoke Ada (personal)")
    assert ADA not in page.text
    assert CAROL in page.text
    refused = (400, "invalid_grant", [65001], "consent_required")
    assert (await world.refresh("consumers", adas)).error == refused
    assert (await world.refresh("organizations", carols)).status == 200

    again = await browser.goto(world.authorize_url("consumers"))
    code = got(await browser.submit(again, again.form(button="Accept"), button="Accept"))["code"]
    newer = (await world.redeem("consumers", code)).body["refresh_token"]
    assert (await world.refresh("consumers", adas)).error == refused
    assert (await world.refresh("consumers", newer)).status == 200

    world.idp.revoke_consent(ADA)
    assert (await world.refresh("consumers", newer)).error == refused
    with pytest.raises(LookupError):
        world.idp.revoke_consent("zoe@nowhere.example")


@pytest.mark.parametrize(
    ("error", "codes", "suberror", "claims", "status"),
    [
        ("invalid_grant", [50173], None, None, 400),
        ("invalid_grant", [50076], "basic_action", '{"access_token":{}}', 400),
        ("interaction_required", [53003], "message_only", None, 400),
        ("temporarily_unavailable", [90033], None, None, 503),
        ("invalid_client", [7000222], None, None, 401),
    ],
)
async def test_any_refusal_can_be_ordered_for_a_user(
    world: World,
    browser: Browser,
    error: str,
    codes: list[int],
    suberror: str | None,
    claims: str | None,
    status: int,
) -> None:
    """R-13: until it is taken back, and nobody else is touched."""
    adas = (await world.grant(browser, ADA, "consumers"))["refresh_token"]
    bobs = (await world.grant(browser, BOB, "consumers", prompt="login"))["refresh_token"]
    world.idp.refuse(ADA, error, codes, suberror, claims)
    for _ in range(2):
        reply = await world.refresh("consumers", adas)
        assert reply.error == (status, error, codes, suberror)
        assert reply.body.get("claims") == claims
    assert (await world.refresh("consumers", bobs)).status == 200
    world.idp.stop_refusing(ADA)
    assert (await world.refresh("consumers", adas)).status == 200


async def test_a_refusal_can_end_with_the_next_sign_in_or_meet_the_person_there(world: World, browser: Browser) -> None:
    """R-13: reconnecting mends it; R-14: a policy that refuses in the browser."""
    token = (await world.grant(browser, CAROL, "organizations"))["refresh_token"]
    world.idp.refuse(CAROL, codes=[50133], until_sign_in=True)
    assert (await world.refresh("organizations", token)).error[2] == [50133]
    code = got(await browser.goto(world.authorize_url("organizations")))["code"]
    assert (await world.redeem("organizations", code)).status == 200
    assert (await world.refresh("organizations", token)).status == 200

    world.idp.refuse(CAROL, "access_denied", [50105], at=["authorize"])
    answer = got(await browser.goto(world.authorize_url("organizations")))
    assert (answer["error"], answer["error_description"][:11]) == ("access_denied", "AADSTS50105")
    assert (await world.refresh("organizations", token)).status == 200
    world.idp.refuse(CAROL, codes=[53003], at=["authorization_code"])
    code = got(await browser.goto(world.authorize_url("organizations")))["code"]
    assert (await world.redeem("organizations", code)).error[2] == [53003]
    world.idp.stop_refusing()
    assert got(await browser.goto(world.authorize_url("organizations")))["code"]


# --- the app's credential and the token endpoint itself ---


async def test_the_apps_credential_is_checked(world: World, browser: Browser) -> None:
    """R-01: secret in body or header, or an assertion; each wrong one has its code."""
    token = (await world.grant(browser, ADA, "consumers"))["refresh_token"]
    jwt_bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

    async def attempt(authorization: str | None = None, **form: str) -> Reply:
        headers = {"Authorization": authorization} if authorization else None
        sent = {"client_secret": "", "grant_type": "refresh_token", "refresh_token": token, **form}
        return await world.post_token("consumers", headers, **sent)

    basic = base64.b64encode(urlencode({CLIENT_ID: SECRET}).replace("=", ":", 1).encode()).decode()
    assert (await attempt(f"Basic {basic}")).status == 200
    assert (await attempt(client_assertion="a good one", client_assertion_type=jwt_bearer)).status == 200
    refused = await attempt(client_assertion="a bad one", client_assertion_type=jwt_bearer)
    assert refused.error == (401, "invalid_client", [700027], None)
    assert (await attempt(client_assertion="a good one")).error[2] == [700027]
    assert (await attempt(client_secret="wrong")).error == (401, "invalid_client", [7000215], None)
    assert (await attempt()).error == (401, "invalid_client", [7000218], None)
    assert (await attempt(client_id="other")).error == (400, "unauthorized_client", [700016], None)
    assert (await attempt(client_id="")).error == (400, "invalid_request", [900144], None)
    assert (await attempt("Basic !!!")).error == (400, "invalid_request", [9002313], None)
    world.idp.behaviour.consumers_takes_assertion = False
    assert (await attempt(client_assertion="a good one", client_assertion_type=jwt_bearer)).status == 401
    assert "wrong" not in str((await attempt(client_secret="wrong")).body)


async def test_the_token_endpoint_refuses_what_it_does_not_understand(world: World) -> None:
    """RFC 6749 §5.2."""
    assert (await world.post_token("common")).error[2] == [900144]
    assert (await world.post_token("common", grant_type="password")).error[1] == "unsupported_grant_type"
    assert (await world.post_token("nowhere", grant_type="refresh_token")).error[1] == "invalid_tenant"
    assert (await world.post_token("common", grant_type="refresh_token")).error[2] == [900144]
    assert (await world.post_token("common", grant_type="authorization_code", code="x")).error[2] == [900144]
    from_a_page = {"Origin": world.app}
    reply = await world.post_token("common", from_a_page, grant_type="refresh_token", refresh_token="x")
    assert reply.error[2] == [9002326]
    async with world.http.get(f"{world.back}/common/oauth2/v2.0/token") as answer:
        assert Reply(answer.status, await answer.json()).error == (400, "invalid_request", [900561], None)


async def test_token_answers_are_counted_delayed_and_shaped_as_told(world: World, browser: Browser) -> None:
    """R-10: lifetimes and latency are the provider's to choose."""
    behaviour = world.idp.behaviour
    behaviour.access_token_seconds, behaviour.refresh_in, behaviour.latency_s = 5000, 2500, 0.05
    start = time.monotonic()
    tokens = await world.grant(browser, ADA, "consumers")
    assert time.monotonic() - start >= 0.05
    assert (tokens["expires_in"], tokens["ext_expires_in"], tokens["refresh_in"]) == (5000, 5000, 2500)
    correlation = {"client-request-id": "11111111-2222-3333-4444-555555555555"}
    reply = await world.post_token("consumers", correlation, grant_type="refresh_token", refresh_token="x")
    assert reply.body["correlation_id"] == correlation["client-request-id"]
    assert world.idp.token_calls == {
        ("authorization_code", "consumers"): 1,
        ("refresh_token", "consumers"): 1,
    }


async def test_access_tokens_run_out(world: World, browser: Browser) -> None:
    """R-10: by the clock, or all at once on request."""
    tokens = await world.grant(browser, ADA, "consumers")
    assert world.idp.access_token(tokens["access_token"])
    with time_machine.travel(time.time() + 3601, tick=True):
        assert world.idp.access_token(tokens["access_token"]) is None
    world.idp.expire_access_tokens()
    assert world.idp.access_token(tokens["access_token"]) is None
    newer = (await world.refresh("consumers", tokens["refresh_token"])).body["access_token"]
    assert world.idp.access_token(newer)


def test_a_provider_that_runs_for_long_forgets_what_is_out_of_date() -> None:
    """A stack that runs for weeks, or whose clock is moved by months, keeps a bounded memory."""
    ledger, user, scopes = Ledger(), USERS[0], parse(SCOPE)
    family = Family(user=user, sid="sid", redeemed_at="consumers")
    ledger.give_access_token(user, scopes, 3600)
    ledger.give_refresh_token(family, scopes)
    with time_machine.travel(time.time() + 121 * DAY_S, tick=True):
        living = ledger.give_refresh_token(family, scopes)
        for _ in range(20_000):
            ledger.give_access_token(user, scopes, -1)
    assert set(ledger.refresh_tokens) == {living}
    assert len(ledger.access_tokens) < 10


# --- the token flow ---


@pytest.mark.parametrize("mode", ["", "form_post"])
async def test_token_flow_answers_with_both_tokens_bound_to_each_other(
    world: World, browser: Browser, mode: str
) -> None:
    """R-05: id_token and access_token, at_hash, no refresh token."""
    url = world.authorize_url("consumers", response_type="id_token token", response_mode=mode)
    answer = await sign_in(browser, url, ADA)
    assert (answer["token_type"], answer["expires_in"], answer["state"]) == ("Bearer", "3600", "my state")
    assert not {"code", "refresh_token"} & set(answer)
    claims = await verified(world, "consumers", answer["id_token"])
    digest = hashlib.sha256(answer["access_token"].encode()).digest()[:16]
    assert claims["at_hash"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert claims["nonce"] == "my nonce"
    assert world.idp.access_token(answer["access_token"])


async def test_either_token_can_be_had_alone_and_the_flow_can_be_off(world: World, browser: Browser) -> None:
    """R-05: as the two boxes of an app registration allow."""
    alone = await sign_in(browser, world.authorize_url("consumers", response_type="id_token"), ADA)
    assert "access_token" not in alone
    assert "at_hash" not in await verified(world, "consumers", alone["id_token"])
    alone = got(await browser.goto(world.authorize_url("consumers", response_type="token")))
    assert "id_token" not in alone
    world.idp.behaviour.implicit_enabled = False
    for response_type, code in (("id_token token", "AADSTS700054"), ("token", "AADSTS70005")):
        answer = got(await browser.goto(world.authorize_url("consumers", response_type=response_type)))
        assert answer["error"] == "unsupported_response_type"
        assert answer["error_description"].startswith(f"{code}:")


async def test_keys_rotate_and_older_tokens_stay_verifiable(world: World, browser: Browser) -> None:
    """R-05: an app has to fetch the keys again for a key id that it does not know."""
    before = (await world.grant(browser, ADA, "consumers"))["id_token"]
    world.idp.rotate_keys()
    code = got(await browser.goto(world.authorize_url("consumers")))["code"]
    after = (await world.redeem("consumers", code)).body["id_token"]
    assert jwt.get_unverified_header(before)["kid"] != jwt.get_unverified_header(after)["kid"]
    for token in (before, after):
        assert (await verified(world, "consumers", token))["tid"] == PERSONAL_TENANT


# --- signing out ---


async def logout(browser: Browser, world: World, **parameters: str) -> Answer:
    return await browser.goto(f"{world.front}/common/oauth2/v2.0/logout?{urlencode(parameters)}")


async def test_sign_out_tells_the_apps_through_hidden_frames_and_moves_on(world: World, browser: Browser) -> None:
    """R-12: by sid alone, then back to the app, with state; nobody is signed in any more."""
    tokens = await world.grant(browser, ADA, "consumers")
    claims = await verified(world, "consumers", tokens["id_token"])
    page = await logout(browser, world, post_logout_redirect_uri=world.redirect_uri, state="s&t")
    assert world.front_channel == [{"sid": claims["sid"]}]
    assert page.url == f"{world.redirect_uri}?state=s%26t"
    assert not [cookie for cookie in browser.cookies if cookie.host == "127.0.0.1"]
    page = await browser.goto(world.authorize_url("common", prompt="none"))
    assert got(page)["error"] == "login_required"


async def test_the_sign_out_page_needs_no_scripts(world: World, browser: Browser) -> None:
    """R-12: it moves on by itself once the frames had their time, and has a link."""
    await sign_in(browser, world.authorize_url("common"), ADA)
    url = f"{world.front}/common/oauth2/v2.0/logout?post_logout_redirect_uri={world.redirect_uri}"
    page = await browser.request("GET", url)
    assert f'http-equiv="refresh" content="3;url={world.redirect_uri}"' in page.text
    assert f'href="{world.redirect_uri}"' in page.text


async def test_sign_out_without_a_session_leads_straight_on(world: World, browser: Browser) -> None:
    """R-12: twice is as good as once; a POST as good as a GET."""
    page = await logout(browser, world, post_logout_redirect_uri=f"{world.app}/bye")
    assert page.url == f"{world.app}/bye"
    url = f"{world.front}/{CONTOSO_TENANT}/oauth2/v2.0/logout"
    page = await browser.post(url, {"post_logout_redirect_uri": world.redirect_uri}, origin=world.app)
    assert page.url == world.redirect_uri


async def test_sign_out_leads_to_no_address_that_is_not_registered(world: World, browser: Browser) -> None:
    """R-12: no open redirect."""
    await sign_in(browser, world.authorize_url("common"), ADA)
    page = await logout(browser, world, post_logout_redirect_uri="https://evil.example/")
    assert "You signed out" in page.text
    assert "evil" not in page.text


async def test_logout_hint_ends_that_accounts_sign_in_only(world: World, browser: Browser) -> None:
    """R-12: two accounts in one browser; issuer beside the sid where told."""
    world.idp.behaviour.front_channel_iss = True
    ada = await world.grant(browser, ADA, "consumers")
    await world.grant(browser, CAROL, "organizations", prompt="login")
    claims = await verified(world, "consumers", ada["id_token"])
    await logout(browser, world, logout_hint=claims["login_hint"])
    assert world.front_channel == [{"sid": claims["sid"], "iss": f"{world.back}/{PERSONAL_TENANT}/v2.0"}]
    assert got(await browser.goto(world.authorize_url("common", prompt="none")))["code"]
    await logout(browser, world, logout_hint="of nobody")
    assert len(world.front_channel) == 2
    assert got(await browser.goto(world.authorize_url("common", prompt="none")))["error"] == "login_required"


async def test_an_account_that_never_answered_the_app_is_signed_out_quietly(world: World, browser: Browser) -> None:
    """R-12: front-channel sign-out goes to apps that had a sign-in."""
    await sign_in(browser, world.authorize_url("common"), ADA, decision="Cancel")
    await logout(browser, world)
    assert world.front_channel == []


async def test_the_sign_on_cookie_is_out_of_reach_of_scripts(world: World, browser: Browser) -> None:
    """R-16: HttpOnly, of the provider's own origin."""
    await sign_in(browser, world.authorize_url("common"), ADA)
    (cookie,) = [cookie for cookie in browser.cookies if cookie.host == "127.0.0.1"]
    assert (cookie.http_only, cookie.same_site, cookie.expires_at) == (True, "lax", None)
    assert (await browser.goto("/")).status == 200


# --- the real client as the judge ---


@pytest.mark.parametrize(("username", "tenant"), [(ADA, "consumers"), (CAROL, CONTOSO_TENANT), (ERIN, "organizations")])
@pytest.mark.filterwarnings("ignore:.*_by_auth_code_flow:DeprecationWarning")  # the older call is judged too
async def test_msal_signs_in_and_refreshes(world: World, browser: Browser, username: str, tenant: str) -> None:
    """R-04, R-11: msal's own confidential client, with its own discovery and transport."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(world.ca)

    def begin() -> tuple[Any, dict[str, Any]]:
        app = msal.ConfidentialClientApplication(
            CLIENT_ID,
            authority=f"{world.back}/{tenant}",
            client_credential=SECRET,
            instance_discovery=False,
            azure_region=False,
            http_client=session,
        )
        flow = app.initiate_auth_code_flow(["Notes.Read"], redirect_uri=world.redirect_uri, response_mode="form_post")
        return app, flow

    with session:
        app, flow = await asyncio.to_thread(begin)
        answer = await sign_in(browser, flow["auth_uri"], username)
        result = await asyncio.to_thread(app.acquire_token_by_auth_code_flow, flow, answer)
        assert "error" not in result, result
        assert result["id_token_claims"]["preferred_username"] == username
        refresh_token = result["refresh_token"]
        result = await asyncio.to_thread(app.acquire_token_by_refresh_token, refresh_token, ["Notes.Read"])
        assert "error" not in result, result
        code = got(await browser.goto(world.authorize_url(tenant)))["code"]
        by_code = await asyncio.to_thread(
            app.acquire_token_by_authorization_code,
            code,
            ["Notes.Read"],
            redirect_uri=world.redirect_uri,
            nonce="my nonce",
        )
        assert "error" not in by_code, by_code
        world.idp.revoke_consent(username)
        result = await asyncio.to_thread(app.acquire_token_by_refresh_token, refresh_token, ["Notes.Read"])
    assert (result["error"], result["suberror"]) == ("invalid_grant", "consent_required")
    token = world.idp.access_token(by_code["access_token"])
    assert token is not None
    assert token.username == username

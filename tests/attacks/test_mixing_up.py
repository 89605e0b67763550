"""Answers that belong to another person, another provider or another time."""

import base64
import json
import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from local.browser import Browser, Form
from local.browser.sign_in import PERSONAL_USER, WORK_USER, open_sign_in, sign_in_on
from local.control_client import ControlClient
from local.identity_provider import CONTOSO_TENANT
from local.services import CLIENT_ID
from tests.attacks.victim import Victim, session_cookie, stored
from tests.attacks.wire import FORM, PAGE, Reply, Wire, assert_sound
from tests.stack.test_sign_in import session_of


async def held_back(browser: Browser, username: str = WORK_USER, **query: str) -> Form:
    """The provider's answer to a sign-in of `browser`, not sent on."""
    browser.plays_scripts = False
    page = await sign_in_on(browser, await open_sign_in(browser, "work", **query), username)
    browser.plays_scripts = True
    return page.form(field_name="state")


async def answered(wire: Wire, browser: Browser, fields: dict[str, str], *, method: str = "POST") -> Reply:
    """The provider's answer, delivered to `browser` by whoever."""
    text = urlencode(fields)
    if method == "GET":
        return await wire.send("GET", f"/api/auth/callback?{text}", browser=browser, headers=PAGE)
    return await wire.send("POST", "/api/auth/callback", browser=browser, headers=PAGE | FORM, body=text)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_an_attackers_answer_signs_nobody_in_with_the_attackers_account(
    wire: Wire, victim: Victim, attacker: Browser, method: str
) -> None:
    """R-04: sign-in CSRF; a valid code and state without the cookie of the browser that began. The session stays."""
    fields = dict((await held_back(attacker)).fields)
    reply = await answered(wire, victim.browser, fields, method=method)
    assert_sound(reply, told="sign-in CSRF", leads_to=(wire.base_url + "/api/auth/error?",))
    assert reply.code == "attempt_unknown"
    assert "set-cookie" not in reply.headers


async def test_an_attackers_code_in_the_victims_own_attempt_is_refused(
    wire: Wire, victim: Victim, attacker: Browser
) -> None:
    """R-04: code injection; PKCE ties a code to the attempt that asked for it."""
    stolen = dict((await held_back(attacker)).fields)
    own = await victim.browser.request("GET", "/api/auth/login?account=work")
    state = parse_qs(urlsplit(own.headers["location"]).query)["state"][0]
    reply = await answered(wire, victim.browser, stolen | {"state": state})
    assert "/oauth2/v2.0/authorize?" in reply.location  # the provider is asked once more, with a state of its own
    assert state not in reply.location
    assert "__Secure-onenote-auth=" not in reply.headers["set-cookie"]


async def test_a_replayed_answer_changes_nothing(wire: Wire, control: ControlClient, browser: Browser) -> None:
    """R-04: spent once, refused from then on, also when the attempt's cookie is brought back."""
    await control.reset()
    form = await held_back(browser)
    kept = [cookie for cookie in browser.cookies if "attempt" in cookie.name]
    page = await browser.post("/api/auth/callback", dict(form.fields))
    assert page.url == wire.base_url + "/"
    session, before = session_cookie(browser), await stored(control)
    for cookie in kept:
        browser.cookies.put(cookie)
    for _ in range(2):
        reply = await answered(wire, browser, dict(form.fields))
        assert_sound(reply, told="a replay", leads_to=(wire.base_url + "/api/auth/error?",))
        assert reply.code == "attempt_spent"
        assert "__Secure-onenote-auth=" not in reply.headers["set-cookie"]
    assert session_cookie(browser) == session
    assert (await session_of(browser))["signed_in"] is True
    assert await stored(control) == before


async def test_an_answer_that_comes_too_late_changes_nothing(
    wire: Wire, control: ControlClient, browser: Browser
) -> None:
    """R-04: an attempt is good for a quarter of an hour."""
    fields = dict((await held_back(browser)).fields)
    await control.advance(16 * 60)
    reply = await answered(wire, browser, fields)
    assert reply.code == "attempt_expired"
    assert (await session_of(browser)) == {"signed_in": False}
    await control.reset()


def unsigned(claims: dict[str, Any]) -> str:
    """An id token as the token endpoint may send it: over TLS its signature need not be checked."""
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join((*encoded, "c2lnbmF0dXJl"))


async def token_answer(control: ControlClient, location: str, **changed: Any) -> None:
    """The next token answer, made up: right for the attempt at `location` but for the claims `changed`."""
    sent = parse_qs(urlsplit(location).query)
    back = (await control.state())["services"]["identity"]
    now = int(time.time())
    claims = {
        "iss": f"{back}/{CONTOSO_TENANT}/v2.0",
        "aud": CLIENT_ID,
        "tid": CONTOSO_TENANT,
        "oid": "0c7d8b5e-0000-0000-0000-000000000001",
        "sub": "subject",
        "preferred_username": "made.up@contoso.example",
        "nonce": sent["nonce"][0],
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
    } | changed
    tokens = {
        "token_type": "Bearer",
        "scope": "Notes.Read",
        "expires_in": 3600,
        "access_token": "made-up-access-token",
        "refresh_token": "made-up-refresh-token",
        "id_token": unsigned({name: value for name, value in claims.items() if value is not None}),
    }
    await control.fault("identity", "status", status=200, body=json.dumps(tokens), path="/oauth2/v2.0/token")


WRONG = [
    {"iss": "https://login.evil.example/common/v2.0"},
    {"iss": None},
    {"tid": "00000000-0000-0000-0000-00000000abcd"},
    {"tid": None},
    {"aud": "another-app"},
    {"aud": None},
    {"nonce": "another"},
    {"nonce": None},
    {"exp": 1},
    {"exp": None},
    {"exp": "soon"},
    {"nbf": 9_999_999_999},
    {"oid": None, "sub": None},
    {"tid": "9188040d-6c67-4c5b-b112-36a304b66dad"},
]


@pytest.mark.parametrize("changed", WRONG, ids=str)
async def test_an_answer_of_another_provider_is_refused(
    wire: Wire, victim: Victim, control: ControlClient, changed: dict[str, Any]
) -> None:
    """R-04: mix-up; issuer, tenant, audience, nonce and times are those of this very attempt. The session stays."""
    begun = await wire.send("GET", "/api/auth/login?account=work", browser=victim.browser)
    await token_answer(control, begun.location, **changed)
    state = parse_qs(urlsplit(begun.location).query)["state"][0]
    headers = FORM | PAGE | {"cookie": begun.headers["set-cookie"].partition(";")[0]}
    reply = await wire.send("POST", "/api/auth/callback", headers=headers, body=f"code=x&state={state}")
    assert_sound(reply, told=str(changed), forbidden=("made-up-",), leads_to=(wire.base_url + "/api/auth/error?",))
    assert reply.code == "id_token_refused"
    assert "__Secure-onenote-auth=" not in reply.headers["set-cookie"]


async def test_the_same_answer_with_nothing_changed_is_accepted(wire: Wire, control: ControlClient) -> None:
    """R-04: the counter-proof for the refusals."""
    await control.reset()
    begun = await wire.send("GET", "/api/auth/login?account=work")
    await token_answer(control, begun.location)
    state = parse_qs(urlsplit(begun.location).query)["state"][0]
    headers = FORM | PAGE | {"cookie": begun.headers["set-cookie"].partition(";")[0]}
    reply = await wire.send("POST", "/api/auth/callback", headers=headers, body=f"code=x&state={state}")
    assert (reply.status, reply.location) == (302, wire.base_url + "/")
    assert "__Secure-onenote-auth=1." in reply.headers["set-cookie"]
    await control.reset()


async def test_another_issuers_sign_out_call_ends_nothing(wire: Wire, victim: Victim) -> None:
    """R-12: nor does an unknown `sid`; neither is told apart from a known one by the caller."""
    for query in ("sid=unknown", "sid=unknown&iss=https://evil.example", "sid=" + PERSONAL_USER):
        reply = await wire.send("GET", f"/api/auth/frontchannel-logout?{query}", browser=victim.browser)
        assert_sound(reply, told=query, forbidden=victim.secrets)
        assert reply.status == 200
        assert "set-cookie" not in reply.headers

"""What goes wrong in real life, over HTTP: the provider's refusals, a vault that is away, OneNote's own failures."""

import asyncio
import base64
import json
from collections.abc import Mapping

import pytest

from local.browser import Answer, Browser
from local.browser.sign_in import PERSONAL_USER, WORK_USER, open_sign_in, refuse_consent, sign_in, sign_in_on
from local.control_client import ControlClient
from local.demo import NOTEBOOKS, holds_token
from local.process import StackProcess
from tests.stack.test_bad_input import is_error_page
from tests.stack.test_lifecycle import token_calls
from tests.stack.test_sign_in import session_of, stored_sessions

UNLICENSED_USER = "dave@contoso.example"
CLAIMS = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
HOUR_S = 3600
MINUTE_S = 60


async def health_of(browser: Browser) -> dict[str, object]:
    health = (await session_of(browser))["health"]
    assert isinstance(health, dict)
    return health


async def token_calls_at(control: ControlClient) -> list[str]:
    """The authorities whose token endpoint was called, in order."""
    paths = [call["path"] for call in await control.calls("identity")]
    return [path.split("/")[1] for path in paths if path.endswith("/token")]


def code_of(page: Answer) -> str | None:
    return page.query.get("code")


# The provider refuses to renew ------------------------------------------------------------------------------

PERSON = [
    ("invalid_grant", [50173], None, "grant_revoked"),
    ("invalid_grant", [700082], None, "grant_expired"),
    ("invalid_grant", [70043], None, "sign_in_frequency"),
    ("invalid_grant", [50133], None, "password_changed"),
    ("invalid_grant", [50055], "user_password_expired", "password_expired"),
    ("invalid_grant", [50057], None, "account_disabled"),
    ("interaction_required", [50076], "basic_action", "mfa_required"),
    ("interaction_required", [53003], "message_only", "blocked_by_policy"),
    ("invalid_grant", [65001], "consent_required", "consent_revoked"),
    ("invalid_grant", [90094], None, "admin_consent_required"),
    ("invalid_grant", [50105], None, "not_assigned"),
    ("invalid_grant", [], "bad_token", "grant_expired"),
    ("invalid_grant", [999999], "brand_new", "sign_in_again"),
]
"""A refusal of a refresh that only the person can answer, and the reason that they are told."""


@pytest.mark.parametrize(("error", "codes", "suberror", "reason"), PERSON)
async def test_what_only_the_person_can_mend_shows_as_health_and_a_link_that_mends_it(
    browser: Browser, control: ControlClient, error: str, codes: list[int], suberror: str | None, reason: str
) -> None:
    """R-13: one reason, one click, and back to where the person was; nothing is deleted meanwhile."""
    await sign_in(browser, "work", WORK_USER)
    before = await stored_sessions(control)
    await control.refuse(WORK_USER, error=error, codes=codes, suberror=suberror, until_sign_in=True)
    await control.expire_access_tokens()
    refused = await browser.fetch(NOTEBOOKS)
    assert (refused.status, refused.json()["code"], refused.json()["reason"]) == (401, "reauth_required", reason)

    here = browser.base_url + "/?page=2"
    session = (await browser.fetch(f"/api/auth/session?return_to={here}")).json()
    assert session["signed_in"] is True
    assert (session["health"]["state"], session["health"]["reason"]) == ("reauth_required", reason)
    assert await stored_sessions(control) == before

    calls = await token_calls(control)
    assert (await browser.fetch(NOTEBOOKS)).status == 401
    assert await token_calls(control) == calls  # a final verdict is not asked for again

    page = await browser.follow(await browser.goto("/"), session["health"]["reconnect_url"])
    page = await sign_in_on(browser, page, WORK_USER)
    assert page.url == here
    assert (await health_of(browser))["state"] == "ok"
    assert (await browser.fetch(NOTEBOOKS)).status == 200
    assert len(await stored_sessions(control)) == 1


async def test_a_claims_challenge_of_the_provider_goes_into_the_next_sign_in(
    browser: Browser, control: ControlClient
) -> None:
    """R-13: conditional access says in `claims` what it wants; without them the sign-in would change nothing."""
    await sign_in(browser, "work", WORK_USER)
    await control.refuse(WORK_USER, error="interaction_required", codes=[50076], claims=CLAIMS, until_sign_in=True)
    await control.expire_access_tokens()
    assert (await browser.fetch(NOTEBOOKS)).status == 401
    answer = await browser.request("GET", str((await health_of(browser))["reconnect_url"]))
    assert answer.status == 302
    assert Answer(answer.headers["location"], 302, {}, "").query["claims"] == CLAIMS


async def test_a_reconnect_asks_for_the_permissions_that_the_session_had(
    browser: Browser, control: ControlClient
) -> None:
    """R-08, R-13: what the person added later is not lost because a password changed."""
    await sign_in(browser, "work", WORK_USER, scope="Notes.ReadWrite")
    await control.refuse(WORK_USER, codes=[50133], until_sign_in=True)
    await control.expire_access_tokens()
    assert (await browser.fetch(NOTEBOOKS)).status == 401
    page = await browser.goto(str((await health_of(browser))["reconnect_url"]))
    await sign_in_on(browser, page, WORK_USER)
    assert (await session_of(browser))["scopes"] == ["Notes.ReadWrite"]


async def test_the_timer_finds_a_revoked_grant_before_the_person_does(browser: Browser, control: ControlClient) -> None:
    """R-13: the session waits for them with reason and link; the next runs ask the provider nothing about it."""
    await sign_in(browser, "personal", PERSONAL_USER)
    await control.revoke(PERSONAL_USER)
    await control.advance(24 * HOUR_S)
    await control.run_timer()
    health = await health_of(browser)
    assert (health["state"], health["reason"]) == ("reauth_required", "consent_revoked")
    assert "account=personal" in str(health["reconnect_url"])
    calls = await token_calls(control)
    await control.advance(24 * HOUR_S)
    await control.run_timer()
    assert await token_calls(control) == calls
    assert len(await stored_sessions(control)) == 1


OPERATOR = [
    ("invalid_client", [7000215]),
    ("invalid_client", [7000222]),
    ("unauthorized_client", [700016]),
    ("invalid_grant", [700027]),
    ("invalid_scope", [70011]),
    ("invalid_request", [9002313]),
    ("something_new", [999999]),
]


@pytest.mark.parametrize(("error", "codes"), OPERATOR)
async def test_what_only_the_operator_can_mend_touches_no_session(
    browser: Browser, control: ControlClient, error: str, codes: list[int]
) -> None:
    """R-13: 503 misconfigured; healthy all along, and it works again once it is mended."""
    await sign_in(browser, "work", WORK_USER)
    await control.refuse(WORK_USER, error=error, codes=codes)
    await control.advance(2 * HOUR_S)
    refused = await browser.fetch(NOTEBOOKS)
    assert (refused.status, refused.json()["code"]) == (503, "misconfigured")
    assert "AADSTS" not in refused.text
    assert (await health_of(browser)) == {"state": "ok", "reason": None, "reconnect_url": None}
    await control.stop_refusing()
    await control.advance(60)  # nobody's polling asks the provider at every call meanwhile
    assert (await browser.fetch(NOTEBOOKS)).status == 200


async def test_the_operator_is_told_what_to_mend(browser: Browser, control: ControlClient, stack: StackProcess) -> None:
    """R-13, R-16: one log line with reason and mend, and no token in it."""
    await sign_in(browser, "work", WORK_USER)
    await control.refuse(WORK_USER, error="invalid_client", codes=[7000222])
    await control.advance(2 * HOUR_S)
    assert (await browser.fetch(NOTEBOOKS)).status == 503
    assert await asyncio.to_thread(stack.wait_for_line, "client_secret_expired")


LATER = [
    ("temporarily_unavailable", []),
    ("server_error", [50033]),
    ("invalid_grant", [90033]),
    ("invalid_request", [50196]),
    ("invalid_grant", [50053]),
]


@pytest.mark.parametrize(("error", "codes"), LATER)
async def test_what_passes_by_itself_keeps_a_valid_token_serving_and_says_when_to_retry(
    browser: Browser, control: ControlClient, error: str, codes: list[int]
) -> None:
    """R-10, R-13: no harm while the token lives; then 503 with Retry-After; then it works again."""
    await sign_in(browser, "personal", PERSONAL_USER)
    await control.refuse(PERSONAL_USER, error=error, codes=codes)
    await control.advance(HOUR_S - MINUTE_S)
    calls = await token_calls(control)
    assert (await browser.fetch(NOTEBOOKS)).status == 200
    assert await token_calls(control) == calls + 1  # it was tried

    await control.advance(2 * HOUR_S)
    busy = await browser.fetch(NOTEBOOKS)
    assert (busy.status, busy.json()["code"]) == (503, "provider_unavailable")
    assert int(busy.headers["retry-after"]) >= 1
    assert (await health_of(browser))["state"] != "reauth_required"

    await control.stop_refusing()
    await control.advance(int(busy.headers["retry-after"]) + 1)
    assert (await browser.fetch(NOTEBOOKS)).status == 200


async def test_a_provider_that_is_down_is_left_alone_for_as_long_as_it_asks(
    browser: Browser, control: ControlClient
) -> None:
    """R-13: Retry-After of the token endpoint is honoured and handed on; nobody hammers it."""
    await sign_in(browser, "work", WORK_USER)
    await control.fault(
        "identity", "status", method="POST", path="/token$", status=429, headers={"Retry-After": "90"}, times=None
    )
    await control.advance(2 * HOUR_S)
    answers = [await browser.fetch(NOTEBOOKS) for _ in range(5)]
    assert {answer.status for answer in answers} == {503}
    assert 80 <= int(answers[-1].headers["retry-after"]) <= 90
    assert [call["status"] for call in await control.calls("identity")].count(429) == 1
    await control.clear_faults()
    await control.advance(91)
    assert (await browser.fetch(NOTEBOOKS)).status == 200


# The provider refuses to sign in ----------------------------------------------------------------------------

AT_SIGN_IN = [
    ("interaction_required", [50076], "mfa_required"),
    ("invalid_grant", [50105], "not_assigned"),
    ("access_denied", [53003], "blocked_by_policy"),
    ("consent_required", [90094], "admin_consent_required"),
    ("invalid_grant", [50057], "account_disabled"),
    ("invalid_client", [7000222], "misconfigured"),
    ("temporarily_unavailable", [], "provider_unavailable"),
    ("brand_new_error", [], "misconfigured"),
]


@pytest.mark.parametrize("stage", ["authorize", "authorization_code"])
@pytest.mark.parametrize(("error", "codes", "code"), AT_SIGN_IN)
async def test_a_refused_sign_in_ends_on_the_page_for_that_class(
    browser: Browser, control: ControlClient, stage: str, error: str, codes: list[int], code: str
) -> None:
    """R-13, R-14: the same words in the browser and at the token endpoint; a session that exists stays as it is."""
    await sign_in(browser, "personal", PERSONAL_USER)
    before = await stored_sessions(control)
    await control.refuse(WORK_USER, error=error, codes=codes, at=[stage])
    page = await sign_in(browser, "work", WORK_USER, return_to=browser.base_url + "/?page=2")
    assert is_error_page(page)
    assert code_of(page) == page.fragment["error"] == code
    assert page.query["ref"] in page.text
    assert f"{browser.base_url}/?page=2#error={code}" in page.text
    assert "Refused by order of a test" not in page.text + page.url
    assert await stored_sessions(control) == before
    assert (await session_of(browser))["signed_in"] is True

    await control.stop_refusing()
    assert (await sign_in(browser, "work", WORK_USER)).url == browser.base_url + "/"


async def test_consent_refused_is_no_error_in_the_log(browser: Browser, stack: StackProcess) -> None:
    """R-14: a person's no is an answer."""
    already = len(stack.lines)
    await refuse_consent(browser, "work", WORK_USER)
    assert await asyncio.to_thread(stack.wait_for_line, "consent_refused")
    said = [line for line in stack.lines[already:] if "onenote_auth" in line]
    assert said
    assert not [line for line in said if " WARNING " in line or " ERROR " in line]


async def test_a_code_that_was_spent_before_starts_sign_in_again_quietly(
    browser: Browser, control: ControlClient
) -> None:
    """R-13: AADSTS54005 comes of the back button; the person sees nothing of it, and no loop can come of it."""
    await control.refuse(WORK_USER, codes=[54005], at=["authorization_code"], until_sign_in=True)
    page = await sign_in(browser, "work", WORK_USER)
    assert page.url == browser.base_url + "/"

    await control.refuse(WORK_USER, codes=[54005], at=["authorization_code"])
    before = len(await token_calls_at(control))
    page = await sign_in(browser, "work", WORK_USER)
    assert is_error_page(page)
    assert len(await token_calls_at(control)) - before <= 3


# Signing out while something is away -------------------------------------------------------------------------


async def living_secrets(control: ControlClient) -> list[str]:
    vaults = await control.vaults(values=True)
    return [secret["name"] for vault in vaults for secret in vault["secrets"] if holds_token(secret)]


async def test_signing_out_while_the_vault_is_down_still_signs_out(
    browser: Browser, control: ControlClient, stack: StackProcess
) -> None:
    """R-12: cookie cleared, provider's logout called, session refused from now on, deletion made up for later."""
    await sign_in(browser, "work", WORK_USER)
    kept = list(browser.cookies)
    await control.fault("vault", "status", status=503, times=None)
    page = await browser.post("/api/auth/logout")
    assert page.url == browser.base_url + "/"
    assert any("/oauth2/v2.0/logout" in address for address in page.chain)
    assert (await session_of(browser)) == {"signed_in": False}

    for cookie in kept:
        browser.cookies.put(cookie)
    assert (await browser.fetch(NOTEBOOKS)).status == 401
    assert len(await living_secrets(control)) == 1
    assert await asyncio.to_thread(stack.wait_for_line, "sign_out_not_stored_yet")

    await control.clear_faults()
    async with asyncio.timeout(15):
        while await living_secrets(control):  # noqa: ASYNC110 - there is nothing to wait for but the vault
            await asyncio.sleep(0.1)
    assert (await session_of(browser)) == {"signed_in": False}


async def test_signing_out_while_the_provider_is_down_still_deletes_the_tokens(
    browser: Browser, control: ControlClient
) -> None:
    """R-12: nothing at the provider is needed for our own part."""
    await sign_in(browser, "personal", PERSONAL_USER)
    await control.fault("identity", "reset_before", times=None)
    answer = await browser.request("POST", "/api/auth/logout", headers={"origin": browser.base_url})
    assert answer.status == 303
    assert await living_secrets(control) == []
    assert (await session_of(browser)) == {"signed_in": False}


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_signing_out_twice_without_a_session_or_with_an_ended_one_is_a_quiet_success(
    browser: Browser, control: ControlClient, stack: StackProcess, accept: str
) -> None:
    """R-12: the same answer every time, and nothing in the log that would wake anybody."""
    already = len(stack.lines)
    headers = {"origin": browser.base_url, "accept": accept}
    wanted = 303 if accept == "text/html" else 200
    assert (await browser.request("POST", "/api/auth/logout", headers=headers)).status == wanted

    await sign_in(browser, "personal", PERSONAL_USER)
    kept = list(browser.cookies)
    assert (await browser.request("POST", "/api/auth/logout", headers=headers)).status == wanted
    for cookie in kept:
        browser.cookies.put(cookie)
    assert (await browser.request("POST", "/api/auth/logout", headers=headers)).status == wanted

    await sign_in(browser, "personal", PERSONAL_USER)
    await control.advance(40 * 24 * HOUR_S)  # more than SESSION_IDLE_DAYS
    assert (await session_of(browser)) == {"signed_in": False}
    assert (await browser.request("POST", "/api/auth/logout", headers=headers)).status == wanted
    assert not [line for line in stack.lines[already:] if " ERROR onenote_auth" in line]


async def test_the_providers_sign_out_ends_our_session_without_a_cookie_of_ours(
    browser: Browser, control: ControlClient
) -> None:
    """R-12: its page's hidden frames name the `sid`; an unknown one is answered alike and writes nothing."""
    await sign_in(browser, "work", WORK_USER)
    provider = (await control.state())["services"]["identity_pages"]
    unknown = await browser.request("GET", "/api/auth/frontchannel-logout?sid=nobody")
    assert unknown.status == 200
    assert (await session_of(browser))["signed_in"] is True

    await browser.goto(f"{provider}/common/oauth2/v2.0/logout")
    assert await living_secrets(control) == []
    assert (await session_of(browser)) == {"signed_in": False}


async def test_permissions_added_in_a_new_session_of_the_provider_end_with_that_one(
    browser: Browser, control: ControlClient
) -> None:
    """R-08, R-12: the browser was closed in between, so the provider's `sid` is another one than at sign-in."""
    await sign_in(browser, "work", WORK_USER)
    provider = (await control.state())["services"]["identity_pages"]
    for cookie in browser.cookies:
        if cookie.host == "127.0.0.1":
            browser.cookies.replace_value(cookie, "closed")
    page = await browser.goto("/api/auth/login?scope=Notes.ReadWrite")
    await sign_in_on(browser, page, WORK_USER)
    assert len(await stored_sessions(control)) == 1
    await browser.goto(f"{provider}/common/oauth2/v2.0/logout")
    assert (await session_of(browser)) == {"signed_in": False}


# OneNote's own failures --------------------------------------------------------------------------------------


def onenote_error(code: str) -> str:
    return json.dumps({"error": {"code": code, "message": "OneNote's own words."}})


async def unharmed(browser: Browser, control: ControlClient, calls: int) -> None:
    """R-15: no call to the token endpoint, and still signed in."""
    assert await token_calls(control) == calls
    session = await session_of(browser)
    assert session["signed_in"] is True
    assert session["health"] == {"state": "ok", "reason": None, "reconnect_url": None}


async def test_an_account_without_a_licence_is_told_so(browser: Browser, control: ControlClient) -> None:
    """R-15: OneNote's 30108 and our plain words beside it."""
    await sign_in(browser, "work", UNLICENSED_USER)
    calls = await token_calls(control)
    answer = await browser.fetch(NOTEBOOKS)
    assert (answer.status, answer.json()["error"]["code"]) == (403, "30108")
    explanation = answer.json()["explanation"]
    assert explanation["code"] == "onenote_not_available"
    assert "licence" in explanation["detail"]
    await unharmed(browser, control, calls)


async def test_a_onedrive_that_is_being_set_up_is_asked_once_more(browser: Browser, control: ControlClient) -> None:
    """R-15: and works when it is ready."""
    await sign_in(browser, "work", WORK_USER)
    calls = await token_calls(control)
    await control.fault("graph", "status", status=503, body=onenote_error("30105"))
    assert (await browser.fetch(NOTEBOOKS)).status == 200
    assert [call["status"] for call in await control.calls("graph")] == [503, 200]
    await unharmed(browser, control, calls)


ONENOTE = [
    (503, "30105", "onenote_being_set_up", {}, 60),
    (403, "10004", "onenote_section_locked", {}, None),
    (507, "30101", "onenote_limit_reached", {}, None),
    (403, "10008", "onenote_library_too_large", {}, None),
    (429, "20166", "onenote_too_many_requests", {}, 60),
    (429, "20166", "onenote_too_many_requests", {"Retry-After": "17"}, 17),
    (503, "10007", "onenote_busy", {"Retry-After": "44"}, 44),
    (403, "40003", "onenote_forbidden", {}, None),
    (401, "40001", "permission_missing", {}, None),
    (404, "20102", "onenote_not_found", {}, None),
]


@pytest.mark.parametrize(("status", "code", "ours", "headers", "retry_after_s"), ONENOTE)
async def test_onenotes_failures_are_told_apart_and_never_answered_by_refreshing(
    browser: Browser,
    control: ControlClient,
    status: int,
    code: str,
    ours: str,
    headers: Mapping[str, str],
    retry_after_s: int | None,
) -> None:
    """R-15: by OneNote's code; its own body passes, with Retry-After also where OneNote sends none."""
    await sign_in(browser, "work", WORK_USER)
    calls = await token_calls(control)
    await control.fault("graph", "status", status=status, headers=dict(headers), body=onenote_error(code), times=None)
    answer = await browser.fetch("/api/graph/v1.0/me/onenote/sections/1-s/pages", method="POST", body={})
    assert (answer.status, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["explanation"]["code"] == ours
    assert answer.headers.get("retry-after") == (None if retry_after_s is None else str(retry_after_s))
    assert len(await control.calls("graph")) == 1
    await unharmed(browser, control, calls)


async def test_a_locked_section_says_so(browser: Browser, control: ControlClient) -> None:
    """R-15: the one that the seeded notebooks hold."""
    await sign_in(browser, "personal", PERSONAL_USER)
    calls = await token_calls(control)
    sections = (await browser.fetch("/api/graph/v1.0/me/onenote/sections?$top=100")).json()["value"]
    answers = [await browser.fetch(f"/api/graph/v1.0/me/onenote/sections/{s['id']}/pages") for s in sections]
    refused = [answer for answer in answers if answer.status == 403]
    assert refused
    assert {answer.json()["explanation"]["code"] for answer in refused} == {"onenote_section_locked"}
    await unharmed(browser, control, calls)


async def test_a_missing_permission_names_the_least_one_and_leads_to_it(
    browser: Browser, control: ControlClient
) -> None:
    """R-08, R-15: from the refusal to the page created, with one more consent and the same session."""
    await sign_in(browser, "personal", PERSONAL_USER)
    before = await stored_sessions(control)
    calls = await token_calls(control)
    create = {"displayName": "Made later"}
    refused = await browser.fetch("/api/graph/v1.0/me/onenote/notebooks", method="POST", body=create)
    explanation = refused.json()["explanation"]
    assert (refused.status, explanation["code"], explanation["scope"]) == (403, "permission_missing", "Notes.Create")
    await unharmed(browser, control, calls)

    page = await browser.follow(await browser.goto("/"), explanation["login_url"])
    page = await sign_in_on(browser, page, PERSONAL_USER)
    assert page.url == browser.base_url + "/"
    assert (await session_of(browser))["scopes"] == ["Notes.Create", "Notes.Read"]
    assert await stored_sessions(control) == before
    created = await browser.fetch("/api/graph/v1.0/me/onenote/notebooks", method="POST", body=create)
    assert created.status == 201


async def test_a_claims_challenge_of_graph_asks_for_a_sign_in_and_no_refresh(
    browser: Browser, control: ControlClient
) -> None:
    """R-13: a refreshed token would be refused again."""
    await sign_in(browser, "work", WORK_USER)
    calls = await token_calls(control)
    challenge = f'Bearer error="insufficient_claims", claims="{base64.b64encode(CLAIMS.encode()).decode()}"'
    await control.fault(
        "graph", "status", status=401, headers={"WWW-Authenticate": challenge}, body=onenote_error("Invalid")
    )
    answer = await browser.fetch(NOTEBOOKS)
    assert (answer.status, answer.json()["reason"]) == (401, "claims_required")
    assert answer.json()["reconnect_url"].startswith(browser.base_url + "/api/auth/login")
    assert await token_calls(control) == calls
    health = await health_of(browser)
    assert (health["state"], health["reason"]) == ("reauth_required", "claims_required")
    login = await browser.request("GET", str(health["reconnect_url"]))
    assert Answer(login.headers["location"], 302, {}, "").query["claims"] == CLAIMS
    page = await browser.goto(answer.json()["reconnect_url"])
    await sign_in_on(browser, page, WORK_USER)
    assert (await browser.fetch(NOTEBOOKS)).status == 200


async def test_an_open_sign_in_page_is_not_harmed_by_a_revocation_elsewhere(
    browser: Browser, other_browser: Browser, control: ControlClient
) -> None:
    """R-13: one person's trouble is nobody else's."""
    await sign_in(browser, "personal", PERSONAL_USER)
    waiting = await open_sign_in(other_browser, "work")
    await control.revoke(PERSONAL_USER)
    await control.expire_access_tokens()
    assert (await browser.fetch(NOTEBOOKS)).status == 401
    assert (await sign_in_on(other_browser, waiting, WORK_USER)).url == other_browser.base_url + "/"
    assert (await other_browser.fetch(NOTEBOOKS)).status == 200

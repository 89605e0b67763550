"""What every HTTP function shares: return addresses, who may call, errors as answers; and the routes of signing in."""

import json
import re
from datetime import timedelta
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from shared.errors import Misconfigured, ProviderUnavailable, SignInFailed, StoreUnavailable
from shared.functions.cookies import SESSION
from shared.functions.handling import login_url, safe_return
from shared.functions.problems import problem_of
from shared.model import Health
from tests.doubles.identity import personal_account, refused, work_account
from tests.functions.bundle import Bundle, Reply

PAGE = {"accept": "text/html"}
APP = "https://app.notes.example"
OURS = "https://notes.example"
TOKEN_LIKE = re.compile(rb"\b(?:at|rt)-\d+|a-secret-that-never-shows")


def test_the_reference_that_a_person_reads_out_leads_to_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """R-13: loud where it is not theirs to mend, and then with the cause."""
    caplog.set_level("INFO", "onenote_auth")
    outage = SignInFailed("access_denied")
    outage.__cause__ = ProviderUnavailable("HTTP 500")
    for error, event, level, cause in (
        (StoreUnavailable("HTTP 503"), "answered_with_error", "ERROR", "HTTP 503"),
        (outage, "sign_in_failed", "ERROR", "HTTP 500"),
        (SignInFailed("access_denied"), "sign_in_failed", "INFO", None),
        (RuntimeError("whatever it holds"), "unexpected_error", "ERROR", None),
    ):
        caplog.clear()
        problem = problem_of(error)
        (record,) = caplog.records
        line = json.loads(record.message)
        assert (line["event"], line["ref"], record.levelname) == (event, problem.ref, level)
        assert line.get("cause") == cause


# Return addresses: no open redirector (RFC 9700 §4.11) ------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("https://app.notes.example", "https://app.notes.example"),
        ("https://app.notes.example/a?b=c&d=e", "https://app.notes.example/a?b=c&d=e"),
        ("https://APP.Notes.Example/A", "https://APP.Notes.Example/A"),
        ("https://app.notes.example:443/", "https://app.notes.example:443/"),
        ("https://app.notes.example/a#token=1", "https://app.notes.example/a"),
        ("https://app.notes.example/?next=//evil.example", "https://app.notes.example/?next=//evil.example"),
        ("https://app.notes.example/é", "https://app.notes.example/é"),
        ("https://notes.example/", "https://notes.example/"),
        ("/", "https://notes.example/"),
        ("/demo?x=1#y", "https://notes.example/demo?x=1"),
        ("/@evil.example", "https://notes.example/@evil.example"),
        ("/%2F%2Fevil.example", "https://notes.example/%2F%2Fevil.example"),
    ],
)
def test_addresses_on_allowed_origins_are_returned_to(bundle: Bundle, value: str, url: str) -> None:
    """R-14: without their fragment, which is ours to set."""
    assert safe_return(bundle.settings, value) == url


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "home",
        "app.notes.example",
        "//evil.example",
        "///evil.example",
        "////app.notes.example",
        "/\\evil.example",
        "\\\\evil.example",
        "\\evil.example",
        "https:\\\\evil.example",
        "https://app.notes.example\\@evil.example",
        "https://evil.example",
        "https://evil.example/https://app.notes.example",
        "https://evil.example?https://app.notes.example",
        "https://evil.example#https://app.notes.example",
        "https://app.notes.example.evil.example",
        "https://evilapp.notes.example",
        "https://sub.app.notes.example",
        "https://app.notes.example@evil.example",
        "https://app.notes.example:x@evil.example",
        "https://user@app.notes.example",
        "https://user:password@app.notes.example",
        "https://app.notes.example:8443/",
        "https://app.notes.example:99999/",
        "https://app.notes.example:x/",
        "http://app.notes.example/",
        "ftp://app.notes.example/",
        "javascript:alert(1)",
        "javascript://app.notes.example/%0aalert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "https:app.notes.example",
        "https:/app.notes.example",
        "https:///app.notes.example",
        "https://",
        "https://[::1",
        "https://app。notes。example",
        "https://app.notes.example\uff0fevil.example",
        "https://\u0430pp.notes.example",
        "https://app%2enotes.example/",
        "https://app.notes.example%2eevil.example/",
        "https://app.notes.example;evil.example",
        "https://app.notes.example,evil.example",
        "\t//evil.example",
        "\n//evil.example",
        "h\nttps://evil.example",
        "null",
        "*",
        "/" + "a" * 5_000,
    ],
)
def test_everything_else_goes_to_the_default_page(bundle: Bundle, value: str | None) -> None:
    """R-14."""
    assert safe_return(bundle.settings, value) is None


@pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_no_route_leads_to_an_address_that_is_not_ours(bundle: Bundle, evil: str) -> None:
    """R-14: login, error page, sign-out and the way back from it."""
    await bundle.call("auth_login", return_to=evil)
    assert bundle.world.identity.authorizations[0].return_to == OURS + "/"
    page = await bundle.call("auth_error", code="access_denied", return_to=evil)
    assert b"evil" not in page.body
    assert b"alert" not in page.body
    bundle.world.identity.sign_out_error = ProviderUnavailable("metadata")
    assert (await bundle.call("auth_logout", "POST", return_to=evil)).location == OURS + "/"
    bundle.jar["__Secure-onenote-auth-back"] = _planted(bundle, evil)
    assert (await bundle.call("auth_callback")).location == OURS + "/"


def _planted(bundle: Bundle, url: str) -> str:
    return bundle.cookies.set_way_back(url).split(";")[0].partition("=")[2]


# Signing in by HTTP -----------------------------------------------------------------------------------------


async def signed_in_by_browser(bundle: Bundle, **login: str) -> Reply:
    away = await bundle.call("auth_login", headers=PAGE, return_to=f"{APP}/home", query=login)
    assert away.status == 302
    (state,) = parse_qs(urlsplit(away.location).query)["state"]
    code = bundle.world.identity.code_for(work_account())
    return await bundle.call("auth_callback", "POST", form={"code": code, "state": state}, headers=PAGE)


async def test_signing_out_asks_the_provider_once_and_only_after_the_tokens_are_gone(bundle: Bundle) -> None:
    """R-12: a provider that is slow must not hold the deletion back."""
    await bundle.signed_in()
    asked_before: list[int] = []

    async def look() -> None:
        asked_before.append(len(bundle.world.identity.sign_outs))

    bundle.world.store.during["delete"] = look
    await bundle.call("auth_logout", "POST", headers={"origin": OURS})
    assert (asked_before, len(bundle.world.identity.sign_outs)) == ([0], 1)


async def test_signing_in_comes_back_with_a_session(bundle: Bundle) -> None:
    """R-04: the attempt's cookie is gone, the session's is there, no token anywhere."""
    back = await signed_in_by_browser(bundle)
    assert (back.status, back.location) == (302, f"{APP}/home")
    assert set(bundle.jar) == {SESSION}
    session = (await bundle.call("auth_session")).json
    assert session["signed_in"] is True
    assert session["account"] == {"kind": "work", "username": "alex@contoso.example", "name": "Alex"}
    assert session["health"]["state"] == "ok"
    assert not TOKEN_LIKE.search(json.dumps(session).encode())


async def test_refused_consent_returns_with_the_error_in_the_fragment(bundle: Bundle) -> None:
    """R-14: nothing stored, nothing in the query."""
    away = await bundle.call("auth_login", headers=PAGE, return_to=f"{APP}/home?x=1")
    (state,) = parse_qs(urlsplit(away.location).query)["state"]
    described = "AADSTS65004: declined by X9.\r\nTrace ID: 1\r\nCorrelation ID: 2\r\nTimestamp: 2026-11-29 10:00:00Z"
    form = {"error": "access_denied", "error_description": described, "state": state}
    back = await bundle.call("auth_callback", "POST", form=form, headers=PAGE)
    assert back.location.startswith(f"{APP}/home?x=1#")
    assert back.fragment["error"] == "access_denied"
    assert "X9" not in back.location
    assert bundle.world.memory.names() == []
    assert bundle.jar == {}


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"error": "server_error"}, "provider_unavailable"),
        ({"error": "invalid_request", "error_description": "AADSTS50011: no such redirect"}, "misconfigured"),
        ({"error": "access_denied", "error_description": "AADSTS90094: a\r\nTrace ID: 1"}, "admin_consent_required"),
        ({"error": "server_error", "error_description": "at length \ufffd " * 500}, "provider_unavailable"),
        ({"error": "x" * 99}, "misconfigured"),
        ({}, "invalid_request"),
    ],
)
async def test_any_other_failure_ends_on_the_friendly_page(bundle: Bundle, form: dict[str, str], code: str) -> None:
    """R-14: whose address carries the fragment, and leads on to where the person wanted to go."""
    away = await bundle.call("auth_login", headers=PAGE, return_to=f"{APP}/home")
    (state,) = parse_qs(urlsplit(away.location).query)["state"]
    failed = await bundle.call("auth_callback", "POST", form={**form, "state": state}, headers=PAGE)
    parts = urlsplit(failed.location)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{OURS}/api/auth/error"
    query = parse_qs(parts.query)
    assert (query["code"], query["return_to"]) == ([code], [f"{APP}/home"])
    assert failed.fragment["error"] == code
    assert failed.fragment["error_description"]
    page = await bundle.call("auth_error", code=code, ref=query["ref"][0], return_to=f"{APP}/home", headers=PAGE)
    assert page.status == 200
    assert f'href="{APP}/home#error={code}&amp;'.encode() in page.body
    assert query["ref"][0].encode() in page.body


@pytest.mark.parametrize("flow", ["code", "token"])
async def test_nobody_is_signed_in_whom_no_cookie_could_be_given(flow: str) -> None:
    """R-04, R-05: the cookie's key is asked for before a session is made, or nobody could ever use or end it."""
    bundle = Bundle(AUTH_ALLOW_TOKEN_FLOW="true")
    away = await bundle.call("auth_login", headers=PAGE, flow=flow)
    (state,) = parse_qs(urlsplit(away.location).query)["state"]
    bundle.world.identity.accepts["id"] = work_account()
    code = bundle.world.identity.code_for(work_account())
    bundle.world.ring.fail_next("newest", StoreUnavailable("vault"))
    form = {"code": code} if flow == "code" else {"id_token": "id", "access_token": "at", "expires_in": "3600"}
    failed = await bundle.call("auth_callback", "POST", form={**form, "state": state}, headers=PAGE)
    assert failed.fragment["error"] == "store_unavailable"
    assert bundle.world.memory.names() == []


@pytest.mark.parametrize("state", ["", "unknown-state", "a" * 200])
async def test_an_answer_without_its_attempt_signs_nobody_in(bundle: Bundle, state: str) -> None:
    """R-04: login CSRF; another browser's state is worth nothing here."""
    await bundle.call("auth_login", headers=PAGE)
    code = bundle.world.identity.code_for(work_account())
    failed = await bundle.call("auth_callback", "POST", form={"code": code, "state": state}, headers=PAGE)
    assert failed.fragment["error"] == "attempt_unknown"
    assert bundle.world.identity.redemptions == []
    assert SESSION not in bundle.jar


async def test_a_broken_attempt_cookie_is_an_unknown_attempt(bundle: Bundle) -> None:
    """R-04: whatever a browser sends, the person gets words and not a bare 500."""
    away = await bundle.call("auth_login", headers=PAGE)
    (state,) = parse_qs(urlsplit(away.location).query)["state"]
    (name,) = bundle.jar
    bundle.jar[name] = bundle.jar[name].rpartition(".")[0] + "." + "A" * 41
    failed = await bundle.call("auth_callback", "POST", form={"code": "c", "state": state}, headers=PAGE)
    assert failed.fragment["error"] == "attempt_unknown"
    assert bundle.jar == {}


async def test_two_tabs_sign_in_at_once(bundle: Bundle) -> None:
    """R-04: each answer finds its own attempt."""
    states = []
    for n in (1, 2):
        away = await bundle.call("auth_login", headers=PAGE, return_to=f"{APP}/tab{n}")
        states += parse_qs(urlsplit(away.location).query)["state"]
    for n, state in reversed(list(enumerate(states, 1))):
        code = bundle.world.identity.code_for(work_account())
        back = await bundle.call("auth_callback", "POST", form={"code": code, "state": state}, headers=PAGE)
        assert back.location == f"{APP}/tab{n}"


async def test_a_personal_account_goes_round_once_more_by_itself(bundle: Bundle) -> None:
    """R-02: the second attempt has a cookie of its own."""
    away = await bundle.call("auth_login", headers=PAGE, return_to=f"{APP}/home")
    for authority in ("consumers", None):
        (state,) = parse_qs(urlsplit(away.location).query)["state"]
        code = bundle.world.identity.code_for(personal_account())
        away = await bundle.call("auth_callback", "POST", form={"code": code, "state": state}, headers=PAGE)
        if authority:
            assert urlsplit(away.location).path == f"/{authority}/authorize"
    assert away.location == f"{APP}/home"
    assert set(bundle.jar) == {SESSION}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"account": "robot"}, "unknown_account_kind"),
        ({"scope": "Mail.Read"}, "scope_not_allowed"),
        ({"account": "personal", "scope": "Notes.Read.All"}, "scope_not_for_account"),
        ({"flow": "token"}, "token_flow_not_allowed"),
        ({"prompt": "whatever"}, "invalid_request"),
        ({"login_hint": '"><script>'}, "invalid_request"),
        ({"return_to": "x" * 7_000}, "query_too_long"),
    ],
)
async def test_a_wrong_wish_is_a_page_to_a_person_and_a_problem_to_a_program(
    bundle: Bundle, query: dict[str, str], code: str
) -> None:
    """R-07, R-14: RFC 9457, with a stable code."""
    person = await bundle.call("auth_login", headers=PAGE, query=query)
    assert (person.status, person.fragment["error"]) == (302, code)
    program = await bundle.call("auth_login", query=query)
    assert program.status == 400
    assert program.headers["content-type"].startswith("application/problem+json")
    assert program.json["code"] == code
    assert program.json["detail"]
    assert bundle.world.identity.authorizations == []


async def test_what_the_caller_of_login_wishes_is_what_the_provider_is_asked_for(bundle: Bundle) -> None:
    """R-03, R-08: every parameter of the README's."""
    query = {
        "return_to": APP + "/x",
        "account": "work",
        "scope": "Notes.Create",
        "flow": "code",
        "prompt": "login",
        "login_hint": "alex@contoso.example",
        "domain_hint": "contoso.example",
    }
    assert (await bundle.call("auth_login", query=query)).status == 302
    (asked,) = bundle.world.identity.authorizations
    assert query == {
        "return_to": asked.return_to,
        "account": asked.kind,
        "scope": " ".join(asked.scopes),
        "flow": asked.flow,
        "prompt": asked.prompt,
        "login_hint": asked.login_hint,
        "domain_hint": asked.domain_hint,
    }


async def test_the_error_page_of_a_wrong_wish_leads_back_to_where_the_person_was(bundle: Bundle) -> None:
    """R-14."""
    query = {"prompt": "whatever", "return_to": APP + "/x"}
    answer = await bundle.call("auth_login", headers=PAGE, query=query)
    assert parse_qs(urlsplit(answer.headers["location"]).query)["return_to"] == [APP + "/x"]


async def test_after_a_wrong_account_trying_again_asks_which_one(bundle: Bundle) -> None:
    """R-14: the provider would take the same one again, without asking."""
    again = {code: (await bundle.call("auth_error", code=code)).body for code in ("wrong_account", "attempt_expired")}
    assert b"prompt=select_account" in again["wrong_account"]
    assert b"prompt=" not in again["attempt_expired"]


async def test_the_error_page_shows_nothing_that_came_in_its_address(bundle: Bundle) -> None:
    """R-14, R-16."""
    page = await bundle.call(
        "auth_error", code="<b>made-up</b>", ref="<i>ref</i>", return_to="x", error_description="send money"
    )
    assert page.status == 200
    for text in (b"made-up", b"<i>", b"money"):
        assert text not in page.body
    assert b"internal_error" in page.body
    german = await bundle.call("auth_error", code="access_denied", headers={"accept-language": "de-AT"})
    assert b'<html lang="de">' in german.body


# Sessions and sign-out by HTTP ------------------------------------------------------------------------------


async def test_nobody_signed_in_is_an_answer_and_a_silent_vault_is_not(bundle: Bundle) -> None:
    """R-12: 200 against 503; a cookie that is worth nothing is cleared."""
    assert (await bundle.call("auth_session")).json == {"signed_in": False}
    session = await bundle.signed_in()
    bundle.world.store.fail("load", StoreUnavailable("HTTP 503", retry_after_s=7))
    answer = await bundle.call("auth_session")
    assert (answer.status, answer.json["code"], answer.headers["retry-after"]) == (503, "store_unavailable", "7")
    assert SESSION in bundle.jar
    bundle.world.clock.jump(timedelta(minutes=5))
    await bundle.world.memory.delete(session.ref)
    assert (await bundle.call("auth_session")).json == {"signed_in": False}
    assert SESSION not in bundle.jar


async def test_a_session_that_needs_a_sign_in_says_why_and_where(bundle: Bundle) -> None:
    """R-13: a link that begins sign-in for the same kind of account and comes back."""
    session = await bundle.signed_in(personal_account(), lives_s=0)
    bundle.world.identity.revoke(session.record.account)
    refused_call = await bundle.call("graph_call", path="graph/v1.0/me/onenote/notebooks")
    assert (refused_call.status, refused_call.json["code"]) == (401, "reauth_required")
    assert refused_call.json["reason"] == "grant_revoked"
    assert refused_call.json["reconnect_url"].startswith(f"{OURS}/api/auth/login?")
    told = (await bundle.call("auth_session", return_to=f"{APP}/here")).json
    assert (told["signed_in"], told["health"]["state"]) == (True, Health.REAUTH_REQUIRED.value)
    query = parse_qs(urlsplit(told["health"]["reconnect_url"]).query)
    assert query == {"return_to": [f"{APP}/here"], "account": ["personal"]}
    assert told["consent_url"] == "https://account.live.com/consent/Manage"


async def test_signing_out_clears_everything_and_comes_back_without_query(bundle: Bundle) -> None:
    """R-12: GET asks, POST does; then the provider's page, then the return address."""
    session = await bundle.signed_in()
    asked = await bundle.call("auth_logout", headers=PAGE, return_to=f"{APP}/bye")
    assert asked.status == 200
    assert await bundle.world.stored(session)
    done = await bundle.call("auth_logout", "POST", headers={**PAGE, "origin": OURS}, return_to=f"{APP}/bye")
    assert done.status == 303
    assert urlsplit(done.location).path.endswith("/logout")
    assert SESSION not in bundle.jar
    assert bundle.world.memory.names(deleted=True) != []
    back = await bundle.call("auth_callback", headers=PAGE, state="x")
    assert (back.status, back.location) == (302, f"{APP}/bye")
    assert bundle.jar == {}


async def test_signing_out_as_a_program_gives_the_address(bundle: Bundle) -> None:
    """R-12."""
    await bundle.signed_in()
    done = await bundle.call("auth_logout", "POST", headers={"accept": "application/json", "origin": APP})
    assert done.status == 200
    assert done.json["url"].startswith("https://login.example/")


async def test_signing_out_everywhere_ends_this_session_although_no_index_names_it(bundle: Bundle) -> None:
    """R-12: two sign-ins that meet may lose an entry until the timer repairs it."""
    bundle.world.memory.fail_next("index", StoreUnavailable("HTTP 503"), times=None)
    session = await bundle.signed_in()
    answer = await bundle.call("auth_sessions", "DELETE")
    assert (answer.status, answer.json) == (200, {"ended": 1})
    assert session.ref.name in bundle.world.memory.names(deleted=True)
    assert SESSION not in bundle.jar


async def test_my_sessions_are_listed_and_ended_everywhere(bundle: Bundle) -> None:
    """R-12: this account's alone."""
    here = await bundle.signed_in()
    other = await bundle.world.signed_in(work_account())
    stranger = await bundle.world.signed_in(work_account("b"))
    listed = (await bundle.call("auth_sessions")).json["sessions"]
    assert sorted(s["current"] for s in listed) == [False, True]
    assert (await bundle.call("auth_sessions", "DELETE", headers={"origin": APP})).json == {"ended": 2}
    living = bundle.world.memory.names()
    assert stranger.ref.name in living
    assert {here.ref.name, other.ref.name}.isdisjoint(living)


# Who may call -----------------------------------------------------------------------------------------------

FROM_ELSEWHERE = [
    {"origin": "https://evil.example"},
    {"origin": "https://notes.example.evil.example"},
    {"origin": "http://notes.example"},
    {"origin": "https://notes.example:8443"},
    {"origin": "HTTPS://NOTES.EXAMPLE"},
    {"origin": "null"},
    {"origin": "null", "sec-fetch-site": "cross-site"},
    {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("auth_logout", "POST", ""),
        ("auth_sessions", "DELETE", ""),
        ("auth_token", "POST", ""),
        ("graph_call", "POST", "graph/v1.0/me/onenote/pages"),
        ("graph_call", "PATCH", "graph/v1.0/me/onenote/pages/1/content"),
        ("graph_call", "DELETE", "graph/v1.0/me/onenote/pages/1"),
    ],
)
async def test_another_sites_page_changes_nothing(name: str, method: str, path: str, headers: dict[str, str]) -> None:
    """R-16: CSRF; the session is still there afterwards, and OneNote was not called."""
    bundle = Bundle(AUTH_EXPOSE_ACCESS_TOKEN="true")
    session = await bundle.signed_in()
    answer = await bundle.call(name, method, path, headers=headers)
    assert (answer.status, answer.json["code"]) == (403, "forbidden_origin")
    assert await bundle.world.stored(session)
    assert bundle.world.notes.sent == []
    assert not TOKEN_LIKE.search(answer.body)


@pytest.mark.parametrize(
    "headers",
    [{"origin": OURS}, {"origin": APP}, {"sec-fetch-site": "same-origin"}, {"origin": OURS, "sec-fetch-site": "x"}, {}],
)
async def test_our_own_pages_and_programs_may(headers: dict[str, str]) -> None:
    """R-16: without either header it is no browser."""
    bundle = Bundle(AUTH_EXPOSE_ACCESS_TOKEN="true")
    session = await bundle.signed_in()
    answer = await bundle.call("auth_token", "POST", headers=headers)
    assert answer.json["access_token"] == session.record.grant.access_token
    assert "refresh" not in answer.body.decode()


@pytest.mark.parametrize(
    "name",
    [
        "auth_login", "auth_callback", "auth_error", "auth_logout", "auth_frontchannel_logout", "auth_session",
        "auth_sessions", "auth_token", "graph_call", "ops_accounts",
    ],
)  # fmt: skip
async def test_options_are_answered_and_only_known_origins_may_read(bundle: Bundle, name: str) -> None:
    """CORS: credentials for the listed origins, nothing for anybody else, never a star."""
    ours = await bundle.call(name, "OPTIONS", headers={"origin": APP})
    assert ours.status == 204
    assert ours.headers["access-control-allow-origin"] == APP
    assert ours.headers["access-control-allow-credentials"] == "true"
    assert "OPTIONS" in ours.headers["access-control-allow-methods"]
    assert "Origin" in ours.headers["vary"]
    for origin in ("https://evil.example", "null", "*", APP + ".evil.example", APP.upper()):
        theirs = await bundle.call(name, "OPTIONS", headers={"origin": origin})
        assert not [h for h in theirs.headers if h.startswith("access-control-")]
        assert "Origin" in theirs.headers["vary"]


# Switches and errors ----------------------------------------------------------------------------------------


async def test_the_token_is_not_given_out_unless_the_operator_allows_it(bundle: Bundle) -> None:
    """R-16."""
    await bundle.signed_in()
    answer = await bundle.call("auth_token", "POST", headers={"origin": APP})
    assert (answer.status, answer.json["code"]) == (403, "token_not_exposed")


@pytest.mark.parametrize("value", ["-1", "1e3", "3001", "٣", "x"])
async def test_min_validity_is_a_number_of_seconds(value: str) -> None:
    """R-18."""
    bundle = Bundle(AUTH_EXPOSE_ACCESS_TOKEN="true")
    await bundle.signed_in()
    answer = await bundle.call("auth_token", "POST", min_validity=value)
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("name", ["auth_sessions", "auth_token", "graph_call"])
async def test_without_a_session_there_is_a_401_with_a_way_to_sign_in(name: str) -> None:
    """R-13: a problem, also in a frame that would take a page."""
    bundle = Bundle(AUTH_EXPOSE_ACCESS_TOKEN="true")
    answer = await bundle.call(
        name,
        "POST" if name == "auth_token" else "GET",
        path="graph/v1.0/me/onenote/pages",
        headers={**PAGE, "referer": APP + "/x"},
    )
    assert (answer.status, answer.json["code"]) == (401, "not_signed_in")
    assert answer.json["reconnect_url"] == f"{OURS}/api/auth/login?return_to={quote(APP + '/x', safe='')}"


async def test_wrong_settings_answer_503_and_show_findings_only_behind_a_key(bundle: Bundle) -> None:
    """R-01: the functions load all the same."""
    bundle.failure = Misconfigured(["AUTH_CLIENT_ID is missing: set it."])
    for name in ("auth_login", "auth_session", "graph_call"):
        answer = await bundle.call(name)
        assert (answer.status, answer.json["code"]) == (503, "misconfigured")
        assert b"AUTH_CLIENT_ID" not in answer.body
    operator = await bundle.call("ops_health")
    assert operator.status == 503
    assert "AUTH_CLIENT_ID" in json.dumps(operator.json)
    assert (await bundle.call("liveness")).status == 200


async def test_a_fault_of_ours_is_a_500_that_tells_nothing_and_can_be_found(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    """R-16: what an exception says may hold anything."""
    await bundle.signed_in()
    bundle.world.store.fail("load", ZeroDivisionError("rt-99 hush"), times=9)
    answer = await bundle.call("auth_session")
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert b"hush" not in answer.body
    assert "hush" not in caplog.text
    assert answer.json["ref"] in caplog.text


async def test_a_verdict_of_the_provider_never_reaches_the_answer(bundle: Bundle) -> None:
    """R-16: only the reason does."""
    await bundle.signed_in(lives_s=0)
    bundle.world.identity.next_refreshes = [refused("invalid_grant", 50076, claims='{"hush":1}')]
    answer = await bundle.call("graph_call", path="graph/v1.0/me/onenote/pages")
    assert answer.json["reason"] == "mfa_required"
    assert b"hush" not in answer.body
    assert b"50076" not in answer.body


def test_a_sign_in_link_leads_back(bundle: Bundle) -> None:
    """R-13."""
    assert login_url(bundle.settings, None) == f"{OURS}/api/auth/login?return_to=https%3A%2F%2Fnotes.example%2F"


# The operator's routes --------------------------------------------------------------------------------------


async def test_the_operator_gets_tokens_only_when_that_is_switched_on() -> None:
    """R-18."""
    for switched_on in (False, True):
        bundle = Bundle(AUTH_OPERATOR_TOKENS=str(switched_on).lower())
        session = await bundle.world.signed_in()
        answer = await bundle.call(
            "ops_account_token", "POST", route={"home_account_id": session.record.account.home_account_id}
        )
        assert answer.status == (200 if switched_on else 403)
        assert b"refresh" not in answer.body


async def test_accounts_are_listed_with_health_and_times_and_no_token(bundle: Bundle) -> None:
    """R-18, R-16."""
    session = await bundle.world.signed_in()
    answer = await bundle.call("ops_accounts")
    (account,) = answer.json["accounts"]
    assert account["home_account_id"] == session.record.account.home_account_id
    assert account["health"] == "ok"
    assert set(account["sessions"][0]) >= {"created_at", "last_seen_at", "refreshed_at", "health"}
    assert account["sessions"][0]["session"] == session.ref.name[:12], "as in the log: a line there leads to a person"
    assert account["sessions"][0]["vault"] == session.ref.vault
    assert not TOKEN_LIKE.search(answer.body)


@pytest.mark.parametrize("identity", ["", "a", "a/b", "<x>", "a" * 300, "%00"])
async def test_what_is_no_account_id_is_refused(bundle: Bundle, identity: str) -> None:
    """R-18."""
    answer = await bundle.call("ops_end_account", "DELETE", route={"home_account_id": identity})
    assert answer.status == 400

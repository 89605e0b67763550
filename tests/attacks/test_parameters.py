"""Every parameter of every route: missing, repeated, empty, huge, wrongly encoded, with control characters, another's."""

from urllib.parse import parse_qs, quote, urlsplit

import pytest

from local.browser import Browser
from local.control_client import ControlClient
from shared.functions.http import FORM_MOST, QUERY_MOST
from tests.attacks.matrix import DOORS, Case, Door, cases
from tests.attacks.victim import Victim
from tests.attacks.wire import FORM, MARK, PAGE, Reply, Wire, assert_sound

READERS = [pytest.param(PAGE, id="a browser"), pytest.param({}, id="a program")]


async def begun(wire: Wire, victim: Victim, flow: str) -> tuple[str, str]:
    """State and cookies of a sign-in that the victim's browser has begun."""
    reply = await wire.send("GET", f"/api/auth/login?account=personal&flow={flow}", browser=victim.browser)
    cookie = reply.headers["set-cookie"].partition(";")[0]
    state = parse_qs(urlsplit(reply.location).query)["state"][0]
    ours = victim.browser.cookies.header(wire.base_url + "/api/auth", cross_site=False, safe_navigation=True)
    return state, f"{ours}; {cookie}"


async def knock(wire: Wire, victim: Victim, case: Case, headers: dict[str, str], key: str) -> Reply:
    door = case.door
    fields, sent = case.fields, dict(headers)
    if door.flow:
        state, sent["cookie"] = await begun(wire, victim, door.flow)
        fields = fields.replace("{state}", state)
    if door.keyed:
        sent["x-functions-key"] = key
    if door.method == "POST":
        sent |= {"origin": wire.base_url}
    if door.form:
        return await wire.send(door.method, door.path, browser=victim.browser, headers=sent | FORM, body=fields)
    return await wire.send(door.method, f"{door.path}?{fields}", browser=victim.browser, headers=sent)


async def provider_pages(control: ControlClient) -> str:
    return str((await control.state())["services"]["identity_pages"])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_a_wrong_parameter_gets_a_stable_answer_and_changes_nothing(
    wire: Wire, victim: Victim, control: ControlClient, door: Door, reader: dict[str, str]
) -> None:
    """R-12, R-14, R-16: never a 500, a stack trace, a token or the text sent as HTML; the session stays as it was."""
    key = await control.function_key()
    leads_to = (f"{wire.base_url}/", f"{await provider_pages(control)}/")
    # The token route's answer is the access token: that is what the operator switched on.
    forbidden = victim.secrets if door.path != "/api/auth/token" else (victim.cookie,)
    for case in cases(door):
        reply = await knock(wire, victim, case, reader, key)
        assert_sound(reply, told=str(case), forbidden=forbidden, leads_to=leads_to)
        assert victim.cookie not in reply.headers.get("set-cookie", "")
        if case.cannot_be_meant:
            assert reply.code == "invalid_request", str(case)
    await victim.assert_untouched()


@pytest.mark.parametrize("door", [door for door in DOORS if door.flow], ids=str)
async def test_no_wrong_answer_of_a_provider_signs_anybody_in(wire: Wire, victim: Victim, door: Door) -> None:
    """R-04, R-05: whatever is wrong with the answer, no session cookie is set, and the attempt's is taken away."""
    for case in cases(door):
        reply = await knock(wire, victim, case, PAGE, "")
        cookies = reply.headers.get("set-cookie", "").split("\n")
        assert not [c for c in cookies if c.startswith("__Secure-onenote-auth=")], str(case)
        assert reply.status in (302, 414), str(case)


async def test_a_wrong_account_id_gets_a_stable_answer(wire: Wire, victim: Victim, control: ControlClient) -> None:
    """R-18: the operator's routes by account, with ids that can't be one or that nobody has."""
    headers = {"x-functions-key": await control.function_key()}
    ids = [
        "%20",
        "a",
        "A" * 5_000,
        "%ff%fe" * 3,
        "%c0%af.%c0%af",
        f"%3C{MARK}%3E.b",
        f"{MARK}%0a.b",
        "..%2f..%2fhealth",
        f"{MARK}.%C3%A9%F0%9F%99%82",
        f"{MARK}-0000.{MARK}-1111",
        "%2e%2e",
        "a%25252fb",
        "'%20or%20'1'='1",
    ]
    for wrong in ids:
        for method, path in (("DELETE", f"/api/ops/accounts/{wrong}"), ("POST", f"/api/ops/accounts/{wrong}/token")):
            reply = await wire.send(method, path, headers=headers)
            assert_sound(reply, told=f"{method} {wrong[:40]}", forbidden=victim.secrets)
            assert reply.status in (200, 400, 404)
            if reply.status == 200:
                assert reply.text == '{"ended": 0}'


@pytest.mark.parametrize("path", ["accounts", "health", "accounts/a.b/token", "accounts/a.b", "revoke-all"])
@pytest.mark.parametrize("key", ["", "wrong", "a" * 5_000, "%00"])
async def test_no_operators_route_opens_without_its_key(wire: Wire, victim: Victim, path: str, key: str) -> None:
    """R-18: 401 by the host, with a session cookie or without, the key in the header or in the query."""
    methods = {"accounts/a.b/token": "POST", "accounts/a.b": "DELETE", "revoke-all": "POST"}
    method = methods.get(path, "GET")
    for reply in (
        await wire.send(method, f"/api/ops/{path}", browser=victim.browser, headers={"x-functions-key": key}),
        await wire.send(method, f"/api/ops/{path}?code={key}", browser=victim.browser),
    ):
        assert (reply.status, reply.body) == (401, b"")


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_too_much_is_refused_before_it_is_read(
    wire: Wire, victim: Victim, control: ControlClient, door: Door
) -> None:
    """R-14: long queries, many parameters and large forms."""
    headers = {"x-functions-key": await control.function_key(), "origin": wire.base_url}
    many = "&".join(f"a{n}=1" for n in range(150))
    for query, code in ((f"x={'a' * QUERY_MOST}", "query_too_long"), (many, "invalid_request")):
        reply = await wire.send(door.method, f"{door.path}?{query}", browser=victim.browser, headers=headers)
        assert_sound(reply, told=f"{door} {code}", leads_to=(wire.base_url,))
        assert (reply.status, reply.code) == (400, code)
    if door.form:
        for body, code in ((f"code={'a' * FORM_MOST}", "form_too_long"), (many, "invalid_request")):
            reply = await wire.send(door.method, door.path, headers=headers | FORM, body=body)
            assert (reply.status, reply.code) == (400, code)


async def test_a_form_of_another_kind_is_no_form(wire: Wire, victim: Victim) -> None:
    """R-04: JSON, multipart and nothing at all, where the provider posts a form."""
    for content_type in ("application/json", "multipart/form-data; boundary=x", "text/plain", ""):
        headers = {"content-type": content_type} if content_type else {}
        body = f'{{"code": "{MARK}", "state": "{MARK}"}}'
        reply = await wire.send("POST", "/api/auth/callback", browser=victim.browser, headers=headers, body=body)
        assert_sound(reply, told=content_type, leads_to=(wire.base_url + "/api/auth/error?",))
        assert reply.code == "attempt_unknown"


async def test_only_what_is_known_stands_on_the_error_page(wire: Wire, victim: Victim) -> None:
    """R-14: an unknown code, a made-up reference and a foreign address come to nothing."""
    query = f"code={MARK}&ref=%3C{MARK}%3E&return_to=https://{MARK}.example/"
    page = await wire.send("GET", f"/api/auth/error?{query}", headers=PAGE)
    assert page.status == 200
    assert MARK not in page.text
    own = f"{wire.base_url}/?q=%22%3E%3C{MARK}%3E"
    page = await wire.send("GET", f"/api/auth/error?code=access_denied&return_to={quote(own, safe='')}", headers=PAGE)
    assert f"<{MARK}" not in page.text


async def test_a_wrong_parameter_of_the_error_page_still_shows_a_page(wire: Wire) -> None:
    """R-14: people see a page, never JSON."""
    for query in ("code=a&code=b", "code=%ff", "ref=%00", f"return_to={'a' * 5_000}"):
        reply = await wire.send("GET", f"/api/auth/error?{query}", headers=PAGE)
        if reply.status == 302:
            reply = await wire.send("GET", reply.location.removeprefix(wire.base_url).partition("#")[0], headers=PAGE)
        assert reply.status == 200, query
        assert reply.is_page, query


async def test_another_browsers_attempts_are_none_of_ours(wire: Wire, victim: Victim, attacker: Browser) -> None:
    """R-04: a state that is under way elsewhere, by GET and by POST."""
    begun_elsewhere = await attacker.request("GET", "/api/auth/login?account=work")
    state = parse_qs(urlsplit(begun_elsewhere.headers["location"]).query)["state"][0]
    fields = f"code={MARK}&state={state}"
    for reply in (
        await wire.send("GET", f"/api/auth/callback?{fields}", browser=victim.browser, headers=PAGE),
        await wire.send("POST", "/api/auth/callback", browser=victim.browser, headers=PAGE | FORM, body=fields),
    ):
        assert reply.code == "attempt_unknown"
        assert "set-cookie" not in reply.headers

"""Whatever anybody sends: a clear answer, nothing stored, nothing lost. Over HTTP on the embedded stack."""

from urllib.parse import quote

import pytest

from local.browser import Answer, Browser, Form
from local.browser.sign_in import PERSONAL_USER, WORK_USER, open_sign_in, sign_in, sign_in_on
from local.control_client import ControlClient
from local.demo import NOTEBOOKS
from tests.stack.test_sign_in import session_of, stored_sessions

AUTH_ROUTES = ["login", "callback", "error", "logout", "session"]


async def authorization_answer(browser: Browser, account: str = "personal") -> tuple[Answer, Form]:
    """The provider's form_post page, held back before it submits itself."""
    browser.plays_scripts = False
    page = await sign_in_on(browser, await open_sign_in(browser, account), PERSONAL_USER)
    browser.plays_scripts = True
    return page, page.form(field_name="state")


def is_error_page(answer: Answer) -> bool:
    """R-14: an end-user page whose address carries the error in its fragment."""
    return answer.address.endswith("/api/auth/error") and answer.status < 500 and "error" in answer.fragment


async def test_an_unknown_state_ends_on_the_error_page(browser: Browser, control: ControlClient) -> None:
    """R-04, R-14: a callback that no login of this browser began."""
    answer = await browser.post("/api/auth/callback", {"code": "a-code", "state": "nobody-sent-this"})
    assert is_error_page(answer)
    assert "error_description" in answer.fragment
    assert await stored_sessions(control) == []


async def test_a_replayed_answer_signs_nobody_in_twice(browser: Browser, control: ControlClient) -> None:
    """R-04: state is good for one answer; the session that the first one made stays as it is."""
    page, form = await authorization_answer(browser)
    assert (await browser.submit(page, form)).url == browser.base_url + "/"
    before = await stored_sessions(control)
    assert is_error_page(await browser.submit(page, form))
    assert await stored_sessions(control) == before
    assert (await session_of(browser))["signed_in"] is True


async def test_an_answer_in_another_browser_signs_nobody_in(
    browser: Browser, other_browser: Browser, control: ControlClient
) -> None:
    """R-04: login CSRF; state belongs to the browser that began."""
    page, form = await authorization_answer(browser)
    assert is_error_page(await other_browser.submit(page, form))
    assert (await session_of(other_browser)) == {"signed_in": False}
    assert await stored_sessions(control) == []


@pytest.mark.parametrize("left_out", ["code", "state"])
async def test_a_callback_without_code_or_state_ends_on_the_error_page(
    browser: Browser, control: ControlClient, left_out: str
) -> None:
    """R-04, R-14."""
    page, form = await authorization_answer(browser)
    fields = {name: value for name, value in form.fields if name != left_out}
    answer = await browser.post("/api/auth/callback", fields, origin=page.url.rpartition("/")[0])
    assert is_error_page(answer)
    assert await stored_sessions(control) == []


async def test_a_made_up_code_ends_on_the_error_page(browser: Browser, control: ControlClient) -> None:
    """R-04: the provider refuses it; nothing is stored."""
    page, form = await authorization_answer(browser)
    answer = await browser.submit(page, form, {"code": "made-up"})
    assert is_error_page(answer)
    assert await stored_sessions(control) == []


async def test_a_providers_error_ends_on_the_error_page_without_its_words_as_html(browser: Browser) -> None:
    """R-14: the friendly page shows no text that came in the address."""
    page, form = await authorization_answer(browser)
    state = dict(form.fields)["state"]
    answer = await browser.post(
        "/api/auth/callback",
        {"error": "server_error", "error_description": "<script>alert(1)</script>", "state": state},
        origin=page.url.rpartition("/")[0],
    )
    assert is_error_page(answer)
    assert "<script>alert" not in answer.text


async def test_a_callback_without_parameters_is_a_way_back_and_no_error(browser: Browser) -> None:
    """R-12: that is how the provider's sign-out comes back."""
    answer = await browser.goto("/api/auth/callback")
    assert answer.url == browser.base_url + "/"
    assert answer.status == 200


@pytest.mark.parametrize("forgery", ["", "x", "not.a.cookie", "A" * 400, "%00%0d%0a", "1.2.3.4.5"])
async def test_a_forged_cookie_is_no_session_and_costs_no_vault_call(
    browser: Browser, control: ControlClient, forgery: str
) -> None:
    """R-16: the MAC is checked before anything is looked up."""
    await sign_in(browser, "personal", PERSONAL_USER)
    await session_of(browser)
    cookie = next(c for c in browser.cookies if c.same_site == "lax" and c.host == "localhost")
    browser.cookies.replace_value(cookie, forgery)
    before = len(await control.calls("vault"))
    assert (await session_of(browser)) == {"signed_in": False}
    assert (await browser.fetch(NOTEBOOKS)).status == 401
    assert len(await control.calls("vault")) - before <= 1  # an unknown key id may cost one read


async def test_a_cookie_with_one_changed_character_is_no_session(browser: Browser) -> None:
    """R-16: wherever it is changed."""
    await sign_in(browser, "personal", PERSONAL_USER)
    cookie = next(c for c in browser.cookies if c.same_site == "lax" and c.host == "localhost")
    for at in {1, len(cookie.value) // 2, len(cookie.value) - 2}:
        changed = "A" if cookie.value[at] != "A" else "B"
        browser.cookies.replace_value(cookie, cookie.value[:at] + changed + cookie.value[at + 1 :])
        assert (await session_of(browser)) == {"signed_in": False}
    browser.cookies.replace_value(cookie, cookie.value)
    assert (await session_of(browser))["signed_in"] is True


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "javascript:alert(1)",
        "http://localhost:1/",
        "http://localhost@evil.example/",
        "https://localhost.evil.example/",
    ],
)
async def test_a_foreign_return_address_falls_back_to_the_default_page(browser: Browser, address: str) -> None:
    """R-14: no open redirect, at sign-in or at sign-out."""
    page = await sign_in(browser, "personal", PERSONAL_USER, return_to=address)
    assert page.url == browser.base_url + "/"
    page = await browser.post(f"/api/auth/logout?return_to={quote(address, safe='')}")
    assert page.url == browser.base_url + "/"


async def test_control_characters_in_an_address_are_refused_before_the_redirect(browser: Browser) -> None:
    """R-14: not guessed at; the page says that the link is not right."""
    answer = await browser.goto("/api/auth/login?account=personal&return_to=%00%0d%0a")
    assert is_error_page(answer)
    assert "/authorize" not in "".join(answer.chain)


@pytest.mark.parametrize(
    "query", ["account=robot", "account=", "scope=Notes.Everything", "scope=Mail.Read", "flow=magic"]
)
async def test_an_unknown_kind_scope_or_flow_is_refused_before_the_redirect(browser: Browser, query: str) -> None:
    """R-02, R-08, R-14: never sent to the provider; said on a page, with the reason."""
    answer = await browser.goto(f"/api/auth/login?{query}")
    if query == "account=":  # empty means not given
        assert "/authorize" in answer.address
        return
    assert answer.address.startswith(browser.base_url + "/")
    assert answer.status in (200, 400)
    assert "/authorize" not in "".join(answer.chain)


async def test_a_scope_that_personal_accounts_cannot_have_is_refused(browser: Browser) -> None:
    """R-07: with the reason, before the redirect."""
    answer = await browser.goto("/api/auth/login?account=personal&scope=Notes.Read.All")
    assert answer.address.startswith(browser.base_url + "/")
    assert "/authorize" not in "".join(answer.chain)


@pytest.mark.parametrize("route", [f"auth/{name}" for name in AUTH_ROUTES] + ["graph/v1.0/me/onenote/notebooks"])
async def test_an_oversized_query_is_refused_clearly(browser: Browser, route: str) -> None:
    """Seven thousand characters reach the bundle, nine thousand only the host: no 500 either way."""
    for length in (7_000, 9_000):
        answer = await browser.request("GET", f"/api/{route}?return_to={'a' * length}")
        assert answer.status < 500
        assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "route", [*(f"auth/{name}" for name in AUTH_ROUTES), "graph/v1.0/me/onenote/notebooks", "health"]
)
async def test_options_is_answered_on_every_route_and_head_on_pages(browser: Browser, route: str) -> None:
    """The platform's host answers neither by itself: it says 404."""
    answer = await browser.request("OPTIONS", f"/api/{route}", headers={"origin": browser.base_url})
    assert answer.status in (200, 204)
    answer = await browser.request("HEAD", f"/api/{route}")
    assert answer.status < 500
    assert answer.text == ""


async def test_other_origins_get_no_permission_to_read(browser: Browser) -> None:
    """R-16: CORS names only the front ends that the operator allows."""
    await sign_in(browser, "work", WORK_USER)
    answer = await browser.fetch("/api/auth/session", headers={"origin": "https://evil.example"})
    assert answer.headers.get("access-control-allow-origin") in (None, browser.base_url)
    preflight = await browser.request(
        "OPTIONS",
        "/api/auth/session",
        headers={"origin": "https://evil.example", "access-control-request-method": "GET"},
    )
    assert preflight.headers.get("access-control-allow-origin") != "https://evil.example"


@pytest.mark.parametrize(
    "path",
    [
        "v1.0/me/messages",
        "v1.0/users",
        "v1.0/me/onenote/../messages",
        "v1.0/me/onenote%2F..%2Fmessages",
        "beta/me",
        "",
    ],
)
async def test_only_onenote_paths_pass(browser: Browser, control: ControlClient, path: str) -> None:
    """R-09: the path is checked before the session; Graph never hears of it."""
    await sign_in(browser, "work", WORK_USER)
    answer = await browser.request("GET", f"/api/graph/{path}")
    assert 400 <= answer.status < 500
    assert await control.calls("graph") == []

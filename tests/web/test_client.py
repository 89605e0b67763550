"""The JavaScript client in a real browser, from a page that knows nothing but the client."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from local.browser.sign_in import PERSONAL_USER, WORK_USER
from local.control_client import ControlClient
from local.listen import Listener
from local.process import StackProcess
from tests import npm
from tests.stacks import quiet_stack
from tests.web.provider import allow, choose, refuse
from tests.web.test_client_types import example

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ROOT = Path(__file__).resolve().parents[2]
FRONT_END = "/style.css"
FIVE = "/me/onenote/notebooks?$top=5&$orderby=displayName"
BLANK = '<!doctype html><title>Front end</title><link rel="icon" href="data:,"><h1>Front end</h1>'
PREPARE = """async (client) => {
  globalThis.client = await import(client)
  globalThis.said = async (work) => {
    try {
      const got = await work()
      return got instanceof Response ? { status: got.status, url: got.url, body: await got.text() } : { got }
    } catch (error) {
      return { name: error.name, message: error.message, ...error }
    }
  }
}"""


def serving(body: str, content_type: str = "text/plain") -> Callable[[Route], Awaitable[None]]:
    async def answer(route: Route) -> None:
        await route.fulfill(body=body, content_type=content_type)

    return answer


async def front_end(page: Page, query: str = "") -> None:
    """A page of the bundle's origin that runs nothing of its own, with the client as `client`."""
    await page.route("**/favicon.ico", serving(""))  # which it doesn't name, and browsers ask for
    await page.goto(FRONT_END + query)
    await page.evaluate(PREPARE, "/api/client.js")


async def back_on(page: Page, url: str) -> None:
    """Once the page is there again."""
    await page.wait_for_url(url)
    await page.evaluate(PREPARE, "/api/client.js")


async def said(page: Page, work: str, **names: Any) -> dict[str, Any]:
    """What comes of an expression: `status`, `url`, `body` of a Response, `got` of other values, or the error's fields."""
    heads = "".join(f"const {name} = {json.dumps(value)};" for name, value in names.items())
    found: dict[str, Any] = await page.evaluate(f"() => {{ {heads} return said(() => {work}) }}")
    return found


async def signed_in(page: Page, username: str = WORK_USER, account: str = "work") -> None:
    """By the client's own `signIn`, and back on the front end."""
    await front_end(page)
    await page.evaluate("(account) => client.signIn({ account })", account)
    await choose(page, username)
    await allow(page)
    await back_on(page, "**" + FRONT_END)


@pytest_asyncio.fixture(loop_scope="session")
async def tab(context: BrowserContext) -> Page:
    """A tab whose console may complain: browsers report every refused call there."""
    return await context.new_page()


# The file -----------------------------------------------------------------------------------------------------


async def test_the_bundle_serves_the_client_and_a_browser_may_keep_it(context: BrowserContext) -> None:
    """R-17: the version that fits, readable from any origin, unchanged after a look."""
    answer = await context.request.get("/api/client.js")
    assert await answer.body() == (ROOT / "web" / "client.js").read_bytes()
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["access-control-allow-origin"] == "*"
    again = await context.request.get("/api/client.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status, await again.body()) == (304, b"")


# Signing in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("account", "username"), [("personal", PERSONAL_USER), ("work", WORK_USER)])
async def test_signing_in_and_out_comes_back_to_the_page(
    page: Page, stack: StackProcess, account: str, username: str
) -> None:
    """R-17, R-02, R-03, R-12: with the query of the page, without its fragment."""
    await front_end(page, "?inbox=1#top")
    assert await said(page, "client.session()") == {"got": {"signed_in": False}}
    await page.evaluate("(account) => client.signIn({ account, login_hint: 'somebody' })", account)
    await choose(page, username)
    await allow(page)
    await back_on(page, f"{stack.url}{FRONT_END}?inbox=1")
    session = (await said(page, "client.session()"))["got"]
    assert session["account"]["username"] == username
    assert session["account"]["kind"] == account
    five = json.loads((await said(page, "client.fetch(path)", path=FIVE))["body"])["value"]
    assert len(five) == 5

    await page.evaluate("() => client.signOut({ returnTo: '?out=1' })")
    await back_on(page, f"{stack.url}{FRONT_END}?out=1")
    assert await said(page, "client.session()") == {"got": {"signed_in": False}}


async def test_a_no_is_read_from_the_address_and_taken_out_of_it(page: Page, stack: StackProcess) -> None:
    """R-17, R-14."""
    await front_end(page)
    assert await said(page, "client.signInError()") == {"got": None}
    await page.evaluate("() => client.signIn({ account: 'work', scope: 'Notes.Read', prompt: 'consent' })")
    await choose(page, WORK_USER)
    await refuse(page)
    await back_on(page, f"{stack.url}{FRONT_END}#error=**")
    error = await page.evaluate("() => { const e = client.signInError(); return [e.code, e.message, e.link] }")
    assert error[0] == "access_denied"
    assert error[1]
    assert error[2].startswith(f"{stack.url}/api/auth/login?return_to=")
    assert page.url == f"{stack.url}{FRONT_END}"


# Errors with a way out ----------------------------------------------------------------------------------------


async def test_sign_in_required_carries_a_link_that_mends_it(tab: Page, stack: StackProcess) -> None:
    """R-17: one click away, and back where the person was."""
    await front_end(tab, "?page=7")
    error = await said(tab, "client.fetch(path)", path=FIVE)
    assert (error["name"], error["code"], error["status"]) == ("SignInRequired", "not_signed_in", 401)
    assert error["message"] == "Please sign in to go on."
    await tab.goto(error["link"])
    await choose(tab, WORK_USER)
    await allow(tab)
    await back_on(tab, f"{stack.url}{FRONT_END}?page=7")
    assert (await said(tab, "client.fetch(path)", path=FIVE))["status"] == 200


async def test_a_missing_permission_carries_a_link_that_asks_for_it(tab: Page) -> None:
    """R-17, R-08, R-15: named, asked for, given, and the same call works."""
    await signed_in(tab)
    create = (
        "client.fetch('/me/onenote/pages', { method: 'POST', headers: { 'content-type': 'text/html' },"
        " body: '<html><head><title>New</title></head><body></body></html>' })"
    )
    error = await said(tab, create)
    assert (error["name"], error["code"], error["scope"]) == ("PermissionMissing", "permission_missing", "Notes.Create")
    assert "Notes.Create" in error["message"]
    await tab.goto(error["link"])
    await allow(tab)
    await back_on(tab, "**" + FRONT_END)
    assert (await said(tab, create))["status"] == 201


async def test_what_is_not_there_is_an_answer_and_no_error(tab: Page) -> None:
    """R-17: OneNote's own refusals stay readable; `errorOf` says them in plain words."""
    await signed_in(tab)
    answer = await said(tab, "client.fetch('/me/onenote/pages/no-such-page')")
    assert answer["status"] == 404
    assert json.loads(answer["body"])["error"]["code"] == "20102"
    error = await said(
        tab, "client.fetch('/me/onenote/pages/no-such-page').then(client.errorOf).then((e) => { throw e })"
    )
    assert (error["name"], error["code"]) == ("BundleError", "onenote_not_found")
    assert "not there" in error["message"]


# Addresses ----------------------------------------------------------------------------------------------------

NOTEBOOKS = "/api/graph/v1.0/me/onenote/notebooks"


ADDRESSES = {
    "/me/onenote/notebooks": NOTEBOOKS,
    "me/onenote/notebooks": NOTEBOOKS,
    "v1.0/me/onenote/notebooks?$top=1": NOTEBOOKS + "?$top=1",
    "/beta/me/onenote/notebooks": "/api/graph/beta/me/onenote/notebooks",
    "https://graph.microsoft.com/v1.0/me/onenote/notebooks": NOTEBOOKS,
    "https://graph.microsoft.us/beta/me/onenote/notebooks": "/api/graph/beta/me/onenote/notebooks",
    "{stack}/api/graph/v1.0/me/onenote/notebooks": NOTEBOOKS,
}
LEADING_OUT = [
    "https://other.example/me/onenote/notebooks",
    "../../auth/session",
    "/v1.0/../../auth/token",
    "v1.0/%2e%2e/%2E%2E/auth/token",
    "v1.0\\..\\..\\..\\auth\\token",
    "https://graph.microsoft.com/v1.0/../../auth/token",
    "{stack}/api/graph/../auth/token",
    "{stack}/api/auth/token",
]


async def test_addresses_are_taken_as_graphs_documents_write_them(page: Page, stack: StackProcess) -> None:
    """R-17, R-09: always to the bundle, whatever host is named."""
    await page.route("**/api/graph/**", serving("ok"))
    await front_end(page)
    for path, sent in ADDRESSES.items():
        answer = await said(page, "client.fetch(path)", path=path.format(stack=stack.url))
        assert answer.get("url") == stack.url + sent, path


async def test_no_path_leads_out_of_graph(page: Page, stack: StackProcess) -> None:
    """R-17, R-16: a path from a stranger reaches no other route; nothing is sent."""
    sent: list[str] = []
    await front_end(page)
    page.on("request", lambda request: sent.append(request.url))
    for path in LEADING_OUT:
        error = await said(page, "client.fetch(path, { method: 'POST' })", path=path.format(stack=stack.url))
        assert error.get("name") == "TypeError", path
    assert sent == []


# Waiting and trying again -------------------------------------------------------------------------------------


class Answers:
    """Answers given to the page's calls, in turn: a status with its Retry-After, or `abort` for a broken connection."""

    def __init__(self, *answers: tuple[int, str] | str) -> None:
        self.left = list(answers)
        self.sent: list[str] = []

    async def __call__(self, route: Route) -> None:
        self.sent.append(route.request.method)
        answer = self.left.pop(0)
        if isinstance(answer, str):
            await route.abort("connectionreset")
            return
        status, retry_after = answer
        headers = {"retry-after": retry_after} if retry_after else {}
        body = json.dumps({"code": "store_unavailable", "detail": "The vault is busy.", "ref": "ab12"})
        await route.fulfill(status=status, headers=headers, content_type="application/problem+json", body=body)


RETRIES = [
    # method, answers, calls, what comes of it
    ("GET", [(429, "1"), (503, "2"), (200, "")], 3, 200),
    ("GET", [(503, "1"), (503, "1"), (503, "1")], 3, "SlowDown"),
    ("GET", [(429, "60")], 1, "SlowDown"),
    ("GET", [(429, "")], 1, "SlowDown"),
    ("GET", [(503, "")], 1, 503),
    ("GET", [(403, "30")], 1, "SlowDown"),
    ("POST", [(429, "1"), (200, "")], 2, 200),
    ("POST", [(503, "1")], 1, "SlowDown"),
    ("GET", ["abort", (200, "")], 2, 200),
    ("GET", ["abort", "abort"], 2, "BundleError"),
    ("POST", ["abort"], 1, "BundleError"),
    ("DELETE", ["abort"], 1, "BundleError"),
]


@pytest.mark.parametrize(("method", "answers", "calls", "comes"), RETRIES)
async def test_what_may_be_repeated_is_and_nothing_else(
    tab: Page, method: str, answers: list[tuple[int, str] | str], calls: int, comes: int | str
) -> None:
    """R-17: short waits only, three calls at most, no second POST that may have done something."""
    given = Answers(*answers)
    await tab.route("**/api/graph/**", given)
    await front_end(tab)
    await tab.clock.install()
    await tab.evaluate(
        "(method) => { globalThis.result = said(() => client.fetch('/me/onenote/pages', { method, body: method === 'GET' ? null : 'x' })) }",
        method,
    )
    for number in range(1, calls + 1):
        while len(given.sent) < number:
            await tab.clock.run_for(250)
    found = await tab.evaluate("() => result")
    assert found.get("name") or found["status"] == comes
    assert found.get("name", comes) == comes
    assert given.sent == [method] * calls
    if comes == "SlowDown":
        assert (found["code"], found["message"], found["ref"]) == ("store_unavailable", "The vault is busy.", "ab12")
        assert found.get("retryAfter") == (int(answers[-1][1]) if answers[-1][1] else None)
    if comes == "BundleError":
        assert (found["code"], found["status"]) == ("unreachable", 0)


async def test_a_caller_who_leaves_ends_the_wait_and_the_call(tab: Page) -> None:
    """R-17: AbortSignal, while waiting and while calling; no further call."""
    given = Answers((429, "5"))
    await tab.route("**/api/graph/**", given)
    await front_end(tab)
    await tab.clock.install()
    heard = tab.wait_for_event("requestfinished", predicate=lambda request: "/api/graph/" in request.url)
    await tab.evaluate(
        "() => { globalThis.leaving = new AbortController();"
        " globalThis.result = said(() => client.fetch('/me/onenote/pages', { signal: leaving.signal })) }"
    )
    await heard
    await tab.clock.run_for(100)
    await tab.evaluate("() => leaving.abort()")
    assert (await tab.evaluate("() => result"))["name"] == "AbortError"
    for work in ("client.fetch('/me', { signal })", "client.session({ signal })", "client.signOut({ signal })"):
        error = await said(tab, f"((signal) => {work})(AbortSignal.abort())")
        assert error["name"] == "AbortError"
    assert given.sent == ["GET"]


async def test_an_unreachable_vault_is_no_sign_out(tab: Page) -> None:
    """R-17, R-06: `session` throws; it does not say that nobody is there. Nor does somebody else's page count as an answer."""
    await tab.route("**/api/auth/session*", Answers((503, "60")))
    await front_end(tab)
    error = await said(tab, "client.session()")
    assert (error["name"], error["retryAfter"]) == ("SlowDown", 60)
    await tab.unroute("**/api/auth/session*")
    await tab.route("**/api/auth/session*", serving("<h1>Home</h1>", "text/html"))
    assert (await said(tab, "client.session()"))["name"] == "BundleError"


HOSTILE = [
    # status, body, what comes of it
    (401, "null", 401),
    (500, '"text"', 500),
    (401, '{"explanation": null, "code": null, "error": null}', 401),
    (401, '{"reconnect_url": "javascript:alert(1)"}', 401),
    (403, '{"explanation": {"scope": "x", "login_url": "JavaScript:alert(1)"}}', 403),
    (403, '{"explanation": {"login_url": "data:text/html,x"}}', 403),
    (401, '{"reconnect_url": {}}', 401),
    (401, '{"reconnect_url": "https:"}', 401),
    (401, '{"reconnect_url": "/api/auth/login"}', 401),
    (401, '{"reconnect_url": "https://notes.example/api/auth/login"}', "SignInRequired"),
    (429, "null", "SlowDown"),
    (401, "{", 401),
]


@pytest.mark.parametrize(("status", "body", "comes"), HOSTILE)
async def test_an_answer_of_any_shape_is_an_answer_and_only_a_web_address_is_a_link(
    tab: Page, status: int, body: str, comes: int | str
) -> None:
    """R-17, R-16: pages make a link of it, and a `javascript:` link is a program."""

    async def answer(route: Route) -> None:
        await route.fulfill(status=status, content_type="application/json", body=body)

    await tab.route("**/api/graph/**", answer)
    await front_end(tab)
    found = await said(tab, "client.fetch('/me/onenote/pages')")
    assert found.get("name") == (comes if isinstance(comes, str) else None), found
    assert found["status"] == status
    error = await said(tab, "client.fetch('/me/onenote/pages').then(client.errorOf).then((e) => { throw e })")
    assert str(error.get("link") or "https://").startswith("https://")


# Other tabs ---------------------------------------------------------------------------------------------------


class Held:
    """Calls of `session` that stay without an answer until a test gives one."""

    def __init__(self) -> None:
        self.waiting: list[Route] = []
        self.asked = 0

    async def __call__(self, route: Route) -> None:
        self.asked += 1
        self.waiting.append(route)

    async def until_asked(self, page: Page, times: int) -> None:
        while self.asked < times:
            await page.evaluate("() => new Promise(requestAnimationFrame)")

    async def give(self, username: str | None, which: int = 0) -> None:
        now = {"signed_in": bool(username), **({"account": {"username": username}} if username else {})}
        await self.waiting.pop(which).fulfill(json=now)


WATCH = """async () => {
  globalThis.heard = []
  globalThis.stop = client.onSessionChange(({ signed_in, account }) => heard.push(signed_in ? account.username : null))
  await client.session()
}"""


async def until_heard(page: Page, *names: str | None) -> None:
    await page.wait_for_function(
        "(names) => JSON.stringify(heard) === names", arg=json.dumps(names, separators=(",", ":"))
    )


async def test_every_tab_hears_of_a_sign_in_and_a_sign_out_in_another(page: Page, context: BrowserContext) -> None:
    """R-17, R-12: without a reload, without polling."""
    await front_end(page)
    await page.evaluate(WATCH)
    await until_heard(page, None)
    other = await context.new_page()
    await signed_in(other)
    await other.evaluate("() => client.session()")
    await until_heard(page, None, WORK_USER)
    await other.evaluate("() => client.signOut()")
    await until_heard(page, None, WORK_USER, None)


async def test_an_answer_that_was_overtaken_is_no_news(page: Page) -> None:
    """R-17, R-12: a slow "signed in" that left before the sign-out must not bring the person back."""
    held = Held()
    await page.route("**/api/auth/session*", held)
    await front_end(page)
    await page.evaluate(
        "() => { globalThis.heard = [];"
        " client.onSessionChange(({ signed_in, account }) => heard.push(signed_in ? account.username : null));"
        " globalThis.both = [client.session(), client.session()] }"
    )
    await held.until_asked(page, 2)
    await held.give(None, 1)
    await page.evaluate("() => both[1]")
    await held.give(WORK_USER, 0)
    await page.evaluate("() => both[0]")
    assert await page.evaluate("() => heard") == [None]


async def test_many_tabs_ask_once_each(page: Page, context: BrowserContext) -> None:
    """R-17: tabs that a browser opens together, and all of them after a sign-out; not each for each."""
    held = Held()
    await context.route("**/api/auth/session*", held)
    tabs = [page, *[await context.new_page() for _ in range(4)]]
    for tab in tabs:
        await front_end(tab)
        await tab.evaluate(
            "() => { globalThis.heard = []; client.onSessionChange(({ signed_in }) => heard.push(signed_in));"
            " client.session() }"
        )
    await held.until_asked(page, len(tabs))
    for _ in tabs:
        await held.give(WORK_USER)
        await page.evaluate("() => new Promise(requestAnimationFrame)")  # its message arrives while others wait
    for tab in tabs:
        await tab.wait_for_function("() => heard.length === 1")
    # What a sign-out tells the others, from several tabs at once.
    channel = "new BroadcastChannel('onenote-auth ' + new URL('/api/', location))"
    await page.evaluate(f"() => {{ const c = {channel}; for (let i = 0; i < 5; i++) c.postMessage('') }}")
    await held.until_asked(page, 2 * len(tabs))
    for _ in tabs:
        await held.give(None)
    for tab in tabs:
        await tab.wait_for_function("() => heard.length === 2")
    await page.evaluate("() => new Promise((done) => requestIdleCallback(done))")
    asked, left = held.asked, len(held.waiting)
    for _ in range(left):
        await held.give(None)
    # One for the message, and one more because others came while it was under way.
    assert asked <= 3 * len(tabs), asked


async def test_coming_back_to_a_tab_asks_again_but_not_all_the_time(page: Page, context: BrowserContext) -> None:
    """R-17: a session that ended without a tab's doing; who has stopped listening hears nothing and asks nothing."""
    await signed_in(page)
    await page.clock.install()
    await page.evaluate(WATCH)
    await until_heard(page, WORK_USER)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.evaluate("() => { for (let i = 0; i < 20; i++) dispatchEvent(new Event('focus')) }")
    assert asked == []
    await context.request.post("/api/auth/logout", headers={"accept": "application/json"})
    await page.clock.run_for(6_000)
    await page.evaluate("() => { for (let i = 0; i < 20; i++) dispatchEvent(new Event('focus')) }")
    await until_heard(page, WORK_USER, None)
    assert len(asked) == 1
    await page.evaluate("() => stop()")
    await page.clock.run_for(6_000)
    await page.evaluate("() => dispatchEvent(new Event('focus'))")
    await page.evaluate("() => new Promise((done) => requestIdleCallback(done))")
    assert len(asked) == 1


async def test_a_session_found_dead_by_a_call_is_heard_of(tab: Page, control: ControlClient) -> None:
    """R-17, R-13: a refused renewal changes the session's health, and the listener learns the way out."""
    await signed_in(tab, PERSONAL_USER, "personal")
    await tab.evaluate(
        "async () => { globalThis.heard = [];"
        " client.onSessionChange(({ health }) => heard.push(health.state)); await client.session() }"
    )
    await control.revoke(PERSONAL_USER)
    await control.expire_access_tokens()
    error = await said(tab, "client.fetch(path)", path=FIVE)
    assert (error["name"], error["code"]) == ("SignInRequired", "reauth_required")
    await tab.wait_for_function("() => heard.length === 2")
    assert await tab.evaluate("() => heard[1]") == "reauth_required"


# Another origin -----------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def other_origin() -> AsyncIterator[str]:
    """A front end's own server, on another port than the bundle."""
    listener = Listener()

    async def page(request: web.Request) -> web.Response:
        text = BLANK
        if request.path == "/plain":
            address = request.query["bundle"] + "/api/client.js"
            text = (
                example("html")
                .replace("<title>", '<link rel="icon" href="data:,"><title>')
                .replace("/api/client.js", address)
            )
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.router.add_get("/{page}", page)
    await listener.serve(app)
    yield listener.url()
    await listener.close()


@pytest.fixture(scope="module")
def running(browser_path: str, other_origin: str) -> Iterator[StackProcess]:
    """A stack that the other origin may call."""
    with quiet_stack(FRONTEND_ORIGINS=other_origin) as process:
        yield process


@pytest_asyncio.fixture(loop_scope="session")
async def open_stack(running: StackProcess) -> StackProcess:
    async with ControlClient(running.url) as client:
        await client.reset()
    return running


@pytest.mark.parametrize("bundled", [False, True])
async def test_a_front_end_on_another_origin_does_it_all(
    chromium: Browser, open_stack: StackProcess, other_origin: str, bundled: bool
) -> None:
    """R-17, R-12: import from the functions and it knows them; bundled with one's own code, say where they are."""
    async with await chromium.new_context() as context:
        page = await context.new_page()
        script = f"{open_stack.url}/api/client.js"

        async def open_it() -> None:
            await expect(page.get_by_role("heading", name="Front end")).to_be_visible()
            await page.evaluate(PREPARE, script)
            if bundled:
                await page.evaluate(
                    "(baseUrl) => { client = client.createClient({ baseUrl }) }", open_stack.url + "/api/"
                )

        await page.goto(other_origin + "/front-end?a=1")
        await open_it()
        assert await said(page, "client.session()") == {"got": {"signed_in": False}}
        await page.evaluate("() => client.signIn({ account: 'work' })")
        await choose(page, WORK_USER)
        await allow(page)
        await open_it()
        assert page.url == other_origin + "/front-end?a=1"
        assert (await said(page, "client.session()"))["got"]["account"]["username"] == WORK_USER
        assert (await said(page, "client.fetch(path)", path=FIVE))["status"] == 200
        error = await said(page, "client.fetch('/me/onenote/pages', { method: 'POST', body: 'x' })")
        assert (error["name"], error["scope"]) == ("PermissionMissing", "Notes.Create")
        await page.evaluate("() => client.signOut()")
        await page.wait_for_url(other_origin + "/front-end?a=1")
        await open_it()
        assert await said(page, "client.session()") == {"got": {"signed_in": False}}


# The examples of docs/front-ends.md ---------------------------------------------------------------------------


async def test_the_example_of_a_plain_page_works(
    chromium: Browser, open_stack: StackProcess, other_origin: str
) -> None:
    """R-17: no and yes by its link, five notebooks, out by its button."""
    async with await chromium.new_context() as context:
        tab = await context.new_page()
        await tab.goto(f"{other_origin}/plain?bundle={open_stack.url}")
        await tab.get_by_role("link", name="Go on").click()
        await choose(tab, PERSONAL_USER)
        await refuse(tab)
        await expect(tab.get_by_role("status")).to_contain_text("access")
        await tab.get_by_role("link", name="Go on").click()
        await allow(tab)
        await expect(tab.get_by_role("status")).to_have_text("5 notebooks")
        assert await tab.get_by_role("listitem").count() == 5
        await tab.get_by_role("button", name="Sign out").click()
        await expect(tab.get_by_role("link", name="Go on")).to_be_visible()


async def test_the_example_of_a_plain_page_says_what_onenote_refuses(
    chromium: Browser, open_stack: StackProcess, other_origin: str
) -> None:
    """R-17, R-15: an account without OneNote is told so, and not that it has no notebooks."""
    async with await chromium.new_context() as context:
        tab = await context.new_page()
        await tab.goto(f"{other_origin}/plain?bundle={open_stack.url}")
        await tab.get_by_role("link", name="Go on").click()
        await choose(tab, "dave@contoso.example")
        await allow(tab)
        await expect(tab.get_by_role("button", name="Sign out")).to_be_visible()
        await expect(tab.get_by_role("status")).to_contain_text("has no OneNote")


async def test_the_example_for_microsofts_graph_client_works(tab: Page) -> None:
    """R-17, R-09: Microsoft's own client, its own addresses, no access token."""
    modules = await asyncio.to_thread(npm.modules)
    (Path(modules) / "example").mkdir(exist_ok=True)
    source = Path(modules) / "example" / "graph.ts"
    source.write_text(example("ts"), encoding="utf-8")
    options = ("--target", "es2022", "--module", "esnext", "--noCheck", "--outDir", str(source.parent), str(source))
    await asyncio.to_thread(npm.run, modules / "typescript" / "bin" / "tsc", *options, cwd=source.parent)
    files = {
        "/npm/graph.js": source.with_suffix(".js").read_text(encoding="utf-8"),
        "/npm/whole.js": (modules / "@microsoft/microsoft-graph-client/lib/graph-js-sdk.js").read_text(
            encoding="utf-8"
        ),
        "/npm/client.js": "export const { Client } = MicrosoftGraph",
    }
    imports = {"@microsoft/microsoft-graph-client": "/npm/client.js", "onenote-auth": "/api/client.js"}
    page = (
        BLANK
        + f'<script type="importmap">{json.dumps({"imports": imports})}</script><script src="/npm/whole.js"></script>'
    )
    for path, body in files.items():
        await tab.route(f"**{path}", serving(body, "text/javascript"))
    await tab.route("**/graph-page", serving(page, "text/html"))
    await signed_in(tab)
    await tab.goto("/graph-page")
    names = await tab.evaluate("async () => (await import('/npm/graph.js')).firstFive()")
    assert len(names) == 5
    assert names == sorted(names, key=str.casefold)
    error = await tab.evaluate(
        "async () => (await import('/npm/graph.js')).graph.api('/me/onenote/pages').post('x').catch((e) => e.message)"
    )
    assert "Notes.Create" in error

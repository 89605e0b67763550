"""Signing out in real browsers: from our page, from another site's hidden frame, everywhere at once (R-12)."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, Request, expect

from local.browser.sign_in import PERSONAL_USER, WORK_USER
from local.control_client import ControlClient
from local.demo import holds_token
from local.listen import Listener
from local.process import StackProcess
from tests.web.chromium import LIMIT_MS
from tests.web.provider import choose
from tests.web.test_demo_page import KINDS, PERSONAL, WORK, list_notebooks, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

FRONT_CHANNEL = "/api/auth/frontchannel-logout"
OtherSite = Callable[[str], Awaitable[str]]


async def secrets_with_tokens(control: ControlClient) -> list[dict[str, Any]]:
    vaults = await control.vaults(values=True)
    return [secret for vault in vaults for secret in vault["secrets"] if holds_token(secret)]


async def sid_of(control: ControlClient) -> str:
    """The provider's name for the one session that the vault holds."""
    (secret,) = await secrets_with_tokens(control)
    return str(json.loads(secret["values"][-1])["account"]["sid"])


@pytest_asyncio.fixture(loop_scope="session")
async def other_site() -> AsyncIterator[OtherSite]:
    """A page with a hidden frame, on another site than the bundle (127.0.0.1 against localhost)."""
    listener = Listener()
    framed = ""

    async def page(request: web.Request) -> web.Response:
        text = f'<!doctype html><title>Other site</title><link rel="icon" href="data:,"><h1>Bye</h1><iframe hidden src="{framed}"></iframe>'
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    await listener.serve(app)

    async def with_frame(address: str) -> str:
        nonlocal framed
        framed = address
        return listener.url("127.0.0.1") + "/"

    yield with_frame
    await listener.close()


@pytest_asyncio.fixture(loop_scope="session")
async def other_context(
    chromium: Browser, stack: StackProcess, control: ControlClient
) -> AsyncIterator[BrowserContext]:
    """A second browser of the same person, or somebody else's."""
    fresh = await chromium.new_context(base_url=stack.url, locale="en-GB")
    fresh.set_default_timeout(LIMIT_MS)
    yield fresh
    await fresh.close()


def frame_requests(page: Page) -> list[Request]:
    """The front-channel calls that a page makes from now on."""
    seen: list[Request] = []
    page.on("request", lambda request: seen.append(request) if FRONT_CHANNEL in request.url else None)
    return seen


async def check_framed(requests: list[Request]) -> None:
    """One call from a frame, without any cookie, answered with 200 and allowed in the frame."""
    (request,) = requests
    assert request.frame.parent_frame is not None
    assert "cookie" not in await request.all_headers()
    response = await request.response()
    assert response is not None
    assert response.status == 200
    headers = await response.all_headers()
    assert "x-frame-options" not in headers
    assert "frame-ancestors" not in headers.get("content-security-policy", "")
    assert "set-cookie" not in headers


@pytest.mark.parametrize("iss", [False, True])
@pytest.mark.parametrize(("link", "username", "kind"), KINDS)
async def test_signing_out_at_the_provider_signs_out_here(
    page: Page, context: BrowserContext, control: ControlClient, link: str, username: str, kind: str, iss: bool
) -> None:
    """R-12: its logout page's hidden frame reaches us with a `sid` and no cookie; `iss` beside it or not."""
    await control.behaviour(front_channel_iss=iss)
    await sign_in(page, link, username)
    provider = await context.new_page()
    requests = frame_requests(provider)
    await provider.goto((await control.state())["services"]["identity_pages"] + "/common/oauth2/v2.0/logout")
    await expect(provider.get_by_role("heading", name="You signed out")).to_be_visible()
    await provider.wait_for_load_state("networkidle")
    await check_framed(requests)
    assert await secrets_with_tokens(control) == []
    await page.reload()
    await expect(page.get_by_role("link", name=link)).to_be_visible()
    await expect(page.get_by_role("button", name="Sign out")).to_be_hidden()


async def test_a_frame_on_any_other_site_reaches_us_without_a_cookie_and_the_sid_is_enough(
    page: Page, context: BrowserContext, control: ControlClient, stack: StackProcess, other_site: OtherSite
) -> None:
    """R-12: third-party cookies are blocked, so it works by `sid` alone."""
    await sign_in(page, WORK, WORK_USER)
    other = await context.new_page()
    requests = frame_requests(other)
    await other.goto(await other_site(f"{stack.url}{FRONT_CHANNEL}?sid={await sid_of(control)}"))
    await other.wait_for_load_state("networkidle")
    await check_framed(requests)
    assert await secrets_with_tokens(control) == []
    await page.reload()
    await expect(page.get_by_role("link", name=WORK)).to_be_visible()


@pytest.mark.parametrize(
    "query", ["sid=00000000-0000-0000-0000-000000000000", "sid={sid}&iss=https://evil.example/v2.0"]
)
async def test_a_frame_that_does_not_know_better_signs_nobody_out(
    page: Page, context: BrowserContext, control: ControlClient, stack: StackProcess, other_site: OtherSite, query: str
) -> None:
    """R-12: an unknown `sid`, or another issuer's, ends nothing and tells nothing."""
    await sign_in(page, PERSONAL, PERSONAL_USER)
    other = await context.new_page()
    requests = frame_requests(other)
    await other.goto(await other_site(f"{stack.url}{FRONT_CHANNEL}?{query.format(sid=await sid_of(control))}"))
    await other.wait_for_load_state("networkidle")
    await check_framed(requests)
    await page.reload()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert len(await list_notebooks(page)) == 5


async def test_our_other_pages_cannot_be_framed_by_another_site(
    context: BrowserContext, stack: StackProcess, other_site: OtherSite
) -> None:
    """R-12: a sign-out button in somebody's transparent frame would be clicked by mistake."""
    other = await context.new_page()
    for path in ("/api/auth/logout", "/api/auth/error?code=access_denied"):
        await other.goto(await other_site(stack.url + path))
        (frame,) = other.main_frame.child_frames
        await other.wait_for_load_state("networkidle")
        assert await frame.get_by_role("heading").count() == 0
        assert await frame.get_by_role("button").count() == 0


async def test_signing_out_everywhere_ends_the_other_browsers_session_too(
    page: Page, other_context: BrowserContext, control: ControlClient
) -> None:
    """R-12: two browsers of one person; tokens gone in both, and each tells when it is next asked."""
    await sign_in(page, WORK, WORK_USER)
    other = await other_context.new_page()
    await other.goto("/")
    await other.get_by_role("link", name=WORK).click()
    await choose(other, WORK_USER)  # consent was given in the first browser
    await expect(other.get_by_role("button", name="Sign out")).to_be_visible()
    listed = await page.evaluate("fetch('/api/auth/sessions').then((answer) => answer.json())")
    assert [session["current"] for session in listed["sessions"]].count(True) == 1
    assert len(listed["sessions"]) == 2

    ended = await page.evaluate("fetch('/api/auth/sessions', {method: 'DELETE'}).then((answer) => answer.json())")
    assert ended == {"ended": 2}
    assert await secrets_with_tokens(control) == []
    for tab in (page, other):
        await tab.reload()
        await expect(tab.get_by_role("link", name=WORK)).to_be_visible()
        await expect(tab.get_by_role("button", name="Sign out")).to_be_hidden()


async def test_signing_out_everywhere_is_ones_own_affair(
    page: Page, other_context: BrowserContext, stack: StackProcess, other_site: OtherSite
) -> None:
    """R-12: somebody else's session lives on; another site's script can't do it."""
    await sign_in(page, WORK, WORK_USER)
    other = await other_context.new_page()
    await sign_in(other, PERSONAL, PERSONAL_USER)
    foreign = await page.context.new_page()
    await foreign.goto(await other_site("about:blank"))
    refused = await foreign.evaluate(
        "(url) => fetch(url, {method: 'DELETE', credentials: 'include'}).then(() => 'sent', () => 'refused')",
        stack.url + "/api/auth/sessions",
    )
    assert refused == "refused"
    await page.reload()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()

    assert await page.evaluate("fetch('/api/auth/sessions', {method: 'DELETE'}).then((answer) => answer.status)") == 200
    await other.reload()
    await expect(other.get_by_role("button", name="Sign out")).to_be_visible()
    assert len(await list_notebooks(other)) == 5


async def test_signing_out_comes_back_to_a_clean_address_and_the_provider_asks_again(
    page: Page, stack: StackProcess
) -> None:
    """R-12: tokens gone, local state gone, provider's session gone, back without query options."""
    await sign_in(page, WORK, WORK_USER)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("link", name=WORK)).to_be_visible()
    assert page.url == stack.url + "/"
    await page.get_by_role("link", name=WORK).click()
    await choose(page, WORK_USER)  # it no longer knows who is there


async def test_the_back_button_after_signing_out_shows_nobody(page: Page) -> None:
    """R-12: the demo page asks again when it is shown from the browser's memory."""
    await sign_in(page, PERSONAL, PERSONAL_USER)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("link", name=PERSONAL)).to_be_visible()
    await page.go_back()
    await page.goto("/")
    await expect(page.get_by_role("link", name=PERSONAL)).to_be_visible()
    await expect(page.get_by_text(PERSONAL_USER, exact=True)).to_have_count(0)


async def test_the_sign_out_page_asks_and_does_it(page: Page, control: ControlClient, stack: StackProcess) -> None:
    """R-12: a link alone (a prefetch, an image) signs nobody out; the button does."""
    await sign_in(page, PERSONAL, PERSONAL_USER)
    await page.goto("/api/auth/logout")
    assert len(await secrets_with_tokens(control)) == 1
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("link", name=PERSONAL)).to_be_visible()
    assert page.url == stack.url + "/"
    assert await secrets_with_tokens(control) == []


async def test_signing_out_twice_is_a_quiet_success(page: Page, stack: StackProcess) -> None:
    """R-12: an old tab's button."""
    await page.goto("/api/auth/logout")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("link", name=WORK)).to_be_visible()
    assert page.url == stack.url + "/"
    await sign_in(page, WORK, WORK_USER)
    old = await page.context.new_page()
    await old.goto("/api/auth/logout")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("link", name=WORK)).to_be_visible()
    await old.get_by_role("button", name="Sign out").click()
    await expect(old.get_by_role("link", name=WORK)).to_be_visible()
    assert old.url == stack.url + "/"

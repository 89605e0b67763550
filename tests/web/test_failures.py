"""What a person sees when something goes wrong, in a real browser: refusals, reconnecting, the error page."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, expect

from local.browser.sign_in import PERSONAL_USER, WORK_USER
from local.control_client import ControlClient
from local.demo import NOTEBOOKS
from local.process import StackProcess
from tests.web.chromium import LIMIT_MS
from tests.web.provider import allow, choose, refuse
from tests.web.test_demo_page import KINDS, PERSONAL, WORK, list_notebooks, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

RECONNECT = "Please sign in once more"
PHONES = [320, 390]
NewPage = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(chromium: Browser, stack: StackProcess, control: ControlClient) -> AsyncIterator[NewPage]:
    """A tab in a fresh profile of its own: `locale`, `scripts`."""
    contexts: list[BrowserContext] = []

    async def make(*, locale: str = "en-GB", scripts: bool = True) -> Page:
        context = await chromium.new_context(
            base_url=stack.url,
            locale=locale,
            viewport=ViewportSize(width=1000, height=800),
            java_script_enabled=scripts,
        )
        context.set_default_timeout(LIMIT_MS)
        contexts.append(context)
        return await context.new_page()

    yield make
    for context in contexts:
        await context.close()


async def session_of(page: Page) -> dict[str, object]:
    """What the bundle says of this profile's session, without a script of the page."""
    answer = await page.context.request.get("/api/auth/session")
    assert answer.status == 200
    return dict(await answer.json())


async def session_cookies(context: BrowserContext) -> list[str]:
    return [
        str(cookie.get("value")) for cookie in await context.cookies() if cookie.get("name") == "__Secure-onenote-auth"
    ]


async def open_error_page(page: Page) -> None:
    """By the way that people get there: a sign-in answer that this browser never asked for."""
    await page.goto("/api/auth/callback?error=access_denied&state=of-another-browser&error_description=%3Cb%3Ehi")


# Consent -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("link", "username", "kind"), KINDS)
async def test_refused_consent_says_so_and_the_next_try_works(page: Page, link: str, username: str, kind: str) -> None:
    """R-14: both kinds; no error page, nothing lost."""
    await page.goto("/")
    await page.get_by_role("link", name=link).click()
    await choose(page, username)
    await refuse(page)
    await expect(page.get_by_role("alert")).to_contain_text("You did not give access")
    await page.get_by_role("link", name=link).click()
    await allow(page)
    await expect(page.get_by_text(kind, exact=True)).to_be_visible()


@pytest.mark.parametrize(("link", "username", "kind"), KINDS)
async def test_consent_revoked_at_the_provider_is_mended_by_one_click(
    page: Page, context: BrowserContext, control: ControlClient, link: str, username: str, kind: str
) -> None:
    """R-13: revoked on the provider's own page, noticed by the timer, back where the person was, working again."""
    await sign_in(page, link, username)
    provider = await context.new_page()
    await provider.goto((await control.state())["services"]["consent_page"])
    await provider.get_by_role("button", name="Revoke").click()
    await expect(provider.get_by_text("Nobody has given any.")).to_be_visible()
    await provider.close()

    await control.advance(86_400)
    await page.get_by_role("button", name="Run the timer now").click()
    await expect(page.get_by_role("heading", name=RECONNECT)).to_be_visible()
    await expect(page.get_by_text("The access you had given was taken back.")).to_be_visible()
    await expect(page.get_by_text(username, exact=True)).to_be_visible()  # nothing is deleted

    await page.get_by_role("link", name="Sign in again").click()
    await allow(page)
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    await expect(page.get_by_role("heading", name=RECONNECT)).to_be_hidden()
    assert len(await list_notebooks(page)) == 5


async def test_a_changed_password_is_said_in_plain_words_and_mended_without_a_question(
    page: Page, context: BrowserContext, control: ControlClient
) -> None:
    """R-13: consent still stands and the provider knows the person, so one click is all there is."""
    await sign_in(page, WORK, WORK_USER)
    await control.refuse(WORK_USER, codes=[50133], until_sign_in=True)
    await control.expire_access_tokens()
    assert (await context.request.get(NOTEBOOKS)).status == 401
    await page.reload()
    await expect(page.get_by_text("Your password has changed since you signed in.")).to_be_visible()
    await page.get_by_role("link", name="Sign in again").click()
    await expect(page.get_by_role("heading", name=RECONNECT)).to_be_hidden()
    assert len(await list_notebooks(page)) == 5


# Incremental consent -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("link", "username", "kind"), KINDS)
async def test_one_more_permission_keeps_session_and_cookie(
    page: Page, context: BrowserContext, link: str, username: str, kind: str
) -> None:
    """R-08: one consent page, and it asks for what is new only."""
    await sign_in(page, link, username)
    before = await session_cookies(context)
    await page.goto("/api/auth/login?scope=Notes.ReadWrite")
    await expect(page.get_by_text("Read and change your OneNote notebooks")).to_be_visible()
    await expect(page.get_by_text("Read your OneNote notebooks")).to_have_count(0)
    await allow(page)
    await expect(page.locator("#scopes")).to_contain_text("Notes.ReadWrite")
    assert await session_cookies(context) == before
    sessions = await (await context.request.get("/api/auth/sessions")).json()
    assert len(sessions["sessions"]) == 1
    assert len(await list_notebooks(page)) == 5


async def test_another_account_chosen_while_asking_for_more_starts_its_own_session(
    page: Page, context: BrowserContext
) -> None:
    """R-08: never a mixture; the cookie is another one."""
    await sign_in(page, WORK, WORK_USER)
    before = await session_cookies(context)
    await page.goto("/api/auth/login?scope=Notes.ReadWrite&prompt=select_account")
    await choose(page, "erin@fabrikam.example")
    await allow(page)
    await expect(page.get_by_text("erin@fabrikam.example", exact=True)).to_be_visible()
    await expect(page.get_by_text(WORK_USER, exact=True)).to_have_count(0)
    after = await session_cookies(context)
    assert len(after) == 1
    assert after != before
    assert len(await list_notebooks(page)) == 5


async def test_no_to_one_more_permission_leaves_everything_as_it_was(page: Page, context: BrowserContext) -> None:
    """R-08, R-14."""
    await sign_in(page, PERSONAL, PERSONAL_USER)
    before = await session_cookies(context)
    await page.goto("/api/auth/login?scope=Notes.Create")
    await refuse(page)
    await expect(page.get_by_role("alert")).to_contain_text("You did not give access")
    await expect(page.get_by_text(PERSONAL_USER, exact=True)).to_be_visible()
    assert await session_cookies(context) == before


# OneNote ------------------------------------------------------------------------------------------------------


async def test_an_account_without_onenote_stays_signed_in(new_page: NewPage) -> None:
    """R-15: the list does not come, and nobody is asked to sign in again because of it."""
    page = await new_page()
    await sign_in(page, WORK, "dave@contoso.example")
    await page.get_by_role("button", name="List five notebooks by name").click()
    await expect(page.locator("#notebooks-status")).not_to_contain_text("Listing")
    await expect(page.get_by_role("heading", name=RECONNECT)).to_be_hidden()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    answer = await page.context.request.get(NOTEBOOKS)
    assert (await answer.json())["explanation"]["code"] == "onenote_not_available"


async def test_an_account_without_onenote_is_told_why(new_page: NewPage) -> None:
    """R-15: in plain words where the list would be."""
    page = await new_page()
    await sign_in(page, WORK, "dave@contoso.example")
    await page.get_by_role("button", name="List five notebooks by name").click()
    await expect(page.locator("#notebooks-status")).not_to_contain_text("Listing")
    assert "licence" in await page.locator("#notebooks-status").inner_text()


# The error page -----------------------------------------------------------------------------------------------

LANGUAGES = [
    ("en-GB", "en", "This sign-in can't be continued", "Try again", "Details for the people who run this app"),
    ("de-AT", "de", "Diese Anmeldung lässt sich nicht fortsetzen", "Noch einmal versuchen", "Einzelheiten"),
    ("fr-FR", "en", "This sign-in can't be continued", "Try again", "Details for the people who run this app"),
]


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize(("locale", "lang", "title", "again", "details"), LANGUAGES)
async def test_the_error_page_speaks_the_persons_language_and_leads_on(
    new_page: NewPage, stack: StackProcess, scripts: bool, locale: str, lang: str, title: str, again: str, details: str
) -> None:
    """R-14: plain words, what to do next, a reference; details folded away; with and without scripts."""
    page = await new_page(locale=locale, scripts=scripts)
    await open_error_page(page)
    assert page.url.startswith(stack.url + "/api/auth/error?")
    assert "#error=attempt_unknown&error_description=" in page.url
    await expect(page.get_by_role("heading", level=1)).to_have_text(title)
    await expect(page).to_have_title(title)
    await expect(page.locator("html")).to_have_attribute("lang", lang)
    await expect(page.locator("dl")).to_be_hidden()
    await page.get_by_text(details).click()
    reference = page.url.partition("ref=")[2].partition("#")[0].partition("&")[0]
    await expect(page.locator("dl")).to_contain_text(reference)
    await expect(page.locator("b")).to_have_count(0)  # the provider's text is nowhere, least of all as HTML

    await page.get_by_role("link", name=again).click()
    await expect(page.get_by_role("heading", name="Choose an account")).to_be_visible()


async def test_the_error_page_hands_the_same_fragment_to_the_return_address(page: Page, stack: StackProcess) -> None:
    """R-14: the front end reads it, says it, and cleans its address."""
    await open_error_page(page)
    back = page.get_by_role("link", name="Back to the app")
    assert (await back.get_attribute("href") or "").startswith(stack.url + "/#error=attempt_unknown&error_description=")
    await back.click()
    await expect(page.get_by_role("alert")).to_contain_text("This sign-in can't be continued")
    assert page.url == stack.url + "/"


@pytest.mark.parametrize("locale", ["en-GB", "de-DE"])
@pytest.mark.parametrize(
    "path", ["/api/auth/error?code=tenant_not_allowed", "/api/auth/error?code=attempt_unknown", "/api/auth/logout"]
)
async def test_our_own_pages_fit_a_phone(new_page: NewPage, path: str, locale: str) -> None:
    """R-14: nothing to scroll sideways (WCAG 2.2, 1.4.10), also with the details open; targets of 24 px and more."""
    page = await new_page(locale=locale)
    await page.goto(path)
    if "error" in path:
        await page.locator("summary").click()
    for width in PHONES:
        await page.set_viewport_size(ViewportSize(width=width, height=800))
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        for target in await page.locator("a, button, summary").all():
            box = await target.bounding_box()
            assert box is not None
            assert box["height"] >= 24
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_error_page_can_be_used_by_keyboard_in_both_colour_schemes(page: Page, scheme: str) -> None:
    """R-14: Tab reaches both links with a visible focus, in their order, then the details."""
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await open_error_page(page)
    reached = []
    for _ in range(3):
        await page.keyboard.press("Tab")
        text, outline = await page.evaluate(
            "[document.activeElement.textContent, getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert outline == "solid"
        reached.append(text)
    assert reached == ["Try again", "Back to the app", "Details for the people who run this app"]


# Without scripts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("account", "username"), [("personal", PERSONAL_USER), ("work", WORK_USER)])
async def test_signing_in_and_out_works_without_scripts(
    new_page: NewPage, stack: StackProcess, account: str, username: str
) -> None:
    """R-04, R-12, R-14: every page that we show, and the way through the provider's."""
    page = await new_page(scripts=False)
    await page.goto(f"/api/auth/login?account={account}")
    await choose(page, username)
    await allow(page)
    await page.get_by_role("button", name="Continue").click()
    await page.wait_for_url(stack.url + "/")
    assert (await session_of(page))["signed_in"] is True

    await page.goto("/api/auth/logout")
    await expect(page.get_by_role("heading", name="Sign out?")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="You signed out")).to_be_visible()
    await page.get_by_role("link", name="Continue").click()
    await page.wait_for_url(stack.url + "/")
    assert await session_of(page) == {"signed_in": False}


async def test_a_no_without_scripts_comes_back_with_the_fragment(new_page: NewPage, stack: StackProcess) -> None:
    """R-14."""
    page = await new_page(scripts=False)
    await page.goto("/api/auth/login?account=personal")
    await choose(page, PERSONAL_USER)
    await refuse(page)
    await page.get_by_role("button", name="Continue").click()
    await page.wait_for_url(lambda url: url.startswith(stack.url + "/#error=access_denied&error_description="))

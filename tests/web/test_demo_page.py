"""The demo page in a real browser, from the first click to sign-out, on the embedded stack."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, Response, expect

from local.browser.sign_in import PERSONAL_USER, WORK_USER
from local.control_client import ControlClient
from local.demo import DAY_S, NOTEBOOKS, token_strings
from local.process import StackProcess
from tests.web.provider import allow, choose, refuse

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PERSONAL = "Sign in with a personal account"
WORK = "Sign in with a work or school account"
KINDS = [(PERSONAL, PERSONAL_USER, "Personal account"), (WORK, WORK_USER, "Work or school account")]
LIST = "List five notebooks by name"


async def sign_in(page: Page, link: str, username: str) -> None:
    await page.goto("/")
    await page.get_by_role("link", name=link).click()
    await choose(page, username)
    await allow(page)
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    # The notebooks are listed by themselves: a test that changes the world would meet that call half way.
    await expect(page.locator("#notebooks-status")).not_to_have_text(re.compile("None listed yet|Listing"))


async def list_notebooks(page: Page) -> list[str]:
    await page.get_by_role("button", name=LIST).click()
    await expect(page.get_by_text("5 notebooks, by name.")).to_be_visible()
    return await page.locator("#notebooks-list strong").all_text_contents()


@pytest.mark.parametrize(("link", "username", "kind"), KINDS)
async def test_a_person_signs_in_lists_notebooks_and_signs_out(
    page: Page, stack: StackProcess, link: str, username: str, kind: str
) -> None:
    """R-02, R-03, R-09, R-12: the whole job by mouse."""
    await sign_in(page, link, username)
    assert page.url == stack.url + "/"
    account = page.get_by_role("region", name="Account")
    await expect(account.get_by_text(username, exact=True)).to_be_visible()
    await expect(account.get_by_text(kind, exact=True)).to_be_visible()
    await expect(account.locator("#refreshed-at time")).to_be_visible()
    names = await list_notebooks(page)
    assert names == sorted(names, key=str.casefold)

    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("link", name=link)).to_be_visible()
    assert page.url == stack.url + "/"
    await expect(page.get_by_role("region", name="Notebooks")).to_be_hidden()


async def test_refused_consent_is_said_in_plain_words_and_leaves_a_clean_address(
    page: Page, stack: StackProcess, control: ControlClient
) -> None:
    """R-14: the page reads the fragment, then takes it out of the address."""
    await page.goto("/")
    await page.get_by_role("link", name=PERSONAL).click()
    await choose(page, PERSONAL_USER)
    await refuse(page)
    await expect(page.get_by_role("alert")).to_contain_text("You did not give access")
    assert page.url == stack.url + "/"
    assert await token_strings(control) == []
    await page.get_by_role("button", name="Dismiss").click()
    await expect(page.get_by_role("alert")).to_be_hidden()

    await page.get_by_role("link", name=PERSONAL).click()
    await allow(page)  # the provider still knows who it is
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()


async def test_signing_in_again_with_another_account(page: Page) -> None:
    """R-12: sign out, come back as somebody else."""
    await sign_in(page, PERSONAL, PERSONAL_USER)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("link", name=WORK)).to_be_visible()
    await sign_in(page, WORK, WORK_USER)
    await expect(page.get_by_text(WORK_USER, exact=True)).to_be_visible()
    assert len(await list_notebooks(page)) == 5


async def test_two_tabs_sign_in_at_once(page: Page, context: BrowserContext) -> None:
    """R-04: both attempts end well; the last one's account is the one that both tabs show."""
    other = await context.new_page()
    await page.goto("/")
    await other.goto("/")
    await page.get_by_role("link", name=PERSONAL).click()
    await other.get_by_role("link", name=WORK).click()
    await choose(page, PERSONAL_USER)
    await allow(page)
    await expect(page.get_by_text(PERSONAL_USER, exact=True)).to_be_visible()
    await choose(other, WORK_USER)
    await allow(other)
    await expect(other.get_by_text(WORK_USER, exact=True)).to_be_visible()
    await page.reload()
    await expect(page.get_by_text(WORK_USER, exact=True)).to_be_visible()
    assert len(await list_notebooks(page)) == 5


async def test_signing_out_in_one_tab_shows_in_the_other(page: Page, context: BrowserContext) -> None:
    """R-12, R-17: the other tab is out as well, without a reload."""
    await sign_in(page, PERSONAL, PERSONAL_USER)
    other = await context.new_page()
    await other.goto("/")
    await other.get_by_role("button", name="Sign out").click()
    await expect(other.get_by_role("link", name=PERSONAL)).to_be_visible()
    await expect(page.get_by_role("link", name=PERSONAL)).to_be_visible()


@pytest.mark.parametrize(("link", "username", "kind"), KINDS)
async def test_the_browser_never_holds_a_token(
    page: Page,
    context: BrowserContext,
    stack: StackProcess,
    control: ControlClient,
    link: str,
    username: str,
    kind: str,
) -> None:
    """R-16: not in cookies, storage, page or network answers, renewals included."""
    heard: list[asyncio.Task[str]] = []

    async def read(response: Response) -> str:
        body = await response.text() if response.status < 300 else ""
        return json.dumps(await response.all_headers()) + body

    def on_response(response: Response) -> None:
        if response.url.startswith(stack.url):
            heard.append(asyncio.create_task(read(response)))

    page.on("response", on_response)
    await page.goto("/", wait_until="networkidle")  # a body that a navigation cuts off can't be read
    await page.get_by_role("link", name=link).click()
    await choose(page, username)
    await allow(page)
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    await list_notebooks(page)
    tokens = await token_strings(control)
    await control.expire_access_tokens()
    await list_notebooks(page)
    await page.get_by_text("What the vault holds").click()
    await expect(page.locator("#vault-list li").first).to_be_visible()
    tokens += await token_strings(control)
    assert len(set(tokens)) >= 3

    held = [await page.content(), json.dumps(await context.storage_state())]
    held.append(await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"))
    held += await asyncio.gather(*heard)
    everything = "\n".join(held)
    assert "displayName" in everything  # the answers were read, the notebooks' among them
    assert not [token for token in tokens if token in everything]
    assert await page.evaluate("document.cookie") == ""


async def test_the_timer_runs_by_a_click_and_a_day_later_the_list_needs_no_renewal(
    page: Page, control: ControlClient
) -> None:
    """R-11: next run shown; after a day and a run, the token is newer and the list asks the provider nothing."""
    await sign_in(page, WORK, WORK_USER)
    await expect(page.locator("#timer-next time")).to_be_visible()
    before = await page.locator("#refreshed-at time").get_attribute("datetime")
    await control.advance(DAY_S)
    await page.get_by_role("button", name="Run the timer now").click()
    await expect(page.get_by_text("The timer ran and took")).to_be_visible()
    after = await page.locator("#refreshed-at time").get_attribute("datetime")
    assert before is not None
    assert after is not None
    assert after > before
    calls = len(await control.calls("identity"))
    assert len(await list_notebooks(page)) == 5
    assert len(await control.calls("identity")) == calls


async def test_revoked_consent_shows_a_link_that_mends_it(
    page: Page, context: BrowserContext, control: ControlClient
) -> None:
    """R-13: plain words, one click, and the notebooks are back."""
    await sign_in(page, PERSONAL, PERSONAL_USER)
    await control.revoke(PERSONAL_USER)
    await control.expire_access_tokens()
    refused = await context.request.get(NOTEBOOKS)  # not by the page: its console would call a 401 an error
    assert refused.status == 401
    await page.reload()
    await expect(page.get_by_role("heading", name="Please sign in once more")).to_be_visible()
    await page.get_by_role("link", name="Sign in again").click()
    await allow(page)  # the provider still knows who it is
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    await expect(page.get_by_role("heading", name="Please sign in once more")).to_be_hidden()
    assert len(await list_notebooks(page)) == 5


@pytest.mark.parametrize("signed_in", [False, True])
async def test_a_phone_shows_everything_without_scrolling_sideways(page: Page, signed_in: bool) -> None:
    """320 CSS pixels (WCAG 2.2, 1.4.10 Reflow)."""
    await page.set_viewport_size({"width": 320, "height": 640})
    await page.goto("/")
    if signed_in:
        await sign_in(page, WORK, WORK_USER)
        await list_notebooks(page)
        await page.get_by_text("What the vault holds").click()
    await expect(page.locator("#timer-next time")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320


async def test_dark_mode_looks_different_and_readable(page: Page, tmp_path: Path) -> None:
    """Both schemes from the system's preference; text keeps 4.5:1 in each (WCAG 2.2, 1.4.3)."""
    shots = []
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        await page.goto("/")
        await expect(page.get_by_role("link", name=PERSONAL)).to_be_visible()
        shots.append(await page.screenshot(path=tmp_path / f"{scheme}.png"))
        for selector in ("h1", "h1 span", "#signed-out p", "a.primary", ".foot p", ".muted"):
            assert await page.evaluate(CONTRAST, selector) >= 4.5, (scheme, selector)
    assert shots[0] != shots[1]


CONTRAST = """(selector) => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number)
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    return 0.2126 * x + 0.7152 * y + 0.0722 * z
  }
  const element = document.querySelector(selector)
  let ground = element
  while (ground && (rgb(getComputedStyle(ground).backgroundColor)[3] ?? 1) === 0) ground = ground.parentElement
  const pair = [getComputedStyle(element).color, getComputedStyle(ground || document.body).backgroundColor]
  const [one, two] = pair.map((c) => luminance(rgb(c))).sort((a, b) => b - a)
  return (one + 0.05) / (two + 0.05)
}"""
"""The contrast ratio of an element's text to the ground behind it (WCAG 2.2, relative luminance)."""


async def test_everything_can_be_reached_by_keyboard_with_a_visible_focus(page: Page, stack: StackProcess) -> None:
    """Tab and Enter only (WCAG 2.2, 2.1.1 and 2.4.7)."""

    async def tab_to(name: str) -> None:
        for _ in range(30):
            await page.keyboard.press("Tab")
            text, style = await page.evaluate(
                "[document.activeElement.textContent.trim(), getComputedStyle(document.activeElement).outlineStyle]"
            )
            if text == name:
                assert style == "solid"
                return
        raise AssertionError(f"{name} is not reached by Tab")

    await page.goto("/")
    await expect(page.get_by_role("link", name=WORK)).to_be_visible()
    await tab_to(WORK)
    await page.keyboard.press("Enter")
    await choose(page, WORK_USER)
    await allow(page)
    await expect(page.get_by_role("button", name=LIST)).to_be_visible()
    await tab_to(LIST)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("5 notebooks, by name.")).to_be_visible()
    assert await page.evaluate("document.activeElement.id") == "list"
    await tab_to("Run the timer now")
    await page.keyboard.press("Space")
    await expect(page.get_by_text("The timer ran and took")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    await tab_to("Sign out")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name=WORK)).to_be_visible()
    assert page.url == stack.url + "/"

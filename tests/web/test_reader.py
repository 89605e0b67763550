"""The demo page's reader in a real browser: from notebooks to a page's picture, new pages, finding, and what goes wrong."""

import asyncio
import json
import struct
import zlib
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, FilePayload, FrameLocator, Page, expect

from local.browser.sign_in import PERSONAL_USER, WORK_USER
from local.control_client import ControlClient
from tests import npm
from tests.web.provider import allow
from tests.web.reader import LISTED, PICTURE_PAGE, open_picture_page, open_section, sign_in
from tests.web.test_demo_page import CONTRAST

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

KINDS = [("personal", PERSONAL_USER), ("work or school", WORK_USER)]


@pytest_asyncio.fixture(loop_scope="session")
async def tab(context: BrowserContext) -> Page:
    """A tab whose console may complain: browsers report refused calls and blocked attachments there."""
    return await context.new_page()


def content(page: Page) -> FrameLocator:
    return page.frame_locator("#page-frame iframe")


def picture() -> bytes:
    """A PNG of one violet dot."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0\x80\0\xff")) + chunk(b"IEND", b"")


async def width_of_picture(page: Page) -> int:
    image = content(page).locator("img")
    await expect(image).to_be_visible()
    await image.evaluate("(image) => image.decode()")
    return int(await image.evaluate("(image) => image.naturalWidth"))


@pytest.mark.parametrize(("kind", "username"), KINDS)
async def test_a_person_reads_a_page_with_its_picture_and_takes_its_file(tab: Page, kind: str, username: str) -> None:
    """R-09: notebook, section, page; image and file come through the bundle. The frame never runs a script."""
    await sign_in(tab, kind, username)
    names = await tab.locator("#notebooks-list strong").all_text_contents()
    assert len(names) == 5
    assert names == sorted(names, key=str.casefold)
    await open_picture_page(tab)
    assert await width_of_picture(tab) == 96
    frame = tab.locator("#page-frame iframe")
    assert await frame.get_attribute("sandbox") == "allow-same-origin"
    assert await tab.evaluate("document.activeElement.closest('#notebooks-list, #pages-list') !== null")
    async with tab.expect_download() as download:
        await tab.get_by_role("link", name="plan.pdf").click()
    assert (await download.value).suggested_filename == "plan.pdf"


async def test_a_long_section_goes_on_page_by_page(page: Page) -> None:
    """R-09: by Graph's own next link, which leads through the bundle; the keyboard stays in the list."""
    await sign_in(page, "work or school", WORK_USER)
    await open_section(page, "Drafts")
    rows = page.locator("#pages-list strong")
    await expect(rows).to_have_count(20)
    await page.locator("#pages-list").get_by_role("button", name="More").press("Enter")
    await expect(rows).to_have_count(24)
    assert (
        await page.evaluate("[...document.querySelectorAll('#pages-list button')].indexOf(document.activeElement)")
        == 20
    )


async def test_a_new_page_with_a_picture_once_the_permission_is_given(tab: Page) -> None:
    """R-08, R-09: refused by name, allowed by one click, the words still there, and the page opens with its picture."""
    await sign_in(tab, "work or school", WORK_USER)
    await open_section(tab, "Drafts")
    await tab.get_by_text("New page in Drafts").click()
    await tab.get_by_label("Title", exact=True).fill("Beans & <b>peas</b>")
    await tab.get_by_label("Text").fill("First line\nSecond <script>line</script>")
    await tab.get_by_role("button", name="Add the page").click()
    await expect(tab.locator("#notebooks-status")).to_contain_text("Notes.Create")
    await tab.get_by_role("link", name="Allow it").click()
    await allow(tab)
    await expect(tab.get_by_text(LISTED)).to_be_visible()
    await expect(tab.locator("#notebooks-status")).to_contain_text("The page that you were writing is kept")
    await open_section(tab, "Archive")
    await expect(tab.get_by_label("Title", exact=True)).to_have_value("Beans & <b>peas</b>")
    await tab.get_by_label("Picture").set_input_files(
        FilePayload(name="dot.png", mimeType="image/png", buffer=picture())
    )
    await tab.get_by_role("button", name="Add the page").click()
    await expect(tab.get_by_role("heading", name="Beans & <b>peas</b>")).to_be_visible()
    await expect(content(tab).get_by_text("Second <script>line</script>")).to_be_visible()
    assert await width_of_picture(tab) == 1
    await expect(tab.locator("#pages-list").get_by_role("button", name="Beans & <b>peas</b>")).to_be_visible()
    await expect(tab.get_by_label("Title", exact=True)).to_have_value("")


async def test_what_failed_below_is_seen_on_a_phone(tab: Page) -> None:
    """R-08: the form stands a screen below the words about it."""
    await tab.set_viewport_size({"width": 390, "height": 844})
    await sign_in(tab, "work or school", WORK_USER)
    await open_section(tab, "Drafts")
    await tab.get_by_text("New page in Drafts").click()
    await tab.get_by_label("Title", exact=True).fill("Seed swap")
    await tab.get_by_role("button", name="Add the page").click()
    await expect(tab.get_by_role("link", name="Allow it")).to_be_in_viewport()


async def test_pages_are_found_by_their_title(page: Page) -> None:
    """R-09: whatever the letters' case; quotes are text; nothing found is said."""
    await sign_in(page, "personal", PERSONAL_USER)
    await page.locator("#notebooks-list button").first.click()
    await expect(page.locator("#notebooks-list [aria-current]")).to_have_count(1)
    field, status = page.get_by_role("searchbox", name="Find pages by title"), page.locator("#notebooks-status")
    await field.fill("PICTURE and")
    await field.press("Enter")
    await expect(status).to_have_text("1 page with “picture and” in the title shown.")
    await expect(page.locator("#pages-list strong")).to_have_text([PICTURE_PAGE])
    await expect(page.locator("#notebooks-list [aria-current]")).to_have_count(0)
    await field.fill("o'clock & #1 100%")
    await page.get_by_role("button", name="Find", exact=True).click()
    await expect(status).to_have_text("No pages with “o'clock & #1 100%” in the title shown.")


async def test_what_onenote_refuses_is_said_in_plain_words(tab: Page, control: ControlClient) -> None:
    """R-15: a locked section, a OneDrive that is being set up; the person stays signed in."""
    await sign_in(tab, "work or school", WORK_USER)
    await open_section(tab, "Diary")
    await expect(tab.locator("#notebooks-status")).to_contain_text("protected by a password")
    await control.onenote(WORK_USER, provisioning=10)
    await tab.get_by_role("button", name="List five notebooks by name").click()
    await expect(tab.locator("#notebooks-status")).to_contain_text("being set up for the first time")
    await expect(tab.locator("#notebooks-status")).to_contain_text("Try again in")
    await expect(tab.get_by_role("button", name="Sign out")).to_be_visible()
    await control.onenote(WORK_USER, provisioning=0)
    await tab.get_by_role("button", name="List five notebooks by name").click()
    await expect(tab.get_by_text(LISTED)).to_be_visible()


async def test_a_page_that_is_gone_is_said_and_no_frame_shows_an_error(tab: Page, context: BrowserContext) -> None:
    """R-15: deleted elsewhere since the list was made."""
    await sign_in(tab, "work or school", WORK_USER)
    await open_section(tab, "Drafts")
    await expect(tab.locator("#pages-list strong")).to_have_count(20)
    refusal = {"error": {"code": "20102"}, "explanation": {"code": "onenote_not_found", "detail": "That is gone."}}
    body = json.dumps(refusal)
    await tab.route("**/content", lambda route: route.fulfill(status=404, content_type="application/json", body=body))
    await tab.locator("#pages-list button").first.click()
    await expect(tab.locator("#notebooks-status")).to_have_text("That is gone.")
    await expect(tab.locator("#page-view")).to_be_hidden()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"value": []}, "You have no notebooks yet."),
        ({"value": [{"id": "1", "displayName": "<i>X</i>"}]}, "1 notebook, by name."),
    ],
)
async def test_no_notebook_and_one_notebook_are_said(page: Page, answer: dict[str, Any], words: str) -> None:
    """R-09: names are text, never markup."""
    await sign_in(page, "work or school", WORK_USER)
    await page.route("**/notebooks?*", lambda route: route.fulfill(json=answer))
    await page.get_by_role("button", name="List five notebooks by name").click()
    await expect(page.locator("#notebooks-status")).to_have_text(words)
    assert await page.locator("#notebooks-list i").count() == 0


async def test_a_session_that_dies_while_reading_shows_the_way_back(tab: Page, control: ControlClient) -> None:
    """R-13, R-17: heard of by the call that met it, without a reload."""
    await sign_in(tab, "personal", PERSONAL_USER)
    await control.revoke(PERSONAL_USER)
    await control.expire_access_tokens()
    await tab.locator("#notebooks-list button").first.click()
    await expect(tab.get_by_role("heading", name="Please sign in once more")).to_be_visible()
    await expect(tab.locator("#health")).to_have_text("Needs a new sign-in")
    await tab.locator("#notebooks-status").get_by_role("link", name="Sign in again").click()
    await allow(tab)
    await expect(tab.get_by_text(LISTED)).to_be_visible()
    await expect(tab.locator("#health")).to_have_text("Good")


@pytest.mark.parametrize("width", [320, 390, 800])
async def test_reading_fits_the_screen(tab: Page, width: int) -> None:
    """Nothing to scroll sideways, also inside the page's frame (WCAG 2.2, 1.4.10); targets of 24 px and more."""
    await tab.set_viewport_size({"width": width, "height": 740})
    await sign_in(tab, "work or school", WORK_USER)
    await open_picture_page(tab)
    await tab.get_by_text("New page in Drafts").click()
    assert await tab.evaluate("document.documentElement.scrollWidth") <= width
    assert await tab.locator("#page-frame iframe").evaluate(
        "({ contentDocument: { documentElement: e } }) => e.scrollWidth <= e.clientWidth"
    )
    for target in await tab.locator("#notebooks button:visible, #notebooks input:visible, #notebooks summary").all():
        box = await target.bounding_box()
        assert box is not None
        assert box["height"] >= 24


AXE = """async () => {
  const { violations } = await axe.run(document, { iframes: false })
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target).join(', ')}`)
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_to_mend_on_any_screen(tab: Page, control: ControlClient, scheme: str) -> None:
    """Names, roles, contrast, structure (WCAG 2.2 A and AA, and axe's best practices)."""
    modules = await asyncio.to_thread(npm.modules)
    axe = (modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    await tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    await tab.goto("/")
    await expect(tab.locator("#signed-out")).to_be_visible()
    await tab.evaluate(axe)
    found = {"signed out": await tab.evaluate(AXE)}
    await sign_in(tab, "work or school", WORK_USER)
    await tab.evaluate(axe)
    await open_picture_page(tab)
    await tab.get_by_text("New page in Drafts").click()
    await tab.get_by_label("Title", exact=True).fill("A title")
    await tab.get_by_role("button", name="Add the page").click()
    await expect(tab.get_by_role("link", name="Allow it")).to_be_visible()
    await tab.get_by_text("What the vault holds").click()
    await expect(tab.locator("#vault-list li").first).to_be_visible()
    found["reading"] = await tab.evaluate(AXE)
    await control.revoke(WORK_USER)
    await control.expire_access_tokens()
    await tab.get_by_role("button", name="List five notebooks by name").click()
    await expect(tab.get_by_role("heading", name="Please sign in once more")).to_be_visible()
    found["reconnect"] = await tab.evaluate(AXE)
    assert found == {"signed out": [], "reading": [], "reconnect": []}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_reading_keeps_its_contrast_in_both_colour_schemes(tab: Page, scheme: str) -> None:
    """4.5:1 (WCAG 2.2, 1.4.3)."""
    await tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await sign_in(tab, "work or school", WORK_USER)
    await open_picture_page(tab)
    for selector in (
        ".item[aria-current] strong",
        ".item[aria-current] span",
        ".item:not([aria-current]) span",
        ".column h3",
        "#page-changed",
    ):
        assert await tab.evaluate(CONTRAST, selector) >= 4.5, selector


async def test_reading_by_keyboard_alone(tab: Page) -> None:
    """WCAG 2.2, 2.1.1 and 2.4.3: each list follows the one that opened it."""
    await sign_in(tab, "work or school", WORK_USER)
    await tab.locator("#list").focus()
    await tab.keyboard.press("Tab")
    await tab.keyboard.press("Enter")
    await expect(tab.locator("#sections-list")).to_contain_text("Drafts")
    for _ in range(10):
        await tab.keyboard.press("Tab")
        if await tab.evaluate("document.activeElement.textContent.startsWith('Drafts')"):
            break
    assert await tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    await tab.keyboard.press("Enter")
    await expect(tab.locator("#pages-list strong").first).to_be_visible()
    await tab.keyboard.press("Tab")
    await tab.keyboard.press("Enter")
    await expect(tab.locator("#page-view")).to_be_visible()
    await expect(tab.locator("#notebooks-status")).to_contain_text("is open.")
    assert await tab.evaluate("document.querySelectorAll('[aria-current]').length") == 3

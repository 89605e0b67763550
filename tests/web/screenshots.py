"""Makes the pictures of docs/screenshots anew: `python -m tests.web.screenshots`.

Each screen of the demo page on the embedded stack, in light, dark and phone width, with made-up people.
"""

import asyncio
from pathlib import Path

from playwright.async_api import Page, ViewportSize, async_playwright, expect

from local.browser.sign_in import WORK_USER
from local.control_client import ControlClient
from local.process import StackProcess
from tests.browser import NoBrowserError, find_browser
from tests.web.reader import open_picture_page, sign_in

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
WIDE, PHONE = ViewportSize(width=1200, height=860), ViewportSize(width=390, height=844)


async def take(page: Page, name: str) -> None:
    path = FOLDER / f"{name}.png"
    await page.screenshot(path=path, animations="disabled")
    print(f"{path.name} {path.stat().st_size // 1024} kB")


async def walk(page: Page, name: str, control: ControlClient) -> None:
    """Signed out, reading a page, a new page for which a permission is missing, a sign-in that must be renewed."""
    await control.reset()
    await page.goto("/")
    await expect(page.locator("#timer-next time")).to_be_visible()
    await expect(page.locator("#signed-out")).to_be_visible()
    await take(page, f"{name}-signed-out")
    await sign_in(page, "work or school", WORK_USER)
    await open_picture_page(page)
    await page.mouse.move(0, 0)
    view = "#page-view" if name == "phone" else "#notebooks"
    await page.evaluate("(view) => scrollTo(0, document.querySelector(view).offsetTop - 16)", view)
    await take(page, f"{name}-reading")

    await page.get_by_text("New page in Drafts").click()
    await page.get_by_label("Title", exact=True).fill("Seed swap")
    await page.get_by_label("Text").fill("Bring the beans.\nAsk about the courgettes.")
    await page.get_by_role("button", name="Add the page").click()
    await expect(page.get_by_role("link", name="Allow it")).to_be_visible()
    await page.mouse.move(0, 0)
    await page.evaluate("() => scrollTo(0, document.querySelector('#notebooks').offsetTop - 16)")
    await take(page, f"{name}-permission")

    await control.revoke(WORK_USER)
    await control.expire_access_tokens()
    await page.get_by_role("button", name="List five notebooks by name").click()
    await expect(page.get_by_role("heading", name="Please sign in once more")).to_be_visible()
    await page.evaluate("() => scrollTo(0, 0)")
    await take(page, f"{name}-reconnect")


async def main() -> None:
    browser_path = find_browser()
    if browser_path is None:
        raise NoBrowserError("no Chromium, Chrome or Edge was found")
    FOLDER.mkdir(exist_ok=True)
    with StackProcess() as stack:
        async with async_playwright() as playwright, ControlClient(stack.url) as control:
            browser = await playwright.chromium.launch(
                executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"]
            )
            for name, scheme, size in (("light", "light", WIDE), ("dark", "dark", WIDE), ("phone", "light", PHONE)):
                page = await browser.new_page(
                    base_url=stack.url,
                    viewport=size,
                    color_scheme="dark" if scheme == "dark" else "light",
                    locale="en-GB",
                )
                await walk(page, name, control)
                await page.close()
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())

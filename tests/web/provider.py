"""What a person does on the embedded provider's pages, in a real browser."""

from playwright.async_api import Page, expect


async def choose(page: Page, username: str) -> None:
    """The account's button."""
    await expect(page.get_by_role("heading", name="Choose an account")).to_be_visible()
    await page.locator(f'button[value="{username}"]').click()


async def allow(page: Page) -> None:
    await page.get_by_role("button", name="Accept").click()


async def refuse(page: Page) -> None:
    await page.get_by_role("button", name="Cancel").click()

"""What a person does in the demo page's reader, in a real browser."""

from playwright.async_api import Page, expect

from tests.web.provider import allow, choose

PICTURE_PAGE = "With a picture and a file"
LISTED = "5 notebooks, by name."


async def sign_in(page: Page, kind: str, username: str) -> None:
    """`kind` as the link says it: personal, work or school. The notebooks are listed by themselves."""
    await page.goto("/")
    await page.get_by_role("link", name=f"Sign in with a {kind} account").click()
    await choose(page, username)
    await allow(page)
    await expect(page.get_by_text(LISTED)).to_be_visible()


async def open_section(page: Page, section: str) -> None:
    """A section of the notebook that is seeded with most: two dozen pages, one of them with a picture, a locked section."""
    notebook = await page.evaluate(
        """async () => {
          const query = "$expand=parentNotebook&$filter=displayName eq 'Diary'"
          const answer = await fetch(`/api/graph/v1.0/me/onenote/sections?${query}`)
          return (await answer.json()).value[0].parentNotebook.displayName
        }"""
    )
    choice = page.locator("#notebooks-list").get_by_role("button", name=notebook)
    if await choice.count() == 0:
        await page.locator("#notebooks-list").get_by_role("button", name="More").click()
    await choice.click()
    await page.locator("#sections-list").get_by_role("button", name=section).click()


async def open_picture_page(page: Page) -> None:
    await open_section(page, "Drafts")
    await page.locator("#pages-list").get_by_role("button", name=PICTURE_PAGE).click()
    await expect(page.get_by_text(f"{PICTURE_PAGE} is open.")).to_be_visible()

"""The page that shows the OpenAPI document, in a real browser without scripts: wide, narrow, light and dark."""

import pytest
from playwright.async_api import Browser, expect

from local.process import StackProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
async def test_the_reference_is_read_without_scripts_at_any_width(
    chromium: Browser, stack: StackProcess, scheme: str, width: int
) -> None:
    context = await chromium.new_context(
        base_url=stack.url,
        java_script_enabled=False,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 900},
    )
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto("/api/docs")
    await page.get_by_role("link", name="POST /api/auth/token").click()
    article = page.locator("#getToken")
    await expect(article).to_be_in_viewport()
    await article.get_by_role("link", name="session cookie").click()
    await expect(page.locator("#security-sessionCookie")).to_be_in_viewport()
    await article.get_by_text("Example").first.click()
    await expect(article.get_by_text("<access token>")).to_be_visible()
    body = page.locator("body")
    # The style is let through by its hash, and nothing is wider than the screen.
    assert await page.get_by_role("main").bounding_box() is not None
    background = await body.evaluate("element => getComputedStyle(element).backgroundColor")
    assert background == ("rgb(27, 26, 25)" if scheme == "dark" else "rgb(255, 255, 255)")
    assert await body.evaluate("element => element.ownerDocument.documentElement.scrollWidth") <= width
    assert complaints == []
    await context.close()

"""A real browser and a stack of its own for the tests marked `browser`.

`dev.py test` finds or installs the browser and names it in ONENOTE_AUTH_BROWSER, or says in
ONENOTE_AUTH_NO_BROWSER why there is none. Under CI=true a missing browser is a failure: a suite that skips
the browser proves nothing about it.
"""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from local.control_client import ControlClient
from local.process import StackProcess
from tests.browser import find_browser
from tests.stack.conftest import ONCE_A_YEAR

# No sandbox: containers forbid it, and only pages of our own are shown. The others keep a browser that has no
# network from calling home, which costs seconds and fills its log.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_LIMIT_MS = 15_000


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The browser's program; skips, or fails under CI, where there is none."""
    reason = os.environ.get("ONENOTE_AUTH_NO_BROWSER")
    if not reason:
        path = find_browser()
        if path is not None:
            return str(path)
        reason = "no Chromium, Chrome or Edge was found"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"CI must run the browser tests: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def stack(browser_path: str) -> Iterator[StackProcess]:
    with StackProcess("--set", f"REFRESH_SCHEDULE={ONCE_A_YEAR}") as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(browser_path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=browser_path, args=list(_ARGUMENTS))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def control(stack: StackProcess) -> AsyncIterator[ControlClient]:
    async with ControlClient(stack.url) as client:
        await client.reset()
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def context(chromium: Browser, stack: StackProcess, control: ControlClient) -> AsyncIterator[BrowserContext]:
    """A fresh browser profile on the freshly seeded stack."""
    fresh = await chromium.new_context(base_url=stack.url, locale="en-GB")
    fresh.set_default_timeout(_LIMIT_MS)
    yield fresh
    await fresh.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """A tab that fails the test on any error of its scripts or its console."""
    tab = await context.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield tab
    assert errors == []

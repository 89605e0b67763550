"""A real browser and a stack of its own for the tests marked `browser`."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from local.control_client import ControlClient
from local.process import StackProcess
from tests.stacks import quiet_stack
from tests.web.chromium import LIMIT_MS, launched, program


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The browser's program; skips, or fails under CI, where there is none."""
    return program()


@pytest.fixture(scope="session")
def stack(browser_path: str) -> Iterator[StackProcess]:
    with quiet_stack() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(browser_path: str) -> AsyncIterator[Browser]:
    async with launched(browser_path) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def control(stack: StackProcess) -> AsyncIterator[ControlClient]:
    async with ControlClient(stack.url) as client:
        await client.reset()
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def context(chromium: Browser, stack: StackProcess, control: ControlClient) -> AsyncIterator[BrowserContext]:
    """A fresh browser profile on the freshly seeded stack."""
    fresh = await chromium.new_context(base_url=stack.url, locale="en-GB")
    fresh.set_default_timeout(LIMIT_MS)
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

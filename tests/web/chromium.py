"""Owns how the browser of the browser tests is started: where it is, with which arguments, how long a step may take."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

from tests.browser import find_browser
from tests.needs import without

# No sandbox: containers forbid it, and only pages of our own are shown. The others keep a browser that has no
# network from calling home, which costs seconds and fills its log.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LIMIT_MS = 15_000


def program() -> str:
    """`dev.py test` finds or installs one and names it in ONENOTE_AUTH_BROWSER, or says in ONENOTE_AUTH_NO_BROWSER
    why there is none.
    """
    if reason := os.environ.get("ONENOTE_AUTH_NO_BROWSER"):
        without(reason)
    return str(find_browser() or without("no Chromium, Chrome or Edge was found"))


@asynccontextmanager
async def launched(path: str, *arguments: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments])
        yield browser
        await browser.close()

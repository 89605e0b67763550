"""A stack over https, and on it a person who is signed in and has 250 pages in one section."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from local.browser import Browser
from local.browser.sign_in import WORK_USER, sign_in
from local.process import StackProcess
from tests.clients.session import PAGES, Session
from tests.stacks import quiet_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[StackProcess]:
    with quiet_stack("--https") as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def session(stack: StackProcess) -> AsyncIterator[Session]:
    authority = next(Path(line.split()[-1]) for line in stack.lines if line.startswith("certificates"))
    async with Browser(stack.url, trust=authority) as browser:
        await sign_in(browser, "work", WORK_USER, scope="Notes.ReadWrite")
        onenote = "/api/graph/v1.0/me/onenote"
        notebooks = (await browser.fetch(f"{onenote}/notebooks")).json()["value"]
        made = []
        for name in ("Many pages", "Spare"):
            address = f"{onenote}/notebooks/{notebooks[0]['id']}/sections"
            made.append((await browser.fetch(address, method="POST", body={"displayName": name})).json()["id"])
        cookie = browser.cookies.header(f"{stack.url}/api/graph", cross_site=False, safe_navigation=True)
    found = Session(
        origin=stack.url,
        cookie=cookie,
        authority=authority,
        notebooks=tuple(notebook["displayName"] for notebook in notebooks),
        section=made[0],
        spare=made[1],
    )
    await _fill(found)
    yield found


async def _fill(session: Session) -> None:
    """Five at once, as many as one person may."""
    tls = ssl.create_default_context(cafile=session.authority)
    headers = {"cookie": session.cookie, "content-type": "text/html"}
    address = f"{session.graph}/v1.0/me/onenote/sections/{session.section}/pages"
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls, limit=5), cookie_jar=aiohttp.DummyCookieJar(), headers=headers
    ) as http:

        async def make(number: int) -> None:
            async with http.post(address, data=f"<title>Page {number:03}</title><p>{number}</p>".encode()) as answer:
                assert answer.status == 201, await answer.text()

        await asyncio.gather(*map(make, range(PAGES)))

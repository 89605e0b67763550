"""The official Microsoft Graph JavaScript client in Chromium, on a front end beside the functions: app. and api. of one domain."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from tests import npm
from tests.clients.session import PAGE, PICTURE
from tests.web.chromium import launched
from tests.web.conftest import browser_path
from tests.web.places import RESOLVER, Place, standing
from tests.web.test_origins import sign_in

__all__ = ["browser_path"]

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

BUNDLE = "@microsoft/microsoft-graph-client/lib/graph-js-sdk.js"
WALK = """async ({ api, html, picture }) => {
    const { Client, HTTPMessageHandler, RetryHandler, TelemetryHandler } = window.MicrosoftGraph
    class SessionCookie {
        async execute(context) {
            context.options.credentials = 'include'
            await this.next.execute(context)
        }
        setNext(next) {
            this.next = next
        }
    }
    const client = Client.initWithMiddleware({
        baseUrl: `${api}/api/graph/`,
        customHosts: new Set([new URL(api).hostname]), // so it sends its own headers too
        middleware: [new SessionCookie(), new RetryHandler(), new TelemetryHandler(), new HTTPMessageHandler()],
    })
    const form = new FormData()
    const bytes = Uint8Array.from(atob(picture), (one) => one.charCodeAt(0))
    form.append('Presentation', new Blob([html], { type: 'text/html' }))
    form.append('picture', new Blob([bytes], { type: 'image/png' }), 'picture.png')
    const page = await client.api('/me/onenote/pages').post(form)
    const content = await client.api(page.contentUrl).get() // a Document
    const image = await client.api(content.querySelector('img').src).responseType('arraybuffer').get()
    const first = await client.api('/me/onenote/pages').header('Prefer', 'odata.maxpagesize=20').top(20).get()
    const second = await client.api(first['@odata.nextLink']).get()
    return {
        title: page.title,
        image: btoa(String.fromCharCode(...new Uint8Array(image))),
        titles: [...first.value, ...second.value].map((one) => one.title),
    }
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def place(tmp_path: Path, browser_path: str) -> AsyncIterator[Place]:
    async with standing(tmp_path, "sibling hosts") as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser_path: str) -> AsyncIterator[Page]:
    async with launched(browser_path, RESOLVER) as browser:
        yield await browser.new_page(ignore_https_errors=True)


async def test_it_creates_and_reads_a_page_with_an_image_from_another_origin(page: Page, place: Place) -> None:
    """R-09: CORS lets its headers and its multipart body pass, and next links are followed with the cookie."""
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request.headers))
    await sign_in(page, place)
    await page.add_script_tag(path=await asyncio.to_thread(npm.modules) / BUNDLE)
    picture = base64.b64encode(PICTURE).decode()
    done = await page.evaluate(WALK, {"api": place.api, "html": PAGE, "picture": picture})
    assert done["title"] == "Made by a client"
    assert base64.b64decode(done["image"]) == PICTURE
    assert len(done["titles"]) > 20
    assert any(headers.get("sdkversion", "").startswith("graph-js") for headers in asked)

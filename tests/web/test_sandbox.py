"""Script in a page, in an SVG and in an attachment never runs on our origin, however it is opened (R-16).

What passes through was written by other people, and scripts on our origin could use the session. So a real browser
opens it in every way there is, also from a careless page of ours; a script that ran would ask for an address that gives
it away.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, Route, expect

from local.browser.sign_in import WORK_USER
from local.process import StackProcess
from tests.web.provider import allow, choose

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

GIVEN_AWAY = "/api/health?ran="
SCRIPT = "new Image().src='/api/health?ran=NAME';document.title='ran';fetch('/api/health?ran=NAME')"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30" onload="S"><script>S</script>'
    '<rect width="40" height="30" fill="teal"/></svg>'
).replace("S", SCRIPT.replace("NAME", "svg"))
ATTACHED = f"<!doctype html><title>x</title><script>{SCRIPT.replace('NAME', 'attachment')}</script>"
PAGE = f"""<html><head><title>Mischief</title></head><body>
<p>A page of somebody else's.</p><script>{SCRIPT.replace("NAME", "script")}</script>
<img src="x" onerror="{SCRIPT.replace("NAME", "onerror")}" alt=""/>
<svg onload="{SCRIPT.replace("NAME", "inline-svg")}"></svg>
<iframe srcdoc="<script>{SCRIPT.replace("NAME", "srcdoc").replace("'", "&#39;")}</script>"></iframe>
<iframe src="javascript:{SCRIPT.replace("NAME", "frame")}"></iframe>
<meta http-equiv="refresh" content="0;url=/api/health?ran=refresh"/>
<a id="link" href="javascript:{SCRIPT.replace("NAME", "link")}">a link</a>
<form action="/api/health"><input name="ran" value="form"/><button id="send">a button</button></form>
<img id="picture" src="name:picture" alt="drawn"/><object data-attachment="a.html" data="name:attached"></object>
</body></html>"""

CREATE = """async ([html, svg, attached, png]) => {
  const form = new FormData()
  form.append('Presentation', new Blob([html], {type: 'text/html'}), 'page.html')
  form.append('picture', new Blob([svg], {type: 'image/svg+xml'}), 'a.svg')
  form.append('attached', new Blob([attached], {type: 'text/html'}), 'a.html')
  const made = await fetch('/api/graph/v1.0/me/onenote/pages', {method: 'POST', body: form})
  const page = await made.json()
  return [page.contentUrl, await (await fetch(page.contentUrl)).text()]
}"""


class Trap:
    """What was asked for by anything that ran."""

    def __init__(self, context: BrowserContext) -> None:
        self.caught: list[str] = []
        context.on("request", lambda request: self.caught.append(request.url) if GIVEN_AWAY in request.url else None)


@pytest_asyncio.fixture(loop_scope="session")
async def mischief(context: BrowserContext, stack: StackProcess) -> AsyncIterator[tuple[Page, str, str, str]]:
    """A person signed in, on a page of ours; the addresses of somebody's page, of its SVG and of its attachment."""
    tab = await context.new_page()
    await tab.goto("/api/auth/login?account=work&scope=Notes.ReadWrite&return_to=/")
    await choose(tab, WORK_USER)
    await allow(tab)
    await expect(tab).to_have_url(stack.url + "/")
    content, html = await tab.evaluate(CREATE, [PAGE, SVG, ATTACHED, ""])
    picture = html.split('id="picture" src="')[1].split('"')[0]
    attached = html.split(' data="')[1].split('"')[0]
    assert all(
        address.startswith(f"{stack.url}/api/graph/v1.0/me/onenote/") for address in (content, picture, attached)
    )
    yield tab, content, picture, attached


async def served(tab: Page, url: str, body: str, content_type: str = "text/html") -> None:
    """Open `url` with that answer, which has none of our headers."""

    async def fulfil(route: Route) -> None:
        await route.fulfill(body=body, content_type=content_type)

    await tab.route(url, fulfil)
    await tab.goto(url)


async def settled(tab: Page) -> None:
    """Whatever ran at once has asked by now: tabs opened later have loaded. A page without scripts can't be asked."""
    await tab.wait_for_load_state("load")
    for _ in range(3):
        later = await tab.context.new_page()
        await later.goto("/api/health")
        await later.close()


async def test_the_trap_catches_what_does_run(context: BrowserContext, stack: StackProcess) -> None:
    """Without our headers the same page, SVG and attachment run: so the other tests prove something."""
    trap = Trap(context)
    tab = await context.new_page()
    for name, body, kind in (("a", PAGE, "text/html"), ("b", SVG, "image/svg+xml"), ("c", ATTACHED, "text/html")):
        await served(tab, f"{stack.url}/bare/{name}", body, kind)
        await settled(tab)
    ran = {url.partition("ran=")[2] for url in trap.caught}
    assert {"script", "onerror", "inline-svg", "srcdoc", "svg", "attachment", "refresh"} <= ran


async def test_script_in_a_page_does_not_run_when_its_address_is_opened(
    context: BrowserContext, mischief: tuple[Page, str, str, str]
) -> None:
    """Typed, clicked, in a window of its own; its links and forms lead nowhere, and it still can be read."""
    trap = Trap(context)
    tab, content, _, _ = mischief
    await tab.goto(content)
    assert await tab.title() == "Mischief"
    await expect(tab.get_by_text("A page of somebody else's.")).to_be_visible()
    await settled(tab)
    await tab.locator("#link").click()
    await tab.locator("#send").click()
    await settled(tab)
    assert trap.caught == []
    assert await tab.title() == "Mischief"
    assert tab.url == content


async def test_an_svg_and_an_attachment_are_saved_and_never_opened(
    context: BrowserContext, mischief: tuple[Page, str, str, str]
) -> None:
    trap = Trap(context)
    tab, _, picture, attached = mischief
    for address, content in ((picture, SVG), (attached, ATTACHED)):
        before = tab.url
        async with tab.expect_download() as started:
            await tab.evaluate("address => { location = address }", address)
        saved = await (await started.value).path()
        with open(saved, encoding="utf-8") as file:  # noqa: ASYNC230 - a small file on this machine
            assert file.read() == content
        assert tab.url == before
    assert trap.caught == []


CARELESS = """<!doctype html><title>careless</title>
<iframe id="frame" src="PAGE"></iframe><iframe sandbox="allow-same-origin" src="PAGE"></iframe>
<iframe sandbox="allow-same-origin allow-scripts" src="PAGE"></iframe>
<object data="PAGE" type="text/html"></object><embed src="PAGE" type="text/html">
<iframe src="SVG"></iframe><object data="SVG" type="image/svg+xml"></object><embed src="SVG" type="image/svg+xml">
<iframe src="FILE"></iframe><object data="FILE" type="text/html"></object><embed src="FILE" type="text/html">
<img id="drawn" src="SVG" alt=""><script src="FILE"></script><link rel="stylesheet" href="FILE">"""


async def test_nothing_runs_inside_a_careless_page_of_ours(
    context: BrowserContext, stack: StackProcess, mischief: tuple[Page, str, str, str]
) -> None:
    """A frame without a sandbox, one that allows scripts, objects, embeds: our headers hold without the page's help."""
    trap = Trap(context)
    tab, content, picture, attached = mischief
    html = CARELESS.replace("PAGE", content).replace("SVG", picture).replace("FILE", attached)
    await served(tab, f"{stack.url}/careless", html)
    await expect(tab.frame_locator("#frame").get_by_text("A page of somebody else's.")).to_be_visible()
    await settled(tab)
    assert await tab.evaluate("document.querySelector('#drawn').naturalWidth") == 40  # an image runs nothing
    assert trap.caught == []


async def test_a_pictures_cookie_goes_along_inside_the_frame_that_the_documents_recommend(
    context: BrowserContext, stack: StackProcess, mischief: tuple[Page, str, str, str]
) -> None:
    """`allow-same-origin`, so that pictures of a page show; a page's own frame can't get out of it."""
    tab, _, picture, _ = mischief
    page = f'<p>Shown.</p><img id="p" src="{picture}" alt="drawn">'
    made = await tab.evaluate(
        """async html => (await (await fetch('/api/graph/v1.0/me/onenote/pages',
            {method: 'POST', body: html, headers: {'content-type': 'text/html'}})).json()).contentUrl""",
        page,
    )
    html = f'<iframe id="frame" sandbox="allow-same-origin" src="{made}"></iframe>'
    await served(tab, f"{stack.url}/reader", html)
    picture_shown = tab.frame_locator("#frame").locator("#p")
    await expect(picture_shown).to_be_visible()
    width = "document.querySelector('#frame').contentDocument.querySelector('#p').naturalWidth"
    await tab.wait_for_function(f"{width} === 40")

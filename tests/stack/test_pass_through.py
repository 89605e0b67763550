"""The pass-through on the whole stack: batches, copies, files in part, claims across instances, limits (R-09, R-10)."""

import base64
import io
import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp

from local.browser import Browser
from local.browser.sign_in import PERSONAL_USER, WORK_USER, sign_in, sign_in_on
from local.control_client import ControlClient
from local.process import StackProcess

ONENOTE = "/api/graph/v1.0/me/onenote"
REFUSED = '{"error": {"code": "InvalidAuthenticationToken", "message": "x"}}'


async def get(browser: Browser, url: str, **headers: str) -> Any:
    answer = await browser.fetch(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status == 200, answer.text
    return answer.json()


def call(name: str, url: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    return {"id": name, "method": method, "url": url, **more}


async def batch(browser: Browser, *calls: dict[str, Any]) -> dict[str, Any]:
    answer = await browser.fetch("/api/graph/v1.0/$batch", method="POST", body={"requests": calls})
    assert answer.status == 200, answer.text
    return {one["id"]: one for one in answer.json()["responses"]}


NEW = {"headers": {"Content-Type": "application/json"}, "body": {"displayName": "From a batch"}}


async def test_a_batch_reads_writes_and_leads_back(browser: Browser, stack: StackProcess) -> None:
    """R-09."""
    await sign_in(browser, "personal", PERSONAL_USER, scope="Notes.ReadWrite")
    page = (await get(browser, f"{ONENOTE}/pages?$top=1"))["value"][0]
    got = await batch(
        browser,
        call("list", "/me/onenote/notebooks?$top=5&$orderby=displayName"),
        call("new", "/me/onenote/notebooks", "POST", **NEW),
        call("page", f"/me/onenote/pages/{page['id']}/content"),
        call("gone", "/me/onenote/pages/0-GONE!1"),
        call("waits", "/me/onenote/notebooks", dependsOn=["gone"]),
    )
    assert {name: one["status"] for name, one in got.items()} == {
        "list": 200,
        "new": 201,
        "page": 200,
        "gone": 404,
        "waits": 424,
    }
    following = got["list"]["body"]["@odata.nextLink"]
    assert following.startswith(f"{stack.url}{ONENOTE}/notebooks?")
    assert (await get(browser, following))["value"]
    assert got["new"]["headers"]["Location"].startswith(f"{stack.url}{ONENOTE}/notebooks/")
    assert base64.b64decode(got["page"]["body"]).startswith(b"<html")
    assert got["gone"]["body"]["explanation"]["code"] == "onenote_not_found"


async def test_in_a_batch_only_what_was_refused_for_its_token_is_done_again(
    browser: Browser, control: ControlClient
) -> None:
    """R-10: one renewal; the notebook that was made is not made twice, nor refused as a double."""
    await sign_in(browser, "work", WORK_USER, scope="Notes.ReadWrite")
    await control.fault("graph", "status", status=401, body=REFUSED, path="/onenote/sections")
    got = await batch(
        browser,
        call("new", "/me/onenote/notebooks", "POST", **NEW),
        call("sections", "/me/onenote/sections", dependsOn=["new"]),
    )
    assert {name: one["status"] for name, one in got.items()} == {"new": 201, "sections": 200}
    made = [
        c for c in await control.calls("graph") if (c["method"], c["path"]) == ("POST", "/v1.0/me/onenote/notebooks")
    ]
    assert len(made) == 1


async def test_a_copy_is_followed_to_its_end(browser: Browser, stack: StackProcess) -> None:
    """R-09: 202, Operation-Location, resourceLocation, all by our address."""
    await sign_in(browser, "work", WORK_USER, scope="Notes.ReadWrite")
    page = (await get(browser, f"{ONENOTE}/pages?$top=1"))["value"][0]
    section = (await get(browser, f"{ONENOTE}/sections?$top=2"))["value"][1]
    begun = await browser.fetch(
        f"{ONENOTE}/pages/{page['id']}/copyToSection", method="POST", body={"id": section["id"]}
    )
    operation = begun.headers["operation-location"]
    assert (begun.status, operation.startswith(f"{stack.url}{ONENOTE}/operations/")) == (202, True)
    assert (await get(browser, operation))["status"] == "Running"
    done = await get(browser, operation)
    assert done["status"] == "Completed"
    assert (await get(browser, done["resourceLocation"]))["title"] == page["title"]


async def test_a_picture_comes_whole_in_part_or_not_again(browser: Browser, stack: StackProcess) -> None:
    """R-09: RFC 9110 §13, §14; and correlation ids both ways."""
    await sign_in(browser, "personal", PERSONAL_USER)
    pages = (await get(browser, f"{ONENOTE}/pages?$top=100"))["value"]
    page = next(page for page in pages if "picture" in page["title"])
    html = (await browser.fetch(page["contentUrl"])).text
    links = re.findall(r' (src|data-fullres-src|data)="([^"]+)"', html)
    assert {name for name, _ in links} == {"src", "data-fullres-src", "data"}
    assert all(link.startswith(f"{stack.url}{ONENOTE}/resources/") for _, link in links)
    picture = links[0][1]
    whole = await browser.fetch(picture, headers={"client-request-id": "ours-1"})
    assert (whole.status, whole.headers["client-request-id"]) == (200, "ours-1")
    assert whole.headers["request-id"]
    tag = whole.headers["etag"]
    part = await browser.fetch(picture, headers={"range": "bytes=0-7", "if-range": tag})
    assert (part.status, part.headers["content-range"].partition("/")[0]) == (206, "bytes 0-7")
    assert part.text[1:4] == "PNG"
    assert len(part.text) == 8
    assert (await browser.fetch(picture, headers={"if-none-match": tag})).status == 304
    assert (await browser.fetch(picture, headers={"range": "bytes=999999-"})).status == 416


async def test_claims_travel_in_the_link_from_the_challenge_to_the_provider(
    browser: Browser, other_browser: Browser, control: ControlClient
) -> None:
    """R-10, R-13: longer than the vault's tags hold, in a browser that knows nothing of the session."""
    await sign_in(browser, "work", WORK_USER)
    claims = {"access_token": {"acrs": {"essential": True, "values": ["c1" * 100, "c2" * 100]}}}
    text = base64.b64encode(json.dumps(claims).encode()).decode()
    headers = {"www-authenticate": f'Bearer error="insufficient_claims", claims="{text}"'}
    await control.fault("graph", "status", status=401, headers=headers, body=REFUSED)
    refused = await browser.fetch(f"{ONENOTE}/notebooks")
    assert (refused.status, refused.json()["reason"]) == (401, "claims_required")
    link = refused.json()["reconnect_url"]
    asked = await other_browser.request("GET", link)
    sent = parse_qs(urlsplit(asked.headers["location"]).query)["claims"][0]
    assert json.loads(sent)["access_token"]["acrs"] == claims["access_token"]["acrs"]
    page = await browser.follow(await browser.goto("/"), link.removeprefix(browser.base_url))
    await sign_in_on(browser, page, WORK_USER)
    assert (await browser.fetch(f"{ONENOTE}/notebooks")).status == 200


async def test_a_body_over_the_limit_never_reaches_graph(browser: Browser, control: ControlClient) -> None:
    """R-09."""
    await sign_in(browser, "personal", PERSONAL_USER, scope="Notes.ReadWrite")
    before = len(await control.calls("graph"))
    url = f"{browser.base_url}{ONENOTE}/pages"
    cookie = browser.cookies.header(url, cross_site=False, safe_navigation=True)
    headers = {"cookie": cookie, "origin": browser.base_url, "content-type": "text/html"}
    async with aiohttp.request("POST", url, headers=headers, data=io.BytesIO(bytes(31 << 20))) as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (413, "body_too_large")
    assert len(await control.calls("graph")) == before

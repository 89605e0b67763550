"""Where a front end may live, each place in a real browser: sign-in, session, OneNote, sign-out, and who is kept out."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from local.browser.sign_in import WORK_USER
from local.control_client import ControlClient
from shared.functions.cookies import SESSION
from tests.functions.document import operations
from tests.web.chromium import ARGUMENTS, LIMIT_MS, launched
from tests.web.places import RESOLVER, Place, standing
from tests.web.provider import allow, choose

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PLACES = ("same origin", "linked backend", "sibling hosts", "another port")
NOTEBOOKS = "/api/graph/v1.0/me/onenote/notebooks"
FETCH = """async ([url, init]) => {
    try {
        const answer = await fetch(url, { credentials: 'include', ...init })
        return { status: answer.status, text: await answer.text() }
    } catch (error) {
        return { status: 0, text: error.name }
    }
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=PLACES)
async def place(
    request: pytest.FixtureRequest, browser_path: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    async with standing(tmp_path_factory.mktemp("place"), request.param) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def named_hosts(browser_path: str) -> AsyncIterator[Browser]:
    """A browser that finds every host under `.test` on this machine."""
    async with launched(browser_path, RESOLVER) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def profile(named_hosts: Browser, place: Place) -> AsyncIterator[BrowserContext]:
    """Somebody who was never here."""
    async with ControlClient(place.functions) as control:
        await control.reset()
    fresh = await named_hosts.new_context(locale="en-GB", ignore_https_errors=True)
    fresh.set_default_timeout(LIMIT_MS)
    yield fresh
    await fresh.close()


async def fetch(page: Page, url: str, method: str = "GET", **init: Any) -> tuple[int, Any]:
    """Status and JSON of what a script of `page` gets; 0 and the error's name where the browser keeps it away."""
    answer = await page.evaluate(FETCH, [url, {"method": method, **init}])
    try:
        return answer["status"], json.loads(answer["text"])
    except ValueError:
        return answer["status"], answer["text"]


async def sign_in(page: Page, place: Place) -> None:
    await page.goto(place.front + "/")
    query = f"account=work&scope=Notes.ReadWrite&return_to={place.front}/?in"
    await page.goto(f"{place.api}/api/auth/login?{query}")
    await choose(page, WORK_USER)
    await allow(page)
    await page.wait_for_url(f"{place.front}/?in")


async def test_a_front_end_signs_in_works_with_onenote_and_signs_out(place: Place, profile: BrowserContext) -> None:
    """R-03, R-09, R-12: the same calls from each place that is supported."""
    page = await profile.new_page()
    await page.goto(place.front + "/")
    session = place.api + "/api/auth/session"
    assert await fetch(page, session) == (200, {"signed_in": False})
    await sign_in(page, place)
    (cookie,) = [one for one in await profile.cookies(place.api) if one.get("name") == SESSION]
    assert (cookie.get("sameSite"), cookie.get("httpOnly"), cookie.get("secure")) == ("Lax", True, True)
    status, said = await fetch(page, session)
    assert (status, said["account"]["username"]) == (200, WORK_USER)
    status, listed = await fetch(page, f"{place.api}{NOTEBOOKS}?$top=5&$orderby=displayName")
    assert (status, len(listed["value"])) == (200, 5)
    new = {"headers": {"content-type": "application/json"}, "body": json.dumps({"displayName": "From a front end"})}
    status, made = await fetch(page, place.api + NOTEBOOKS, "POST", **new)
    assert (status, made["self"].startswith(f"{place.api}/api/graph/")) == (201, True)
    assert (await fetch(page, made["self"]))[0] == 200
    query = f"?return_to={place.front}/?out"
    out = await fetch(page, f"{place.api}/api/auth/logout{query}", "POST", headers={"accept": "application/json"})
    assert out[0] == 200
    assert await fetch(page, session) == (200, {"signed_in": False})
    await page.goto(out[1]["url"])
    await page.wait_for_url(f"{place.front}/?out")


async def test_nobody_else_reads_or_changes_anything(place: Place, profile: BrowserContext) -> None:
    """R-12, R-16: neither another site nor a sibling that is not listed, whose requests carry the cookie."""
    page = await profile.new_page()
    await sign_in(page, place)
    for origin in (place.sibling, place.stranger):
        attacker = await profile.new_page()
        await attacker.goto(origin + "/")
        for path in ("/api/auth/session", NOTEBOOKS):
            assert await fetch(attacker, place.api + path) == (0, "TypeError")
        as_json = {"headers": {"content-type": "application/json"}, "body": '{"displayName": "Attack"}'}
        assert await fetch(attacker, place.api + NOTEBOOKS, "POST", **as_json) == (0, "TypeError")
        assert await fetch(attacker, place.api + "/api/auth/sessions", "DELETE") == (0, "TypeError")
        # Without a preflight it arrives, and is refused there.
        for path in ("/api/auth/logout", NOTEBOOKS):
            async with attacker.expect_response(f"{place.api}{path}") as sent:
                await fetch(attacker, place.api + path, "POST", mode="no-cors", body="x=1")
            assert (await sent.value).status == 403
        async with attacker.expect_navigation():
            await attacker.evaluate(
                "url => { document.body.innerHTML = `<form method=post action='${url}'>`; document.forms[0].submit() }",
                place.api + "/api/auth/logout",
            )
        await expect(attacker.get_by_text("forbidden_origin")).to_be_attached()
        await attacker.close()
    _, listed = await fetch(page, place.api + NOTEBOOKS + "?$top=100")
    assert "Attack" not in {notebook["displayName"] for notebook in listed["value"]}
    assert (await fetch(page, place.api + "/api/auth/session"))[1]["signed_in"] is True


async def test_every_route_answers_a_preflight(place: Place) -> None:
    """OPTIONS in code on every route: the listed origin with credentials, nobody else at all."""
    wanted: dict[str, set[str]] = {}
    for path, method, what in operations():
        if {"functionKey": []} not in what["security"]:
            wanted.setdefault(path.replace("{path}", "v1.0/me/onenote/notebooks"), set()).add(method.upper())
    for_anybody = {"/api/health", "/api/openapi.json", "/api/docs", "/api/client.js"}
    async with aiohttp.ClientSession() as http:
        for path, methods in wanted.items():
            for origin, listed in ((place.front, True), (place.sibling, False), (place.stranger, False)):
                sent = {"origin": origin, "access-control-request-method": "GET"}
                async with http.options(place.functions + path, headers=sent) as answer:
                    assert (answer.status, path, origin) == (204, path, origin)
                    assert methods <= set(answer.headers["Allow"].split(", "))
                    allowed = answer.headers.get("Access-Control-Allow-Origin")
                    if path in for_anybody:
                        assert allowed == "*"
                        continue
                    assert allowed == (origin if listed else None)
                    if listed:
                        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
                        assert methods <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))


@pytest.mark.parametrize(("mode", "works"), [(0, True), (1, False)], ids=["allowed", "blocked"])
async def test_on_another_site_the_browser_s_third_party_cookies_decide(
    browser_path: str, tmp_path: Path, mode: int, works: bool
) -> None:
    """R-12: best effort, as documented. The sign-in succeeds either way; the page hears of it only where they are allowed."""
    preferences = tmp_path / "profile" / "Default" / "Preferences"
    preferences.parent.mkdir(parents=True)
    preferences.write_text(json.dumps({"profile": {"cookie_controls_mode": mode}}))
    async with standing(tmp_path, "another site") as place, async_playwright() as playwright:
        profile = await playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=browser_path,
            args=[*ARGUMENTS, RESOLVER],
            ignore_https_errors=True,
            locale="en-GB",
        )
        profile.set_default_timeout(LIMIT_MS)
        try:
            page = await profile.new_page()
            await sign_in(page, place)
            status, said = await fetch(page, place.api + "/api/auth/session")
            assert (status, said["signed_in"]) == (200, works)
            assert (await fetch(page, place.api + NOTEBOOKS))[0] == (200 if works else 401)
            attacker = await profile.new_page()
            await attacker.goto(place.stranger + "/")
            async with attacker.expect_response(f"{place.api}/api/auth/logout") as refused:
                await fetch(attacker, place.api + "/api/auth/logout", "POST", mode="no-cors", body="x=1")
            assert (await refused.value).status == 403
            out = await fetch(page, place.api + "/api/auth/logout", "POST", headers={"accept": "application/json"})
            assert out[0] == 200
            # At the functions' own address it is a first-party cookie: there the session is seen, if it was not ended.
            await page.goto(place.api + "/api/auth/session")
            assert json.loads(await page.inner_text("pre"))["signed_in"] is not works
        finally:
            await profile.close()

"""Other sites: what their pages may ask, read and lead to."""

import base64
import re
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from local.browser import Browser
from local.browser.sign_in import WORK_USER, sign_in
from local.demo import NOTEBOOKS
from tests.attacks.conftest import LISTED_ORIGIN
from tests.attacks.victim import Victim
from tests.attacks.wire import FORM, MARK, PAGE, Wire, assert_sound, json_of

CHANGES = [
    ("POST", "/api/auth/logout"),
    ("DELETE", "/api/auth/sessions"),
    ("POST", "/api/auth/token"),
    ("POST", NOTEBOOKS),
    ("PATCH", "/api/graph/v1.0/me/onenote/pages/1-a/content"),
    ("PUT", "/api/graph/v1.0/me/onenote/pages/1-a/content"),
    ("DELETE", "/api/graph/v1.0/me/onenote/pages/1-a"),
]
ELSEWHERE = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "null", "sec-fetch-site": "cross-site"},
    {"origin": "null", "sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "anything"},
    {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
    {"origin": "http://localhost"},
    {"origin": "http://localhost:1"},
    {"origin": "http://127.0.0.1:{port}"},
    {"origin": "https://localhost:{port}"},
    {"origin": "http://localhost:{port}.evil.example"},
    {"origin": "http://localhost:{port}/"},
    {"origin": "http://localhost:{port}, https://evil.example"},
    {"origin": "HTTP://LOCALHOST:{port}"},
    {"origin": f"{LISTED_ORIGIN}0"},
    {"origin": "http://evil.example@localhost:{port}"},
]
ROUTES = [
    ("GET", "/api/auth/login"),
    ("GET", "/api/auth/callback"),
    ("GET", "/api/auth/error"),
    ("GET", "/api/auth/logout"),
    ("GET", "/api/auth/frontchannel-logout?sid=a"),
    ("GET", "/api/auth/session"),
    ("GET", "/api/auth/sessions"),
    ("GET", NOTEBOOKS),
    ("GET", "/api/graph/v1.0/me/messages"),
]
FOREIGN = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "////evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "\\/evil.example/",
    "http:evil.example/",
    "http:/evil.example/",
    "http:///evil.example/",
    "https:localhost/",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:http://localhost:{port}/x",
    "http://localhost/",
    "http://localhost:1/",
    "https://localhost:{port}/",
    "ftp://localhost:{port}/",
    "http://127.0.0.1:{port}/",
    "http://[::1]:{port}/",
    "http://localhost.evil.example:{port}/",
    "http://localhost:{port}.evil.example/",
    "http://localhost:{port}@evil.example/",
    "http://localhost:{port}%40evil.example/",
    "http://localhost:{port}\\@evil.example/",
    "http://a:b@localhost:{port}/",
    "http://evil.example#@localhost:{port}/",
    "http://evil.example?@localhost:{port}/",
    "http://evil.example\\@localhost:{port}/",
    "http://localhost%2eevil.example:{port}/",
    "http://l\uff4fcalhost:{port}/",
    "http://localhost\u3002evil.example:{port}/",
    "http://localhost:{port}x/",
    "http://localhost:99999/",
    "http://[localhost:{port}/",
    "evil.example",
    " https://evil.example/",
    "?next=https://evil.example/",
    "http://localhost:{port}/" + "a" * 1_000,
]
OWN = [
    ("/", "/"),
    ("/page?a=1#frag", "/page?a=1"),
    ("{base}/page", "/page"),
    ("{base}/%0d%0aSet-Cookie:%20x=1", "/%0d%0aSet-Cookie:%20x=1"),
    ("{base}/?q=https://evil.example/", "/?q=https://evil.example/"),
    ("{base}//evil.example/", "//evil.example/"),
    ("{base}/\u00e9 \u201c", "/%C3%A9%20%E2%80%9C"),
    ("/..//evil.example/", "/..//evil.example/"),
]


def filled(text: str, base: str) -> str:
    return text.replace("{port}", base.rpartition(":")[2]).replace("{base}", base)


def way_back(value: str) -> dict[str, str]:
    text = base64.urlsafe_b64encode(value.encode("utf-8", "surrogatepass")).rstrip(b"=").decode()
    return {"cookie": f"__Secure-onenote-auth-back={text}"}


async def lands(wire: Wire, address: str) -> list[str]:
    """Where `return_to=address` leads, by every road that takes it."""
    query = f"return_to={quote(address, safe='')}"
    found = [(await wire.send("GET", "/api/auth/callback", headers=way_back(address))).location]
    headers = FORM | {"accept": "application/json"}
    for signed_out in (
        await wire.send("POST", f"/api/auth/logout?{query}", headers=headers),
        await wire.send("POST", "/api/auth/logout", headers=headers, body=query),
    ):
        if signed_out.code == "invalid_request":
            continue
        kept = re.search(r"__Secure-onenote-auth-back=[^;]+", signed_out.headers["set-cookie"])
        assert kept
        found.append((await wire.send("GET", "/api/auth/callback", headers={"cookie": kept[0]})).location)
    begun = await wire.send("GET", f"/api/auth/login?{query}")
    if begun.code != "invalid_request":
        state = parse_qs(urlsplit(begun.location).query)["state"][0]
        headers = FORM | PAGE | {"cookie": begun.headers["set-cookie"].partition(";")[0]}
        body = f"error=access_denied&state={state}"
        refused = await wire.send("POST", "/api/auth/callback", headers=headers, body=body)
        found.append(refused.location.partition("#")[0])
    return found


@pytest.mark.parametrize("address", FOREIGN)
async def test_no_return_address_leads_to_another_origin(wire: Wire, address: str) -> None:
    """R-14: by sign-in, by sign-out (query, form and cookie), and on the error page; the default page instead."""
    address = filled(address, wire.base_url)
    assert set(await lands(wire, address)) == {wire.base_url + "/"}
    page = await wire.send("GET", f"/api/auth/error?code=access_denied&return_to={quote(address, safe='')}")
    if page.status == 200:
        assert "evil.example" not in page.text
        assert "javascript:" not in page.text.lower()
    else:
        assert page.code == "invalid_request"


@pytest.mark.parametrize(("address", "expected"), OWN)
async def test_an_address_of_ours_is_kept_and_breaks_no_header(wire: Wire, address: str, expected: str) -> None:
    """R-14: what a header can't hold is percent-encoded; an escaped line break stays escaped."""
    assert await lands(wire, filled(address, wire.base_url)) == [wire.base_url + expected] * 4


async def test_a_line_break_in_the_way_back_breaks_no_header(wire: Wire) -> None:
    """R-14, R-16: that cookie is not signed, so it may hold anything."""
    for value in (
        f"{wire.base_url}/\r\nSet-Cookie: {MARK}=1",
        "/\r\n\r\n<script>",
        "/\0",
        "\udcff",
        "/\u2028\u0085",
        "/\t/evil.example/",
    ):
        reply = await wire.send("GET", "/api/auth/callback", headers=way_back(value))
        assert_sound(reply, told="return_to of the way back", leads_to=(wire.base_url + "/",))
        assert reply.status == 302
        assert MARK not in reply.headers["set-cookie"]
    for text in ("!", "A", "AAAAA", "%00", "=" * 100, "A" * 8_000):
        reply = await wire.send("GET", "/api/auth/callback", headers={"cookie": f"__Secure-onenote-auth-back={text}"})
        assert (reply.status, reply.location) == (302, wire.base_url + "/")


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_another_site_changes_nothing_even_with_our_cookie(
    wire: Wire, victim: Victim, method: str, path: str, headers: dict[str, str]
) -> None:
    """R-12, R-16: Origin and Sec-Fetch-Site are checked wherever something changes."""
    sent = {name: filled(value, wire.base_url) for name, value in headers.items()}
    reply = await wire.send(method, path, browser=victim.browser, headers=sent)
    assert_sound(reply, told=f"{method} {path}", forbidden=victim.secrets)
    assert (reply.status, reply.code) == (403, "forbidden_origin")
    assert "set-cookie" not in reply.headers
    assert "access-control-allow-origin" not in reply.headers


async def test_another_sites_sign_out_form_ends_on_a_page_and_not_the_session(wire: Wire, victim: Victim) -> None:
    """R-12, R-14."""
    headers = FORM | PAGE | {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    reply = await wire.send("POST", "/api/auth/logout", browser=victim.browser, headers=headers, body="")
    assert (reply.status, reply.code) == (302, "forbidden_origin")


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_only_listed_origins_may_read(wire: Wire, victim: Victim, method: str, path: str) -> None:
    """R-16: no star, no echo, no credentials for anybody else; caches are told that answers differ."""
    for origin in (LISTED_ORIGIN, wire.base_url):
        for asked in (method, "OPTIONS"):
            reply = await wire.send(asked, path, browser=victim.browser, headers={"origin": origin})
            assert reply.headers["access-control-allow-origin"] == origin
            assert reply.headers["access-control-allow-credentials"] == "true"
            assert "origin" in reply.headers["vary"].lower()
    origins = [filled(headers["origin"], wire.base_url) for headers in ELSEWHERE if "origin" in headers]
    for origin in origins:
        for asked in (method, "OPTIONS"):
            reply = await wire.send(asked, path, browser=victim.browser, headers={"origin": origin})
            assert not [name for name in reply.headers if name.startswith("access-control-")], origin


async def test_a_listed_front_end_may_ask_for_what_it_was_given(
    wire: Wire, browser: Browser, attacker: Browser
) -> None:
    """R-16: the counter-proof: the same requests from a listed origin do their work."""
    await sign_in(browser, "work", WORK_USER)
    headers = {"origin": LISTED_ORIGIN, "sec-fetch-site": "same-site"}
    token = await wire.send("POST", "/api/auth/token", browser=browser, headers=headers)
    assert token.status == 200
    assert set(json_of(token)) == {"access_token", "expires_at", "scopes"}
    ended = await wire.send("DELETE", "/api/auth/sessions", browser=browser, headers=headers)
    assert json_of(ended) == {"ended": 1}


@pytest.mark.parametrize(
    ("mode", "site"),
    [("no-cors", "cross-site"), ("no-cors", "same-origin"), ("cors", "cross-site"), ("cors", "same-site"), ("x", "")],
)
async def test_no_page_begins_sign_ins_behind_a_persons_back(wire: Wire, victim: Victim, mode: str, site: str) -> None:
    """R-04, R-16: an `<img>` on any site; five of them would push out the attempt that the person is at."""
    headers = {"sec-fetch-mode": mode, "sec-fetch-site": site, "sec-fetch-dest": "image"}
    reply = await wire.send("GET", "/api/auth/login?account=personal", browser=victim.browser, headers=headers)
    assert_sound(reply, told=mode, forbidden=victim.secrets)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert "set-cookie" not in reply.headers
    headers["sec-fetch-mode"] = "navigate"
    begun = await wire.send("GET", "/api/auth/login?account=personal", browser=victim.browser, headers=headers)
    assert begun.status == 302

"""The pass-through: nothing but OneNote is reached, and what comes back can't act on our origin."""

import pytest

from local.control_client import ControlClient
from local.demo import NOTEBOOKS
from tests.attacks.victim import Victim
from tests.attacks.wire import PAGE, SANDBOX, Wire, assert_sound, json_of

RESOURCE = "/api/graph/v1.0/me/onenote/resources/1-abc/$value"

NOT_ONENOTE = [
    "",
    "v1.0",
    "v1.0/me",
    "v1.0/me/",
    "beta/me",
    "v1.0/me/messages",
    "v1.0/me/drive/root/children",
    "v1.0/users",
    "v1.0/users/a",
    "v1.0/users/a/b/onenote",
    "v1.0/users//onenote",
    "v1.0/me/drive/onenote",
    "v1.0/sites/root/lists/onenote",
    "v1.0/me/onenotes",
    "v1.0/me/onenote.evil.example/x",
    "v2.0/me/onenote/notebooks",
    "v1.0/applications/onenote",
    "V1.0/ME/MESSAGES",
    "v1.0/Me/OneNote/../Messages",
    "v1.0/me/onenote/../messages",
    "v1.0/me/onenote/../../users",
    "v1.0/me/onenote/./../messages",
    "v1.0/me/onenote/notebooks/../../messages",
    "v1.0/me/onenote/%2e%2e/messages",
    "v1.0/me/onenote/%2E%2E/messages",
    "v1.0/me/onenote/.%2e/messages",
    "v1.0/me/onenote/%252e%252e/messages",
    "v1.0/me/onenote/%25252e%25252e/messages",
    "v1.0/me/onenote%2f..%2fmessages",
    "v1.0/me/onenote/..%2fmessages",
    "v1.0/me/onenote/..%252fmessages",
    "v1.0/me/onenote/..%5cmessages",
    "v1.0/me/onenote/..\\messages",
    "v1.0/me/onenote\\..\\messages",
    "v1.0/me/onenote/..%c0%afmessages",
    "v1.0/me%2fonenote/notebooks",
    "v1.0\\me\\onenote\\notebooks",
    "v1.0/me/onenote/%2f/notebooks",
    "v1.0/me/onenote//notebooks",
    "v1.0//me/onenote/notebooks",
    "/v1.0/me/onenote/notebooks",
    "v1.0/me/onenote/notebooks%00",
    "v1.0/me/onenote/notebooks%0d%0aHost:%20evil.example",
    "v1.0/me/onenote/%09notebooks",
    "https://evil.example/v1.0/me/onenote/notebooks",
    "http://169.254.169.254/metadata/identity",
    "//evil.example/v1.0/me/onenote/notebooks",
    "@evil.example/v1.0/me/onenote/notebooks",
    ".evil.example/v1.0/me/onenote/notebooks",
    "%2e%2e/%2e%2e/admin/functions",
    "v1.0/me/messages?x=/onenote/",
    "v1.0/me/messages%3f/onenote",
    "v1.0/me/messages%23/onenote",
    "v1.0/me/messages;/onenote",
    "v1.0/me/onenote/%u002e%u002e/messages",
    "v1.0/me/onenote/..;/messages",
    "v1.0/me/onenote/..%20/messages",
]


@pytest.mark.parametrize("path", NOT_ONENOTE)
async def test_nothing_but_onenote_is_reached(wire: Wire, victim: Victim, control: ControlClient, path: str) -> None:
    """R-09, R-16: the path is checked as it stands, before the session; Graph never hears of it."""
    before = len(await control.calls("graph"))
    for method in ("GET", "POST"):
        headers = {"origin": wire.base_url}
        reply = await wire.send(method, f"/api/graph/{path}", browser=victim.browser, headers=headers)
        assert_sound(reply, told=f"{method} {path}", forbidden=victim.secrets)
        assert reply.status in (400, 401, 404)
        assert reply.code in ("path_not_allowed", None)
    assert len(await control.calls("graph")) == before


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/api/graph/v1.0/me/messages",
        "/api/graph/v1.0/me/messages?/api/graph/v1.0/me/onenote/notebooks",
        "/api/graph/v1.0/me/messages/api/graph/v1.0/me/onenote/notebooks",
        "/API/GRAPH/v1.0/me/messages",
        "/api/graph/../graph/v1.0/me/messages",
    ],
)
async def test_no_other_target_gets_around_the_check(
    wire: Wire, victim: Victim, control: ControlClient, target: str
) -> None:
    """R-09: an absolute target, a second path in the query or behind the first, another case, dots before it."""
    before = len(await control.calls("graph"))
    reply = await wire.send("GET", target, browser=victim.browser)
    assert_sound(reply, told=target, forbidden=victim.secrets)
    assert reply.code == "path_not_allowed"
    assert len(await control.calls("graph")) == before


async def test_names_in_another_case_are_onenote_still(wire: Wire, victim: Victim, control: ControlClient) -> None:
    """R-09: Graph does not tell cases apart in the names of its resources."""
    reply = await wire.send("GET", "/api/graph/V1.0/Me/OneNote/notebooks?$top=1", browser=victim.browser)
    assert reply.code != "path_not_allowed"
    assert (await control.calls("graph"))[-1]["path"] == "/V1.0/Me/OneNote/notebooks"


async def test_a_foreign_host_name_changes_no_address(wire: Wire, victim: Victim, control: ControlClient) -> None:
    """R-09, R-14: public addresses come from settings, and Graph is asked at its own address whatever Host says."""
    headers = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    headers["cookie"] = f"__Secure-onenote-auth={victim.cookie}"
    notebooks = await wire.send("GET", NOTEBOOKS, headers=headers)
    assert (notebooks.status, len(json_of(notebooks)["value"])) == (200, 5)
    for target in (NOTEBOOKS, "/api/auth/login", "/api/auth/logout", "/api/auth/error", "/api/graph/x"):
        reply = await wire.send("GET", target, headers=headers | PAGE)
        assert "evil.example" not in reply.text + str(reply.headers)


async def test_a_chunked_body_is_refused_and_not_lost(wire: Wire, victim: Victim, control: ControlClient) -> None:
    """R-09: the platform would deliver it empty, silently; so 411, and nothing is made at Graph."""
    before = len(await control.calls("graph"))
    for method in ("POST", "PATCH", "PUT"):
        headers = {"transfer-encoding": "chunked", "content-type": "application/json", "origin": wire.base_url}
        body = '5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n'
        reply = await wire.send(method, NOTEBOOKS, browser=victim.browser, headers=headers, body=body)
        assert (reply.status, reply.code) == (411, "length_required")
    assert len(await control.calls("graph")) == before


@pytest.mark.parametrize("header", ["authorization", "x-ms-client-principal", "x-http-method-override", "cookie2"])
async def test_a_callers_own_credentials_do_not_travel(wire: Wire, victim: Victim, header: str) -> None:
    """R-09, R-16: Graph gets the session's token, whatever else was sent."""
    reply = await wire.send("GET", NOTEBOOKS, browser=victim.browser, headers={header: "Bearer DELETE"})
    assert reply.status == 200
    reply = await wire.send("GET", NOTEBOOKS, headers={header: f"Bearer {victim.cookie}"})
    assert (reply.status, reply.code) == (401, "not_signed_in")


@pytest.mark.parametrize(
    ("path", "content_type", "disposition", "attached"),
    [
        ("/api/graph/v1.0/me/onenote/pages/1-a/content", "text/html; charset=utf-8", "", False),
        (RESOURCE, "text/html", "", True),
        (RESOURCE, "text/html", 'inline; filename="a.html"', True),
        (RESOURCE, "application/json", "", True),
        (RESOURCE, "text/plain", "", True),
        (RESOURCE, "image/svg+xml", "inline", True),
        (RESOURCE, "application/pdf", "INLINE", True),
        (RESOURCE, "image/png", "", False),
        (RESOURCE.replace("resources", "Resources"), "text/html", "", True),
        (RESOURCE.replace("$value", "content"), "text/html", "", True),
        ("/api/graph/v1.0/me/onenote/pages/1-a/content", "text/javascript", "inline", True),
    ],
)
async def test_what_passes_is_sandboxed_and_files_are_attachments(
    wire: Wire,
    victim: Victim,
    control: ControlClient,
    path: str,
    content_type: str,
    disposition: str,
    attached: bool,
) -> None:
    """R-16: other people's HTML on our cookie's origin can neither run a script nor be opened from a resource."""
    headers = {"content-type": content_type, "set-cookie": "a=b", "content-security-policy": "script-src *"}
    if disposition:
        headers["content-disposition"] = disposition
    body = "<script>fetch('/api/auth/session')</script>"
    await control.fault("graph", "status", status=200, headers=headers, body=body, path="(?i)/onenote/(resou|pages)")
    reply = await wire.send("GET", path, browser=victim.browser, headers=PAGE)
    assert (reply.status, reply.text) == (200, body)
    assert reply.headers["content-security-policy"] == SANDBOX
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    assert "set-cookie" not in reply.headers
    shown = reply.headers.get("content-disposition", "")
    assert shown.startswith("attachment") is attached
    assert ("a.html" in shown) is ("a.html" in disposition)


async def test_graphs_redirect_leads_back_to_us_or_nowhere(wire: Wire, victim: Victim, control: ControlClient) -> None:
    """R-16: a Location to anywhere else is dropped, and never followed with the token."""
    for location in ("https://evil.example/", "//evil.example/", "https://localhost.evil.example/v1.0/x"):
        await control.fault("graph", "status", status=302, headers={"location": location}, path="/notebooks")
        reply = await wire.send("GET", NOTEBOOKS, browser=victim.browser)
        assert reply.status == 302
        assert reply.location == ""

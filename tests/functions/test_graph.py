"""The pass-through: Graph's own paths and answers, sandboxed, with links that come back through us (R-09)."""

import asyncio
import json
from datetime import timedelta

import pytest

from shared.errors import NotesUnavailable
from shared.model import NotesAnswer
from tests.doubles.notes import answer, graph_error
from tests.functions.bundle import Bundle, Reply

THEIRS = "https://graph.microsoft.com"
OURS = "https://notes.example/api/graph"
NOTEBOOKS = "graph/v1.0/me/onenote/notebooks"


def raw(body: bytes, content_type: str, status: int = 200, **headers: str) -> NotesAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return NotesAnswer(status=status, headers={"content-type": content_type, **named}, body=body)


async def passed(given: NotesAnswer, path: str = NOTEBOOKS, **environ: str) -> Reply:
    bundle = Bundle(**environ)
    await bundle.signed_in()
    bundle.world.notes.usual = given
    return await bundle.call("graph_call", path=path)


async def test_five_notebooks_by_name_pass_as_graphs_documents_write_them(bundle: Bundle) -> None:
    """R-09: path and query as sent, the token added here."""
    session = await bundle.signed_in()
    got = await bundle.call("graph_call", path=f"{NOTEBOOKS}?$top=5&$orderby=displayName")
    assert got.status == 200
    (sent,) = bundle.world.notes.sent
    assert sent.call.target == "v1.0/me/onenote/notebooks?$top=5&$orderby=displayName"
    assert sent.access_token == session.record.grant.access_token
    assert b"at-" not in got.body


async def test_who_does_nothing_but_call_graph_stays_signed_in(bundle: Bundle) -> None:
    """R-10: a call counts as use, and the cookie is issued again before it ends."""
    session = await bundle.signed_in()
    assert not (await bundle.call("graph_call", path=NOTEBOOKS)).cookies
    bundle.world.clock.jump(timedelta(days=2))
    got = await bundle.call("graph_call", path=NOTEBOOKS)
    assert (got.status, len(got.cookies)) == (200, 1)
    await asyncio.sleep(1)
    marks = (await bundle.world.memory.load(session.ref)).record.marks
    assert bundle.world.clock.now() - marks.seen_at < timedelta(minutes=1)


@pytest.mark.parametrize(
    "query",
    [
        "$filter=startswith(displayName,'a%20b')",
        "$skiptoken=a%2Fb%2Bc",
        "a=1&a=2&e=&f",
        "x=%C3%A9",
        "$expand=a($select=b)",
        "$filter=" + "a" * 7_000,
        "&".join(f"p{number}={number}" for number in range(150)),
    ],
    ids=lambda query: query[:20],
)
async def test_a_query_passes_byte_for_byte(bundle: Bundle, query: str) -> None:
    """R-09: the host's own reading of it would drop and join."""
    await bundle.signed_in()
    await bundle.call("graph_call", path=f"{NOTEBOOKS}?{query}")
    assert bundle.world.notes.sent[0].call.target.partition("?")[2] == query


@pytest.mark.parametrize(
    "path",
    [
        "graph/v1.0/me/messages",
        "graph/v1.0/me/onenote/%2e%2e/messages",
        "graph/v1.0/me/onenote/a%2Fb",
        "graph/https://evil.example/v1.0/me/onenote",
        "graph/",
        "elsewhere",
    ],
)
async def test_a_path_is_checked_before_the_session(bundle: Bundle, path: str) -> None:
    """R-09: nobody is signed in here, and it is still the path that is refused."""
    refused = await bundle.call("graph_call", path=path)
    assert (refused.status, refused.json["code"]) == (400, "path_not_allowed")
    assert bundle.world.store.calls.total() == 0
    assert bundle.world.notes.sent == []


async def test_only_harmless_headers_go_to_graph(bundle: Bundle) -> None:
    """R-16: no cookie, no authorization of the caller's, no forwarding header."""
    await bundle.signed_in()
    ours = {"prefer": "x", "if-match": '"1"', "accept": "application/json", "client-request-id": "c-1"}
    theirs = {
        "authorization": "Bearer evil",
        "x-forwarded-host": "evil.example",
        "x-ms-client-principal": "e",
        "host": "evil.example",
        "connection": "close",
        "origin": "https://app.notes.example",
        "x-http-method-override": "DELETE",
    }
    await bundle.call("graph_call", path=NOTEBOOKS, headers={**ours, **theirs})
    assert dict(bundle.world.notes.sent[0].call.headers) == ours


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
async def test_a_body_passes_as_it_is(bundle: Bundle, method: str) -> None:
    """R-09: multipart pages too."""
    await bundle.signed_in()
    body = bytes(range(256))
    await bundle.call(
        "graph_call", method, NOTEBOOKS, body=body, headers={"content-type": "multipart/form-data; boundary=x"}
    )
    call = bundle.world.notes.sent[0].call
    assert (call.method, call.body) == (method, body)
    assert ("content-type", "multipart/form-data; boundary=x") in call.headers


async def test_a_chunked_body_is_refused_as_the_host_would_lose_it(bundle: Bundle) -> None:
    """R-09: it arrives empty, silently."""
    await bundle.signed_in()
    got = await bundle.call("graph_call", "POST", NOTEBOOKS, headers={"transfer-encoding": "chunked"})
    assert (got.status, got.json["code"]) == (411, "length_required")
    assert bundle.world.notes.sent == []


# Links ------------------------------------------------------------------------------------------------------


async def test_links_in_json_come_back_through_us() -> None:
    """R-09: `@odata.nextLink`, `self`, `contentUrl`; not what merely speaks of Graph."""
    body = {
        "@odata.context": f"{THEIRS}/v1.0/$metadata#users('a')/onenote/notebooks",
        "@odata.nextLink": f"{THEIRS}/v1.0/me/onenote/notebooks?$skip=5",
        "value": [
            {
                "self": f"{THEIRS}/beta/users/a/onenote/notebooks/1",
                "displayName": f"see {THEIRS}/v1.0/me",
                "elsewhere": "https://graph.microsoft.com.evil.example/v1.0/x",
                "oneNoteWebUrl": "https://contoso.sharepoint.com/x",
            }
        ],
    }
    got = (await passed(answer(200, body))).json
    assert got["@odata.nextLink"] == f"{OURS}/v1.0/me/onenote/notebooks?$skip=5"
    assert got["value"][0]["self"] == f"{OURS}/beta/users/a/onenote/notebooks/1"
    for untouched in ("displayName", "elsewhere", "oneNoteWebUrl"):
        assert got["value"][0][untouched] == body["value"][0][untouched]  # type: ignore[index]


async def test_a_next_link_can_be_followed_as_it_is(bundle: Bundle) -> None:
    """R-09: so Graph's own page iterators work."""
    await bundle.signed_in()
    link = f"{THEIRS}/v1.0/users('alex%40contoso.example')/onenote/notebooks?$skiptoken=a%2Fb"
    bundle.world.notes.answers = [answer(200, {"@odata.nextLink": link})]
    following = (await bundle.call("graph_call", path=NOTEBOOKS)).json["@odata.nextLink"]
    assert following.startswith(OURS)
    await bundle.call("graph_call", path="graph" + following.removeprefix(OURS))
    assert bundle.world.notes.sent[1].call.target == link.removeprefix(THEIRS + "/")


@pytest.mark.parametrize("quote", ['"', "'"])
async def test_links_in_pages_come_back_through_us(quote: str) -> None:
    """R-09: images and attachments of a page."""
    page = f"<img src={quote}{THEIRS}/v1.0/me/onenote/resources/1/$value{quote}>".encode()
    got = await passed(raw(page, "text/html; charset=utf-8"))
    assert f"{quote}{OURS}/v1.0/me/onenote/resources/1/$value{quote}".encode() in got.body
    assert THEIRS.encode() not in got.body


async def test_other_content_is_not_touched() -> None:
    """R-09: bytes that happen to look like a link."""
    body = f'"{THEIRS}/v1.0/x"'.encode()
    for content_type in ("image/png", "application/octet-stream", "application/pdf"):
        assert (await passed(raw(body, content_type))).body == body


async def test_a_location_comes_back_through_us_and_no_other_does() -> None:
    """R-09: 201 Created."""
    made = await passed(raw(b"", "", 201, location=f"{THEIRS}/v1.0/me/onenote/pages/1"))
    assert made.headers["location"] == f"{OURS}/v1.0/me/onenote/pages/1"
    for elsewhere in ("https://evil.example/", f"{THEIRS}.evil.example/x", "//evil.example"):
        assert "location" not in (await passed(raw(b"", "", 302, location=elsewhere))).headers


async def test_links_are_those_of_the_configured_graph() -> None:
    """R-03: a national cloud's; and Graph's usual one, which it names in links by whatever address it was reached."""
    theirs = "https://microsoftgraph.chinacloudapi.cn"
    pages = "v1.0/me/onenote/pages"
    got = await passed(
        answer(200, {"a": f"{theirs}/{pages}", "b": f"{THEIRS}/{pages}", "c": f"https://graph.microsoft.us/{pages}"}),
        AUTH_AUTHORITY_HOST="https://login.partner.microsoftonline.cn",
        AUTH_TENANT="organizations",
    )
    assert got.json == {"a": f"{OURS}/{pages}", "b": f"{OURS}/{pages}", "c": f"https://graph.microsoft.us/{pages}"}


# What passes is other people's ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "attached"),
    [
        ("application/json", False),
        ("text/html", False),
        ("text/html; charset=utf-8", False),
        ("text/plain", False),
        ("image/png", False),
        ("image/jpeg", False),
        ("image/svg+xml", True),
        ("IMAGE/SVG+XML", True),
        ("application/javascript", True),
        ("text/javascript", True),
        ("text/css", True),
        ("application/pdf", True),
        ("application/octet-stream", True),
        ("text/xml", True),
        ("", True),
        ("application/json; odata.metadata=minimal; charset=utf-8", False),
        ("image/png, image/svg+xml", True),
        ("image/png; a=b, text/xml", True),
        ("text/html, application/xml", True),
        ("image/x+xml", True),
    ],
)
async def test_what_is_no_page_and_no_image_comes_as_an_attachment(content_type: str, attached: bool) -> None:
    """R-16: script in a page on our origin would run with our cookie."""
    got = await passed(raw(b"<svg onload='x'/>", content_type))
    assert (got.headers.get("content-disposition") == "attachment") is attached


@pytest.mark.parametrize(
    ("content_type", "attached"), [("image/png", False), ("text/html", True), ("application/json", True)]
)
async def test_somebodys_file_passes_as_it_is_and_is_shown_only_as_a_picture(content_type: str, attached: bool) -> None:
    """R-09, R-16: whatever type it claims, it is no page and no answer of OneNote's."""
    body = f'"{THEIRS}/v1.0/me/onenote/pages"'.encode()
    got = await passed(raw(body, content_type), "graph/v1.0/me/onenote/resources/1/$value")
    assert got.body == body
    assert (got.headers.get("content-disposition") == "attachment") is attached


async def test_an_error_in_place_of_a_file_is_read_like_any_other() -> None:
    """R-15: OneNote's words, not a download."""
    got = await passed(graph_error(404, "20102"), "graph/v1.0/me/onenote/resources/1/$value")
    assert (got.status, got.json["error"]["code"]) == (404, "20102")
    assert "content-disposition" not in got.headers


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_every_answer_is_sandboxed_and_never_cached_or_sniffed(status: int) -> None:
    """R-16: images need the cookie, hence `allow-same-origin`; scripts never."""
    got = await passed(raw(b"<script>x</script>", "text/html", status))
    policy = got.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-same-origin;")
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert (got.headers["x-content-type-options"], got.headers["cache-control"]) == ("nosniff", "no-store")


async def test_only_harmless_headers_come_from_graph() -> None:
    """R-16: no cookie, no policy, no CORS of theirs, nothing that breaks the connection."""
    got = await passed(
        raw(
            b"{}",
            "application/json",
            etag='"1"',
            request_id="r-1",
            set_cookie="a=b",
            transfer_encoding="chunked",
            content_encoding="gzip",
            content_length="99",
            connection="close",
            access_control_allow_origin="*",
            content_security_policy="script-src *",
            www_authenticate="Bearer hush",
            strict_transport_security="max-age=1",
        )
    )
    assert (got.headers["etag"], got.headers["request-id"]) == ('"1"', "r-1")
    forbidden = {"transfer-encoding", "content-encoding", "content-length", "connection", "www-authenticate"}
    assert forbidden.isdisjoint(got.headers)
    assert "access-control-allow-origin" not in got.headers
    assert "script-src" not in got.headers["content-security-policy"]
    assert all("a=b" not in cookie for cookie in got.cookies)


async def test_a_header_that_the_host_cannot_send_is_cleaned() -> None:
    """R-09: it would turn the whole answer into a bare 500."""
    disposition = 'attachment; filename="ä.txt"\r\nSet-Cookie: x'
    got = await passed(raw(b"x", "application/octet-stream", content_disposition=disposition))
    value = got.headers["content-disposition"]
    assert value.isascii()
    assert value.isprintable()


# Failures ---------------------------------------------------------------------------------------------------


async def test_an_error_of_onenote_passes_whole_with_plain_words_added() -> None:
    """R-15: Graph's clients still read it."""
    got = await passed(graph_error(403, "30108"))
    assert got.status == 403
    assert got.json["error"] == {"code": "30108", "message": "as Graph says it"}
    assert got.json["explanation"]["code"] == "onenote_not_available"


async def test_a_missing_permission_is_named_with_a_link_that_asks_for_it(bundle: Bundle) -> None:
    """R-08, R-15: incremental consent."""
    await bundle.signed_in()
    bundle.world.notes.usual = graph_error(403, "40004")
    got = await bundle.call(
        "graph_call", "POST", "graph/v1.0/me/onenote/pages", headers={"origin": "https://app.notes.example"}
    )
    explanation = got.json["explanation"]
    assert (explanation["code"], explanation["scope"]) == ("permission_missing", "Notes.Create")
    assert explanation["login_url"].endswith("&scope=Notes.Create")


@pytest.mark.parametrize("code", ["40001", "40004", "accessDenied"])
async def test_who_may_read_is_not_asked_for_more_to_list(bundle: Bundle, code: str) -> None:
    """R-08, R-15: Notes.Create lists as well, but whoever has Notes.Read lacks no permission for that."""
    await bundle.signed_in()
    bundle.world.notes.usual = graph_error(403, code)
    got = await bundle.call("graph_call", "GET", NOTEBOOKS)
    assert got.json["explanation"]["code"] == "onenote_forbidden"


@pytest.mark.parametrize(("given", "sent"), [("120", "120"), (None, "60")])
async def test_throttling_says_how_long_to_wait(given: str | None, sent: str) -> None:
    """R-15: Retry-After, also where OneNote names none."""
    headers = {"retry_after": given} if given else {}
    bundle = Bundle()
    await bundle.signed_in()
    bundle.world.notes.usual = graph_error(429, "20166", **headers)
    got = await bundle.call("graph_call", "POST", NOTEBOOKS, headers={"origin": "https://notes.example"})
    assert (got.status, got.headers["retry-after"]) == (429, sent)


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("status", [502, 504])
async def test_a_write_that_took_too_long_is_not_called_undone(bundle: Bundle, method: str, status: int) -> None:
    """R-15: OneNote's gateway gives up while OneNote goes on; who only tries again has two pages."""
    await bundle.signed_in()
    bundle.world.notes.usual = graph_error(status, "UnknownError")
    headers = {"origin": "https://notes.example"}
    got = await bundle.call("graph_call", method, "graph/v1.0/me/onenote/pages", headers=headers)
    assert (got.status, got.json["explanation"]["code"]) == (status, "onenote_busy")
    assert "may have saved this" in got.json["explanation"]["detail"]
    read = await bundle.call("graph_call", path="graph/v1.0/me/onenote/pages")
    assert "Try again" in read.json["explanation"]["detail"]


async def test_a_graph_that_does_not_answer_is_a_503(bundle: Bundle) -> None:
    """R-15."""
    await bundle.signed_in()
    bundle.world.notes.answers = [NotesUnavailable("Microsoft Graph: ClientError")]
    got = await bundle.call("graph_call", path=NOTEBOOKS)
    assert (got.status, got.json["code"]) == (503, "graph_unavailable")
    assert "retry-after" in got.headers
    assert "ClientError" not in json.dumps(got.json)

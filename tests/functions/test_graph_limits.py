"""What of a call may pass and how much: headers both ways, sizes, batches, limits as answers (R-09, R-15)."""

import base64
import json
from typing import Any

import pytest

from shared.errors import AnswerTooLarge, NotesTimedOut, TooManyCalls
from shared.functions.handling import GRAPH_HEADERS
from tests.doubles.notes import answer
from tests.functions.bundle import Bundle
from tests.functions.test_graph import NOTEBOOKS, OURS, THEIRS, passed, raw

BATCH = "graph/v1.0/$batch"
PICTURE = "v1.0/me/onenote/resources/1-a!2/$value"
ORIGIN = {"origin": "https://app.notes.example"}


async def test_every_header_that_graphs_clients_use_passes_and_may_be_sent_from_another_origin(bundle: Bundle) -> None:
    """R-09: range and conditional requests, correlation, what the official clients say of themselves."""
    await bundle.signed_in()
    sent = {name: f"value of {name}" for name in GRAPH_HEADERS}
    await bundle.call("graph_call", path=f"graph/{PICTURE}", headers=sent)
    await bundle.call("graph_call", path=NOTEBOOKS, headers=sent)
    file, listing = (dict(given.call.headers) for given in bundle.world.notes.sent)
    assert file == sent
    assert set(sent) - set(listing) == {"range", "if-range"}  # links are rewritten there: its bytes are others
    wanted = {"range", "if-range", "if-none-match", "if-match", "sdkversion", "client-request-id", "prefer"}
    assert wanted | {"consistencylevel", "content-type", "accept"} <= set(GRAPH_HEADERS)
    preflight = await bundle.call("graph_call", "OPTIONS", NOTEBOOKS, headers=ORIGIN)
    assert set(preflight.headers["access-control-allow-headers"].split(", ")) == set(GRAPH_HEADERS)


@pytest.mark.parametrize("status", [200, 206, 304, 416])
async def test_what_a_ranged_answer_says_of_itself_comes_back_and_may_be_read_from_another_origin(
    bundle: Bundle, status: int
) -> None:
    """R-09: RFC 9110 §13, §14."""
    await bundle.signed_in()
    said = {"etag": '"1"', "last-modified": "Wed, 21 Oct 2026 07:28:00 GMT", "accept-ranges": "bytes"}
    said |= {"content-range": "bytes 0-1/9", "request-id": "r", "client-request-id": "c", "x-ms-ags-diagnostic": "{}"}
    given = raw(b"" if status == 304 else b"ab", "image/png", status)
    given.headers.update(said)
    bundle.world.notes.usual = given
    got = await bundle.call("graph_call", path=f"graph/{PICTURE}", headers=ORIGIN)
    assert got.status == status
    assert {name: got.headers[name] for name in said} == said
    exposed = set(got.headers["access-control-expose-headers"].split(", "))
    assert {*said, "location", "operation-location", "retry-after", "content-disposition"} <= exposed
    assert got.headers["cache-control"] == "no-store"


async def test_an_operation_is_followed_through_us() -> None:
    """R-09: 202 Accepted of a copy."""
    operation = f"{THEIRS}/v1.0/users('a')/onenote/operations/copy-1"
    got = await passed(raw(b"", "", 202, operation_location=operation))
    assert got.headers["operation-location"] == operation.replace(THEIRS, OURS)
    elsewhere = await passed(raw(b"", "", 202, operation_location="https://www.onenote.com/api/v1.0/me/notes"))
    assert "operation-location" not in elsewhere.headers
    done = await passed(answer(200, {"resourceLocation": f"{THEIRS}/v1.0/me/onenote/pages/1"}))
    assert done.json["resourceLocation"] == f"{OURS}/v1.0/me/onenote/pages/1"


async def test_a_body_over_the_limit_is_refused_before_anything_is_asked() -> None:
    """R-09: neither the vault nor Graph."""
    bundle = Bundle(GRAPH_BODY_MAX_MB="1")
    await bundle.signed_in()
    page = "graph/v1.0/me/onenote/pages"
    for method in ("POST", "PATCH", "PUT"):
        got = await bundle.call("graph_call", method, page, headers=ORIGIN, body=bytes((1 << 20) + 1))
        assert (got.status, got.json["code"]) == (413, "body_too_large")
    assert bundle.world.notes.sent == []
    assert bundle.world.store.calls.total() == 0
    assert (await bundle.call("graph_call", "POST", page, headers=ORIGIN, body=bytes(1 << 20))).status == 200


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (AnswerTooLarge("x"), 502, "answer_too_large"),
        (NotesTimedOut("x"), 504, "graph_timeout"),
        (TooManyCalls(), 429, "too_many_calls"),
    ],
)
async def test_each_limit_has_its_answer(bundle: Bundle, error: Exception, status: int, code: str) -> None:
    """R-15: stable codes; a wait where waiting helps."""
    await bundle.signed_in()
    bundle.world.notes.answers = [error]
    got = await bundle.call("graph_call", path=NOTEBOOKS)
    assert (got.status, got.json["code"]) == (status, code)
    assert ("retry-after" in got.headers) is (status != 502)


async def test_a_permission_that_the_operator_does_not_allow_has_no_link(bundle: Bundle) -> None:
    """R-08: a link that only leads to a refusal helps nobody."""
    strict = Bundle(AUTH_ALLOWED_SCOPES="Notes.Read")
    await strict.signed_in()
    strict.world.notes.usual = answer(403, {"error": {"code": "40004"}})
    got = await strict.call("graph_call", "POST", "graph/v1.0/me/onenote/pages", headers=ORIGIN)
    assert got.json["explanation"]["scope"] == "Notes.Create"
    assert "login_url" not in got.json["explanation"]


# Batches ----------------------------------------------------------------------------------------------------


async def batch(bundle: Bundle, *calls: Any, responses: list[Any] | None = None, **sent: Any) -> Any:
    if responses is not None:
        bundle.world.notes.usual = answer(200, {"responses": responses}, request_id="r-1")
    body = json.dumps({"requests": calls}).encode()
    return await bundle.call("graph_call", "POST", BATCH, headers={**ORIGIN, **sent}, body=body)


def one(name: str = "1", url: str = "/me/onenote/pages", method: str = "GET", **more: Any) -> dict[str, Any]:
    return {"id": name, "method": method, "url": url, **more}


async def test_a_batch_passes_as_one_call(bundle: Bundle) -> None:
    """R-09: with the headers of the whole, and those of each call that may pass."""
    await bundle.signed_in()
    await batch(bundle, one(headers={"Prefer": "x", "Authorization": "Bearer evil"}), sdkversion="graph-js/3")
    (sent,) = bundle.world.notes.sent
    assert (sent.call.method, sent.call.target) == ("POST", "v1.0/$batch")
    assert ("sdkversion", "graph-js/3") in sent.call.headers
    assert json.loads(sent.call.body) == {"requests": [one(headers={"Prefer": "x"})]}


@pytest.mark.parametrize(
    ("calls", "code"),
    [
        ([one(), one("2", "/me/messages")], "path_not_allowed"),
        ([one(url="https://graph.microsoft.com/v1.0/me/onenote/pages")], "path_not_allowed"),
        ([one(str(n)) for n in range(21)], "invalid_batch"),
        ([], "invalid_batch"),
        ([one(method="TRACE")], "invalid_batch"),
    ],
)
async def test_a_batch_with_one_bad_call_is_refused_whole(bundle: Bundle, calls: list[Any], code: str) -> None:
    """R-09: before the vault is asked. Nobody who is not signed in gets as far as having a batch read."""
    assert (await batch(bundle, *calls)).json["code"] == "not_signed_in"
    await bundle.signed_in()
    refused = await batch(bundle, *calls)
    assert (refused.status, refused.json["code"]) == (400, code)
    assert bundle.world.store.calls.total() == 0
    assert bundle.world.notes.sent == []


async def test_a_batch_has_the_size_that_graph_takes(bundle: Bundle) -> None:
    """R-09: 4 MB."""
    await bundle.signed_in()
    assert (await batch(bundle, one(body="x" * (4 << 20)))).json["code"] == "body_too_large"
    assert bundle.world.notes.sent == []


async def test_a_batch_is_sent_with_post_and_from_our_pages_only(bundle: Bundle) -> None:
    """R-09: the CSRF defence is that of any write."""
    assert (await bundle.call("graph_call", path=BATCH)).json["code"] == "invalid_batch"
    refused = await batch(bundle, one(), origin="https://evil.example")
    assert (refused.status, refused.json["code"]) == (403, "forbidden_origin")


async def test_answers_of_a_batch_pass_as_those_of_single_calls(bundle: Bundle) -> None:
    """R-09, R-15, R-16: links, headers, pages in base64, errors in plain words."""
    await bundle.signed_in()
    page = f'<img src="{THEIRS}/{PICTURE}">'
    link = f"{THEIRS}/v1.0/me/onenote/pages?$skip=20"
    got = await batch(
        bundle,
        *(one(name) for name in "abcde"),
        responses=[
            {"id": "a", "status": 200, "headers": {"Set-Cookie": "x=y"}, "body": {"@odata.nextLink": link}},
            {
                "id": "b",
                "status": 200,
                "headers": {"Content-Type": "text/html"},
                "body": "PGltZyBzcmM9Imh0dHBzOi8vZ3JhcGgubWljcm9zb2Z0LmNvbS92MS4wL21lL29uZW5vdGUvcGFnZXMvMSI+",
            },
            {"id": "c", "status": 200, "headers": {"Content-Type": "text/html; charset=utf-8"}, "body": page},
            {"id": "d", "status": 429, "headers": {}, "body": {"error": {"code": "20166"}}},
            {"id": "e", "status": 201, "headers": {"Location": link, "ETag": "1"}, "body": None},
        ],
    )
    assert got.status == 200
    assert got.headers["request-id"] == "r-1"
    a, b, c, d, e = got.json["responses"]
    assert (a["headers"], a["body"]) == ({}, {"@odata.nextLink": link.replace(THEIRS, OURS)})
    assert base64.b64decode(b["body"]).decode() == f'<img src="{OURS}/v1.0/me/onenote/pages/1">'
    assert (c["headers"], c["body"]) == ({"Content-Type": "text/html; charset=utf-8"}, page.replace(THEIRS, OURS))
    assert (d["headers"], d["body"]["explanation"]["code"]) == ({"Retry-After": "60"}, "onenote_too_many_requests")
    assert e["headers"] == {"ETag": "1", "Location": link.replace(THEIRS, OURS)}
    assert "sandbox" in got.headers["content-security-policy"]


async def test_a_missing_permission_is_named_for_the_call_that_lacks_it(bundle: Bundle) -> None:
    """R-08."""
    await bundle.signed_in()
    refused = {"id": "2", "status": 403, "headers": {}, "body": {"error": {"code": "40004"}}}
    got = await batch(bundle, one(), one("2", method="DELETE", url="/me/onenote/pages/1"), responses=[refused])
    explanation = got.json["responses"][0]["body"]["explanation"]
    assert (explanation["code"], explanation["scope"]) == ("permission_missing", "Notes.ReadWrite")


async def test_a_challenge_inside_a_batch_comes_with_a_link_that_answers_it(bundle: Bundle) -> None:
    """R-10, R-13."""
    await bundle.signed_in()
    challenge = 'Bearer error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="'
    refused = {"id": "1", "status": 401, "headers": {"WWW-Authenticate": challenge}, "body": {"error": {"code": "x"}}}
    got = (await batch(bundle, one(), responses=[refused])).json["responses"][0]
    assert got["body"]["explanation"]["code"] == "reauth_required"
    assert got["body"]["explanation"]["login_url"].endswith("&claims=eyJhY2Nlc3NfdG9rZW4iOnt9fQ")
    assert "insufficient" not in json.dumps(got)


async def test_a_batch_that_graph_refuses_whole_is_handed_on(bundle: Bundle) -> None:
    """R-15."""
    await bundle.signed_in()
    bundle.world.notes.usual = answer(400, {"error": {"code": "BadRequest"}})
    got = await batch(bundle, one())
    assert (got.status, got.json["error"]["code"]) == (400, "BadRequest")

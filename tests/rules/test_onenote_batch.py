"""Batches: every call obeys the rule of a single one, and what Graph gets is what was checked (R-09, R-10)."""

import json
from typing import Any

import pytest

from shared.errors import BadRequest
from shared.model import NotesAnswer
from shared.onenote_batch import MOST, answers_of, challenge_in, joined, read_batch

HEADERS = ("accept", "content-type")


def call(name: str = "1", url: str = "/me/onenote/notebooks", method: str = "GET", **more: Any) -> dict[str, Any]:
    return {"id": name, "method": method, "url": url, **more}


def body(*calls: Any) -> bytes:
    return json.dumps({"requests": calls}).encode()


def read(*calls: Any) -> Any:
    return json.loads(read_batch("v1.0", body(*calls), HEADERS).call().body)["requests"]


def test_a_batch_is_written_as_graph_documents_it() -> None:
    page = call("2", "me/onenote/pages?x=1", "post", headers={"Content-Type": "text/html"}, body="PGh0bWw+")
    batch = read_batch("beta", body(call(), {**page, "dependsOn": ["1"]}), HEADERS)
    sent = batch.call((("accept", "x"), ("content-type", "text/evil")))
    assert (sent.method, sent.target) == ("POST", "beta/$batch")
    assert sent.headers == (("accept", "x"), ("content-type", "application/json"))
    assert json.loads(sent.body)["requests"] == [
        call(),
        {**page, "method": "POST", "url": "/me/onenote/pages?x=1", "dependsOn": ["1"]},
    ]


@pytest.mark.parametrize(
    "url",
    [
        "/me/messages",
        "/me",
        "https://graph.microsoft.com/v1.0/me/onenote/notebooks",
        "https://evil.example/me/onenote/notebooks",
        "//evil.example/me/onenote",
        "/v1.0/me/onenote/notebooks",
        "/../beta/me/onenote",
        "/me/onenote/../messages",
        "/me/onenote/%2e%2e/messages",
        "/me/onenote%2F..%2Fmessages",
        "/me/onenote/a%252fb",
        "/$batch",
        "",
        "/",
        "/users/a:/onenote",
    ],
)
def test_a_path_that_may_not_pass_alone_does_not_pass_in_a_batch(url: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(call(), call("2", url))
    assert refused.value.code == "path_not_allowed"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"requests": {}}',
        b'{"requests": []}',
        b"[" * 100_000,
        b"\xff",
        body(*[call(str(n)) for n in range(MOST + 1)]),
        body(call(), call()),
        body("x"),
        body(call(1)),  # type: ignore[arg-type]
        body(call("")),
        body(call(method="TRACE")),
        body(call(method="CONNECT")),
        body({"id": "1", "url": "/me/onenote"}),
        body(call(url=7)),  # type: ignore[arg-type]
        body(call(url="/me/onenote/a b")),
        body(call(url="/me/onenote/a\r\nHost: evil.example")),
        body(call(url="/me/onenote/é")),
        body(call(url="/me/onenote#x")),
        body(call(headers="x")),
        body(call(dependsOn="x")),
    ],
)
def test_what_is_no_batch_is_refused_with_a_reason(text: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        read_batch("v1.0", text, HEADERS)
    assert refused.value.code == "invalid_batch"


def test_only_harmless_headers_of_a_call_pass() -> None:
    """R-16: as from a single call."""
    given = {"Accept": "x", "Authorization": "Bearer evil", "Host": "evil.example", "content-type": "a\r\nb: c", "x": 1}
    assert read(call(headers=given))[0]["headers"] == {"Accept": "x"}


def test_what_was_said_twice_is_sent_as_it_was_read() -> None:
    """Two readers of one text may differ: Graph gets no word that was not checked."""
    text = (
        b'{"requests": [{"id": "1", "method": "GET", "url": "/me/messages", "url": "/me/onenote/pages", "URL": "/me"}]}'
    )
    sent = read_batch("v1.0", text, HEADERS).call().body
    assert b"messages" not in sent
    assert json.loads(sent) == {"requests": [{"id": "1", "method": "GET", "url": "/me/onenote/pages"}]}


def test_half_a_character_passes_as_it_was_written() -> None:
    """JSON may hold it, UTF-8 may not."""
    assert (
        read_batch("v1.0", b'{"requests": [{"id": "\\ud800", "method": "GET", "url": "/me/onenote"}]}', HEADERS)
        .call()
        .body
    )


def got(name: str, status: int, code: str | None = None, **headers: str) -> dict[str, Any]:
    shown = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return {"id": name, "status": status, "headers": shown, "body": {"error": {"code": code}} if code else {}}


def test_only_what_was_refused_for_its_token_and_what_waited_for_it_goes_out_again() -> None:
    """R-10: what was done is never done twice."""
    batch = read_batch(
        "v1.0",
        body(
            call("3", dependsOn=["2", "1"]),
            call("1"),
            call("2"),
            call("4", dependsOn=["3"]),
            call("5", dependsOn=["6"]),
            call("6"),
        ),
        HEADERS,
    )
    answers = [
        got("1", 201),
        got("2", 401, "InvalidAuthenticationToken"),
        got("3", 424),
        got("4", 424),
        got("5", 424),
        got("6", 404),
    ]
    again = batch.refused(answers)
    assert again is not None
    assert [(one.id, one.depends_on) for one in again.inner] == [("3", ("2",)), ("2", ()), ("4", ("3",))]
    second = [got("2", 200), got("3", 200), got("4", 200)]
    statuses = {one["id"]: one["status"] for one in answers_of(joined(answers, second)) or []}
    assert statuses == {"1": 201, "2": 200, "3": 200, "4": 200, "5": 424, "6": 404}


def test_a_refusal_of_onenotes_own_goes_out_only_once() -> None:
    """R-15."""
    batch = read_batch("v1.0", body(call("1"), call("2")), HEADERS)
    assert batch.refused([got("1", 401, "40001"), got("2", 200)]) is None


def test_a_challenge_is_found_among_the_answers() -> None:
    header = 'Bearer error="insufficient_claims", claims="e30"'
    assert challenge_in([got("1", 200), got("2", 401, "x", www_authenticate=header)]) == header
    assert challenge_in([got("1", 200, www_authenticate=header), got("2", 401, "x")]) is None


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"responses": 1}'])
def test_an_answer_that_is_no_batch_is_told_apart(text: bytes) -> None:
    assert answers_of(NotesAnswer(status=200, headers={}, body=text)) is None
    assert answers_of(NotesAnswer(status=400, headers={}, body=b'{"responses": []}')) is None

"""Answers on the wire: what becomes of what a function returns.

Each test is a row of what was measured on the platform's host, read as raw header lines.
"""

import http.client

import pytest

from tests.host.served import FUNCTION_KEY, Served


def test_an_exception_is_500_without_a_body(served: Served) -> None:
    """Its text and traceback go to the log only."""
    answer = served.get("/api/raise")
    assert (answer.status, answer.body) == (500, b"")
    assert served.wait_until(lambda: any("only the log may see this" in line for line in served.lines))
    assert any("Traceback" in line for line in served.lines)


def test_an_answer_without_a_length_is_sent_chunked(served: Served) -> None:
    """An empty one too."""
    for body in ("hello", ""):
        answer = served.answer(body=body)
        assert answer.body == body.encode()
        assert (answer.all("transfer-encoding"), answer.all("content-length")) == (["chunked"], [])


def test_a_right_content_length_is_kept(served: Served) -> None:
    """And then nothing is chunked."""
    answer = served.answer(body="hello", headers=[["Content-Length", "5"]])
    assert (answer.all("content-length"), answer.all("transfer-encoding")) == (["5"], [])
    assert answer.body == b"hello"


@pytest.mark.parametrize("length", ["4", "6", "x"])
def test_a_wrong_content_length_breaks_the_connection(served: Served, length: str) -> None:
    """The caller gets no answer that looks whole."""
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        served.answer(body="hello", headers=[["Content-Length", length]])


def test_a_head_request_gets_headers_and_no_body(served: Served) -> None:
    """Where the function lists HEAD."""
    answer = served.get("/api/answer", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


def test_an_answer_to_http_1_0_is_not_chunked(served: Served) -> None:
    """Which that version does not know."""
    answer = served.send(b"GET /api/text HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.body, answer.all("transfer-encoding")) == (200, "grüß".encode(), [])


def test_headers_of_the_connection_reach_the_client(served: Served) -> None:
    """So they must be stripped when passing an answer through."""
    given = [["Connection", "close"], ["Date", "yesterday"], ["Server", "a passed-through one"]]
    answer = served.answer(body="x", headers=given)
    for name, value in given:
        assert answer.all(name.lower()) == [value]
    unframed = served.answer(body="x", headers=[["Transfer-Encoding", "gzip"]])
    assert unframed.all("transfer-encoding") == ["gzip"]


def test_a_header_given_twice_keeps_the_last(served: Served) -> None:
    """Vary! In whatever case it is written."""
    for second in ("Vary", "vary"):
        assert served.answer(headers=[["Vary", "Origin"], [second, "Cookie"]]).all("vary") == ["Cookie"]


@pytest.mark.parametrize(
    "header",
    [
        ["X-A", "line\r\nbreak"],
        ["X-A", "line\nbreak"],
        ["X-A", "nul\0"],
        ["X-A", "é"],
        ["Location", "https://a.example/é"],
        ["X A", "x"],
        ["X-é", "x"],
        ["", "x"],
    ],
)
def test_a_header_that_cannot_be_sent_makes_a_bare_500(served: Served, header: list[str]) -> None:
    """The whole answer, its cookies and its other headers too."""
    answer = served.answer(body="x", headers=[["Set-Cookie", "a=1"], ["X-Good", "1"], header])
    assert (answer.status, answer.body) == (500, b"")
    assert not answer.all("set-cookie")
    assert not answer.all("x-good")


def test_cookies_are_written_anew(served: Served) -> None:
    """Several are kept; lower case, a fixed order, an empty domain, values percent-encoded."""
    answer = served.answer(
        headers=[
            ["Set-Cookie", "a=v; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600"],
            ["Set-Cookie", "__Secure-b=x+/=; Path=/api/auth; SameSite=None; Secure; Max-Age=0"],
            ["Set-Cookie", "c=1; SameSite=Strict"],
        ]
    )
    assert answer.all("set-cookie") == [
        "a=v; max-age=600; domain=; path=/; secure; samesite=lax; httponly",
        "__Secure-b=x%2B%2F%3D; max-age=0; domain=; path=/api/auth; secure; samesite=none",
        "c=1; domain=; path=; samesite=strict",
    ]


def test_a_cookie_that_cannot_be_parsed_is_dropped_silently(served: Served) -> None:
    """JSON or spaces in its value; the others stay."""
    answer = served.answer(
        headers=[["Set-Cookie", '{"a": 1}'], ["Set-Cookie", "b={'x': 1}; Path=/"], ["Set-Cookie", "good=1"]]
    )
    assert answer.status == 200
    assert [line.partition("=")[0] for line in answer.all("set-cookie")] == ["good"]


def test_without_a_content_type_it_is_plain_text(served: Served) -> None:
    """UTF-8; for a function that returns a str too."""
    assert served.answer(body="x").all("content-type") == ["text/plain; charset=utf-8"]
    answer = served.get("/api/text")
    assert (answer.all("content-type"), answer.body) == (["text/plain; charset=utf-8"], "grüß".encode())


def test_a_content_type_that_is_given_is_kept(served: Served) -> None:
    """In whatever case it is written."""
    assert served.answer(headers=[["CONTENT-TYPE", "image/png"]]).all("content-type") == ["image/png"]


@pytest.mark.parametrize(
    ("target", "status"), [("/api/text", 200), ("/api/none", 404), ("/api/guarded", 401), ("/api/raise", 500)]
)
def test_custom_headers_are_on_every_answer(served: Served, target: str, status: int) -> None:
    """The host's own 404, 401 and 500 included; these have no content type."""
    answer = served.get(target)
    assert answer.status == status
    assert (answer.all("x-from-host"), answer.all("cache-control")) == (["host.json"], ["no-store"])
    assert bool(answer.all("content-type")) == (status == 200)


def test_a_functions_own_header_wins_over_a_custom_one(served: Served) -> None:
    """In any case; so host.json holds safe defaults."""
    answer = served.answer(headers=[["cache-control", "max-age=5"]])
    assert answer.all("cache-control") == ["max-age=5"]
    assert answer.all("x-from-host") == ["host.json"]


@pytest.mark.parametrize("status", [204, 304])
def test_answers_that_have_no_body(served: Served, status: int) -> None:
    """And the connection is good for the next request."""
    answer = served.answer(status=status)
    assert (answer.status, answer.body, answer.all("transfer-encoding")) == (status, b"", [])


def test_a_redirect_has_its_status_and_location(served: Served) -> None:
    """302, as sign-in uses it."""
    answer = served.answer(status=302, headers=[["Location", "https://a.example/?x=%C3%A9#y"]])
    assert (answer.status, answer.get("location")) == (302, "https://a.example/?x=%C3%A9#y")


def test_the_log_has_names_ids_and_durations_and_nothing_of_a_request(served: Served) -> None:
    """No query, cookie, body, key or user agent."""
    secrets = ["in-the-query", "in-a-cookie", "in-the-agent", "in-the-body", FUNCTION_KEY]
    served.post(
        f"/api/any?q=in-the-query&code={FUNCTION_KEY}",
        b"in-the-body",
        "Cookie: c=in-a-cookie",
        "User-Agent: in-the-agent",
    )
    before = len([line for line in served.lines if "Executed text (Succeeded, Id=" in line])
    served.get("/api/text")
    assert served.wait_until(
        lambda: len([line for line in served.lines if "Executed text (Succeeded, Id=" in line]) > before
    )
    log = "\n".join(served.lines)
    assert "Executed every_method (Succeeded" in log
    assert [secret for secret in secrets if secret in log] == []

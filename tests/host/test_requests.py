"""Requests on the wire: what reaches a function, and what the host answers by itself.

Each test is a row of what was measured on the platform's host (4.1037, Python worker), sent as raw bytes.
"""

import base64
import gzip
import ssl
from pathlib import Path

import pytest
import trustme

from tests.host.served import Served

NOT_HERE = "aiohttp's parser refuses it with 400; on the platform it reaches the function"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"])
def test_a_method_outside_the_list_is_404_without_a_body(served: Served, method: str) -> None:
    """Never 405; HEAD and OPTIONS too."""
    answer = served.get("/api/echo/x", method=method)
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND"])
def test_a_function_without_a_list_takes_every_method(served: Served, method: str) -> None:
    """List the methods, then."""
    assert served.get("/api/any", method=method).status == 200


@pytest.mark.xfail(strict=True, reason=NOT_HERE)
def test_a_function_without_a_list_takes_invented_methods(served: Served) -> None:
    """BREW."""
    assert served.get("/api/any", method="BREW").status == 200


@pytest.mark.parametrize("target", ["/", "/api", "/api/none", "/nothing?x", "//api/text", "/api//text"])
def test_an_unknown_path_is_404_without_a_body(served: Served, target: str) -> None:
    """Doubled slashes are other paths."""
    answer = served.get(target)
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize(
    ("target", "function"),
    [
        ("/API/Any", "every_method"),
        ("/api/any/", "every_method"),
        ("/api/echo/literal", "literal"),
        ("/api/echo/LITERAL/", "literal"),
        ("/api/echo/literally", "echo"),
        ("/api/thread", "thread"),
    ],
)
def test_case_and_a_slash_at_the_end_mean_nothing(served: Served, target: str, function: str) -> None:
    """And a literal segment beats a parameter."""
    assert served.get(target).json["function"] == function


def test_route_values_keep_their_case_and_a_catch_all_its_slashes(served: Served) -> None:
    """`{*path}`, at the end of the pass-through's route."""
    assert served.get("/api/echo/MiXed").json["route_params"] == {"value": "MiXed"}
    assert served.get("/api/rest/v1.0/Me/x//y/").json["route_params"] == {"path": "v1.0/Me/x//y/"}


@pytest.mark.parametrize("dots", ["/api/echo/../any", "/api/echo/%2e%2e/any", "/api/./%2E/any", "/../api/any"])
def test_dot_segments_are_resolved_before_routing(served: Served, dots: str) -> None:
    """Another function answers, and never sees the dots."""
    answer = served.get(dots).json
    assert (answer["function"], answer["url"]) == ("every_method", "http://host.example/api/any")


@pytest.mark.parametrize(
    ("sent", "value", "in_url"),
    [
        ("a%2Fb", "a%2Fb", "a%2Fb"),
        ("a%252Fb", "a%2Fb", "a%2Fb"),
        ("%C3%A9", "é", "%C3%A9"),
        ("a%20b", "a b", "a%20b"),
        ("%FF", "%FF", "%FF"),
        ("a\\b", "a\\b", "a%5Cb"),
    ],
)
def test_escapes_in_the_path(served: Served, sent: str, value: str, in_url: str) -> None:
    """An escaped slash and a doubly escaped one look alike: never decode a path again."""
    answer = served.get(f"/api/echo/{sent}").json
    assert answer["route_params"] == {"value": value}
    assert answer["url"] == f"http://host.example/api/echo/{in_url}"


@pytest.mark.parametrize("target", ["/api/echo/%00", "/api/echo/a%0d", "/api/echo/%0a", "/api/echo/\xe9"])
def test_control_characters_and_raw_bytes_in_the_path_are_400(served: Served, target: str) -> None:
    """By the host."""
    answer = served.get(target)
    assert (answer.status, answer.body) == (400, b"")


def test_parameters_join_what_repeats_and_lose_what_is_empty(served: Served) -> None:
    """The url has all as sent."""
    answer = served.get("/api/any?a=1&a=2&e=&f&p=a+b&$top=5&x=%2f").json
    assert answer["params"] == {"a": "1,2", "p": "a b", "$top": "5", "x": "/"}
    assert answer["url"] == "http://host.example/api/any?a=1&a=2&e=&f&p=a+b&$top=5&x=%2f"


def test_header_lines_that_repeat_are_joined_by_a_comma(served: Served) -> None:
    """Two Cookie lines as well; names in lower case, an empty value stays, spaces around one go."""
    headers = served.get(
        "/api/any", "Cookie: a=1; b=2", "COOKIE: c=3", "X-Two: 1", "x-two: 2", "X-Empty:", "X-Pad:  p \t"
    ).json["headers"]
    assert headers == {
        "host": "host.example",
        "cookie": "a=1; b=2,c=3",
        "x-two": "1,2",
        "x-empty": "",
        "x-pad": "p",
    }


@pytest.mark.xfail(strict=True, reason=NOT_HERE)
def test_a_header_that_should_stand_once_is_joined_too(served: Served) -> None:
    """Two User-Agent lines."""
    answer = served.get("/api/any", "User-Agent: a", "User-Agent: b")
    assert answer.json["headers"]["user-agent"] == "a,b"


@pytest.mark.parametrize("line", ["X-A: \xe9", "X-\xe9: a"])
def test_bytes_over_127_in_a_header_are_400(served: Served, line: str) -> None:
    """By the host, in a name or a value."""
    answer = served.get("/api/any", line)
    assert (answer.status, answer.body) == (400, b"")


def test_a_form_gives_the_first_of_a_repeated_name(served: Served) -> None:
    """Empty fields are kept. What is no UTF-8 was measured as U+FFFD with azure-functions 1.26; the SDK
    parses forms itself, and the 2.3 that runs here and in Azure leaves it escaped.
    """
    kind = "Content-Type: application/x-www-form-urlencoded"
    answer = served.post("/api/any", b"a=1&a=2&e=&u=%ff&p=a+b", kind).json
    assert answer["form"] == {"a": "1", "e": "", "u": "%FF", "p": "a b"}


def test_parts_with_a_file_name_are_not_in_the_form(served: Served) -> None:
    """multipart/form-data."""
    part = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\nv\r\n'
    body = part.format("text", "") + part.format("file", '; filename="f.txt"') + "--x--\r\n"
    answer = served.post("/api/any", body.encode(), "Content-Type: multipart/form-data; boundary=x").json
    assert answer["form"] == {"text": "v"}


@pytest.mark.parametrize("kind", ["application/json", "text/plain; charset=utf-16", "application/octet-stream"])
def test_a_body_arrives_as_sent(served: Served, kind: str) -> None:
    """Whatever the content type says."""
    body = bytes(range(256))
    assert base64.b64decode(served.post("/api/any", body, f"Content-Type: {kind}").json["body"]) == body


def test_a_zipped_body_is_not_unzipped(served: Served) -> None:
    """Content-Encoding is the function's business."""
    body = gzip.compress(b"hello")
    assert base64.b64decode(served.post("/api/any", body, "Content-Encoding: gzip").json["body"]) == body


def test_a_chunked_body_arrives_empty(served: Served) -> None:
    """Silently, so a function has to answer 411 to the header; the next request is not harmed."""
    head = "POST /api/any HTTP/1.1\r\nHost: host.example\r\nTransfer-Encoding: chunked\r\n\r\n"
    with served.connect() as connection:
        connection.sendall(f"{head}5\r\nhello\r\n0\r\n\r\n".encode())
        first = _read_one(connection)
        connection.sendall(b"GET /api/text HTTP/1.1\r\nHost: host.example\r\nConnection: close\r\n\r\n")
        second = connection.makefile("rb").read()
    assert b'"length": 0' in first
    assert b'"transfer-encoding": "chunked"' in first
    assert second.startswith(b"HTTP/1.1 200 ")


def _read_one(connection: object) -> bytes:
    received = b""
    while not received.endswith(b"0\r\n\r\n"):
        received += connection.recv(65536)  # type: ignore[attr-defined]
    return received


def test_a_body_up_to_the_limit_arrives(served: Served) -> None:
    """104,857,600 bytes."""
    assert served.post("/api/any", bytes(104_857_600)).json["length"] == 104_857_600


def test_a_body_over_the_limit_is_500_and_the_function_is_not_called(served: Served) -> None:
    """Without a body; nobody waits for the hundred megabytes."""
    answer = served.get("/api/any", "Content-Length: 104857601", method="POST")
    assert (answer.status, answer.body) == (500, b"")


def test_a_long_request_line_is_414(served: Served) -> None:
    """8 kB of it are let through, more is not."""
    fits = served.get("/api/any?" + "a" * (8192 - len("GET /api/any? HTTP/1.1\r\n")))
    assert fits.status == 200
    for length in (8192, 9000, 100_000):
        answer = served.get("/api/any?" + "a" * (length - len("GET /api/any? HTTP/1.1\r\n") + 1))
        assert (answer.status, answer.body) == (414, b"")


def test_headers_over_32_kilobytes_are_431(served: Served) -> None:
    """One long line, many middling ones, or more than a hundred."""
    assert served.get("/api/any", "X-Long: " + "a" * 30_000).status == 200
    assert served.get("/api/any", *(f"X-{n}: {'a' * 1000}" for n in range(31))).status == 200
    for lines in (
        ["X-Long: " + "a" * 33_000],
        [f"X-{n}: {'a' * 1000}" for n in range(40)],
        [f"X-{n}: a" for n in range(100)],
    ):
        answer = served.get("/api/any", *lines)
        assert (answer.status, answer.body) == (431, b"")


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 0", "Content-Length: 0"),
        ("Content-Length: 0", "Content-Length: 1"),
        ("Content-Length: x",),
        ("Host: two.example",),
        (" : x",),
    ],
)
def test_a_head_that_means_two_things_is_400(served: Served, lines: tuple[str, ...]) -> None:
    """Two Content-Lengths; by the host, before any function, without a body."""
    answer = served.get("/api/any", *lines, method="POST")
    assert (answer.status, answer.body) == (400, b"")


def test_the_host_header_comes_into_the_url_as_it_is(served: Served) -> None:
    """So public addresses are built from settings only."""
    answer = served.send(b"GET /api/any HTTP/1.1\r\nHost: EVIL.example:99\r\n\r\n").json
    assert answer["url"] == "http://EVIL.example:99/api/any"


@pytest.mark.parametrize("host", ["a.example/path", "a@b?c", "", "a b"])
def test_a_host_that_is_none_is_400(served: Served, host: str) -> None:
    """It could move the url's path."""
    assert served.send(f"GET /api/any HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).status == 400


def test_forwarded_and_principal_headers_are_handed_on_as_sent(served: Served) -> None:
    """Worth nothing: anybody can send them, and the url does not follow them."""
    answer = served.get(
        "/api/any", "X-Forwarded-Host: good.example", "X-Forwarded-Proto: https", "X-MS-CLIENT-PRINCIPAL: e30="
    ).json
    assert answer["url"] == "http://host.example/api/any"
    assert answer["headers"]["x-forwarded-host"] == "good.example"
    assert answer["headers"]["x-ms-client-principal"] == "e30="


def test_a_caller_who_hangs_up_stops_nothing(served: Served) -> None:
    """The function is not told and runs to its end."""
    with served.connect() as connection:
        connection.sendall(b"GET /api/slow/hung-up?seconds=0.3 HTTP/1.1\r\nHost: host.example\r\n\r\n")
        assert served.wait_until(lambda: "hung-up" in served.memory()["begun"])
    assert served.wait_until(lambda: "hung-up" in served.memory()["finished"])


def test_the_scheme_of_the_url_is_that_of_the_connection(tmp_path: Path) -> None:
    """https where the host itself serves TLS."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with Served("--tls-cert", str(chain), "--tls-key", str(key)) as served:
        assert served.url.startswith("https://localhost:")
        with context.wrap_socket(served.connect(), server_hostname="localhost") as connection:
            connection.sendall(b"GET /api/any HTTP/1.1\r\nHost: h.example\r\nConnection: close\r\n\r\n")
            assert b'"url": "https://h.example/api/any"' in connection.makefile("rb").read()

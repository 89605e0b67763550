"""The rules for a request target, by table; `test_requests` shows the same on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.target import BadTarget, Target, decode, read_query, read_target


@pytest.mark.parametrize(
    ("sent", "path", "url_path"),
    [
        ("/api/x", "/api/x", "/api/x"),
        ("/api/a%2Fb", "/api/a%2Fb", "/api/a%2Fb"),
        ("/api/a%2fb", "/api/a%2fb", "/api/a%2fb"),
        ("/api/a%252Fb", "/api/a%2Fb", "/api/a%2Fb"),
        ("/api/%C3%A9", "/api/é", "/api/%C3%A9"),
        ("/api/%20", "/api/ ", "/api/%20"),
        ("/api/%FF%41", "/api/%FFA", "/api/%FFA"),
        ("/api/%C3%28", "/api/%C3(", "/api/%C3("),
        ("/api/a\\b", "/api/a\\b", "/api/a%5Cb"),
        ("/api/a%5Cb", "/api/a\\b", "/api/a%5Cb"),
        ("/api/100%", "/api/100%", "/api/100%25"),
        ("/api/%zz", "/api/%zz", "/api/%25zz"),
        ("/api/a+b;c=1,2", "/api/a+b;c=1,2", "/api/a+b;c=1,2"),
        ("/api/echo/../ret", "/api/ret", "/api/ret"),
        ("/api/echo/%2e%2E/ret", "/api/ret", "/api/ret"),
        ("/api/echo/%252e%252e/ret", "/api/echo/%2e%2e/ret", "/api/echo/%2e%2e/ret"),
        ("/api/echo/..%2Fret", "/api/echo/..%2Fret", "/api/echo/..%2Fret"),
        ("/../../api/./x", "/api/x", "/api/x"),
        ("/api/x/..", "/api/", "/api/"),
        ("/api/x/.", "/api/x/", "/api/x/"),
        ("/.well-known/x", "/.well-known/x", "/.well-known/x"),
        ("/api/...", "/api/...", "/api/..."),
        ("//api/x", "//api/x", "//api/x"),
        ("http://other.example/api/x", "/api/x", "/api/x"),
        ("http://other.example", "/", "/"),
    ],
)
def test_a_path_is_decoded_once_and_its_dots_are_resolved(sent: str, path: str, url_path: str) -> None:
    """An escaped slash and what is no UTF-8 stay escaped; the url keeps what a path may not hold escaped."""
    assert read_target(sent) == Target(path, url_path, "")


@pytest.mark.parametrize("sent", ["/a%00", "/a%0d", "/a%0A", "*", "/é", "/a?é", "api"])
def test_a_target_that_the_host_refuses(sent: str) -> None:
    """400 before any function."""
    with pytest.raises(BadTarget):
        read_target(sent)


def test_the_query_stays_as_sent() -> None:
    """`req.url` has all of it, question marks and escapes too."""
    assert read_target("/x?a=%2F&b=?&%c3%a9").query == "a=%2F&b=?&%c3%a9"


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("a=1&a=2&e=&f&p=a+b", {"a": "1,2", "p": "a b"}),
        ("a=&a=1", {"a": "1"}),
        ("%C3%A9=%2F%25", {"é": "/%"}),
        ("a=b=c&&=x", {"a": "b=c", "": "x"}),
        ("a=%FF", {"a": "%FF"}),
    ],
)
def test_query_parameters_lose_what_is_empty_and_join_what_repeats(query: str, params: dict[str, str]) -> None:
    """`?a=1&a=2&e=&f&p=a+b`: e and f are missing."""
    assert read_query(query) == params


@given(st.text())
def test_decoding_undoes_any_escaping_of_utf_8(text: str) -> None:
    """With `slash`, every octet that was escaped comes back."""
    encodable = text.encode("utf-8", "ignore").decode()
    assert decode("".join(f"%{octet:02X}" for octet in encodable.encode()), slash=True) == encodable


@given(st.text(alphabet="/.%2eEfF0ab\\?", max_size=40))
def test_no_dot_segment_survives(text: str) -> None:
    """Whatever is sent, a function sees no `.` and no `..` as a segment."""
    try:
        target = read_target("/" + text)
    except BadTarget:
        return
    assert not {".", ".."} & set(target.path.split("/"))
    assert target.path.startswith("/")

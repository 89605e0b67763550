"""Requests and answers as the platform's host really treats them."""

import azure.functions as func
import pytest
from azure.functions.http import HttpResponseConverter

from shared.errors import BadRequest
from shared.functions.http import (
    FORM_MOST,
    QUERY_MOST,
    Answer,
    cookie,
    cookies_of,
    form_of,
    json_answer,
    query_of,
    redirect,
    wants_page,
)
from tests.functions.bundle import BY_THE_HOST


def request(
    query: str = "", *, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b""
) -> func.HttpRequest:
    return func.HttpRequest(method, f"https://notes.example/api/x{query}", headers=headers or {}, body=body)


def posted(body: bytes, content_type: str = "application/x-www-form-urlencoded") -> func.HttpRequest:
    return request(method="POST", headers={"content-type": content_type}, body=body)


def on_the_wire(answer: Answer) -> dict[str, str]:
    """Headers as the worker hands them to the host."""
    datum = HttpResponseConverter.encode(answer.to_response(), expected_type=None)
    return {name.lower(): header.value for name, header in datum.value["headers"].items()}


# Requests ---------------------------------------------------------------------------------------------------


def test_the_raw_query_is_read_as_sent() -> None:
    """The host drops empty values and joins repeated ones."""
    fields = query_of(request("?a=1&e=&f&p=a+b&u=%C3%A9#frag"))
    assert fields.pairs == (("a", "1"), ("e", ""), ("f", ""), ("p", "a b"), ("u", "é"))
    assert (fields.one("a"), fields.one("e"), fields.one("none"), fields.one("p")) == ("1", None, None, "a b")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?a=1&a=2", "invalid_request"),
        ("?a=" + "x" * 5_000, "invalid_request"),
        ("?a=%00", "invalid_request"),
        ("?a=x%0d%0aSet-Cookie:y", "invalid_request"),
        ("?a=%FF", "invalid_request"),
        ("?a=x%C2%85y", "invalid_request"),
        ("?" + "x" * (QUERY_MOST + 1), "query_too_long"),
        ("?" + "&".join(f"a{n}=1" for n in range(101)), "invalid_request"),
    ],
)
def test_a_parameter_that_cannot_be_meant_is_refused(query: str, code: str) -> None:
    """R-14: told apart from one that is absent, and never guessed at."""
    with pytest.raises(BadRequest) as caught:
        query_of(request(query)).one("a")
    assert caught.value.code == code


def test_a_form_is_read_as_sent() -> None:
    """R-04: response_mode=form_post."""
    fields = form_of(posted(b"code=c%2B1&state=s&error=", "application/x-www-form-urlencoded; charset=utf-8"))
    assert (fields.one("code"), fields.one("state"), fields.one("error")) == ("c+1", "s", None)
    assert not form_of(posted(b"code=1", "application/json"))
    assert not form_of(request(method="POST", body=b"code=1"))


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"a=" + b"x" * FORM_MOST, "form_too_long"), (b"a=\xff", "invalid_request"), (b"a&" * 101, "invalid_request")],
)
def test_a_form_that_is_too_much_is_refused(body: bytes, code: str) -> None:
    """R-14."""
    with pytest.raises(BadRequest) as caught:
        form_of(posted(body))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("a=1; b=2,c=3; d=4", {"a": "1", "b": "2,c=3", "d": "4"}),
        ("a=1;\x1fb=2", {"a": "1", "\x1fb": "2"}),
        ("a=1; a=2", {"a": "1"}),
        ("a=x=y; b; =z; c=", {"a": "x=y", "": "z", "c": ""}),
        ("", {}),
    ],
)
def test_no_cookie_is_read_out_of_another_ones_value(header: str, cookies: dict[str, str]) -> None:
    """R-16: names that begin with `__Secure-` can't be set by http; parts of values can. Of a repeated name the first counts:
    the most specific path comes first (RFC 6265 §5.4)."""
    assert cookies_of(request(headers={"cookie": header})) == cookies


def test_a_person_is_told_from_a_program_by_what_is_accepted() -> None:
    """R-14: pages for the one, problem+json for the other."""
    assert wants_page(request(headers={"accept": "text/html,application/xhtml+xml"}))
    assert not wants_page(request(headers={"accept": "application/json"}))
    assert not wants_page(request())


# Answers ----------------------------------------------------------------------------------------------------


def test_the_host_keeps_every_answer_from_caches_sniffing_frames_and_other_origins() -> None:
    """R-16: host.json says it once, for the host's own answers too."""
    assert BY_THE_HOST == {
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
    }


def test_json_is_written_in_plain_utf_8() -> None:
    assert on_the_wire(json_answer({"ä": 1})) == {"content-type": "application/json"}
    assert json_answer({"ä": 1}).body == '{"ä": 1}'


def test_a_repeated_answer_is_made_once_and_takes_nothing_over_from_another() -> None:
    """What one request's answer is given must not be on the next one's."""
    first = Answer(200, b"{}", "application/json", repeated=True)
    assert first.to_response() is Answer(200, b"{}", "application/json", repeated=True).to_response()
    first.headers["Access-Control-Allow-Origin"] = "https://app.example"
    first.cookies = ["a=b"]
    named = first.to_response()
    assert (named.headers["Access-Control-Allow-Origin"], named.headers["Set-Cookie"]) == ("https://app.example", "a=b")
    plain = Answer(200, b"{}", "application/json", repeated=True)
    for _ in range(2):
        assert on_the_wire(plain) == {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("text/html", "text/html; charset=utf-8"),
        ("text/html; charset=iso-8859-1", "text/html; charset=iso-8859-1"),
        ("text/html;charset=utf-8", "text/html;charset=utf-8"),
        ("application/json; odata.metadata=minimal", "application/json; odata.metadata=minimal"),
        ("image/png", "image/png"),
    ],
)
def test_a_content_type_reaches_the_client_as_it_is(given: str, sent: str) -> None:
    """R-09: the host would put a second charset behind OneNote's own."""
    assert on_the_wire(Answer(200, b"x", given))["content-type"] == sent


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://app.example/a?b=c#d=e%20f", "https://app.example/a?b=c#d=e%20f"),
        ("https://app.example/ä b\r\nSet-Cookie: x", "https://app.example/%C3%A4%20b%0D%0ASet-Cookie:%20x"),
        ("https://app.example/\u2028<>\"'", "https://app.example/%E2%80%A8%3C%3E%22'"),
    ],
)
def test_a_redirect_carries_nothing_that_a_header_cannot(url: str, location: str) -> None:
    """R-14: the host turns such an answer into a bare 500."""
    assert on_the_wire(redirect(url))["location"] == location


def test_several_cookies_are_all_set() -> None:
    """R-04: one header line each."""
    answer = redirect("https://app.example/")
    answer.cookies = [cookie(n, "v", path="/", max_age_s=1, same_site="Lax") for n in ("a", "b")]
    assert len(answer.to_response().headers.get_all("Set-Cookie")) == 2


def test_a_cookie_has_attributes_that_the_host_understands() -> None:
    """It reads Expires in local time, so there is none."""
    text = cookie("a", "v", path="/api", max_age_s=60, same_site="None")
    parts = {p.strip().lower() for p in text.split(";")}
    assert parts == {"a=v", "path=/api", "max-age=60", "secure", "httponly", "samesite=none"}
    with pytest.raises(ValueError, match="name"):
        cookie("a;b", "v", path="/", max_age_s=1, same_site="Lax")

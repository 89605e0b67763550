"""Owns reading a request and shaping an answer as the platform's host really treats them.

The host drops empty query values, joins repeated ones, and lets a repeated header's last value win; so the raw
query is parsed here, and an answer never relies on a header given twice, `Set-Cookie` apart. Headers that are the
same on every answer stand in host.json (`customHeaders`): the host adds them to its own answers too, and for less.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote

import azure.functions as func

from shared.errors import BadRequest

QUERY_MOST = 6_000
VALUE_MOST = 4_000
FORM_MOST = 64_000
_encode = json.JSONEncoder(ensure_ascii=False).encode
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f]")
_LOCATION_SAFE = "%:/?#[]@!$&'()*+,;=-._~"


@dataclass(frozen=True, slots=True)
class Fields:
    """Parameters of a query or a form, as sent: nothing dropped, nothing joined."""

    pairs: tuple[tuple[str, str], ...]

    def one(self, name: str, *, most: int = VALUE_MOST) -> str | None:
        """The value, None where it is absent or empty. Raises BadRequest `invalid_request`."""
        values = [value for key, value in self.pairs if key == name]
        if not values:
            return None
        if len(values) > 1:
            raise BadRequest("invalid_request", f"The parameter {name} stands there more than once.")
        value = values[0]
        if len(value) > most:
            raise BadRequest("invalid_request", f"The parameter {name} is too long.")
        # Before blanks are dropped: line breaks count as blanks.
        if _CONTROL.search(value) or "\ufffd" in value:
            raise BadRequest("invalid_request", f"The parameter {name} holds characters that it can't have.")
        return value.strip() or None

    def prose(self, name: str) -> str:
        """A text for developers, line breaks and all, as Microsoft writes them: to look into, never to show."""
        return next((value for key, value in self.pairs if key == name), "")

    def __bool__(self) -> bool:
        return bool(self.pairs)


NO_FIELDS = Fields(())


def query_of(req: func.HttpRequest) -> Fields:
    """Raises BadRequest `query_too_long`, `invalid_request`."""
    raw = req.url.partition("?")[2]
    if not raw:
        return NO_FIELDS
    raw = raw.partition("#")[0]
    if len(raw) > QUERY_MOST:
        raise BadRequest("query_too_long", f"The query is longer than {QUERY_MOST} characters.")
    return _parse(raw)


def form_of(req: func.HttpRequest) -> Fields:
    """An `application/x-www-form-urlencoded` body. Raises BadRequest."""
    body = req.get_body()
    if len(body) > FORM_MOST:
        raise BadRequest("form_too_long", "The form is too large.")
    if not req.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        return NO_FIELDS
    try:
        return _parse(body.decode("ascii"))
    except UnicodeDecodeError:
        raise BadRequest("invalid_request", "The form is not encoded as a form.") from None


def _parse(raw: str) -> Fields:
    if not raw:
        return NO_FIELDS
    try:
        return Fields(tuple(parse_qsl(raw, keep_blank_values=True, max_num_fields=100)))
    except ValueError:
        raise BadRequest("invalid_request", "There are too many parameters.") from None


def cookies_of(req: func.HttpRequest) -> dict[str, str]:
    """Cookies by name; of a repeated name the first, as the most specific path comes first (RFC 6265 §5.4)."""
    found: dict[str, str] = {}
    # Not at commas, although the host joins several Cookie lines by one: browsers send one line (RFC 6265 §5.4), and a
    # cookie `x=1,__Secure-…=2` may be set by whoever may not set a `__Secure-` one.
    for part in req.headers.get("cookie", "").split(";"):
        name, equals, value = part.strip(" \t").partition("=")
        if equals and name not in found:
            found[name] = value
    return found


def wants_page(req: func.HttpRequest) -> bool:
    """Whether a person's browser asks, rather than a program."""
    return "text/html" in req.headers.get("accept", "")


@dataclass(slots=True)
class Answer:
    """An answer before it is handed to the host."""

    status: int
    body: str | bytes = b""
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    repeated: bool = False
    """Whether the very same answer is given many times: then its response is made once."""

    def to_response(self) -> func.HttpResponse:
        if self.repeated and not self.headers and not self.cookies:
            return _made_once(self.status, self.body, self.content_type)
        headers = self.headers
        if self.content_type and (";" in self.content_type or not self.content_type.startswith("text/")):
            # Said in full: the worker puts a charset after whatever begins with text/, and takes long to find that a
            # header is missing.
            headers = {"Content-Type": self.content_type, **headers}
        # The host would call an answer without a type text/plain.
        response = func.HttpResponse(self.body, status_code=self.status, mimetype=self.content_type, headers=headers)
        for cookie in self.cookies:
            response.headers.add("Set-Cookie", cookie)
        return response


@lru_cache(maxsize=1_000)
def _made_once(status: int, body: str | bytes, content_type: str | None) -> func.HttpResponse:
    """The worker only reads a response that lacks nothing, so that one can serve many requests."""
    return Answer(status, body, content_type).to_response()


def json_answer(value: Mapping[str, Any], status: int = 200, content_type: str = "application/json") -> Answer:
    return Answer(status, json_text(value), content_type)


def json_text(value: Mapping[str, Any]) -> str:
    return _encode(value)


def redirect(url: str, status: int = 302) -> Answer:
    """`url` may hold anything: what a header can't carry is percent-encoded."""
    return Answer(status, headers={"Location": quote(url, safe=_LOCATION_SAFE)})


def cookie(name: str, value: str, *, path: str, max_age_s: int, same_site: str, http_only: bool = True) -> str:
    """A `Set-Cookie` value that the host passes on whole: Max-Age, as it reads Expires in local time."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar[name] = value
    except CookieError as error:
        raise ValueError("not a cookie's name") from error
    morsel = jar[name]
    morsel["path"] = path
    morsel["max-age"] = max_age_s
    morsel["secure"] = True
    morsel["httponly"] = http_only
    morsel["samesite"] = same_site
    return morsel.OutputString()

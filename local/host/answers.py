"""Owns what becomes of a function's answer: status, headers, cookies and body as the platform's host puts them
on the wire. Pure.
"""

import re
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from local.host.messages import LAX, NONE, STRICT

_TEXT = "text/plain; charset=utf-8"
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_SAME_SITE = {LAX: "lax", STRICT: "strict", NONE: "none"}


class BadAnswer(Exception):
    """Something that cannot be put on the wire: the whole answer becomes a bare 500."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Headers in the order they are sent."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def read_answer(returned: Any) -> Answer:
    """From what the worker returned for an HTTP function: TypedData with http or string. Raises BadAnswer."""
    kind = returned.WhichOneof("data") if returned is not None else None
    if kind == "string":
        return Answer(200, [("Content-Type", _TEXT)], returned.string.encode())
    if kind != "http":
        raise BadAnswer
    http = returned.http
    last = {name.lower(): (name, value) for name, value in http.headers.items()}
    last.setdefault("content-type", ("Content-Type", _TEXT))
    headers = list(last.values())
    headers.extend(("Set-Cookie", cookie_line(cookie)) for cookie in http.cookies or ())
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadAnswer
    return Answer(int(http.status_code), headers, http.body.bytes)


def cookie_line(cookie: Any) -> str:
    """A cookie as .NET's SetCookieHeaderValue writes it: the value percent-encoded, attributes in lower case
    and in a fixed order, an empty domain kept.
    """
    parts = [f"{cookie.name}={quote(cookie.value, safe='')}"]
    if cookie.expires is not None:
        parts.append(f"expires={formatdate(cookie.expires.value.seconds, usegmt=True)}")
    if cookie.max_age is not None:
        parts.append(f"max-age={int(cookie.max_age.value)}")
    if cookie.domain is not None:
        parts.append(f"domain={cookie.domain.value}")
    if cookie.path is not None:
        parts.append(f"path={cookie.path.value}")
    if cookie.secure is not None and cookie.secure.value:
        parts.append("secure")
    if cookie.same_site in _SAME_SITE:
        parts.append(f"samesite={_SAME_SITE[cookie.same_site]}")
    if cookie.http_only is not None and cookie.http_only.value:
        parts.append("httponly")
    return "; ".join(parts)

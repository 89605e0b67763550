"""Owns what of Graph's answers passes: which headers, sandboxed how, with links that lead back, errors explained.

What passes is other people's HTML on our cookie's origin, so every answer is sandboxed, and what is neither a page,
JSON nor an image comes as an attachment.
"""

import base64
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from shared import scopes
from shared.challenges import claims_of
from shared.functions.handling import Call, login_url, safe_return
from shared.functions.http import Answer
from shared.model import NotesAnswer, NotesCall, Stored
from shared.onenote_batch import Batch, answers_of, batch_answer, challenge_in, lower_headers
from shared.onenote_errors import code_in, explain, parsed
from shared.onenote_links import Links

_FROM_GRAPH = (
    "accept-ranges",
    "client-request-id",
    "content-disposition",
    "content-language",
    "content-range",
    "etag",
    "last-modified",
    "preference-applied",
    "request-id",
    "retry-after",
    "x-ms-ags-diagnostic",
)
_LINKS = ("location", "operation-location")
_SANDBOX = "sandbox allow-same-origin; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'"
# To the end: of several types in one header, browsers take the last. And no image in XML, which can be a program.
_PARAMETERS = r"\s*(?:;[^,]*)?"
_PICTURE = r"image/(?!svg)[\w.-]+"
_IMAGE = re.compile(_PICTURE + _PARAMETERS, re.IGNORECASE)
_SHOWN = re.compile(
    rf"(?:application/json|text/html|text/plain|application/xhtml\+xml|{_PICTURE}){_PARAMETERS}", re.IGNORECASE
)
_JSON = re.compile(r"application/json", re.IGNORECASE)
_HTML = re.compile(r"(?:text/html|application/xhtml\+xml|application/xml)", re.IGNORECASE)
_GRAPH = "https://graph.microsoft.com"


def passed_on(call: Call, stored: Stored, note: NotesCall, given: NotesAnswer, *, resource: bool = False) -> Answer:
    """Graph's answer to one call, as the caller gets it. `resource`: it was for somebody's file."""
    links = _links(call)
    content_type = _clean(given.headers.get("content-type", ""))
    body = given.body
    # A file is handed on as it is, whatever type it claims, and shown only as a picture.
    resource = resource and given.status < 400
    if not resource:
        body = _led_back(links, body, content_type)
    headers = _headers(links, given.headers)
    headers["Content-Security-Policy"] = _SANDBOX
    if body and not (_IMAGE if resource else _SHOWN).fullmatch(content_type):
        # Also where Graph says "inline"; a file name stays.
        headers["content-disposition"] = re.sub(r"\A[^;]*", "attachment", headers.get("content-disposition", ""))
    answer = Answer(given.status, body, content_type or None, headers)
    if given.status >= 400:
        error = parsed(body)
        added = _explanation(call, stored, given.status, error, note.method, note.target.partition("?")[0])
        if added and isinstance(error, dict):
            answer.body = json.dumps(_explained(error, headers, added))
    return answer


def batch_passed_on(call: Call, stored: Stored, batch: Batch, given: NotesAnswer) -> Answer:
    """Graph's answer to a batch: each of its answers as a single call's would have passed."""
    answers = answers_of(given)
    if answers is None:
        return passed_on(call, stored, batch.call(), given)
    links = _links(call)
    asked = {one.id: one for one in batch.inner}
    responses: list[dict[str, Any]] = []
    for one in answers:
        headers = lower_headers(one)
        content_type = headers.get("content-type", "")
        status, body = one.get("status"), one.get("body")
        if isinstance(body, str):
            body = _text_led_back(links, body, content_type)
        shown = _headers(links, headers)
        inner = asked.get(str(one.get("id")))
        if inner and isinstance(status, int) and status >= 400 and isinstance(body, dict):
            path = batch.version + inner.url.partition("?")[0]
            added = _challenged(call, one) or _explanation(call, stored, status, body, inner.method, path)
            if added:
                body = _explained(body, shown, added)
        if content_type:
            shown["content-type"] = _clean(content_type)
        responses.append({"id": one.get("id"), "status": status, "headers": _as_spelled(one, shown), "body": body})
    answer = passed_on(call, stored, batch.call(), batch_answer(responses))
    answer.headers = {**_headers(links, given.headers), **answer.headers}
    return answer


def _links(call: Call) -> Links:
    return _links_between(call.settings.graph_base_url, call.settings.public_base_url)


@lru_cache(maxsize=8)
def _links_between(graph: str, public: str) -> Links:
    # Graph names its usual address in links, by whatever other address it was reached.
    return Links((graph, _GRAPH), public + "/api/graph")


def _led_back(links: Links, body: bytes, content_type: str) -> bytes:
    if _JSON.match(content_type):
        return links.in_json(body)
    return links.in_html(body) if _HTML.match(content_type) else body


def _text_led_back(links: Links, body: str, content_type: str) -> str:
    """A body in a batch that is no JSON: text, or in base64."""
    if not _HTML.match(content_type):
        return body
    try:
        plain = base64.b64decode(body, validate=True)
    except ValueError:
        # What JSON may hold and UTF-8 may not passes all the same.
        return links.in_html(body.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
    return base64.b64encode(links.in_html(plain)).decode()


def _headers(links: Links, theirs: Mapping[str, str]) -> dict[str, str]:
    headers = {name: _clean(theirs[name]) for name in _FROM_GRAPH if name in theirs}
    for name in _LINKS:
        if name in theirs and (address := links.one(theirs[name])):
            headers[name] = _clean(address)
    return headers


def _as_spelled(one: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, str]:
    """Names as Graph writes them: in JSON their case counts, and Microsoft's clients look for `Content-Type`."""
    given = one.get("headers")
    spelled = {str(name).lower(): str(name) for name in given} if isinstance(given, dict) else {}
    return {spelled.get(name, name.title()): value for name, value in headers.items()}


type _Added = tuple[dict[str, str], int | None]
"""Plain words for an error, and seconds after which to try again."""


def _explained(error: Mapping[str, Any], headers: dict[str, str], added: _Added) -> dict[str, Any]:
    """The error with the words, and the wait among its headers unless Graph has named one."""
    words, wait_s = added
    if wait_s:
        headers.setdefault("retry-after", str(wait_s))
    return {**error, "explanation": words}


def _explanation(call: Call, stored: Stored, status: int, body: Any, method: str, path: str) -> _Added | None:
    """What OneNote's own error means; what it said stays as it is, so that Graph's clients still read it."""
    found = explain(status, code_in(body), method=method, path=path, held=stored.record.grant.scopes)
    if found is None:
        return None
    words = {"code": found.code, "detail": found.detail}
    if found.scope:
        words["scope"] = found.scope
        if scopes.covers(call.settings.allowed_scopes, found.scope):
            url = login_url(call.settings, _here(call))
            words["login_url"] = url + "&" + urlencode({"scope": found.scope})
        else:
            words["detail"] += " This app's operator does not let it ask for that."
    return words, found.retry_after_s


def _challenged(call: Call, one: Mapping[str, Any]) -> _Added | None:
    challenge = challenge_in([one])
    if challenge is None:
        return None
    detail = "Microsoft wants a further proof that it is this person: send them to login_url."
    url = login_url(call.settings, _here(call), claims=claims_of(challenge))
    return {"code": "reauth_required", "detail": detail, "login_url": url}, None


def _here(call: Call) -> str | None:
    return safe_return(call.settings, call.req.headers.get("referer"))


def _clean(value: str) -> str:
    """The host turns an answer with a bad header value into a bare 500."""
    if value.isascii() and value.isprintable():
        return value
    return value.encode("ascii", "ignore").decode().replace("\r", " ").replace("\n", " ").replace("\0", "")

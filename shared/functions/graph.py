"""Owns the pass-through: Graph's own paths, methods and answers, with links that come back through us (R-09).

What passes is other people's HTML on our cookie's origin, so every answer is sandboxed, and what is neither a page,
JSON nor an image comes as an attachment.
"""

import json
import re
from urllib.parse import urlencode

import azure.functions as func

from shared.errors import BadRequest
from shared.functions.handling import Call, Route, blueprint_of, login_url, safe_return
from shared.functions.http import Answer
from shared.functions.problems import Problem, new_ref, problem_answer
from shared.model import NotesAnswer, NotesCall, Stored
from shared.onenote_errors import error_code, explain
from shared.parts import PartsNow
from shared.usecases.notes import check_path

_TARGET = re.compile(r"https?://[^/]*(?:/[^?]*?)??/api/graph/(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?", re.IGNORECASE)
_TO_GRAPH = (
    "accept",
    "accept-language",
    "client-request-id",
    "consistencylevel",
    "content-type",
    "if-match",
    "if-none-match",
    "prefer",
)
_FROM_GRAPH = (
    "client-request-id",
    "content-disposition",
    "content-language",
    "etag",
    "preference-applied",
    "request-id",
    "retry-after",
)
_SANDBOX = "sandbox allow-same-origin; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'"
_IMAGE = re.compile(r"image/(?!svg)", re.IGNORECASE)
_SHOWN = re.compile(r"(?:application/json|text/html|text/plain|application/xhtml\+xml|image/(?!svg))", re.IGNORECASE)
_RESOURCE = re.compile(r"[^?]*/onenote/resources/", re.IGNORECASE)
_WITH_LINKS = re.compile(r"(?:application/json|text/html|application/xhtml\+xml|application/xml)", re.IGNORECASE)


async def graph(call: Call) -> Answer:
    """One OneNote call for whoever is signed in. The path is checked before the session."""
    match = _TARGET.match(call.req.url)
    if match is None:
        raise BadRequest("path_not_allowed", "Only OneNote paths pass, for example v1.0/me/onenote/notebooks.")
    path, query = match["path"].rstrip("/"), match["query"]
    check_path(path)
    if "transfer-encoding" in call.req.headers:
        # The host delivers a chunked body empty, silently.
        detail = "Send the body with a Content-Length, not chunked."
        return problem_answer(Problem(411, "length_required", detail, new_ref()))
    if call.req.method != "GET":
        call.check_origin()
    read = await call.session()
    headers = tuple((name, call.req.headers[name]) for name in _TO_GRAPH if name in call.req.headers)
    note = NotesCall(
        method=call.req.method,
        target=path + (f"?{query}" if query else ""),
        headers=headers,
        body=call.req.get_body() if call.req.method in ("POST", "PATCH", "PUT") else b"",
    )
    stored, answer = await call.parts.notes.send(read.session.ref, note, just_made=call.cookies.just_made(read))
    call.parts.sessions.seen(stored)
    passed = _pass_on(call, note, answer)
    if answer.status >= 400:
        _explain(call, stored, note, answer, passed)
    if call.cookies.reissue_due(read):
        passed.cookies = [await call.cookies.set_session(read.session)]
    return passed


def _pass_on(call: Call, note: NotesCall, answer: NotesAnswer) -> Answer:
    ours = call.settings.public_base_url + "/api/graph"
    theirs = call.settings.graph_base_url
    content_type = answer.headers.get("content-type", "")
    body = answer.body
    # A resource is somebody's file, whatever type it claims: handed on as it is, and shown only as a picture.
    resource = answer.status < 400 and _RESOURCE.match(note.target)
    if not resource and _WITH_LINKS.match(content_type):
        body = _rewritten(body, theirs, ours)
    headers = {name: answer.headers[name] for name in _FROM_GRAPH if name in answer.headers}
    location = answer.headers.get("location", "")
    if location.startswith(theirs + "/"):
        headers["location"] = ours + location[len(theirs) :]
    headers["Content-Security-Policy"] = _SANDBOX
    if body and not (_IMAGE if resource else _SHOWN).match(content_type):
        # Also where Graph says "inline"; a file name stays.
        headers["content-disposition"] = re.sub(r"\A[^;]*", "attachment", headers.get("content-disposition", ""))
    return Answer(answer.status, body, content_type or None, {k: _clean(v) for k, v in headers.items()})


def _explain(call: Call, stored: Stored, note: NotesCall, answer: NotesAnswer, passed: Answer) -> None:
    """Add plain words to OneNote's own error; what it said stays as it is, so that Graph's clients still read it."""
    explanation = explain(
        answer.status,
        error_code(answer.body),
        method=note.method,
        path=note.target.partition("?")[0],
        held=stored.record.grant.scopes,
    )
    if explanation is None:
        return
    if explanation.retry_after_s and "retry-after" not in passed.headers:
        passed.headers["retry-after"] = str(explanation.retry_after_s)
    words = {"code": explanation.code, "detail": explanation.detail}
    if explanation.scope:
        referer = safe_return(call.settings, call.req.headers.get("referer"))
        words["scope"] = explanation.scope
        words["login_url"] = login_url(call.settings, referer) + "&" + urlencode({"scope": explanation.scope})
    try:
        body = json.loads(passed.body)
    except ValueError:
        body = None
    if isinstance(body, dict):
        passed.body = json.dumps({**body, "explanation": words}, ensure_ascii=False)


def _rewritten(body: bytes, theirs: str, ours: str) -> bytes:
    """Links to Graph as links to us: where a value begins with one, in JSON and in HTML attributes alike."""
    for quote in (b'"', b"'"):
        for version in (b"/v1.0/", b"/beta/"):
            body = body.replace(quote + theirs.encode() + version, quote + ours.encode() + version)
    return body


def _clean(value: str) -> str:
    """The host turns an answer with a bad header value into a bare 500."""
    return value.encode("ascii", "ignore").decode().replace("\r", " ").replace("\n", " ").replace("\0", "")


def blueprint(parts_now: PartsNow) -> func.Blueprint:
    methods = ("GET", "POST", "PATCH", "PUT", "DELETE")
    return blueprint_of(parts_now, (Route(name="graph_call", path="graph/{*path}", methods=methods, handler=graph),))

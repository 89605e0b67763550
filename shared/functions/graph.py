"""Owns the pass-through's one route: Graph's own paths and methods for whoever is signed in (R-09).

What can't pass is refused here, before the session is looked up and before anything leaves for Graph. A body's
content type is Graph's affair: it knows best which it takes, and says so. What passes back is `graph_answers`'.
"""

import re

import azure.functions as func

from shared.errors import BadRequest
from shared.functions.cookies import just_made
from shared.functions.graph_answers import batch_passed_on, passed_on
from shared.functions.handling import GRAPH_HEADERS, Call, Route, blueprint_of
from shared.functions.http import Answer
from shared.functions.problems import Problem, new_ref, problem_answer
from shared.model import NotesCall
from shared.onenote_batch import METHODS, read_batch
from shared.onenote_paths import batch_version, check_path, is_resource
from shared.parts import PartsNow

_SENT = frozenset(GRAPH_HEADERS)
_NO_RANGES = _SENT - {"range", "if-range"}
_BATCH_MOST = 4 << 20
"""Bytes, as Graph takes; and JSON takes more room than its text."""

_TARGET = re.compile(r"https?://[^/]*(?:/[^?]*?)??/api/graph/(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?", re.IGNORECASE)


async def graph(call: Call) -> Answer:
    """One OneNote call, or a batch of them."""
    match = _TARGET.match(call.req.url)
    path, query = (match["path"].rstrip("/"), match["query"]) if match else ("", None)
    version = batch_version(path)
    if version is None:
        check_path(path)
    method = call.req.method
    body = call.req.get_body() if method in ("POST", "PATCH", "PUT") else b""
    if problem := _unfit(call, body, batch=version is not None):
        return problem_answer(problem)
    if method != "GET":
        call.check_origin()
    if version is not None and method != "POST":
        raise BadRequest("invalid_batch", "A batch is sent with POST.")
    read = await call.session()
    age = call.cookies.age(read)
    resource, sent = is_resource(path), call.req.headers
    # What is rewritten on its way back has no ranges of bytes.
    names = _SENT if resource else _NO_RANGES
    headers = tuple([(name, sent[name]) for name in sent if name in names])
    if version is not None:
        # After the cookie was looked at: reading a large batch is work that nobody gets for nothing.
        batch = read_batch(version, body, _NO_RANGES)
        stored, given = await call.parts.notes.send_batch(read.ref, batch, headers, just_made=just_made(age))
        answer = batch_passed_on(call, stored, batch, given)
    else:
        note = NotesCall(method=method, target=path + (f"?{query}" if query else ""), headers=headers, body=body)
        stored, given = await call.parts.notes.send(read.ref, note, just_made=just_made(age))
        answer = passed_on(call, stored, note, given, resource=resource)
    call.parts.sessions.seen(stored)
    if call.cookies.reissue_due(age):
        answer.cookies = [await call.cookies.set_session(read.session)]
    return answer


def _unfit(call: Call, body: bytes, *, batch: bool) -> Problem | None:
    if "transfer-encoding" in call.req.headers:
        # The host delivers a chunked body empty, silently.
        return Problem(411, "length_required", "Send the body with a Content-Length, not chunked.", new_ref())
    most = call.settings.graph_body_max_bytes
    if batch:
        most = min(most, _BATCH_MOST)
    if len(body) > most:
        return Problem(413, "body_too_large", f"A body has at most {most} bytes here.", new_ref())
    return None


def blueprint(parts_now: PartsNow) -> func.Blueprint:
    route = Route(name="graph_call", path="graph/{*path}", methods=METHODS, handler=graph, raw_query=True)
    return blueprint_of(parts_now, (route,))

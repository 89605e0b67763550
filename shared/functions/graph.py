"""Owns the pass-through's one route: Graph's own paths and methods for whoever is signed in (R-09).

What can't pass is refused here, before the session is looked at and before anything leaves for Graph. A body's
content type is Graph's affair: it knows best which it takes, and says so. What passes back is `graph_answers`'.
"""

import re

import azure.functions as func

from shared.errors import BadRequest
from shared.functions.graph_answers import batch_passed_on, passed_on
from shared.functions.handling import GRAPH_HEADERS, Call, Route, blueprint_of
from shared.functions.http import Answer
from shared.functions.problems import Problem, new_ref, problem_answer
from shared.model import NotesCall
from shared.onenote_batch import METHODS, read_batch
from shared.onenote_paths import batch_version, check_path
from shared.parts import PartsNow

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
    if problem := _unfit(call, body):
        return problem_answer(problem)
    if method != "GET":
        call.check_origin()
    batch = None
    if version is not None:
        if method != "POST":
            raise BadRequest("invalid_batch", "A batch is sent with POST.")
        batch = read_batch(version, body, GRAPH_HEADERS)
    read = await call.session()
    ref, just_made = read.ref, call.cookies.just_made(read)
    headers = tuple((name, call.req.headers[name]) for name in call.req.headers if name in GRAPH_HEADERS)
    if batch:
        stored, given = await call.parts.notes.send_batch(ref, batch, headers, just_made=just_made)
        answer = batch_passed_on(call, stored, batch, given)
    else:
        note = NotesCall(method=method, target=path + (f"?{query}" if query else ""), headers=headers, body=body)
        stored, given = await call.parts.notes.send(ref, note, just_made=just_made)
        answer = passed_on(call, stored, note, given)
    call.parts.sessions.seen(stored)
    if call.cookies.reissue_due(read):
        answer.cookies = [await call.cookies.set_session(read.session)]
    return answer


def _unfit(call: Call, body: bytes) -> Problem | None:
    if "transfer-encoding" in call.req.headers:
        # The host delivers a chunked body empty, silently.
        return Problem(411, "length_required", "Send the body with a Content-Length, not chunked.", new_ref())
    most = call.settings.graph_body_max_bytes
    if len(body) > most:
        return Problem(413, "body_too_large", f"A body has at most {most} bytes here.", new_ref())
    return None


def blueprint(parts_now: PartsNow) -> func.Blueprint:
    return blueprint_of(parts_now, (Route(name="graph_call", path="graph/{*path}", methods=METHODS, handler=graph),))

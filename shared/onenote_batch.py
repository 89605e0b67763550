"""Owns batches of OneNote calls: what a batch may hold, which of its calls go out once more, how answers are joined.

Every call in a batch obeys the rule that a single one obeys. A batch is written anew from what was read: what was
checked is what Graph gets, whatever else its text said. Pure.
Source: "Combine multiple HTTP requests using JSON batching" (Microsoft Graph).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.challenges import wants_claims
from shared.errors import BadRequest
from shared.model import NotesAnswer, NotesCall
from shared.onenote_errors import about_the_token
from shared.onenote_paths import check_path

MOST = 20
"""Calls in one batch, as Graph allows."""

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """One call of a batch. `url` begins with a slash and has no version; `body` is any JSON value."""

    id: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: Any = field(default=None, repr=False)
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    version: str
    inner: tuple[Inner, ...]

    def call(self, headers: tuple[tuple[str, str], ...] = ()) -> NotesCall:
        """The one request for Graph that this batch is."""
        named = (*((n, v) for n, v in headers if n != "content-type"), ("content-type", "application/json"))
        body = json.dumps({"requests": [_written(one) for one in self.inner]}).encode()
        return NotesCall(method="POST", target=f"{self.version}/$batch", headers=named, body=body)

    def refused(self, answers: Collection[dict[str, Any]]) -> "Batch | None":
        """What was not done because its token was refused, and what waited for that; None where nothing was."""
        again = {str(one.get("id")) for one in answers if token_refused(one)}
        failed = {str(one.get("id")) for one in answers if one.get("status") == 424}
        while waited := {o.id for o in self.inner if o.id in failed - again and not again.isdisjoint(o.depends_on)}:
            again |= waited
        left = tuple(
            # What it waited for and was done is no part of the second batch.
            replace(one, depends_on=tuple(name for name in one.depends_on if name in again))
            for one in self.inner
            if one.id in again
        )
        return replace(self, inner=left) if left else None

    def unanswered(self) -> list[dict[str, Any]]:
        """What stands for answers that were lost: its calls may have been done."""
        error = {"error": {"code": "graph_timeout", "message": "Microsoft Graph gave no whole answer in time."}}
        return [{"id": one.id, "status": 504, "headers": {}, "body": error} for one in self.inner]


def read_batch(version: str, body: bytes, headers: Collection[str]) -> Batch:
    """`headers` are the names that a call may have, in lower case; others are left out, as from a single call.

    Raises BadRequest `invalid_batch`, `path_not_allowed`.
    """
    try:
        given = json.loads(body)
        requests = given["requests"]
    except (ValueError, RecursionError, KeyError, TypeError):
        requests = None
    if not isinstance(requests, list) or not 1 <= len(requests) <= MOST:
        raise BadRequest("invalid_batch", f'A batch is JSON: {{"requests": […]}} with 1 to {MOST} calls.')
    inner = tuple(_inner(version, one, headers) for one in requests)
    if len({one.id for one in inner}) < len(inner):
        raise BadRequest("invalid_batch", "Each call of a batch has an id of its own.")
    return Batch(version=version, inner=inner)


def answers_of(answer: NotesAnswer) -> list[dict[str, Any]] | None:
    """The answers in a batch's answer; None where it is none."""
    try:
        responses = json.loads(answer.body)["responses"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    if answer.status != 200 or not isinstance(responses, list):
        return None
    return [one for one in responses if isinstance(one, dict)]


def token_refused(one: Mapping[str, Any]) -> bool:
    return one.get("status") == 401 and about_the_token(one.get("body"))


def challenge_in(answers: Collection[Mapping[str, Any]]) -> str | None:
    """The first claims challenge among the answers, as its header words it."""
    for one in answers:
        text = lower_headers(one).get("www-authenticate", "")
        if one.get("status") == 401 and wants_claims(text):
            return text
    return None


def lower_headers(one: Mapping[str, Any]) -> dict[str, str]:
    headers = one.get("headers")
    return {str(n).lower(): str(v) for n, v in headers.items()} if isinstance(headers, dict) else {}


def joined(first: Collection[dict[str, Any]], second: Collection[dict[str, Any]]) -> NotesAnswer:
    """One answer: of what was sent twice, the second counts."""
    newer = {str(one.get("id")): one for one in second}
    responses = [newer.get(str(one.get("id")), one) for one in first]
    return batch_answer(responses)


def batch_answer(responses: Collection[dict[str, Any]]) -> NotesAnswer:
    body = json.dumps({"responses": list(responses)}).encode()
    return NotesAnswer(status=200, headers={"content-type": "application/json"}, body=body)


def _inner(version: str, given: Any, names: Collection[str]) -> Inner:
    if not isinstance(given, dict):
        raise BadRequest("invalid_batch", "Each call of a batch is an object.")
    name, method, url = given.get("id"), given.get("method"), given.get("url")
    if not isinstance(name, str) or not 1 <= len(name) <= 100:
        raise BadRequest("invalid_batch", "Each call of a batch has an id, a text.")
    if not isinstance(method, str) or method.upper() not in METHODS:
        raise BadRequest("invalid_batch", f"The method of a call in a batch is one of {', '.join(METHODS)}.")
    if not isinstance(url, str) or "#" in url or not url.isascii() or not url.isprintable() or " " in url:
        raise BadRequest("invalid_batch", "The url of a call in a batch is a path below the version, percent-encoded.")
    path, question, query = url.removeprefix("/").partition("?")
    check_path(f"{version}/{path}")
    headers = given.get("headers") or {}
    depends_on = given.get("dependsOn") or []
    if not isinstance(headers, dict) or not isinstance(depends_on, list):
        raise BadRequest("invalid_batch", "headers is an object and dependsOn a list.")
    return Inner(
        id=name,
        method=method.upper(),
        url=f"/{path}{question}{query}",
        headers={n: v for n, v in headers.items() if n.lower() in names and _plain(v)},
        body=given.get("body"),
        depends_on=tuple(str(other) for other in depends_on),
    )


def _plain(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _written(one: Inner) -> dict[str, Any]:
    written: dict[str, Any] = {"id": one.id, "method": one.method, "url": one.url}
    if one.headers:
        written["headers"] = dict(one.headers)
    if one.body is not None:
        written["body"] = one.body
    if one.depends_on:
        written["dependsOn"] = list(one.depends_on)
    return written

"""Owns errors as programs read them: `application/problem+json` (RFC 9457) with a stable `code`."""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared import log
from shared.errors import (
    AnswerTooLarge,
    BadRequest,
    BundleError,
    Forbidden,
    Misconfigured,
    NotesTimedOut,
    NotSignedIn,
    ReauthRequired,
    SessionEnded,
    SessionUnknown,
    SignInFailed,
    TooManyCalls,
    Unavailable,
)
from shared.functions.http import Answer, json_answer
from shared.functions.texts import text_for

_STATUS: tuple[tuple[type[BundleError], int], ...] = (
    (BadRequest, 400),
    (NotSignedIn, 401),
    (SessionUnknown, 401),
    (SessionEnded, 401),
    (ReauthRequired, 401),
    (Forbidden, 403),
    (SignInFailed, 400),
    (Misconfigured, 503),
    (AnswerTooLarge, 502),
    (NotesTimedOut, 504),
    (TooManyCalls, 429),
    (Unavailable, 503),
)
_DETAILS = {
    "not_signed_in": "Nobody is signed in here. Send the person to /api/auth/login.",
    "reauth_required": "The person must sign in again. Send them to reconnect_url.",
    "misconfigured": "The app is not set up right; its operator finds the cause in the log.",
    "store_unavailable": "The token vault can't be asked right now; nothing was lost. Try again.",
    "provider_unavailable": "The identity provider can't be asked right now; nothing was lost. Try again.",
    "graph_unavailable": "Microsoft Graph can't be asked right now. Try again.",
    "graph_timeout": "Microsoft Graph gave no whole answer in time. A write may have been done all the same: look first.",
    "too_many_calls": "This person has too many OneNote calls under way. Nothing was sent; try again in a moment.",
    "answer_too_large": "Microsoft Graph's answer is larger than this app passes on. Ask for less at a time.",
}


@dataclass(frozen=True, slots=True)
class Problem:
    status: int
    code: str
    detail: str
    ref: str
    retry_after_s: float | None = None
    reason: str | None = None


def problem_of(error: Exception) -> Problem:
    """What may be said of an error; what may not goes to the log under the same reference."""
    ref = new_ref()
    if not isinstance(error, BundleError):
        log.error("unexpected_error", ref=ref, type=type(error).__name__)
        return Problem(500, "internal_error", "Something went wrong on our side. Try again.", ref)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    detail = getattr(error, "detail", None) or _DETAILS.get(error.code) or text_for(error.code, "en").body
    if status >= 500:
        log.error("answered_with_error", ref=ref, code=error.code, cause=str(error))
    elif isinstance(error, SignInFailed):
        _log_sign_in(error, ref)
    return Problem(
        status,
        "not_signed_in" if isinstance(error, SessionUnknown | SessionEnded) else error.code,
        detail,
        ref,
        retry_after_s=(error.retry_after_s or 5) if isinstance(error, Unavailable) else None,
        reason=error.reason if isinstance(error, ReauthRequired) else None,
    )


def _log_sign_in(error: SignInFailed, ref: str) -> None:
    """The person reads `ref` out: it must be in the log, and loud where it is not theirs to mend."""
    cause = error.__cause__
    loud = isinstance(cause, Unavailable | Misconfigured)
    level = logging.ERROR if loud else logging.INFO
    log.event("sign_in_failed", level=level, ref=ref, code=error.code, cause=str(cause) if loud else None)


def problem_answer(problem: Problem, *, reconnect_url: str | None = None, findings: Sequence[str] = ()) -> Answer:
    """`findings` are for the operator's eyes: only keyed routes show them."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": problem.code.replace("_", " ").capitalize(),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "ref": problem.ref,
    }
    if problem.reason:
        body["reason"] = problem.reason
    if findings:
        body["findings"] = list(findings)
    if reconnect_url:
        body["reconnect_url"] = reconnect_url
    answer = json_answer(body, problem.status, "application/problem+json")
    if problem.retry_after_s is not None:
        answer.headers["Retry-After"] = str(max(1, round(problem.retry_after_s)))
    return answer


def new_ref() -> str:
    """A reference that a person can read out, and that the operator finds in the log."""
    return secrets.token_hex(6)

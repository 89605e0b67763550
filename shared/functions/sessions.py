"""Owns the routes about sessions that exist: who is signed in, my sessions, the opt-in token."""

from datetime import datetime
from functools import lru_cache
from typing import Any

import azure.functions as func

from shared.errors import BadRequest, Forbidden, NotSignedIn, ReauthRequired
from shared.functions.cookies import SESSION, just_made
from shared.functions.handling import Call, Route, blueprint_of, safe_return
from shared.functions.http import Answer, json_answer, json_text
from shared.model import Account, AccountKind, Health, Stored
from shared.parts import PartsNow

CONSENT_PAGES = {
    "personal": "https://account.live.com/consent/Manage",
    "work": "https://myapps.microsoft.com",
}
"""Where people take consent back, by account kind (R-13)."""


async def session(call: Call) -> Answer:
    """Who is signed in. `signed_in: false` is an answer, not an error; a vault that can't be asked is a 503."""
    read = await call.cookies.session(call.sent.get(SESSION))
    if read is None:
        return _nobody(call)
    age = call.cookies.age(read)
    try:
        stored = await call.parts.sessions.get(read.ref, just_made=just_made(age))
    except NotSignedIn:
        return _nobody(call)
    except ReauthRequired as error:
        return json_answer({"signed_in": False, "health": _ended_health(call, error.reason)})
    call.parts.sessions.seen(stored)
    answer = Answer(200, _signed_in(call, stored), "application/json", repeated=True)
    if call.cookies.reissue_due(age):
        answer.cookies = [await call.cookies.set_session(read.session)]
    return answer


async def sessions(call: Call) -> Answer:
    """GET: the account's sessions. DELETE: sign out everywhere."""
    read = await call.session()
    stored = await call.parts.sessions.get(read.ref)
    account_hash = stored.record.marks.account_hash
    if call.req.method == "DELETE":
        call.check_origin()
        ended = await call.parts.sign_out.everywhere(account_hash)
        await call.parts.sign_out.session(read.ref)
        answer = json_answer({"ended": max(1, ended)})
        answer.cookies = [call.cookies.clear_session()]
        return answer
    found = [
        {"current": other.ref == read.ref, **times(other), "health": health(call, other)}
        for other in await call.parts.accounts.living(account_hash)
        if other.record.account.home_account_id == stored.record.account.home_account_id
    ]
    return json_answer({"sessions": sorted(found, key=lambda s: s["created_at"], reverse=True)})


async def token(call: Call) -> Answer:
    """A valid access token for a front end of the operator's own, never a refresh token (R-16)."""
    if not call.settings.expose_access_token:
        raise Forbidden("token_not_exposed", "AUTH_EXPOSE_ACCESS_TOKEN is off: call Graph through /api/graph instead.")
    call.check_origin()
    read = await call.session()
    stored = await call.parts.engine.usable(
        read.ref, min_validity_s=min_validity(call), just_made=just_made(call.cookies.age(read))
    )
    call.parts.sessions.seen(stored)
    return json_answer(token_body(stored))


def token_body(stored: Stored) -> dict[str, Any]:
    grant = stored.record.grant
    return {
        "access_token": grant.access_token,
        "expires_at": rfc3339(grant.expires_at),
        "scopes": grant.scopes,
    }


def min_validity(call: Call) -> float:
    text = call.query.one("min_validity", most=6)
    if text is None:
        return 120
    if not text.isascii() or not text.isdigit() or int(text) > 3_000:
        raise BadRequest("invalid_request", "min_validity is a number of seconds, 3000 at most.")
    return int(text)


def _signed_in(call: Call, stored: Stored) -> bytes:
    record = stored.record
    account = record.account
    return _signed_in_body(
        account.kind,
        account.username,
        account.name,
        record.grant.scopes,
        record.grant.expires_at,
        record.refreshed_at,
        record.marks.health,
        record.marks.reason,
        _reconnect_url_if_due(call, stored),
    )


@lru_cache(maxsize=1_000)
def _signed_in_body(
    kind: AccountKind,
    username: str,
    name: str,
    scopes: tuple[str, ...],
    expires_at: datetime,
    refreshed_at: datetime,
    state: Health,
    reason: str | None,
    reconnect_url: str | None,
) -> bytes:
    """The answer about a session. Kept, as a front end asks often and it changes about hourly; it depends on nothing
    but what it is given, so it is never out of date.
    """
    return json_text(
        {
            "signed_in": True,
            "account": {"kind": kind.value, "username": username, "name": name},
            "scopes": scopes,
            "expires_at": rfc3339(expires_at),
            "refreshed_at": rfc3339(refreshed_at),
            "health": {"state": state.value, "reason": reason, "reconnect_url": reconnect_url},
            "consent_url": CONSENT_PAGES[kind.value],
        }
    ).encode()


def health(call: Call, stored: Stored) -> dict[str, Any]:
    marks = stored.record.marks
    return {
        "state": marks.health.value,
        "reason": marks.reason,
        "reconnect_url": _reconnect_url_if_due(call, stored),
    }


def _reconnect_url_if_due(call: Call, stored: Stored) -> str | None:
    marks = stored.record.marks
    if marks.health is not Health.REAUTH_REQUIRED:
        return None
    return _reconnect_url(call, stored.record.account, marks.claims)


def _ended_health(call: Call, reason: str) -> dict[str, Any]:
    return {"state": Health.REAUTH_REQUIRED.value, "reason": reason, "reconnect_url": _reconnect_url(call, None)}


def _reconnect_url(call: Call, account: Account | None, claims: str | None = None) -> str:
    """Back to where the person was, as far as the caller says."""
    wished = call.query.one("return_to") or call.req.headers.get("referer")
    return call.reconnect_url(account, safe_return(call.settings, wished), claims)


def times(stored: Stored) -> dict[str, str]:
    marks = stored.record.marks
    return {
        "created_at": rfc3339(marks.created_at),
        "last_seen_at": rfc3339(marks.seen_at),
        "refreshed_at": rfc3339(stored.record.refreshed_at),
    }


def rfc3339(at: datetime) -> str:
    return at.isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


def _nobody(call: Call) -> Answer:
    answer = json_answer({"signed_in": False})
    if SESSION in call.sent:
        answer.cookies = [call.cookies.clear_session()]
    return answer


def blueprint(parts_now: PartsNow) -> func.Blueprint:
    return blueprint_of(
        parts_now,
        (
            Route(name="auth_session", path="auth/session", methods=("GET",), handler=session),
            Route(name="auth_sessions", path="auth/sessions", methods=("GET", "DELETE"), handler=sessions),
            Route(name="auth_token", path="auth/token", methods=("POST",), handler=token),
        ),
    )

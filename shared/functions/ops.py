"""Owns the operator's routes.

A function can't tell which of the platform's keys it was called with, nor whether one was needed; what a key protects
has a route of its own. Each call about accounts leaves a line in the log: which key, which account, what came of it.
"""

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import wraps
from typing import Any
from urllib.parse import unquote

import azure.functions as func

from shared import base64url, log
from shared.errors import BadRequest, BundleError, Forbidden, NotSignedIn, ReauthRequired
from shared.findings import NOT_CHECKED, Finding, State, is_broken
from shared.functions.handling import Call, Handler, Route, blueprint_of
from shared.functions.http import Answer, json_answer
from shared.functions.problems import Problem, new_ref, problem_answer
from shared.functions.sessions import health, min_validity, times, token_body
from shared.model import Stored
from shared.parts import PartsNow
from shared.usecases.accounts import best_health

_UID_UTID = re.compile(r"[\w-]{1,80}\.[0-9a-f-]{36}", re.IGNORECASE)


def audited(action: str) -> Callable[[Handler], Handler]:
    """One line in the log for every call, whatever comes of it (R-18). Never the key, never a token (R-16)."""

    def around(handler: Handler) -> Handler:
        @wraps(handler)
        async def handle(call: Call) -> Answer:
            outcome = "internal_error"
            try:
                answer = await handler(call)
                outcome = str(answer.status)
            except BundleError as error:
                outcome = error.code
                raise
            else:
                return answer
            finally:
                log.event(
                    "operator_call",
                    action=action,
                    key=await _key_digest(call),
                    account=_account_named(call),
                    outcome=outcome,
                )

        return handle

    return around


def _account_named(call: Call) -> str | None:
    """What was asked about, if it can be an account: a log is no place for whatever else was sent."""
    value = unquote(call.req.route_params.get("home_account_id", ""))
    return value if _UID_UTID.fullmatch(value) else None


async def _key_digest(call: Call) -> str | None:
    """Tells the keys of calls apart without telling what they are; None where none was sent or the ring is out of reach.

    Keyed by the ring, so that who reads logs can't try keys against it; the same key has the same digest until the
    ring turns.
    """
    try:
        sent = call.req.headers.get("x-functions-key") or call.query.one("code")
        ring_key = await call.parts.ring.newest() if sent else None
    except BundleError:
        return None
    if not sent or ring_key is None:
        return None
    return hmac.digest(ring_key.secret, b"onenote-auth/operator-key/" + sent.encode(), "sha256").hex()[:16]


@audited("list_accounts")
async def accounts(call: Call) -> Answer:
    """Stored accounts, paged, with their health and times; no token."""
    page = await call.parts.accounts.page(_unpage(call.query.one("page")))
    body: dict[str, Any] = {"accounts": [_account(call, sessions) for sessions in page.accounts]}
    if page.following:
        body["next"] = f"{call.settings.public_base_url}/api/ops/accounts?page={_page(page.following)}"
    return json_answer(body)


@audited("end_account")
async def end_account(call: Call) -> Answer:
    return json_answer({"ended": await call.parts.accounts.end(_home_account_id(call))})


@audited("account_token")
async def account_token(call: Call) -> Answer:
    """A valid access token for the operator's own job; 409 with the health where the person must sign in again."""
    if not call.settings.operator_tokens:
        raise Forbidden("operator_tokens_off", "AUTH_OPERATOR_TOKENS is off.")
    try:
        stored = await call.parts.accounts.token(_home_account_id(call), min_validity_s=min_validity(call))
    except NotSignedIn:
        return problem_answer(Problem(404, "account_unknown", "No session of this account.", new_ref()))
    except ReauthRequired as error:
        gone = Problem(409, error.code, "The person must sign in again.", new_ref(), reason=error.reason)
        return problem_answer(gone)
    return json_answer(token_body(stored))


@audited("revoke_all")
async def revoke_all(call: Call) -> Answer:
    ended, done = await call.parts.accounts.revoke_all()
    return json_answer({"ended": ended, "done": done}, 200 if done else 202)


async def readiness(call: Call) -> Answer:
    """Each dependency's state, and what is to be mended; 503 when there is something."""
    found = await call.parts.doctor.examine()
    ready = not is_broken(found)
    body = {
        "status": "ok" if ready else "degraded",
        "dependencies": {
            name: _dependency([f for f in found if f.check == name]) for name in {f.check: 0 for f in found}
        },
        "findings": [asdict(finding) for finding in found if finding.state is not State.OK],
    }
    return json_answer(body, 200 if ready else 503)


def _dependency(found: Sequence[Finding]) -> dict[str, Any]:
    """One state for all checks of a name: what is broken counts, then what could not be checked."""
    broken = [finding for finding in found if finding.state is State.BROKEN]
    if broken:
        return {"state": broken[0].code, "findings": [f"{f.what} {f.cause} {f.mend}" for f in broken]}
    unknown = any(finding.code == NOT_CHECKED for finding in found)
    return {"state": NOT_CHECKED if unknown else "ok"}


def blueprint(parts_now: PartsNow) -> func.Blueprint:
    account = "ops/accounts/{home_account_id}"
    return blueprint_of(
        parts_now,
        (
            Route(name="ops_accounts", path="ops/accounts", methods=("GET",), handler=accounts, keyed=True),
            Route(name="ops_end_account", path=account, methods=("DELETE",), handler=end_account, keyed=True),
            Route(
                name="ops_account_token", path=f"{account}/token", methods=("POST",), handler=account_token, keyed=True
            ),
            Route(name="ops_revoke_all", path="ops/revoke-all", methods=("POST",), handler=revoke_all, keyed=True),
            Route(name="ops_health", path="ops/health", methods=("GET",), handler=readiness, keyed=True),
        ),
    )


def _account(call: Call, sessions: tuple[Stored, ...]) -> dict[str, Any]:
    account = sessions[0].record.account
    return {
        "home_account_id": account.home_account_id,
        "kind": account.kind.value,
        "username": account.username,
        "health": best_health(sessions).value,
        "sessions": [_session(call, stored) for stored in sessions],
    }


def _session(call: Call, stored: Stored) -> dict[str, Any]:
    """With the name that the log has for it, so that a line there leads to a person."""
    named = {"session": stored.ref.name[:12], "vault": stored.ref.vault}
    return {**named, **times(stored), "health": health(call, stored)}


def _home_account_id(call: Call) -> str:
    value = unquote(call.req.route_params.get("home_account_id", ""))
    if not 3 <= len(value) <= 200 or not value.replace("-", "").replace(".", "").replace("_", "").isalnum():
        raise BadRequest("invalid_request", "That is not a home_account_id.")
    return value


def _page(position: str) -> str:
    return base64url.encode(position.encode())


def _unpage(text: str | None) -> str | None:
    try:
        return base64url.decode(text).decode() if text else None
    except ValueError:
        raise BadRequest("invalid_request", "There is no such page.") from None

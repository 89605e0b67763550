"""Owns one OneNote call for a session: which paths pass, the token, one renewal on a 401 about it (R-09, R-10).

Never more than five calls at once for one user, as OneNote allows ("Microsoft Graph throttling limits").
"""

import asyncio
import json
import re
from collections import OrderedDict
from urllib.parse import unquote

from shared import base64url
from shared.errors import BadRequest, ReauthRequired
from shared.model import NotesAnswer, NotesCall, SessionRef, Stored
from shared.onenote_errors import PROVISIONING_CODES, error_code
from shared.ports import Clock, Notes
from shared.usecases.refresh import Engine

_SEGMENT = r"[^/?#\\]+"
_PATH = re.compile(
    rf"(?:v1\.0|beta)/(?:me|(?:users|groups|sites)(?:/{_SEGMENT}|\('[^/?#\\']+'\)))/onenote(?:/[^?#\\]*)?",
    re.IGNORECASE,
)
_TRICKS = re.compile(r"%2f|%5c|%[01][0-9a-f]|%7f|%25|//|\\|[\x00-\x20\x7f]", re.IGNORECASE)
_CLAIMS = re.compile(r'\bclaims="([A-Za-z0-9+/_=-]{1,2700})"')
_AT_ONCE = 5
_WAIT_MOST_S = 5.0
_WAIT_S = 2.0
_USERS_KEPT = 5_000


class NotesCalls:
    """`send` for a session that is signed in."""

    def __init__(self, notes: Notes, engine: Engine, clock: Clock) -> None:
        self._notes = notes
        self._engine = engine
        self._clock = clock
        self._gates: OrderedDict[str, asyncio.Semaphore] = OrderedDict()

    async def send(self, ref: SessionRef, call: NotesCall, *, just_made: bool = False) -> tuple[Stored, NotesAnswer]:
        """The session as used, and Graph's answer, whatever it is.

        A 401 about the token is answered by one renewal and one more try, never by a loop. Raises NotSignedIn,
        ReauthRequired, Unavailable, Misconfigured.
        """
        stored = await self._engine.usable(ref, just_made=just_made)
        async with self._gate(stored.record.marks.account_hash):
            answer = await self._patiently(call, stored)
            if answer.status != 401:
                return stored, answer
            if _wants_claims(answer):
                await self._engine.challenged(stored, _claims(answer))
                raise ReauthRequired("claims_required")
            if not _about_the_token(answer):
                return stored, answer
            stored = await self._engine.renew(stored)
            return stored, await self._patiently(call, stored)

    async def _patiently(self, call: NotesCall, stored: Stored) -> NotesAnswer:
        """One more try of a GET where a short wait may do: throttled, busy, or a OneDrive just being set up."""
        answer = await self._notes.send(call, stored.record.grant.access_token)
        if call.method != "GET" or not _worth_waiting(answer):
            return answer
        await self._clock.sleep(_wait_s(answer))
        return await self._notes.send(call, stored.record.grant.access_token)

    def _gate(self, account_hash: str) -> asyncio.Semaphore:
        gate = self._gates.get(account_hash)
        if gate is None:
            gate = self._gates[account_hash] = asyncio.Semaphore(_AT_ONCE)
            while len(self._gates) > _USERS_KEPT:
                self._gates.popitem(last=False)
        self._gates.move_to_end(account_hash)
        return gate


def check_path(path: str) -> None:
    """Let OneNote paths of Graph pass, as they stand in Graph's documents; `path` is still percent-encoded.

    Raises BadRequest `path_not_allowed`.
    """
    # Encoded dots, too: whoever stands behind us would resolve them, after the check.
    decoded = unquote(path)
    dots = not {".", ".."}.isdisjoint(decoded.split("/"))
    if dots or "\ufffd" in decoded or _TRICKS.search(path) or not _PATH.fullmatch(path):
        raise BadRequest(
            "path_not_allowed",
            "Only OneNote paths pass, for example v1.0/me/onenote/notebooks.",
        )


def _wants_claims(answer: NotesAnswer) -> bool:
    return "insufficient_claims" in answer.headers.get("www-authenticate", "")


def _claims(answer: NotesAnswer) -> str | None:
    """The claims of a challenge, as JSON ("Claims challenges, claims requests and client capabilities")."""
    match = _CLAIMS.search(answer.headers.get("www-authenticate", ""))
    if match is None:
        return None
    # In either alphabet, with padding or without.
    text = match[1].replace("+", "-").replace("/", "_").rstrip("=")
    try:
        claims = base64url.decode(text).decode()
        return claims if isinstance(json.loads(claims), dict) else None
    except ValueError:
        return None


def _about_the_token(answer: NotesAnswer) -> bool:
    """Whether another access token may help: not when OneNote names a reason of its own (a number, as 40001)."""
    code = error_code(answer.body)
    return code is None or not code.isdigit()


def _worth_waiting(answer: NotesAnswer) -> bool:
    if answer.status in (429, 503):
        return _wait_s(answer) <= _WAIT_MOST_S
    return answer.status >= 400 and error_code(answer.body) in PROVISIONING_CODES


def _wait_s(answer: NotesAnswer) -> float:
    """Seconds as Graph asks for; OneNote's 429 names none."""
    asked = answer.headers.get("retry-after", "")
    return float(asked) if re.fullmatch(r"\d{1,6}", asked) else _WAIT_S

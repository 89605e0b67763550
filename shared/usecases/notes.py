"""Owns one OneNote call for a session: which paths pass, the token, one renewal on a 401 about it (R-09, R-10).

Never more than five calls at once for one user, as OneNote allows ("Microsoft Graph throttling limits").
"""

import asyncio
import json
import re
from collections import OrderedDict

from shared.errors import BadRequest, ReauthRequired
from shared.model import NotesAnswer, NotesCall, SessionRef, Stored
from shared.ports import Notes
from shared.usecases.refresh import Engine

_SEGMENT = r"[^/?#\\%]+"
_PATH = re.compile(
    rf"(?:v1\.0|beta)/(?:me|(?:users|groups|sites)(?:/{_SEGMENT}|\('[^/?#\\']+'\)))/onenote(?:/[^?#\\]*)?",
    re.IGNORECASE,
)
_TRICKS = re.compile(r"%2f|%5c|%00|%0a|%0d|%25|//|\\|[\x00-\x20\x7f]", re.IGNORECASE)
_AT_ONCE = 5
_USERS_KEPT = 5_000


class NotesCalls:
    """`send` for a session that is signed in."""

    def __init__(self, notes: Notes, engine: Engine) -> None:
        self._notes = notes
        self._engine = engine
        self._gates: OrderedDict[str, asyncio.Semaphore] = OrderedDict()

    async def send(self, ref: SessionRef, call: NotesCall, *, just_made: bool = False) -> tuple[Stored, NotesAnswer]:
        """The session as used, and Graph's answer, whatever it is.

        A 401 about the token is answered by one renewal and one more try, never by a loop. Raises NotSignedIn,
        ReauthRequired, Unavailable, Misconfigured.
        """
        stored = await self._engine.usable(ref, just_made=just_made)
        async with self._gate(stored.record.marks.account_hash):
            answer = await self._notes.send(call, stored.record.grant.access_token)
            if answer.status != 401:
                return stored, answer
            if _wants_claims(answer):
                raise ReauthRequired("claims_required")
            if not _about_the_token(answer):
                return stored, answer
            stored = await self._engine.renew(stored)
            return stored, await self._notes.send(call, stored.record.grant.access_token)

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
    segments = path.split("/")
    if _TRICKS.search(path) or "." in segments or ".." in segments or not _PATH.fullmatch(path):
        raise BadRequest(
            "path_not_allowed",
            "Only OneNote paths pass, for example v1.0/me/onenote/notebooks.",
        )


def _wants_claims(answer: NotesAnswer) -> bool:
    return "insufficient_claims" in answer.headers.get("www-authenticate", "")


def _about_the_token(answer: NotesAnswer) -> bool:
    """Whether another access token may help: not when OneNote names a reason of its own (a number, as 40001)."""
    try:
        error = json.loads(answer.body).get("error")
        code = error.get("code") if isinstance(error, dict) else None
    except (ValueError, AttributeError):
        code = None
    return not (isinstance(code, str) and code.isdigit())

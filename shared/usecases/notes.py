"""Owns OneNote calls for a session: the token, one renewal on a 401 about it, bounded waits, an end in time (R-10, R-15).

Every 401 is looked at first. Token out of date: one renewal and the call once more, a POST too, as Graph checks the
token before it does anything. Claims wanted: the person must sign in; a renewal can't give them, because the app
declares no capability for that and is asked only for what needs the person. A reason of OneNote's own: handed on.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from shared.challenges import claims_of, wants_claims
from shared.errors import BundleError, NotesTimedOut, ReauthRequired
from shared.model import NotesAnswer, NotesCall, SessionRef, Stored
from shared.onenote_batch import Batch, answers_of, challenge_in, joined, token_refused
from shared.onenote_errors import PROVISIONING_CODES, about_the_token, error_code, parsed
from shared.ports import Clock, Notes
from shared.usecases.gates import Gates
from shared.usecases.refresh import Engine

WHOLE_S = 150.0
"""Seconds for everything that one call costs, waiting included. The platform hangs up after 230, and no function is
told that its caller has gone."""

IN_VAIN = timedelta(seconds=60)
"""How long a renewal that did not help is not tried again: each costs a call to the provider and a write to the vault,
and everybody's sign-ins share those."""

_IN_VAIN_KEPT = 10_000
_WAIT_MOST_S = 5.0
_WAIT_S = 2.0

type Used = tuple[Stored, NotesAnswer]
"""The session as it was used, and Graph's answer, whatever it is."""


class NotesCalls:
    """`send` and `send_batch` for a session that is signed in.

    Both raise NotSignedIn, ReauthRequired, TooManyCalls, NotesTimedOut, AnswerTooLarge, Unavailable, Misconfigured.
    """

    def __init__(self, notes: Notes, engine: Engine, clock: Clock) -> None:
        self._notes = notes
        self._engine = engine
        self._clock = clock
        self._gates = Gates()
        self._in_vain: dict[SessionRef, datetime] = {}

    def send(self, ref: SessionRef, call: NotesCall, *, just_made: bool = False) -> Coroutine[None, None, Used]:
        return self._bounded(ref, 1, lambda stored: self._call(stored, call), just_made=just_made)

    def send_batch(
        self, ref: SessionRef, batch: Batch, headers: tuple[tuple[str, str], ...] = (), *, just_made: bool = False
    ) -> Coroutine[None, None, Used]:
        """A batch has as many places as calls, so that five at once stay five where Graph does them side by side."""
        places = len(batch.inner)
        return self._bounded(ref, places, lambda stored: self._batch(stored, batch, headers), just_made=just_made)

    async def _bounded(
        self, ref: SessionRef, places: int, act: Callable[[Stored], Awaitable[Used]], *, just_made: bool
    ) -> Used:
        limit = asyncio.timeout(WHOLE_S)
        try:
            async with limit:
                stored = await self._engine.usable(ref, just_made=just_made)
                who = stored.record.marks.account_hash
                taken = await self._gates.take(who, places)
                try:
                    return await act(stored)
                finally:
                    self._gates.give_back(who, taken)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise NotesTimedOut("Microsoft Graph: the time for one call was up") from error

    async def _call(self, stored: Stored, call: NotesCall) -> Used:
        answer = await self._notes.send(call, stored.record.grant.access_token)
        if answer.status < 400:
            return stored, answer
        answer = await self._unless_busy(answer, call, stored)
        if not await self._token_refused(stored, answer) or self._is_in_vain(stored.ref):
            return stored, answer
        stored = await self._engine.renew(stored)
        answer = await self._notes.send(call, stored.record.grant.access_token)
        answer = await self._unless_busy(answer, call, stored)
        if await self._token_refused(stored, answer):
            self._note_in_vain(stored.ref)
        return stored, answer

    async def _token_refused(self, stored: Stored, answer: NotesAnswer) -> bool:
        """Whether another access token may help. Raises ReauthRequired where only a sign-in does."""
        if answer.status != 401:
            return False
        challenge = answer.headers.get("www-authenticate", "")
        if wants_claims(challenge):
            claims = claims_of(challenge)
            await self._engine.challenged(stored, claims)
            raise ReauthRequired("claims_required", claims=claims)
        return about_the_token(parsed(answer.body))

    def _is_in_vain(self, ref: SessionRef) -> bool:
        noted = self._in_vain.get(ref)
        return noted is not None and self._clock.now() - noted < IN_VAIN

    def _note_in_vain(self, ref: SessionRef) -> None:
        self._in_vain.pop(ref, None)
        if len(self._in_vain) >= _IN_VAIN_KEPT:
            del self._in_vain[next(iter(self._in_vain))]
        self._in_vain[ref] = self._clock.now()

    async def _batch(self, stored: Stored, batch: Batch, headers: tuple[tuple[str, str], ...]) -> Used:
        """What of it was refused for the token goes out once more; what was done is never done twice."""
        stored, answer = await self._call(stored, batch.call(headers))
        first = answers_of(answer) or []
        if challenge := challenge_in(first):
            await self._engine.challenged(stored, claims_of(challenge))
            return stored, answer
        again = batch.refused(first)
        if again is None or self._is_in_vain(stored.ref):
            return stored, answer
        try:
            renewed = await self._engine.renew(stored)
            second = await self._notes.send(again.call(headers), renewed.record.grant.access_token)
        except NotesTimedOut:
            return stored, joined(first, again.unanswered())  # "refused" is not true of them any more
        except BundleError:
            return stored, answer  # some of it was done, and its answers must not be lost
        answers = answers_of(second) or []
        if any(token_refused(one) for one in answers):
            self._note_in_vain(stored.ref)
        return renewed, joined(first, answers)

    async def _unless_busy(self, answer: NotesAnswer, call: NotesCall, stored: Stored) -> NotesAnswer:
        """One more try of a GET where a short wait may do: throttled, busy, or a OneDrive just being set up."""
        if answer.status < 400 or call.method != "GET":
            return answer
        wait_s = self._wait_s(answer)
        busy = answer.status in (429, 503) or error_code(answer.body) in PROVISIONING_CODES
        if not busy or wait_s > _WAIT_MOST_S:
            return answer
        await self._clock.sleep(wait_s)
        return await self._notes.send(call, stored.record.grant.access_token)

    def _wait_s(self, answer: NotesAnswer) -> float:
        """Seconds as Graph asks for, a number or a date (RFC 9110 §10.2.3); OneNote's 429 names none."""
        asked = answer.headers.get("retry-after", "")
        if re.fullmatch(r"\d{1,6}", asked):
            return float(asked)
        try:
            at = parsedate_to_datetime(asked)
        except (ValueError, OverflowError):
            return _WAIT_S
        return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - self._clock.now()).total_seconds())

"""Owns the life of a grant: when it is renewed, and what the provider's answer means for the session (R-10, R-11).

One engine serves requests, the operator's jobs and the timer. Knows no HTTP and no vault. Its rules:
one renewal a session at a time; read the store again before a refresh token is sent, and again before a session
is called dead; the new tokens are stored before they are relied on, or retried until they are; only a verdict on
this very grant changes the session's state.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from shared import log, schedule
from shared.errors import (
    Misconfigured,
    NotSignedIn,
    ProviderUnavailable,
    ReauthRequired,
    RecordTooNew,
    SessionEnded,
    SessionUnknown,
    StoreUnavailable,
)
from shared.model import Flow, Grant, Health, SessionRef, Stored
from shared.ports import Clock, Identity, ProviderRefused, SessionStore
from shared.schedule import Policy
from shared.usecases.sessions import Sessions
from shared.verdicts import Verdict, Who, judge

MARGIN_S = 120
"""An access token with less life than this is renewed before use, unless the caller asks for more."""

type Enough = Callable[[Stored], bool]

_BUSY_FIRST_S = 1.0
_BUSY_MOST_S = 60.0
_SAVE_RETRIES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
_BACKOFFS_KEPT = 10_000


class Engine:
    """`usable` for a valid access token, `renew` to replace a refused one, `renew_due` for the timer."""

    def __init__(
        self, store: SessionStore, sessions: Sessions, identity: Identity, clock: Clock, policy: Policy
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._identity = identity
        self._clock = clock
        self._policy = policy
        self._flights: dict[SessionRef, asyncio.Task[Stored]] = {}
        self._busy: dict[SessionRef, tuple[datetime, float]] = {}
        self._saving: set[asyncio.Task[None]] = set()

    async def usable(self, ref: SessionRef, *, min_validity_s: float = MARGIN_S, just_made: bool = False) -> Stored:
        """The session with an access token that lives at least `min_validity_s` seconds more.

        Raises NotSignedIn, ReauthRequired, Unavailable, Misconfigured.
        """
        stored = await self._sessions.get(ref, just_made=just_made)
        return await self._ensure(stored, self._lives(timedelta(seconds=min_validity_s)))

    async def renew(self, stored: Stored) -> Stored:
        """The session with another access token than the one that `stored` holds, which was refused."""
        refused = stored.record.grant.access_token
        return await self._ensure(stored, lambda s: s.record.grant.access_token != refused)

    async def renew_due(self, ref: SessionRef, due_at: datetime) -> bool:
        """Renew for the timer; False when somebody else has by now. Raises as `usable` does."""
        before = await self._sessions.newest(ref)
        if before.record.marks.due_at > due_at:
            return False
        after = await self._ensure(before, lambda s: s.record.refreshed_at > before.record.refreshed_at)
        return after.record.refreshed_at > before.record.refreshed_at

    async def settle(self) -> None:
        """Wait until nothing is in flight and everything that could be stored is."""
        while pending := [*self._flights.values(), *self._saving]:
            await asyncio.gather(*pending, return_exceptions=True)

    def _lives(self, at_least: timedelta) -> Enough:
        return lambda s: s.record.grant.expires_at - self._clock.now() > at_least

    async def _ensure(self, stored: Stored, enough: Enough) -> Stored:
        if enough(stored):
            return stored
        _refuse_dead(stored)
        if stored.record.marks.flow is Flow.TOKEN:
            return stored  # good until it ends, and never renewed
        try:
            # A renewal that began for another caller may not be enough for this one: then one more.
            for _ in range(2):
                stored = await self._join(stored.ref, enough)
                if enough(stored):
                    break
        except (ProviderUnavailable, StoreUnavailable):
            if self._lives(timedelta())(stored) and stored.record.marks.health is not Health.REAUTH_REQUIRED:
                return stored  # still good for this call, if not for as long as was hoped
            raise
        except (SessionUnknown, SessionEnded):
            self._sessions.end(stored.ref)
            raise NotSignedIn from None
        return stored

    async def _join(self, ref: SessionRef, enough: Enough) -> Stored:
        flight = self._flights.get(ref)
        if flight is None:
            flight = asyncio.create_task(self._renew(ref, enough))
            self._flights[ref] = flight
            flight.add_done_callback(lambda task: self._landed(ref, task))
        # A browser that hangs up must not cost the new refresh token.
        return await asyncio.shield(flight)

    def _landed(self, ref: SessionRef, flight: asyncio.Task[Stored]) -> None:
        self._flights.pop(ref, None)
        if not flight.cancelled():
            flight.exception()  # every waiter may have hung up: nobody else would look

    async def _renew(self, ref: SessionRef, enough: Enough) -> Stored:
        stored = await self._sessions.newest(ref)
        for again in (True, False):
            if enough(stored):
                return stored
            _refuse_dead(stored)
            self._refuse_busy(ref)
            try:
                grant = await self._ask(stored)
            except ProviderRefused as refused:
                verdict = judge(refused.refusal)
                if verdict.who is Who.OPERATOR:
                    raise Misconfigured([verdict.reason]) from refused
                if verdict.who is Who.LATER:
                    raise self._transient(stored, ProviderUnavailable(verdict.reason)) from refused
                newest = await self._sessions.newest(ref)
                if again and newest.record.grant.refresh_token != stored.record.grant.refresh_token:
                    # Another instance was faster: its refresh token has not been judged.
                    stored = newest
                    continue
                await self._dead(newest, verdict, refused)
                raise ReauthRequired(verdict.reason) from refused
            except ProviderUnavailable as error:
                raise self._transient(stored, error) from error
            return await self._keep(stored, grant)
        raise AssertionError("unreachable")

    async def _ask(self, stored: Stored) -> Grant:
        record = stored.record
        if record.grant.refresh_token is None:
            raise ReauthRequired("grant_expired")  # the provider gave none: it lives no longer than its token
        return await self._identity.refresh(record.grant.refresh_token, record.requested, record.account.authority)

    async def _keep(self, stored: Stored, grant: Grant) -> Stored:
        now = self._clock.now()
        self._busy.pop(stored.ref, None)
        marks = stored.record.marks
        due = schedule.due_at(grant, seen_at=marks.seen_at, now=now, name=stored.ref.name, policy=self._policy)
        record = replace(
            stored.record,
            grant=grant,
            refreshed_at=now,
            marks=replace(marks, health=Health.OK, reason=None, claims=None, failures=0, due_at=due),
        )
        if self._sessions.has_ended(stored.ref):
            raise SessionEnded
        try:
            kept = await self._store.replace(stored.ref, record)
        except StoreUnavailable as error:
            # The provider has answered: these tokens are all there is. They serve from memory until they are stored.
            log.warning(
                "new_tokens_not_stored_yet",
                session=stored.ref.name[:12],
                vault=stored.ref.vault,
                cause=error.what,
            )
            kept = replace(stored, record=record)
            self._sessions.put(kept)
            task = asyncio.create_task(self._save(kept))
            self._saving.add(task)
            task.add_done_callback(self._saving.discard)
            return kept
        self._sessions.put(kept)
        return kept

    async def _save(self, unsaved: Stored) -> None:
        """Retry until it sticks. Each write follows a read by seconds, so that none comes after a purge (R-12)."""
        ref = unsaved.ref
        attempt = 0
        while not self._sessions.has_ended(ref):
            await self._clock.sleep(_SAVE_RETRIES_S[min(attempt, len(_SAVE_RETRIES_S) - 1)])
            attempt += 1
            try:
                there = await self._store.load(ref)
                if there.record.refreshed_at >= unsaved.record.refreshed_at:
                    return
                self._sessions.put(await self._store.replace(ref, unsaved.record))
            except (SessionUnknown, SessionEnded):
                self._sessions.end(ref)
                return
            except RecordTooNew:
                return
            except (StoreUnavailable, Misconfigured):
                continue
            log.event("new_tokens_stored", session=ref.name[:12], vault=ref.vault, attempts=attempt)
            return

    async def _dead(self, stored: Stored, verdict: Verdict, refused: ProviderRefused) -> None:
        marks = replace(
            stored.record.marks, health=Health.REAUTH_REQUIRED, reason=verdict.reason, claims=verdict.claims
        )
        log.event(
            "grant_refused",
            session=stored.ref.name[:12],
            reason=verdict.reason,
            codes=[str(code) for code in refused.refusal.codes],
            correlation_id=refused.refusal.correlation_id,
        )
        self._sessions.put(replace(stored, record=replace(stored.record, marks=marks)))
        try:
            await self._store.annotate(stored.ref, stored.version, marks)
        except StoreUnavailable as error:
            log.warning("health_not_stored", session=stored.ref.name[:12], cause=error.what)

    def _transient(self, stored: Stored, error: ProviderUnavailable) -> ProviderUnavailable:
        """Hold the next try back: growing, in this process; the timer writes its own back-off into the marks."""
        ref = stored.ref
        _, last_s = self._busy.get(ref, (None, 0.0))
        wait_s = max(error.retry_after_s or 0.0, min(max(last_s * 2, _BUSY_FIRST_S), _BUSY_MOST_S))
        if len(self._busy) >= _BACKOFFS_KEPT:
            self._busy.pop(next(iter(self._busy)))
        self._busy[ref] = (self._clock.now() + timedelta(seconds=wait_s), wait_s)
        return ProviderUnavailable(error.what, retry_after_s=wait_s)

    def _refuse_busy(self, ref: SessionRef) -> None:
        until, wait_s = self._busy.get(ref, (None, 0.0))
        if until is None:
            return
        left_s = (until - self._clock.now()).total_seconds()
        if 0 < left_s <= wait_s:  # a clock set back must not make the wait longer
            raise ProviderUnavailable("backing off", retry_after_s=left_s)


def _refuse_dead(stored: Stored) -> None:
    marks = stored.record.marks
    if marks.health is Health.REAUTH_REQUIRED:
        raise ReauthRequired(marks.reason or "sign_in_again")

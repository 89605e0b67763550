"""Owns the life of a grant: when it is renewed, and what the provider's answer means for the session (R-10, R-11).

One engine serves requests, the operator's jobs and the timer. Knows no HTTP and no vault. Its rules:
one renewal a session at a time; read the store again before a refresh token is sent, and again before a session
is called dead; the new tokens are stored before they are relied on, or retried until they are; only a verdict on
this very grant changes the session's state.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared import log, schedule
from shared.errors import (
    Misconfigured,
    NotSignedIn,
    ProviderUnavailable,
    ReauthRequired,
    SessionEnded,
    SessionUnknown,
    StoreUnavailable,
    Unavailable,
)
from shared.model import Flow, Grant, Health, Marks, SessionRef, Stored, refreshed_after
from shared.ports import Clock, Identity, ProviderRefused, SessionStore
from shared.schedule import Policy
from shared.usecases.backoff import Backoff
from shared.usecases.claims import Claims
from shared.usecases.sessions import Sessions
from shared.usecases.unsaved import Unsaved
from shared.verdicts import MENDS, OF_THE_APP, Verdict, Who, judge

MARGIN_S = 120
"""An access token with less life than this is renewed before use, unless the caller asks for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What came of a session that was due: its marks now, and whether it was renewed for this."""

    marks: Marks
    done: bool


type Enough = Callable[[Stored], bool]

_RACES_MOST = 3
_WORTH_RENEWING = 0.9


class Engine:
    """`usable` for a valid access token, `renew` to replace a refused one, `renew_due` for the timer."""

    def __init__(
        self,
        store: SessionStore,
        sessions: Sessions,
        identity: Identity,
        clock: Clock,
        policy: Policy,
        claims: Claims | None = None,
    ) -> None:
        """`claims` where the provider revokes a grant whose refresh token is sent twice."""
        self._store = store
        self._sessions = sessions
        self._identity = identity
        self._clock = clock
        self._policy = policy
        self._claims = claims
        self._flights: dict[SessionRef, asyncio.Task[Stored]] = {}
        self._backoff = Backoff(clock)
        self._unsaved = Unsaved(store, sessions, clock)

    async def usable(self, ref: SessionRef, *, min_validity_s: float = MARGIN_S, just_made: bool = False) -> Stored:
        """The session with an access token that lives at least `min_validity_s` seconds more.

        Raises NotSignedIn, ReauthRequired, Unavailable, Misconfigured.
        """
        stored = await self._sessions.get(ref, just_made=just_made)
        enough = self._lives(timedelta(seconds=min_validity_s))
        if enough(stored):
            return stored
        if stored.record.marks.flow is Flow.TOKEN:
            return stored  # good until it ends, and never renewed
        try:
            return await self._renewed(stored, enough)
        except (Unavailable, Misconfigured):
            if self._lives(timedelta())(stored):
                return stored  # still good for this call, if not for as long as was hoped
            raise

    async def renew(self, stored: Stored) -> Stored:
        """The session with another access token than the one that `stored` holds, which was refused."""
        if stored.record.marks.flow is Flow.TOKEN:
            raise ReauthRequired("token_flow_expired")
        refused = stored.record.grant.access_token
        return await self._renewed(stored, lambda s: s.record.grant.access_token != refused)

    async def challenged(self, stored: Stored, claims: str | None) -> None:
        """OneNote takes no token of this person's until a sign-in has shown `claims` to the provider (R-13)."""
        marks, reason = stored.record.marks, "claims_required"
        if (marks.health, marks.reason, marks.claims) == (Health.REAUTH_REQUIRED, reason, claims):
            return  # it is known: a page that goes on asking costs the vault nothing
        log.event("claims_challenge", session=stored.ref.name[:12])
        try:
            await self._mark(stored, reason, claims, None)
        except (SessionUnknown, SessionEnded):
            self._sessions.end(stored.ref)

    async def renew_due(self, ref: SessionRef, due_at: datetime) -> Renewal:
        """Renew for the timer, unless somebody else has by now. Raises as `usable` does."""
        self._unsaved.check(ref.vault)
        before = await self._sessions.newest(ref)
        if before.record.marks.due_at > due_at:
            return Renewal(marks=before.record.marks, done=False)
        after = await self._renewed(
            before, lambda s: s.record.refreshed_at > before.record.refreshed_at, just_read=before
        )
        return Renewal(marks=after.record.marks, done=after.record.refreshed_at > before.record.refreshed_at)

    async def between_renewals(self, ref: SessionRef, act: Callable[[], Coroutine[None, None, Stored]]) -> Stored:
        """Let `act` replace the record while no renewal of this session runs here.

        A renewal that began before would put the old grant and its scopes back (R-08).
        """
        while under_way := self._flights.get(ref):
            await asyncio.wait({under_way})
        stored = await asyncio.shield(self._start(ref, act()))
        self._unsaved.stored(stored)
        return stored

    async def settle(self, *, within_s: float | None = None) -> None:
        """Wait until nothing is in flight and everything is stored that could be; nothing is given up."""
        loop = asyncio.get_running_loop()
        until = None if within_s is None else loop.time() + within_s
        while pending := [*self._flights.values(), *self._unsaved.under_way]:
            left_s = None if until is None else until - loop.time()
            if left_s is not None and left_s <= 0:
                return
            await asyncio.wait(pending, timeout=left_s)

    def _lives(self, at_least: timedelta) -> Enough:
        def enough(stored: Stored) -> bool:
            grant = stored.record.grant
            # Where tokens live shorter than what is asked for, a young one is as good as it gets.
            whole_life = max(grant.expires_at - stored.record.refreshed_at, timedelta())
            return grant.expires_at - self._clock.now() > min(at_least, whole_life * _WORTH_RENEWING)

        return enough

    async def _renewed(self, stored: Stored, enough: Enough, *, just_read: Stored | None = None) -> Stored:
        """`just_read`: the newest record, if the caller has read it this very moment: no need to read it twice."""
        _refuse_dead(stored)
        try:
            # A renewal that began for another caller may not be enough for this one: then one more.
            for _ in range(2):
                stored = await self._join(stored.ref, enough, just_read)
                just_read = None
                if enough(stored):
                    break
        except (SessionUnknown, SessionEnded):
            self._sessions.end(stored.ref)
            raise NotSignedIn from None
        return stored

    async def _join(self, ref: SessionRef, enough: Enough, just_read: Stored | None) -> Stored:
        flight = self._flights.get(ref) or self._start(ref, self._renew(ref, enough, just_read))
        # A browser that hangs up must not cost the new refresh token.
        return await asyncio.shield(flight)

    def _start(self, ref: SessionRef, work: Coroutine[None, None, Stored]) -> asyncio.Task[Stored]:
        flight = self._flights[ref] = asyncio.create_task(work)
        flight.add_done_callback(lambda task: self._landed(ref, task))
        return flight

    def _landed(self, ref: SessionRef, flight: asyncio.Task[Stored]) -> None:
        self._flights.pop(ref, None)
        if not flight.cancelled():
            flight.exception()  # every waiter may have hung up: nobody else would look

    async def _renew(self, ref: SessionRef, enough: Enough, just_read: Stored | None) -> Stored:
        stored = just_read or await self._sessions.newest(ref)
        for _ in range(_RACES_MOST):
            if enough(stored):
                return stored
            _refuse_dead(stored)
            await self._refuse_spent(stored)
            kind = stored.record.account.kind
            self._backoff.check(ref, kind)
            if self._claims:
                stored, mine = await self._claims.take(stored)
                if not mine:
                    continue
            try:
                grant = await self._ask(stored)
            except ProviderRefused as refused:
                verdict = judge(refused.refusal)
                if not verdict.grant:
                    await self._unclaim(stored)
                if verdict.who is Who.OPERATOR:
                    everywhere = verdict.reason in OF_THE_APP
                    misconfigured = Misconfigured([MENDS[verdict.reason]], everywhere=everywhere)
                    raise self._backoff.misconfigured(ref, kind, misconfigured) from refused
                if not verdict.grant:
                    error = ProviderUnavailable(verdict.reason, retry_after_s=verdict.wait_s)
                    raise self._backoff.failed(ref, error) from refused
                newest = await self._sessions.newest(ref)
                if newest.record.grant.refresh_token == stored.record.grant.refresh_token:
                    await self._dead(newest, verdict, refused)
                    raise ReauthRequired(verdict.reason) from refused
                # Another instance was faster: its refresh token has not been judged.
                stored = newest
            except Unavailable as error:
                await self._unclaim(stored)
                raise self._backoff.failed(ref, error) from error
            except Misconfigured as error:
                await self._unclaim(stored)
                raise self._backoff.misconfigured(ref, kind, error) from error
            else:
                return await self._keep(stored, grant)
        raise self._backoff.failed(ref, ProviderUnavailable("other instances renew this session"))

    async def _unclaim(self, stored: Stored) -> None:
        if self._claims:
            await self._claims.drop(stored)

    async def _refuse_spent(self, stored: Stored) -> None:
        if stored.record.grant.refresh_token is not None:
            return
        # The provider gave none: the session lives no longer than its token.
        if not self._lives(timedelta())(stored):
            await self._mark(stored, "grant_expired", None, None)
        raise ReauthRequired("grant_expired")

    async def _ask(self, stored: Stored) -> Grant:
        record = stored.record
        return await self._identity.refresh(
            record.grant.refresh_token or "", record.requested, record.account.authority
        )

    async def _keep(self, stored: Stored, grant: Grant) -> Stored:
        now = self._clock.now()
        self._backoff.forget(stored.ref, stored.record.account.kind)
        marks = stored.record.marks
        due = schedule.due_at(grant, seen_at=marks.seen_at, now=now, name=stored.ref.name, policy=self._policy)
        record = replace(
            stored.record,
            grant=grant,
            refreshed_at=refreshed_after(stored.record, now),
            marks=replace(
                marks, health=Health.OK, reason=None, claims=None, prompt=None, claim=None, failures=0, due_at=due
            ),
        )
        if self._sessions.has_ended(stored.ref):
            raise SessionEnded
        try:
            kept = await self._store.replace(stored.ref, record)
        except (StoreUnavailable, Misconfigured) as error:
            log.warning(
                "new_tokens_not_stored_yet",
                session=stored.ref.name[:12],
                vault=stored.ref.vault,
                cause=str(error),
            )
            kept = replace(stored, record=record)
            self._unsaved.keep(kept)
            return kept
        self._unsaved.stored(kept)
        self._sessions.put(kept)
        return kept

    async def _dead(self, stored: Stored, verdict: Verdict, refused: ProviderRefused) -> None:
        log.event(
            "grant_refused",
            session=stored.ref.name[:12],
            reason=verdict.reason,
            codes=[str(code) for code in refused.refusal.codes],
            correlation_id=refused.refusal.correlation_id,
        )
        await self._mark(stored, verdict.reason, verdict.claims, verdict.prompt)

    async def _mark(self, stored: Stored, reason: str, claims: str | None, prompt: str | None) -> None:
        marks = replace(
            stored.record.marks,
            health=Health.REAUTH_REQUIRED,
            reason=reason,
            claims=claims,
            prompt=prompt,
            claim=None,
        )
        self._sessions.put(replace(stored, record=replace(stored.record, marks=marks)))
        try:
            await self._store.annotate(stored.ref, stored.version, marks)
        except (StoreUnavailable, Misconfigured) as error:
            log.warning("health_not_stored", session=stored.ref.name[:12], cause=str(error))


def _refuse_dead(stored: Stored) -> None:
    marks = stored.record.marks
    if marks.health is Health.REAUTH_REQUIRED:
        raise ReauthRequired(marks.reason or "sign_in_again")

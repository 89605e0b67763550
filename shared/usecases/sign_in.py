"""Owns a sign-in from its beginning to a stored session (R-02 to R-04, R-08). Knows no HTTP and no cookie.

A personal account's refresh token got at `common` is reported to die at its first refresh. So a code from
`common` is redeemed at `consumers` when the answer hints at a personal account; and where that is refused, or the
account turns out to be personal only afterwards, sign-in starts once more at `consumers`.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared import log, schedule, verdicts
from shared.attempts import ATTEMPT_FOR, Rules, Wish, check_account, once_more, plan
from shared.errors import BundleError, Misconfigured, SignInFailed, StoreUnavailable, Unavailable
from shared.model import (
    PERSONAL_TENANT,
    AccountKind,
    Attempt,
    Flow,
    Health,
    Marks,
    ProviderRefusal,
    Record,
    SessionId,
    SessionRef,
    SignedIn,
    Stored,
    TokenAnswer,
    digest,
    refreshed_after,
    whole_second,
)
from shared.ports import Clock, Identity, InvalidIdToken, ProviderRefused, SessionStore
from shared.schedule import Policy
from shared.usecases.refresh import Engine
from shared.usecases.sessions import Sessions
from shared.usecases.sign_out import SignOut

_SPENT_MOST = 10_000
_ROUNDS_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """Signed in. `session` is None where an attempt added permissions to the session that the browser has."""

    session: SessionId | None
    stored: Stored
    return_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAgain:
    """The attempt must go round once more, at another authority; the person hardly notices."""

    attempt: Attempt
    url: str


class SignIn:
    """`begin` an attempt, then `complete` it with the provider's answer, or say why it `refused`."""

    def __init__(
        self,
        store: SessionStore,
        sessions: Sessions,
        engine: Engine,
        identity: Identity,
        clock: Clock,
        policy: Policy,
        rules: Rules,
        sign_out: SignOut,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._engine = engine
        self._identity = identity
        self._clock = clock
        self._policy = policy
        self._rules = rules
        self._sign_out = sign_out
        self._spent: dict[str, datetime] = {}

    async def begin(self, wish: Wish) -> tuple[Attempt, str]:
        """The attempt, and where to send the browser. Raises BadRequest, Unavailable, Misconfigured."""
        attempt = plan(wish, self._rules, self._clock.now())
        return attempt, await self._identity.authorization_url(attempt)

    async def complete_token(self, attempt: Attempt, answer: TokenAnswer) -> Completed:
        """The token flow's answer (R-05): a session as long as its access token. The attempt is spent.

        Raises SignInFailed.
        """
        self._spend(attempt)
        try:
            signed_in = await self._identity.accept(answer, attempt)
            check_account(self._rules, attempt, signed_in.account)
            return await self._store_session(attempt, signed_in)
        except InvalidIdToken as error:
            raise self._bad_id_token(attempt, error) from error
        except SignInFailed:
            raise
        except BundleError as error:
            raise SignInFailed(error.code, return_to=attempt.return_to) from error

    async def complete(self, attempt: Attempt, code: str, client_info_tenant: str | None) -> Completed | StartAgain:
        """Redeem the code and store the session. The attempt is spent whatever happens.

        `client_info_tenant` is the tenant that the answer hints at, unsigned. Raises SignInFailed, Unavailable,
        Misconfigured.
        """
        self._spend(attempt)
        authority = attempt.authority
        if authority == "common" and client_info_tenant == PERSONAL_TENANT:
            authority = "consumers"
        try:
            signed_in = await self._identity.redeem(code, attempt, authority)
        except ProviderRefused as refused:
            if authority != attempt.authority:
                return await self._again(attempt, "consumers", attempt.login_hint)
            if verdicts.judge(refused.refusal).restart and attempt.rounds < _ROUNDS_MOST:
                return await self._again(attempt, attempt.authority, attempt.login_hint)
            raise self._refused(attempt, refused.refusal) from refused
        except InvalidIdToken as error:
            raise self._bad_id_token(attempt, error) from error
        except Misconfigured as error:
            if authority != attempt.authority:
                return await self._again(attempt, "consumers", attempt.login_hint)
            raise SignInFailed("misconfigured", return_to=attempt.return_to) from error
        except Unavailable as error:
            raise SignInFailed(error.code, return_to=attempt.return_to) from error
        account = signed_in.account
        check_account(self._rules, attempt, account)
        if account.kind is AccountKind.PERSONAL and authority != "consumers" and attempt.flow is Flow.CODE:
            return await self._again(attempt, "consumers", account.login_hint or account.username)
        try:
            return await self._store_session(attempt, signed_in)
        except BundleError as error:
            raise SignInFailed(error.code, return_to=attempt.return_to) from error

    def refused(self, attempt: Attempt, refusal: ProviderRefusal) -> SignInFailed:
        """What the person is told when the provider sent the browser back with an error. Spends the attempt."""
        self._spend(attempt)
        return self._refused(attempt, refusal)

    def was_spent(self, state: str | None) -> bool:
        """Whether an attempt of that state came back to this process before: the back button, most often."""
        return state in self._spent

    def _refused(self, attempt: Attempt, refusal: ProviderRefusal) -> SignInFailed:
        verdict = verdicts.judge(refusal)
        codes = [str(code) for code in refusal.codes]
        if verdict.reason == "access_denied":
            log.event("consent_refused")
        elif verdict.who is verdicts.Who.OPERATOR:
            log.error(
                "provider_refused_the_app",
                reason=verdict.reason,
                error=refusal.error,
                codes=codes,
                correlation_id=refusal.correlation_id,
                mend=verdicts.MENDS[verdict.reason],
            )
        else:
            log.event("sign_in_refused", reason=verdict.reason, error=refusal.error, codes=codes)
        code = {
            verdicts.Who.OPERATOR: "misconfigured",
            verdicts.Who.LATER: "provider_unavailable",
            verdicts.Who.PERSON: verdict.reason,
        }[verdict.who]
        return SignInFailed(
            code,
            return_to=attempt.return_to,
            correlation_id=refusal.correlation_id,
            claims=verdict.claims,
        )

    def _bad_id_token(self, attempt: Attempt, error: InvalidIdToken) -> SignInFailed:
        log.error("id_token_refused", check=str(error), authority=attempt.authority)
        return SignInFailed("id_token_refused", return_to=attempt.return_to)

    def _spend(self, attempt: Attempt) -> None:
        now = self._clock.now()
        if not timedelta(minutes=-5) <= now - attempt.started_at <= ATTEMPT_FOR:
            raise SignInFailed("attempt_expired", return_to=attempt.return_to)
        if attempt.state in self._spent:
            raise SignInFailed("attempt_spent", return_to=attempt.return_to)
        while len(self._spent) >= _SPENT_MOST:
            self._spent.pop(next(iter(self._spent)))
        self._spent[attempt.state] = now

    async def _again(self, attempt: Attempt, authority: str, login_hint: str | None) -> StartAgain:
        """Once more round: at `consumers` for a personal account, or because the code was spent before."""
        again = once_more(attempt, authority, login_hint)
        log.event("sign_in_starts_again", authority=authority)
        return StartAgain(attempt=again, url=await self._identity.authorization_url(again))

    async def _store_session(self, attempt: Attempt, signed_in: SignedIn) -> Completed:
        previous = attempt.replaces
        if previous and attempt.extends:
            extended = await self._extended(previous, attempt, signed_in)
            if extended:
                return Completed(session=None, stored=extended, return_to=attempt.return_to)
        session = SessionId.new(secrets.choice(self._store.vaults))
        record = self._record(session.ref, attempt, signed_in, created_at=self._clock.now())
        try:
            stored = await self._store.create(session.ref, record)
        except StoreUnavailable:
            self._sign_out.withdraw(session.ref)
            raise
        self._sessions.put(stored)
        log.event("signed_in", session=session.ref.name[:12], kind=record.account.kind.value, vault=session.vault)
        if previous:
            await self._sign_out.session(previous)
        return Completed(session=session, stored=stored, return_to=attempt.return_to)

    async def _extended(self, ref: SessionRef, attempt: Attempt, signed_in: SignedIn) -> Stored | None:
        """The browser's session with more permissions; None when another account was chosen or it has ended."""

        async def replaced() -> Stored:
            before = await self._sessions.newest(ref)
            if before.record.account.home_account_id != signed_in.account.home_account_id:
                raise _AnotherAccountError
            record = self._record(ref, attempt, signed_in, created_at=before.record.marks.created_at)
            record = replace(record, refreshed_at=refreshed_after(before.record, record.refreshed_at))
            # A new session at the provider has another `sid`: its front-channel sign-out must find this one, too.
            known = record.marks.sid_hash == before.record.marks.sid_hash
            stored = await (self._store.replace(ref, record) if known else self._store.create(ref, record))
            self._sessions.put(stored)
            return stored

        try:
            stored = await self._engine.between_renewals(ref, replaced)
        except (Unavailable, Misconfigured):
            raise
        except (BundleError, _AnotherAccountError):
            return None
        log.event("permissions_added", session=ref.name[:12])
        return stored

    def _record(self, ref: SessionRef, attempt: Attempt, signed_in: SignedIn, *, created_at: datetime) -> Record:
        now = self._clock.now()
        account, grant = signed_in.account, signed_in.grant
        due = whole_second(grant.expires_at)  # of a token flow's session, the end
        if attempt.flow is Flow.CODE:
            due = schedule.due_at(grant, seen_at=now, now=now, name=ref.name, policy=self._policy)
        return Record(
            account=account,
            grant=grant,
            requested=attempt.scopes,
            refreshed_at=now,
            marks=Marks(
                health=Health.OK,
                reason=None,
                failures=0,
                due_at=due,
                seen_at=whole_second(now),
                created_at=whole_second(created_at),
                sid_hash=digest(account.sid) if account.sid else None,
                account_hash=digest(account.home_account_id),
                flow=attempt.flow,
            ),
        )


class _AnotherAccountError(Exception):
    """The account chosen is not the one whose permissions were to grow."""

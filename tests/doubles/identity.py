"""Owns a scripted identity provider behind the `Identity` port: people, codes, refresh tokens, refusals, latency.

`lenient` providers (Entra) leave a spent refresh token valid; `strict` ones revoke the whole family when one is
used twice (RFC 9700 §4.14.2).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from shared.model import (
    PERSONAL_TENANT,
    Account,
    AccountKind,
    Attempt,
    Grant,
    ProviderRefusal,
    SignedIn,
    TokenAnswer,
)
from shared.ports import Clock, InvalidIdToken, ProviderRefused

WORK_TENANT = "11111111-2222-3333-4444-555555555555"


def work_account(name: str = "alex", *, tenant: str = WORK_TENANT, sid: str | None = "sid-1") -> Account:
    return Account(
        home_account_id=f"{name}-oid.{tenant}",
        tenant_id=tenant,
        kind=AccountKind.WORK,
        username=f"{name}@contoso.example",
        name=name.title(),
        sid=sid,
        login_hint=f"hint-of-{name}",
    )


def personal_account(name: str = "kim", *, sid: str | None = "sid-9") -> Account:
    return Account(
        home_account_id=f"{name}-oid.{PERSONAL_TENANT}",
        tenant_id=PERSONAL_TENANT,
        kind=AccountKind.PERSONAL,
        username=f"{name}@outlook.example",
        name=name.title(),
        sid=sid,
        login_hint=f"hint-of-{name}",
    )


def refused(error: str, *codes: int, suberror: str | None = None, claims: str | None = None) -> ProviderRefused:
    return ProviderRefused(ProviderRefusal(error=error, codes=codes, suberror=suberror, claims=claims))


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """One call of `refresh` as it arrived."""

    refresh_token: str = field(repr=False)
    scopes: tuple[str, ...]
    authority: str


@dataclass(slots=True)
class _Family:
    """The refresh tokens that descend from one sign-in."""

    account: Account
    authority: str
    spent: set[str] = field(default_factory=set)
    revoked: bool = False


class ScriptedIdentity:
    """`Identity` from a script. Exceptions put into `next_refreshes` or `next_redemptions` are raised in turn.

    `latency_s` is how long each call takes; `lifetime_s` how long an access token lives.
    """

    def __init__(self, clock: Clock, *, strict: bool = False, latency_s: float = 0.0, lifetime_s: float = 3600) -> None:
        self.clock = clock
        self.strict = strict
        self.latency_s = latency_s
        self.lifetime_s = lifetime_s
        self.refresh_in_s: float | None = None
        self.rotates = True
        self.next_refreshes: list[Exception | None] = []
        self.next_redemptions: list[Exception | None] = []
        self.always: Exception | None = None
        self.refuses_at: dict[str, Exception] = {}
        self.sign_out_error: Exception | None = None
        self.accepts: dict[str, Account] = {}
        self.issuers = {"https://login.example/common/v2.0"}
        self.refreshes: list[Refresh] = []
        self.redemptions: list[tuple[str, str]] = []
        self.authorizations: list[Attempt] = []
        self.sign_outs: list[Account | None] = []
        self._codes: dict[str, Account] = {}
        self._families: dict[str, _Family] = {}
        self._made = 0

    # What a test sets up -----------------------------------------------------------------------------------

    def code_for(self, account: Account) -> str:
        """An authorization code, good for one redemption at any authority."""
        self._made += 1
        code = f"code-{self._made}"
        self._codes[code] = account
        return code

    def grant_for(self, account: Account, scopes: Sequence[str], *, authority: str | None = None) -> Grant:
        """A grant as a sign-in at `authority` gives it; by default at the account's own."""
        return self._grant(_Family(account=account, authority=authority or account.authority), scopes)

    def revoke(self, account: Account) -> None:
        """Every grant of the account so far is dead (R-13)."""
        for family in self._families.values():
            if family.account.home_account_id == account.home_account_id:
                family.revoked = True

    # The port ----------------------------------------------------------------------------------------------

    async def authorization_url(self, attempt: Attempt) -> str:
        if self.always:
            raise self.always
        self.authorizations.append(attempt)
        return f"https://login.example/{attempt.authority}/authorize?state={attempt.state}"

    async def redeem(self, code: str, attempt: Attempt, authority: str) -> SignedIn:
        self.redemptions.append((code, authority))
        await self._answer(self.next_redemptions)
        account = self._codes.pop(code, None)
        if account is None:
            raise refused("invalid_grant", 54005)
        if authority == "consumers" and account.kind is not AccountKind.PERSONAL:
            raise InvalidIdToken("tid")
        return SignedIn(account=account, grant=self.grant_for(account, attempt.scopes, authority=authority))

    async def accept(self, answer: TokenAnswer, attempt: Attempt) -> SignedIn:
        await self._answer([])
        account = self.accepts.get(answer.id_token)
        if account is None:
            raise InvalidIdToken("signature")
        expires_at = self.clock.now() + timedelta(seconds=int(answer.expires_in or "3600"))
        grant = Grant(
            access_token=answer.access_token,
            refresh_token=None,
            expires_at=expires_at,
            refresh_at=None,
            scopes=attempt.scopes,
        )
        return SignedIn(account=account, grant=grant)

    async def refresh(self, refresh_token: str, scopes: Sequence[str], authority: str) -> Grant:
        self.refreshes.append(Refresh(refresh_token=refresh_token, scopes=tuple(scopes), authority=authority))
        await self._answer(self.next_refreshes)
        if authority in self.refuses_at:
            raise self.refuses_at[authority]
        family = self._families.get(refresh_token)
        if family is None or family.revoked:
            raise refused("invalid_grant", 50173)
        if family.authority == "common" and family.account.kind is AccountKind.PERSONAL:
            # Reported of personal accounts' refresh tokens that were got at `common`.
            raise refused("invalid_grant", 70000, suberror="bad_token")
        if refresh_token in family.spent and self.strict:
            family.revoked = True
            raise refused("invalid_grant", 70000, suberror="bad_token")
        family.spent.add(refresh_token)
        grant = self._grant(family, scopes)
        if self.rotates:
            return grant
        return Grant(
            access_token=grant.access_token,
            refresh_token=refresh_token,
            expires_at=grant.expires_at,
            refresh_at=grant.refresh_at,
            scopes=grant.scopes,
        )

    async def knows_issuer(self, issuer: str) -> bool:
        return issuer in self.issuers

    async def sign_out_url(self, account: Account | None, return_url: str, state: str) -> str:
        self.sign_outs.append(account)
        if self.sign_out_error:
            raise self.sign_out_error
        return f"https://login.example/{account.authority if account else 'common'}/logout?state={state}"

    async def _answer(self, script: list[Exception | None]) -> None:
        error = script.pop(0) if script else self.always
        await asyncio.sleep(self.latency_s)
        if error:
            raise error

    def _grant(self, family: _Family, scopes: Sequence[str]) -> Grant:
        self._made += 1
        now = self.clock.now()
        refresh_token = f"rt-{self._made}"
        self._families[refresh_token] = family
        return Grant(
            access_token=f"at-{self._made}-{family.account.home_account_id}",
            refresh_token=refresh_token,
            expires_at=now + timedelta(seconds=self.lifetime_s),
            refresh_at=now + timedelta(seconds=self.refresh_in_s) if self.refresh_in_s else None,
            scopes=tuple(scopes),
        )

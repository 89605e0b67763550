"""Owns what a sign-in asks for, and whom it lets in: pure rules over wish, operator's rules and present session.

R-02, R-03, R-08: account kind to authority, permissions within the ceiling, what a reconnect carries along.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared import log, scopes
from shared.errors import BadRequest, SignInFailed
from shared.model import PERSONAL_TENANT, Account, AccountKind, Attempt, Flow, Health, Stored

ATTEMPT_FOR = timedelta(minutes=15)
"""A little more than an authorization code lives (10 minutes), and time to find a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the operator allows."""

    tenant: str
    default_scopes: tuple[str, ...]
    allowed_scopes: tuple[str, ...]
    allow_token_flow: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the caller of login asked for, as it came. `current` is the session of the browser, if it has one."""

    return_to: str
    account: str | None = None
    scope: str | None = None
    flow: str | None = None
    prompt: str | None = None
    login_hint: str | None = None
    domain_hint: str | None = None
    claims: str | None = None
    current: Stored | None = None


def plan(wish: Wish, rules: Rules, now: datetime) -> Attempt:
    """The attempt that a wish comes to. Raises BadRequest with the code of what is wrong."""
    kind, authority = _authority(rules, wish.account)
    flow = _flow(rules, wish.flow)
    current = wish.current
    if current and wish.account is None and rules.tenant == "common":
        kind, authority = _authority(rules, current.record.account.kind.value)
    chosen = scopes.choose(
        wish.scope,
        default=rules.default_scopes,
        allowed=rules.allowed_scopes,
        kind=kind,
        flow=flow,
    )
    if wish.scope and scopes.without_effect(wish.scope):
        log.warning("scope_without_effect", scope="Notes.ReadWrite.CreatedByApp", used="Notes.ReadWrite")
    # A session of the token flow is never renewed, so nothing can be added to it; nor by it to another.
    extends = bool(current and wish.scope and flow is current.record.marks.flow is Flow.CODE)
    login_hint, claims, prompt = wish.login_hint, wish.claims, wish.prompt
    if current and kind not in (None, current.record.account.kind):
        extends = False  # it is another account that is wanted: nothing of this one fits it
    elif current and (extends or current.record.marks.health is Health.REAUTH_REQUIRED):
        held = current.record
        login_hint = login_hint or held.account.login_hint
        claims = claims or held.marks.claims
        prompt = prompt or held.marks.prompt
        if extends or wish.scope is None:
            # Also where the person only signs in again: what they added later is not lost.
            kept = {name for name in held.requested if scopes.covers(rules.allowed_scopes, name)}
            chosen = tuple(sorted({*kept, *chosen} if extends else kept or chosen))
    if prompt == "select_account":
        login_hint = None  # the provider takes one or the other
    return Attempt(
        state=secrets.token_urlsafe(24),
        nonce=secrets.token_urlsafe(24),
        code_verifier=secrets.token_urlsafe(48),
        authority=authority,
        kind=kind,
        scopes=chosen,
        return_to=wish.return_to,
        started_at=now,
        flow=flow,
        prompt=prompt,
        login_hint=login_hint,
        domain_hint=wish.domain_hint,
        claims=claims,
        replaces=current.ref if current else None,
        extends=extends,
    )


def once_more(attempt: Attempt, authority: str, login_hint: str | None) -> Attempt:
    """The same attempt for another round, with nothing of the first that is good for once."""
    return replace(
        attempt,
        state=secrets.token_urlsafe(24),
        nonce=secrets.token_urlsafe(24),
        code_verifier=secrets.token_urlsafe(48),
        authority=authority,
        kind=AccountKind.PERSONAL if authority == "consumers" else attempt.kind,
        login_hint=login_hint,
        prompt=None,
        rounds=attempt.rounds + 1,
    )


def check_account(rules: Rules, attempt: Attempt, account: Account) -> None:
    """Whether whoever signed in may, and is whom the attempt was for. Raises SignInFailed."""
    tenant = rules.tenant
    if account.kind not in allowed_kinds(tenant):
        raise SignInFailed("account_kind_not_allowed", return_to=attempt.return_to)
    if attempt.kind and account.kind is not attempt.kind:
        raise SignInFailed("wrong_account", return_to=attempt.return_to)
    named = tenant not in ("common", "organizations", "consumers", PERSONAL_TENANT)
    if named and "." not in tenant and account.tenant_id.lower() != tenant:
        raise SignInFailed("tenant_not_allowed", return_to=attempt.return_to)


def allowed_kinds(tenant: str) -> Sequence[AccountKind]:
    """Which kinds of account AUTH_TENANT lets in."""
    if tenant == "common":
        return (AccountKind.PERSONAL, AccountKind.WORK)
    return (AccountKind.PERSONAL,) if tenant in ("consumers", PERSONAL_TENANT) else (AccountKind.WORK,)


def _authority(rules: Rules, account: str | None) -> tuple[AccountKind | None, str]:
    """The kind asked for, and the tenant segment that serves it. Raises BadRequest."""
    tenant = rules.tenant
    possible = allowed_kinds(tenant)
    if account in (None, "any"):
        only = possible[0] if len(possible) == 1 else None
        return only, "consumers" if only is AccountKind.PERSONAL else tenant
    try:
        kind = AccountKind(account)
    except ValueError:
        raise BadRequest("unknown_account_kind", "account is personal, work or any.") from None
    if kind not in possible:
        may = {AccountKind.PERSONAL: "personal accounts", AccountKind.WORK: "work and school accounts"}
        raise BadRequest("account_kind_not_allowed", f"Only {may[possible[0]]} can sign in here.")
    if kind is AccountKind.PERSONAL:
        return kind, "consumers"
    return kind, "organizations" if tenant == "common" else tenant


def _flow(rules: Rules, flow: str | None) -> Flow:
    try:
        chosen = Flow(flow or "code")
    except ValueError:
        raise BadRequest("unknown_flow", "flow is code or token.") from None
    if chosen is Flow.TOKEN and not rules.allow_token_flow:
        raise BadRequest("token_flow_not_allowed", "This app signs in with the code flow only.")
    return chosen

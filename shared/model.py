"""Owns the values that the bundle works with: frozen, without I/O, hiding what is a password.

A *session* is ours, a *grant* is at the provider, a *record* lies in the vault, an *attempt* is a sign-in
under way. All times are aware datetimes in UTC.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant id of every personal Microsoft account ("Microsoft identity platform ID tokens", claim `tid`)."""


class AccountKind(StrEnum):
    PERSONAL = "personal"
    WORK = "work"


class Flow(StrEnum):
    CODE = "code"
    TOKEN = "token"  # noqa: S105 (the name of a flow)


class Health(StrEnum):
    """What a session's grant is worth. Stable words: front ends and operators read them."""

    OK = "ok"
    RETRYING = "retrying"
    REAUTH_REQUIRED = "reauth_required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who signed in. `home_account_id` is the provider's `uid.utid`, or `oid.tid` where it did not say."""

    home_account_id: str
    tenant_id: str
    kind: AccountKind
    username: str
    name: str
    sid: str | None = None
    login_hint: str | None = field(default=None, repr=False)

    @property
    def authority(self) -> str:
        """The tenant segment at which this account's grant is refreshed for its whole life (R-02, R-03)."""
        return "consumers" if self.kind is AccountKind.PERSONAL else self.tenant_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Tokens as the provider gave them. `expires_at` and `refresh_at` are about the access token."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: datetime
    refresh_at: datetime | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What the timer decides by, readable without the record itself. Its times are whole seconds.

    `due_at` is the next time that the grant wants renewal; `failures` counts refreshes that failed in a row.
    `claims` and `prompt` are what the next sign-in must show the provider, where its refusal says so. `claim` says which instance
    is renewing right now, at a provider that punishes two (see `shared.usecases.claims`).
    """

    health: Health
    reason: str | None
    failures: int
    due_at: datetime
    seen_at: datetime
    created_at: datetime
    sid_hash: str | None
    account_hash: str
    flow: Flow = Flow.CODE
    claims: str | None = None
    prompt: str | None = None
    claim: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One session as it lies in the vault. `requested` are the scopes asked for at sign-in, short names.

    `refreshed_at` grows with every new grant, whatever the clock does: it tells which of two records is newer.
    """

    account: Account
    grant: Grant
    requested: tuple[str, ...]
    refreshed_at: datetime
    marks: Marks


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRef:
    """Where a session lies: the vault's label and the secret's name. Gives no access to anything by itself."""

    vault: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionId:
    """A session's password: 256 random bits and its vault's label. Only the cookie holds it."""

    vault: str
    value: str = field(repr=False)

    @classmethod
    def new(cls, vault: str) -> "SessionId":
        return cls(vault=vault, value=secrets.token_urlsafe(32))

    @property
    def ref(self) -> SessionRef:
        # Hashed, so that a listing of the vault gives no usable cookie.
        return SessionRef(vault=self.vault, name="s-" + digest(self.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A record with the store's version of it, which `annotate` names so as not to touch a newer one."""

    ref: SessionRef
    record: Record
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A session as a listing shows it: no token, no record."""

    ref: SessionRef
    version: str
    marks: Marks


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A whole vault, looked through once. `doubtful` is the store's own word, for its `repair_indexes`.

    `secrets` is how many there were of every kind. `doubtful` names indexes that may not be right; `foreign` sessions that
    another release wrote, so that nothing is known of them but the name.
    """

    entries: Sequence[Entry]
    secrets: int
    doubtful: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PassNote:
    """When a vault was last listed whole by anybody, and how many secrets it held then."""

    at: datetime
    secrets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RingKey:
    """One key of the ring that signs cookies. The newest signs; older ones verify."""

    id: str
    secret: bytes = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A sign-in under way, sealed into a cookie of its own until the callback (RFC 7636, RFC 9700 §2.1).

    `authority` is the tenant segment that it is sent to; `kind` the account kind asked for, None for any.
    `replaces` is the session of the browser that began it, as a reference; with `extends` the attempt only adds
    permissions to it (incremental consent, R-08). `rounds` counts how often it has gone to the provider.
    """

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)
    authority: str
    kind: AccountKind | None
    scopes: tuple[str, ...]
    return_to: str
    started_at: datetime
    flow: Flow = Flow.CODE
    prompt: str | None = None
    login_hint: str | None = field(default=None, repr=False)
    domain_hint: str | None = None
    claims: str | None = None
    replaces: SessionRef | None = None
    extends: bool = False
    rounds: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """What a redeemed authorization code gave."""

    account: Account
    grant: Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """What the token flow brings through the browser, unchecked (R-05)."""

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    expires_in: str
    scope: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRefusal:
    """An error answer of the identity provider, reduced to what may be kept (RFC 6749 §5.2; AADSTS codes)."""

    error: str
    codes: tuple[int, ...] = ()
    suberror: str | None = None
    claims: str | None = None
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesCall:
    """One request for Microsoft Graph. `target` is path and raw query below the Graph base URL, no leading slash."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesAnswer:
    """Graph's answer. Header names in lower case; of repeated ones the values are joined by a comma."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)


def refreshed_after(before: Record, now: datetime) -> datetime:
    """When a grant that replaces the one of `before` counts as got; `now`, unless the clock was set back."""
    return max(now, before.refreshed_at + timedelta(microseconds=1))


def whole_second(at: datetime) -> datetime:
    """As tags keep times, so that what is in memory equals what was stored."""
    return at.replace(microsecond=0)


def digest(value: str) -> str:
    """SHA-256 in hex: a name for a value that must not be shown."""
    return hashlib.sha256(value.encode()).hexdigest()

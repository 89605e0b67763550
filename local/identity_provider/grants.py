"""Owns what the provider has given out: consents, authorization codes, refresh tokens, access tokens.

In memory, by wall-clock time. Knows no HTTP and decides nothing about who may have what.
"""

import secrets
import time
from dataclasses import dataclass, field

from local.identity_provider.errors import ProviderError
from local.identity_provider.scopes import Scopes
from local.identity_provider.users import User

CODE_LIFETIME_S = 600
REFRESH_LIFETIME_S = 90 * 86_400
_REMEMBERED_S = 30 * 86_400  # so long after its end a refresh token is still told from one never given out
_PRUNE_EVERY = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What a resource may know of an access token. `expires_at` is in seconds since 1970."""

    username: str
    scopes: frozenset[str]
    expires_at: float
    personal: bool
    licensed: bool


@dataclass(slots=True, kw_only=True)
class Code:
    """An authorization code and all that it is bound to."""

    user: User
    segment: str
    redirect_uri: str
    scopes: Scopes
    nonce: str | None
    code_challenge: str | None
    sid: str
    issued_at: float
    spent: bool = False

    @property
    def expired(self) -> bool:
        return time.time() > self.issued_at + CODE_LIFETIME_S


@dataclass(slots=True, kw_only=True)
class Family:
    """All refresh tokens that descend from one sign-in. `dead` is why none of them works any more."""

    user: User
    sid: str
    redeemed_at: str
    dead: ProviderError | None = None


@dataclass(slots=True, kw_only=True)
class RefreshToken:
    family: Family
    scopes: Scopes
    issued_at: float
    spent: bool = False

    @property
    def expired(self) -> bool:
        return time.time() > self.issued_at + REFRESH_LIFETIME_S


@dataclass(slots=True, repr=False)  # a repr would show every token
class Ledger:
    """Everything given out. Tokens are the keys: whoever holds one looks it up."""

    consents: dict[str, set[str]] = field(default_factory=dict)  # username -> canonical scope names
    codes: dict[str, Code] = field(default_factory=dict)
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict)
    access_tokens: dict[str, AccessToken] = field(default_factory=dict)
    _given: int = 0

    def consented(self, user: User) -> frozenset[str]:
        return frozenset(self.consents.get(user.username, ()))

    def consent(self, user: User, names: frozenset[str]) -> None:
        self.consents.setdefault(user.username, set()).update(names)

    def give_code(self, code: Code) -> str:
        self._count()
        text = f"{'M.C501_' if code.user.personal else '1.A'}{secrets.token_urlsafe(96)}"
        self.codes[text] = code
        return text

    def give_refresh_token(self, family: Family, scopes: Scopes) -> str:
        self._count()
        # About as long as real ones: a vault's limit on the size of a secret must be felt here too.
        text = f"{'M.C502_' if family.user.personal else '1.AX'}{secrets.token_urlsafe(768)}"
        self.refresh_tokens[text] = RefreshToken(family=family, scopes=scopes, issued_at=time.time())
        return text

    def give_access_token(self, user: User, scopes: Scopes, lifetime_s: float) -> str:
        self._count()
        # Opaque to apps: a compact ticket for personal accounts, the look of a JWT for the others.
        text = (
            f"EwB{secrets.token_urlsafe(900)}"
            if user.personal
            else f"eyJ0eXAiOiJKV1QifQ.{secrets.token_urlsafe(900)}.{secrets.token_urlsafe(192)}"
        )
        self.access_tokens[text] = AccessToken(
            username=user.username,
            scopes=scopes.graph,
            expires_at=time.time() + lifetime_s,
            personal=user.personal,
            licensed=user.licensed,
        )
        return text

    def end_families(self, user: User, why: ProviderError) -> None:
        """Every refresh token of that user is refused with `why` from now on."""
        for token in self.refresh_tokens.values():
            if token.family.user == user:
                token.family.dead = why

    def _count(self) -> None:
        """Drop what nobody can use any more, now and then."""
        self._given += 1
        if self._given % _PRUNE_EVERY:
            return
        now = time.time()
        self.codes = {text: code for text, code in self.codes.items() if now < code.issued_at + 86_400}
        self.access_tokens = {t: token for t, token in self.access_tokens.items() if now < token.expires_at}
        kept_s = REFRESH_LIFETIME_S + _REMEMBERED_S
        self.refresh_tokens = {t: r for t, r in self.refresh_tokens.items() if now < r.issued_at + kept_s}

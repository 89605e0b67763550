"""Owns what all endpoints of the provider share: its settings, its options, and its state. No HTTP."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Literal

from local.identity_provider.browser_sessions import BrowserSessions
from local.identity_provider.errors import ProviderError, unknown_tenant
from local.identity_provider.grants import Ledger
from local.identity_provider.keys import SigningKeys
from local.identity_provider.users import Authority, Directory, User

Stage = Literal["authorize", "authorization_code", "refresh_token"]


@dataclass(slots=True, kw_only=True)
class Behaviour:
    """How the provider behaves where real ones differ, or differ over time. Tests set the attributes.

    `rotation`: a spent refresh token stays valid (Microsoft's way), or its reuse revokes the family (RFC 9700
    §4.14.2). `common_personal_dies`: personal accounts are refreshed at `consumers` only, and never with what was
    redeemed at `common`. `consumers_takes_common_code`: a personal account's code from `common` is redeemed at
    `consumers`. `consumers_takes_assertion`: the personal-account endpoint takes a client assertion.
    `front_channel_iss`: front-channel sign-out sends `iss` beside `sid`. `implicit_enabled`: the two boxes of
    the app registration that allow tokens straight from the authorization endpoint.
    """

    rotation: Literal["lenient", "strict"] = "lenient"
    common_personal_dies: bool = True
    consumers_takes_common_code: bool = True
    consumers_takes_assertion: bool = True
    client_info_in_answer: bool = True
    front_channel_iss: bool = False
    implicit_enabled: bool = True
    access_token_seconds: int = 3600
    refresh_in: int | None = None
    latency_s: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The one app that the provider knows. `accepts_assertion` judges a client assertion instead of a secret."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uris: frozenset[str]
    post_logout_redirect_uris: frozenset[str]
    front_channel_logout_url: str | None
    accepts_assertion: Callable[[str], bool] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What one user is refused with, and where, until it is taken back (or until the next sign-in)."""

    error: ProviderError
    at: frozenset[Stage]
    until_sign_in: bool


@dataclass(slots=True, kw_only=True)
class Core:
    """Shared by the endpoints. URLs are without a slash at their end."""

    front_url: str
    back_url: str
    registration: Registration
    users: Directory
    behaviour: Behaviour = field(default_factory=Behaviour)
    ledger: Ledger = field(default_factory=Ledger)
    keys: SigningKeys = field(default_factory=SigningKeys)
    browsers: BrowserSessions
    refusals: dict[str, Refusal] = field(default_factory=dict)
    token_calls: Counter[tuple[str, str]] = field(default_factory=Counter)

    def authority(self, segment: str) -> Authority:
        """Raises ProviderError `invalid_tenant`."""
        authority = self.users.authority(segment)
        if authority is None:
            raise unknown_tenant(segment)
        return authority

    def refuse(
        self,
        user: User,
        error: ProviderError,
        at: Collection[Stage],
        until_sign_in: bool,
    ) -> None:
        self.refusals[user.username] = Refusal(error=error, at=frozenset(at), until_sign_in=until_sign_in)

    def check_refusal(self, user: User, stage: Stage) -> None:
        """Raises what this user is refused with at this stage, if anything."""
        refusal = self.refusals.get(user.username)
        if refusal is None:
            return
        if refusal.until_sign_in and stage == "authorization_code":
            del self.refusals[user.username]
        elif stage in refusal.at:
            raise replace(refusal.error)  # a new one: tracebacks would pile up on the stored one

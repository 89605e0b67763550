"""Owns the promises between the use cases and the outside. Each promise stands here once, as a docstring.

No request, response or SDK type crosses a port. Every call that leaves the process has a time limit of its
own, and raises `Unavailable` (or a child of it) when that passes.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from shared.model import (
    Account,
    Attempt,
    Entry,
    Grant,
    Listing,
    Marks,
    NotesAnswer,
    NotesCall,
    PassNote,
    ProviderRefusal,
    Record,
    RingKey,
    SessionRef,
    SignedIn,
    Stored,
    TokenAnswer,
)


class Clock(Protocol):
    def now(self) -> datetime:
        """The time of day, UTC. It can jump, forwards and backwards."""

    async def sleep(self, seconds: float) -> None: ...


class ProviderRefused(Exception):
    """The identity provider answered with an error; `refusal` says which. Judged in `shared.verdicts`."""

    def __init__(self, refusal: ProviderRefusal) -> None:
        super().__init__(refusal.error)
        self.refusal = refusal


class InvalidIdToken(Exception):
    """The id token did not pass a check (OpenID Connect Core §3.1.3.7). The text names the check, no value."""


class Identity(Protocol):
    """The identity platform, v2.0. `authority` is always a tenant segment: `common`, `consumers`, a tenant id."""

    async def authorization_url(self, attempt: Attempt) -> str:
        """Where to send the browser (RFC 6749 §4.1.1 with PKCE, form_post). Raises ProviderUnavailable."""

    async def redeem(self, code: str, attempt: Attempt, authority: str) -> SignedIn:
        """Trade an authorization code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5; R-04).

        The id token is checked: issuer, audience, tenant, nonce, times. Raises ProviderRefused,
        InvalidIdToken, ProviderUnavailable, Misconfigured.
        """

    async def accept(self, answer: TokenAnswer, attempt: Attempt) -> SignedIn:
        """Check tokens that came through the browser (OpenID Connect Core §3.2.2.11; R-05), the id token whole.

        Signature by the provider's keys, issuer, audience, nonce, at_hash, times. The grant has no refresh token.
        Raises InvalidIdToken, ProviderUnavailable, Misconfigured.
        """

    async def refresh(self, refresh_token: str, scopes: Sequence[str], authority: str) -> Grant:
        """Renew a grant (RFC 6749 §6; R-11). A provider that sends no new refresh token keeps the old one.

        Raises ProviderRefused, ProviderUnavailable, Misconfigured.
        """

    async def knows_issuer(self, issuer: str) -> bool:
        """Whether a front-channel sign-out that names this issuer can be the provider's."""

    async def sign_out_url(self, account: Account | None, return_url: str, state: str) -> str:
        """Where the browser ends the provider's own session (OpenID Connect RP-Initiated Logout; R-12)."""


class SessionStore(Protocol):
    """Sessions and their two indexes, in one or several vaults."""

    @property
    def vaults(self) -> Sequence[str]:
        """The labels of the vaults, in the operator's order."""

    async def create(self, ref: SessionRef, record: Record) -> Stored:
        """Durable on return, and found by account and by sid. Raises StoreUnavailable."""

    async def load(self, ref: SessionRef) -> Stored:
        """The newest. Raises SessionUnknown, RecordTooNew, StoreUnavailable."""

    async def replace(self, ref: SessionRef, record: Record) -> Stored:
        """A new version, durable on return. Raises SessionEnded (it never revives one), StoreUnavailable."""

    async def annotate(self, ref: SessionRef, version: str, marks: Marks) -> None:
        """Change the marks of that very version, quietly doing nothing to a newer one's tokens.

        Costs no write of the vault's scarce quota. Raises SessionUnknown, StoreUnavailable.
        """

    async def delete(self, ref: SessionRef) -> None:
        """The tokens are gone on return: no load finds them, no replace brings them back (R-12).

        Deleting what is not there is a success. Raises StoreUnavailable.
        """

    async def by_account(self, account_hash: str) -> Sequence[SessionRef]:
        """Sessions of an account in every vault; may name some that have ended. Raises StoreUnavailable."""

    async def by_sid(self, sid_hash: str) -> Sequence[SessionRef]:
        """Sessions that the provider knows by that `sid`; may name some that have ended. Raises StoreUnavailable."""

    async def listing(self, vault: str) -> Listing:
        """Every session of a vault, without reading a value. Raises StoreUnavailable."""

    async def account_page(self, vault: str, page: str | None) -> tuple[Sequence[str], str | None]:
        """Hashes of accounts with an index in that vault, a page at a time, and the next page's opaque name.

        Raises BadRequest for a page that there isn't, StoreUnavailable.
        """

    async def purge(self, vault: str, deleted_before: datetime) -> int:
        """Remove for good what was deleted before that time; how many. Raises StoreUnavailable."""

    async def repair_indexes(
        self, vault: str, listing: Listing, listed_at: datetime, removed: Collection[Entry] = ()
    ) -> int:
        """Make the indexes agree with a listing that began at `listed_at`, less what was `removed` since.

        How many were changed. An index that was written since is left alone. Raises StoreUnavailable.
        """

    async def last_pass(self, vault: str) -> PassNote | None:
        """The note that `note_pass` left, one read; None where there is none. Raises StoreUnavailable."""

    async def note_pass(self, vault: str, note: PassNote) -> None:
        """Leave it for other instances. Raises StoreUnavailable."""

    def throttled(self, vault: str) -> int:
        """How many calls the vault has refused for its quota so far, in this process."""


class KeyRing(Protocol):
    async def newest(self) -> RingKey:
        """The key that signs; the first call ever makes it. Raises StoreUnavailable."""

    async def by_id(self, key_id: str) -> RingKey | None:
        """A key that may verify; None for one that never was. Raises StoreUnavailable."""

    async def rotate(self, *, older_than: datetime) -> bool:
        """Make a new newest key if the present one was made before that time; whether it did."""


class Notes(Protocol):
    async def send(self, call: NotesCall, access_token: str) -> NotesAnswer:
        """One call to Microsoft Graph, whatever it answers. Raises AnswerTooLarge; where it doesn't answer, NotesUnavailable,
        or NotesTimedOut if it may have done what was asked. How long that may take is the caller's to bound."""

"""Owns the errors of the bundle and their stable codes, split by who can act. Knows no HTTP.

Messages are written for the reader who can act and never hold a token, a claim, a code or a body that came
from outside (R-16): the platform writes exception texts to its log.
"""

from collections.abc import Sequence


class BundleError(Exception):
    """The root of everything the bundle raises on purpose. `code` is stable: callers may depend on it."""

    code = "internal_error"


# The caller ------------------------------------------------------------------------------------------------


class BadRequest(BundleError):
    """The caller sent something that can't be used. `detail` says what, in plain words."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class NotSignedIn(BundleError):
    """No session: no cookie, a forged or expired one, or a session that has ended."""

    code = "not_signed_in"


class Forbidden(BundleError):
    """The caller may not do this: another site's request, or a switch that the operator left off."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


# The person ------------------------------------------------------------------------------------------------


class SignInFailed(BundleError):
    """An attempt to sign in came to nothing. `code` names the text that the person reads.

    `return_to` is where the attempt was to end, when it could be read; the error page leads on to it. `claims` is what
    the next one must show the provider, as JSON.
    """

    def __init__(
        self,
        code: str,
        *,
        return_to: str | None = None,
        correlation_id: str | None = None,
        claims: str | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.return_to = return_to
        self.correlation_id = correlation_id
        self.claims = claims


class ReauthRequired(BundleError):
    """Only a new sign-in helps: the provider has refused this very grant (R-13). `reason` is a stable word."""

    code = "reauth_required"

    def __init__(self, reason: str, *, claims: str | None = None) -> None:
        """`claims` is what the sign-in must show the provider, as JSON."""
        super().__init__(reason)
        self.reason = reason
        self.claims = claims


# The operator ----------------------------------------------------------------------------------------------


class Misconfigured(BundleError):
    """Settings or the app registration are wrong; no session is touched. One line a finding, each with its mend."""

    code = "misconfigured"

    def __init__(self, findings: Sequence[str], *, everywhere: bool = True) -> None:
        """`everywhere` unless it may be one tenant's or one vault's trouble alone."""
        super().__init__("; ".join(findings))
        self.findings = tuple(findings)
        self.everywhere = everywhere


# Nobody: wait and retry ------------------------------------------------------------------------------------


class Unavailable(BundleError):
    """A dependency can't be reached or is busy; nothing was lost. `retry_after_s` is a suggestion in seconds."""

    code = "unavailable"

    def __init__(self, what: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.retry_after_s = retry_after_s


class StoreUnavailable(Unavailable):
    """The vault can't be asked. Never to be read as "signed out"."""

    code = "store_unavailable"


class ProviderUnavailable(Unavailable):
    """The identity provider can't be asked."""

    code = "provider_unavailable"


class NotesUnavailable(Unavailable):
    """Microsoft Graph can't be asked."""

    code = "graph_unavailable"


class NotesTimedOut(NotesUnavailable):
    """Microsoft Graph was asked and gave no whole answer in time: a write may have been done all the same."""

    code = "graph_timeout"


class TooManyCalls(Unavailable):
    """One person has too many calls under way on this instance; nothing was sent."""

    code = "too_many_calls"

    def __init__(self) -> None:
        super().__init__("too many calls of one person at once", retry_after_s=5)


class AnswerTooLarge(BundleError):
    """Microsoft Graph answers with more than is passed on (`GRAPH_BODY_MAX_MB`)."""

    code = "answer_too_large"


# The session store's own words -----------------------------------------------------------------------------


class SessionUnknown(BundleError):
    """The store holds no such session."""

    code = "session_unknown"


class SessionEnded(BundleError):
    """The session was deleted: nothing may write to it any more."""

    code = "session_ended"


class RecordTooNew(BundleError):
    """The record was written by a newer release; it is left untouched."""

    code = "record_too_new"

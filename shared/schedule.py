"""Owns when a grant is due and when a session is over: pure functions of record, time and policy (R-11).

Sessions seen lately are renewed before their access token runs out, so that the next click is fast; idle ones
are kept alive once in `keep_alive`, spread evenly over it by a hash of their name.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.model import Flow, Grant, Marks, whole_second

WARM = timedelta(hours=2)
"""Seen within this time, a session counts as in use."""

EARLY = timedelta(minutes=10)
"""A warm session is renewed this long before expiry at the latest: two runs of the default schedule."""

PASS_LATEST = timedelta(minutes=90)
"""A vault is listed whole this often at the least, however large it is.

What the last listing showed is renewed in time between listings. What began, or came into use again, elsewhere since is
found so much later at most: a first click may then wait for a renewal, and no grant comes near the end of its life.
"""

SEEN_STEP = timedelta(hours=1)
"""`seen_at` is written at most this often."""

_TOKEN_LONGEST = timedelta(hours=28)
"""What an access token lives at most ("Continuous access evaluation")."""

_BACKOFF_FIRST = timedelta(minutes=1)
_BACKOFF_MOST = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The operator's lifetimes."""

    idle: timedelta
    longest: timedelta
    keep_alive: timedelta


def due_at(grant: Grant, *, seen_at: datetime, now: datetime, name: str, policy: Policy) -> datetime:
    """When a grant got at `now` is to be renewed."""
    if now - seen_at < WARM:
        spread = EARLY * _share(name) / 2
        before_expiry = grant.expires_at - EARLY - spread
        wished = min(grant.refresh_at, before_expiry) if grant.refresh_at else before_expiry
        # A token that lives shorter than the margin would be due for ever.
        return whole_second(min(max(wished, now + (grant.expires_at - now) / 2), now + _longest_wait(policy)))
    period = policy.keep_alive.total_seconds()
    phase = _share(name) * period
    return whole_second(now + timedelta(seconds=(phase - now.timestamp()) % period or period))


def is_due(marks: Marks, *, now: datetime, policy: Policy) -> bool:
    """Also when it says later than anything is ever put off to: a clock that was wrong wrote that."""
    return marks.due_at <= now or marks.due_at - now > _longest_wait(policy)


def after_failure(marks: Marks, *, now: datetime, name: str) -> datetime:
    """When to try again after the `marks.failures`-th failure in a row: growing, spread, bounded."""
    step = min(_BACKOFF_FIRST * (1 << min(marks.failures, 12)), _BACKOFF_MOST)
    return whole_second(now + step * (0.75 + _share(name) / 2))


def pass_every(secrets: int) -> timedelta:
    """How often a vault with so many secrets is listed whole: for half a percent of its reads, but at the least so often.

    A page has 25 secrets; a vault allows 400 reads a second ("Azure Key Vault service limits").
    """
    every = timedelta(seconds=secrets / 25 / (400 * 0.005))
    # Runs come minutes apart, so seconds are no reason to skip one.
    return min(PASS_LATEST, every) if every > timedelta(minutes=1) else timedelta(0)


def over(marks: Marks, *, now: datetime, policy: Policy) -> str | None:
    """Why a session is over: `idle`, `too_old`, `token_flow_expired`; None while it is not."""
    if marks.flow is Flow.TOKEN and marks.due_at <= now:
        return "token_flow_expired"
    if now - marks.created_at > policy.longest:
        return "too_old"
    if now - marks.seen_at > policy.idle:
        return "idle"
    return None


def _longest_wait(policy: Policy) -> timedelta:
    return policy.keep_alive + _TOKEN_LONGEST


def _share(name: str) -> float:
    """A number in [0, 1) that is always the same for a name, and evenly spread over names (which are hashes)."""
    return int(name[-8:], 16) / 2**32

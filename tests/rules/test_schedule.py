"""When a grant is due and when a session is over (R-11): a table of cases, and promises that hold for all."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import Flow, Grant, Health, Marks, digest
from shared.schedule import EARLY, WARM, Policy, after_failure, due_at, is_due, over

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
POLICY = Policy(idle=timedelta(days=30), longest=timedelta(days=180), keep_alive=timedelta(hours=24))
NAME = "s-" + digest("a session")

names = st.integers(0, 10**9).map(lambda n: "s-" + digest(str(n)))
moments = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
lifetimes = st.floats(60, 28 * 3600).map(lambda s: timedelta(seconds=s))


def grant(lives: timedelta, *, now: datetime = NOW, refresh_in: timedelta | None = None) -> Grant:
    return Grant(
        access_token="at",
        refresh_token="rt",
        expires_at=now + lives,
        refresh_at=now + refresh_in if refresh_in else None,
        scopes=("Notes.Read",),
    )


def marks(**changes: object) -> Marks:
    values: dict[str, object] = {
        "health": Health.OK,
        "reason": None,
        "failures": 0,
        "due_at": NOW,
        "seen_at": NOW,
        "created_at": NOW,
        "sid_hash": None,
        "account_hash": digest("a"),
    }
    return Marks(**{**values, **changes})  # type: ignore[arg-type]


def test_a_session_in_use_is_due_two_runs_of_the_timer_before_its_token_ends() -> None:
    """R-11: so that the next click is fast."""
    due = due_at(grant(timedelta(hours=1)), seen_at=NOW, now=NOW, name=NAME, policy=POLICY)
    assert EARLY <= NOW + timedelta(hours=1) - due <= EARLY * 1.5


def test_the_providers_own_wish_comes_first_when_it_is_earlier() -> None:
    """R-11: `refresh_in` of the token answer."""
    long_lived = grant(timedelta(hours=24), refresh_in=timedelta(hours=12))
    assert due_at(long_lived, seen_at=NOW, now=NOW, name=NAME, policy=POLICY) == NOW + timedelta(hours=12)


def test_a_token_that_lives_shorter_than_the_margin_is_due_at_half_its_life() -> None:
    """R-11: otherwise it would be due for ever."""
    due = due_at(grant(timedelta(minutes=8)), seen_at=NOW, now=NOW, name=NAME, policy=POLICY)
    assert due == NOW + timedelta(minutes=4)


@given(names, moments, lifetimes, st.floats(0, 0.99))
def test_a_session_in_use_is_never_due_after_its_token_ends(
    name: str, now: datetime, lives: timedelta, seen_share: float
) -> None:
    """R-11."""
    due = due_at(grant(lives, now=now), seen_at=now - WARM * seen_share, now=now, name=name, policy=POLICY)
    assert now < due < now + lives


@given(names, moments, lifetimes, st.floats(0.1, 720), st.floats(2, 1000))
def test_an_idle_session_is_never_due_later_than_keep_alive(
    name: str, now: datetime, lives: timedelta, keep_alive_h: float, idle_h: float
) -> None:
    """R-11, R-18: the grant lives on while nobody is there."""
    policy = Policy(idle=POLICY.idle, longest=POLICY.longest, keep_alive=timedelta(hours=keep_alive_h))
    due = due_at(grant(lives, now=now), seen_at=now - timedelta(hours=idle_h), now=now, name=name, policy=policy)
    # Marks keep whole seconds; a microsecond for the float arithmetic of a phase.
    assert now - timedelta(seconds=1) < due <= now + policy.keep_alive + timedelta(microseconds=1)


@given(names, moments)
def test_an_idle_session_keeps_its_hour_from_day_to_day(name: str, now: datetime) -> None:
    """R-11: however late a run was, the next is due at the session's own phase, so the spread does not wash out."""
    seen = now - timedelta(days=3)
    first = due_at(grant(timedelta(hours=1), now=now), seen_at=seen, now=now, name=name, policy=POLICY)
    late = first + timedelta(hours=2)
    second = due_at(grant(timedelta(hours=1), now=late), seen_at=seen, now=late, name=name, policy=POLICY)
    assert abs(second - first - POLICY.keep_alive) <= timedelta(seconds=1)


def test_idle_sessions_are_spread_evenly_over_keep_alive() -> None:
    """R-11: 4,800 sessions whose sign-ins came at one moment; each half hour gets 100 ± 40 of them."""
    seen = NOW - timedelta(days=1)
    slots: Counter[int] = Counter()
    for n in range(4_800):
        due = due_at(grant(timedelta(hours=1)), seen_at=seen, now=NOW, name="s-" + digest(str(n)), policy=POLICY)
        slots[int((due - NOW) / timedelta(minutes=30))] += 1
    assert len(slots) == 48
    assert all(60 <= count <= 140 for count in slots.values())


@given(names, st.integers(1, 1000))
def test_the_back_off_grows_is_spread_and_has_a_ceiling(name: str, failures: int) -> None:
    """R-11: never at once again, never more than about a quarter of a day and a half."""
    wait = after_failure(marks(failures=failures), now=NOW, name=name) - NOW
    more = after_failure(marks(failures=failures + 1), now=NOW, name=name) - NOW
    assert timedelta(minutes=1) <= wait <= more <= timedelta(hours=7, minutes=30)


def test_two_sessions_do_not_back_off_to_the_same_moment() -> None:
    """R-11: jitter, by the name."""
    waits = {after_failure(marks(failures=3), now=NOW, name="s-" + digest(str(n))) for n in range(100)}
    assert len(waits) > 50


def test_a_session_is_over_when_unused_or_too_old() -> None:
    """R-11: SESSION_IDLE_DAYS and SESSION_MAX_DAYS."""
    day = timedelta(days=1)
    assert over(marks(), now=NOW, policy=POLICY) is None
    assert over(marks(), now=NOW + 30 * day, policy=POLICY) is None
    assert over(marks(), now=NOW + 30 * day + timedelta(seconds=1), policy=POLICY) == "idle"
    in_use = marks(seen_at=NOW + 180 * day)
    assert over(in_use, now=NOW + 180 * day, policy=POLICY) is None
    assert over(in_use, now=NOW + 180 * day + timedelta(seconds=1), policy=POLICY) == "too_old"


def test_a_session_of_the_token_flow_is_over_with_its_token() -> None:
    """R-05."""
    short = marks(flow=Flow.TOKEN, due_at=NOW + timedelta(hours=1))
    assert over(short, now=NOW + timedelta(minutes=59), policy=POLICY) is None
    assert over(short, now=NOW + timedelta(hours=1), policy=POLICY) == "token_flow_expired"
    # A due renewal of the code flow ends nothing.
    assert over(marks(due_at=NOW), now=NOW + timedelta(hours=1), policy=POLICY) is None


@pytest.mark.parametrize(("days", "due"), [(-1, True), (0, True), (1, False), (2, False), (3, True), (10, True)])
def test_what_a_wrong_clock_put_off_for_days_is_due(days: float, due: bool) -> None:
    """R-11: nothing is ever put off for longer than a period and the longest token together."""
    assert is_due(marks(due_at=NOW + timedelta(days=days)), now=NOW, policy=POLICY) is due


@given(names, st.floats(28, 24 * 90).map(lambda hours: timedelta(hours=hours)))
def test_a_token_that_lives_for_weeks_is_not_due_at_once(name: str, lives: timedelta) -> None:
    """Some other provider's: it is renewed like an idle one, and no more often."""
    at = due_at(grant(lives), seen_at=NOW, now=NOW, name=name, policy=POLICY)
    assert at > NOW + timedelta(hours=12)
    assert not is_due(marks(due_at=at), now=NOW, policy=POLICY)

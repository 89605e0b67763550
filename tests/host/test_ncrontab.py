"""NCRONTAB, by table."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.ncrontab import BadSchedule, parse


@pytest.mark.parametrize(
    ("text", "after", "following"),
    [
        ("0 */5 * * * *", "2026-01-01T00:00:00", "2026-01-01T00:05:00"),
        ("0 */5 * * * *", "2026-01-01T00:04:59", "2026-01-01T00:05:00"),
        ("*/5 * * * *", "2026-01-01T00:01:00", "2026-01-01T00:05:00"),
        ("0 0 3 * * *", "2026-12-31T03:00:00", "2027-01-01T03:00:00"),
        ("30 15,45 8-10/2 * * *", "2026-01-01T08:45:30", "2026-01-01T10:15:30"),
        ("0 20/15 * * * *", "2026-01-01T00:36:00", "2026-01-01T00:50:00"),
        ("0 20/15 * * * *", "2026-01-01T00:51:00", "2026-01-01T01:20:00"),
        ("0 0 9 * * Mon-Fri", "2026-01-02T09:00:00", "2026-01-05T09:00:00"),
        ("0 0 9 * * sunday", "2026-01-01T00:00:00", "2026-01-04T09:00:00"),
        ("0 0 9 1 jan,Jul *", "2026-01-01T09:00:00", "2026-07-01T09:00:00"),
        ("0 0 0 31 * *", "2026-01-31T00:00:00", "2026-03-31T00:00:00"),
        ("0 0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 0 13 * 5", "2026-01-01T00:00:00", "2026-02-13T00:00:00"),  # both: Friday the 13th
        ("59 59 23 31 12 *", "2026-12-31T23:59:59", "2027-12-31T23:59:59"),
        ("* * * * * *", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
    ],
)
def test_the_next_occurrence(text: str, after: str, following: str) -> None:
    """Strictly later, lists, ranges, steps and names; day and day of the week must both fit."""
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert parse(text).next_after(moment) == datetime.fromisoformat(following).replace(tzinfo=UTC)


def test_parts_of_a_second_do_not_count() -> None:
    """The occurrence of this very second is over."""
    moment = datetime(2026, 1, 1, 0, 5, 0, 500_000, tzinfo=UTC)
    assert parse("0 */5 * * * *").next_after(moment) == datetime(2026, 1, 1, 0, 10, tzinfo=UTC)


def test_schedules_are_in_utc() -> None:
    """Whatever zone the moment is given in."""
    moment = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert parse("0 0 0 * * *").next_after(moment) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 0 fields"),
        ("00:05:00", "App Service plans only"),
        ("* * * * * * *", "has 7 fields"),
        ("60 * * * * *", "second must be a number from 0 to 59"),
        ("0 * * 0 * *", "day must be a number from 1 to 31"),
        ("0 * * * foo *", "month must be a number from 1 to 12 or a name such as jan"),
        ("0 * * * * 7", "day of the week must be a number from 0 to 6 or a name such as sun"),
        ("0 */0 * * * *", "the step must be a number from 1 on"),
        ("0 */x * * * *", "the step must be a number from 1 on"),
        ("0 * 9-5 * * *", "hour runs backwards"),
        ("0 , * * * *", "minute must be"),
        ("0 ² * * * *", "minute must be"),
        ("0 0 0 30 2 *", "never happens"),
    ],
)
def test_a_wrong_expression_says_what_is_wrong(text: str, said: str) -> None:
    """The field by its name, and what it may hold."""
    with pytest.raises(BadSchedule) as caught:
        parse(text)
    assert said in str(caught.value)


@given(
    st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2090, 1, 1)),
    st.sampled_from(["0 */7 * * * *", "5 4 3 * * *", "0 0 12 31 * *", "1 2 3 29 2 *", "0 0 0 * 2-11/3 Tue"]),
)
def test_every_occurrence_is_the_one_after_the_moment_before_it(moment: datetime, text: str) -> None:
    """None is skipped between a moment and the next occurrence that is named."""
    schedule = parse(text)
    following = schedule.next_after(moment.replace(tzinfo=UTC))
    assert following > moment.replace(tzinfo=UTC)
    assert schedule.next_after(following - timedelta(seconds=1)) == following

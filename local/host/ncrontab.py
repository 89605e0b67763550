"""Owns NCRONTAB expressions: when a timer runs next, in UTC. Pure; no clock.

Six fields — second, minute, hour, day, month, day of the week — each a list of values, ranges (`a-b`), `*`,
and steps (`*/n`, `a-b/n`, `a/n` = from a on); months and days of the week also by English name. Day and day of
the week must both fit, unlike in a Unix crontab ("Timer trigger for Azure Functions", NCRONTAB expressions).
The real parser swaps a range that runs backwards; here it is refused, for it is always a mistake.
"""

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_MONTHS = tuple(name.lower() for name in calendar.month_name[1:])
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_SHORTEST_NAME = 3
_YEARS_AHEAD = 41  # the 29th of February on one day of the week: 40 years at most, across a year like 2100


class BadSchedule(ValueError):
    """Not an NCRONTAB expression; the text says which field and why."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 6, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed expression: the values that fit, per field, in order."""

    text: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 = Sunday

    @property
    def many_a_minute(self) -> bool:
        return len(self.seconds) > 1

    def next_after(self, moment: datetime) -> datetime:
        """The first occurrence later than `moment` (aware; the answer is in UTC)."""
        start = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        today = start.replace(hour=0, minute=0, second=0)
        if self._fits(today):
            time_of_day = self._time_from(start.hour, start.minute, start.second)
            if time_of_day is not None:
                return today + time_of_day
        first = timedelta(hours=self.hours[0], minutes=self.minutes[0], seconds=self.seconds[0])
        return self._next_day(today) + first

    def _fits(self, day: datetime) -> bool:
        return day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays

    def _next_day(self, today: datetime) -> datetime:
        for month in range(12 * _YEARS_AHEAD):
            first = datetime(today.year + (today.month - 1 + month) // 12, (today.month - 1 + month) % 12 + 1, 1)
            if first.month not in self.months:
                continue
            for day in range(1, calendar.monthrange(first.year, first.month)[1] + 1):
                candidate = first.replace(day=day, tzinfo=UTC)
                if candidate > today and self._fits(candidate):
                    return candidate
        raise BadSchedule(f"{self.text!r} never happens: no date fits its day, month and day of the week")

    def _time_from(self, hour: int, minute: int, second: int) -> timedelta | None:
        for h in self.hours:
            for m in self.minutes if h >= hour else ():
                for s in self.seconds if (h, m) >= (hour, minute) else ():
                    if (h, m, s) >= (hour, minute, second):
                        return timedelta(hours=h, minutes=m, seconds=s)
        return None


def parse(text: str) -> Schedule:
    """An expression of six fields, or of five (then the second is 0). Raises BadSchedule."""
    parts = text.split()
    if len(parts) == 5:
        parts.insert(0, "0")
    if len(parts) != 6:
        hint = " (the form hh:mm:ss works on App Service plans only)" if ":" in text else ""
        raise BadSchedule(
            f"{text!r} has {len(parts)} fields; NCRONTAB has six: second, minute, hour, day, month, day of "
            f"the week{hint}"
        )
    values = [_field(field, part) for field, part in zip(_FIELDS, parts, strict=True)]
    seconds, minutes, hours = (tuple(sorted(found)) for found in values[:3])
    schedule = Schedule(" ".join(text.split()), seconds, minutes, hours, *map(frozenset, values[3:]))
    schedule.next_after(datetime(2000, 1, 1, tzinfo=UTC))  # raises where no date fits
    return schedule


def _field(field: _Field, text: str) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        step = 1
        if slash:
            if not (step_text.isascii() and step_text.isdigit()) or int(step_text) == 0:
                raise BadSchedule(f"{part!r} in the field {field.name}: the step must be a number from 1 on")
            step = int(step_text)
        low_text, dash, high_text = span.partition("-")
        if span == "*":
            low, high = field.low, field.high
        else:
            low = _value(field, low_text)
            high = _value(field, high_text) if dash else field.high if slash else low
        if low > high:
            raise BadSchedule(f"{part!r} in the field {field.name} runs backwards")
        values.update(range(low, high + 1, step))
    return values


def _value(field: _Field, text: str) -> int:
    if text.isascii() and text.isdigit():
        if field.low <= int(text) <= field.high:
            return int(text)
    elif len(text) >= _SHORTEST_NAME:
        for number, word in enumerate(field.words, start=field.low):
            if word.startswith(text.lower()):
                return number
    names = f" or a name such as {field.words[0][:_SHORTEST_NAME]}" if field.words else ""
    raise BadSchedule(f"{text!r} in the field {field.name} must be a number from {field.low} to {field.high}{names}")

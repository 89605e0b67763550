"""Owns the list of measurements: what each is, about how long it takes, how it runs whole and quick."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.bench import host_calls, quota, remote, sizes, startup
from local.bench.processes import peers, run


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is done: whole or quick. Seconds are of one round.

    `days` fill whole pages of a listing: three secrets a session, the key ring and the note of the last pass, 25 a page.
    """

    rounds: int
    refresh_s: float
    renewal_s: float
    load_s: float
    due: int
    days: tuple[int, int]
    sizes: tuple[int, ...]
    starts: int


WHOLE = Effort(
    rounds=7,
    refresh_s=0.7,
    renewal_s=1.0,
    load_s=1.2,
    due=720,
    days=(16, 41),
    sizes=(1_000, 10_000, 100_000),
    starts=11,
)
QUICK = Effort(rounds=3, refresh_s=0.3, renewal_s=0.5, load_s=0.3, due=240, days=(7, 16), sizes=(1_000,), starts=2)
# At least three for each of the 32 workers of three contenders.
_RENEWED = 288


@dataclass(frozen=True, kw_only=True)
class Section:
    """`measure(folder, effort, until)`; `folder` is for throw-away files, `until` a time of the monotonic clock.

    `whole_s` and `quick_s` are what it takes on a quiet machine of two processors.
    """

    title: str
    whole_s: float
    quick_s: float
    measure: Callable[[Path, Effort, float], Any]


def _refreshes(folder: Path, effort: Effort, until: float) -> Any:
    with peers(folder) as around:
        return run("local.bench.refreshes", around.settings("ours"), rounds=effort.rounds, seconds=effort.refresh_s)


def _renewals(folder: Path, effort: Effort, until: float) -> Any:
    with peers(folder) as around:
        names = remote.fill(around, sessions=_RENEWED, due=_RENEWED)
        settings = around.settings("ours")
        return run("local.bench.renewals", settings, rounds=effort.rounds, seconds=effort.renewal_s, names=names)


def _days(folder: Path, effort: Effort, until: float) -> Any:
    # Both at once: calls are counted, not timed.
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda number: run("local.bench.day", {}, sessions=number), effort.days))


SECTIONS: Mapping[str, Section] = {
    "startup": Section(
        title="Starting, beside bare azure.functions",
        whole_s=9,
        quick_s=4,
        measure=lambda folder, effort, _: startup.measure(folder, rounds=effort.starts),
    ),
    "refreshes": Section(title="Calls to the provider", whole_s=23, quick_s=6, measure=_refreshes),
    "renewals": Section(title="Whole renewals, vault included", whole_s=24, quick_s=6, measure=_renewals),
    "host": Section(
        title="Calls through the functions host",
        whole_s=28,
        quick_s=9,
        measure=lambda folder, effort, _: host_calls.measure(folder, rounds=effort.rounds, seconds=effort.load_s),
    ),
    "quota": Section(
        title="A sweep under the real write quota, with sign-ins",
        whole_s=33,
        quick_s=13,
        measure=lambda folder, effort, _: quota.measure(folder, due=effort.due),
    ),
    "day": Section(
        title="A day of idle sessions, in virtual time",
        whole_s=15,
        quick_s=7,
        measure=_days,
    ),
    "sizes": Section(
        title="Sweeps by number of sessions, without a quota",
        whole_s=15,
        quick_s=3,
        measure=lambda folder, effort, until: sizes.measure(folder, sessions=effort.sizes, until=until),
    ),
}

"""Owns what the measurements come to: the ratios that callers rely on, and what is wanted of each. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

from local.bench.rounds import STEP_S
from shared.schedule import pass_every

HOURLY = 24
"""Renewals a day where everything is refreshed hourly: as many reads, writes and calls to the provider."""

VAULT_OF = 100_000
"""Sessions in the vault that a day's calls are reckoned for: small ones are listed as often as costs next to nothing."""

_SECRETS_A_SESSION = 3
_OTHER_SECRETS = 2  # the key ring and the note of the last pass, next to nothing in a vault of VAULT_OF
_LISTING = "GET secrets"

type Sections = Mapping[str, Any]
"""Each section's result by name; a section that was not measured is absent."""

type Found = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """`value` of a ratio as the least that is wanted, or the most."""

    value: float
    at_most: bool

    def is_met(self, figure: float) -> bool:
        return figure <= self.value if self.at_most else figure >= self.value

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.value:g}"


WANTED: Mapping[str, Wanted | None] = {
    "session_check_vs_hello": Wanted(0.9, at_most=False),
    "graph_call_vs_empty_proxy": Wanted(0.8, at_most=False),
    "refresh_vs_bare_client": Wanted(0.6, at_most=False),
    "refresh_vs_msal_threads": Wanted(4, at_most=False),
    "renewal_vs_sdk_threads": Wanted(2, at_most=False),
    "renewal_vs_plain_loop": None,
    "sweep_quota_share": Wanted(0.95, at_most=False),
    "sweep_throttled_share": Wanted(0.001, at_most=True),
    "sign_ins_throttled_during_sweep": Wanted(0, at_most=True),
    "vault_calls_per_warm_request": Wanted(0, at_most=True),
    "vault_writes_per_sign_in": Wanted(3, at_most=True),
    "vault_writes_per_idle_day": Wanted(1.1, at_most=True),
    "vault_reads_per_idle_day": Wanted(3, at_most=True),
    "sweep_peak_mib_100k": Wanted(200, at_most=True),
    "import_vs_bare": Wanted(1.6, at_most=True),
    "first_answer_vs_bare": Wanted(1.6, at_most=True),
}
"""Every ratio of `bench --json`, in the order of its table, and what is wanted of it."""


def ratios(sections: Sections) -> dict[str, float | None]:
    """A figure for each key of WANTED; None for what was not measured."""
    found: dict[str, float | None] = dict.fromkeys(WANTED)
    for section, compute in _FROM.items():
        if section in sections:
            found.update(compute(sections[section]))
    return found


def counts(sections: Sections) -> dict[str, float]:
    """What the model of costs reckons with besides the ratios; what was not measured is absent."""
    found: dict[str, float] = {}
    if "host" in sections:
        found["vault_reads_per_sign_in"] = sections["host"]["sign_in"]["reads"]
    if "day" in sections:
        days = sections["day"]
        found["vault_own_reads_per_idle_day"] = own_reads(days)
        found["vault_listing_reads_per_idle_day"] = listing_reads(days)
        found["provider_calls_per_idle_day"] = per_session_day(days, lambda day: day["provider"]["refresh"])
    return found


def paired(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """The median of the rounds' ratios: what disturbed a round disturbed both."""
    return median(one / other for one, other in zip(numerator, denominator, strict=True))


def rates(rounds: Sequence[Mapping[str, float]]) -> list[float]:
    return [one["per_s"] for one in rounds]


def _refreshes(result: Mapping[str, Any]) -> Found:
    ours = rates(result["ours"])
    return {
        "refresh_vs_bare_client": paired(ours, rates(result["bare client"])),
        "refresh_vs_msal_threads": paired(ours, rates(result["msal on 32 threads"])),
    }


def _renewals(result: Mapping[str, Any]) -> Found:
    ours = rates(result["ours"])
    return {
        "renewal_vs_sdk_threads": paired(ours, rates(result["msal and SecretClient on 32 threads"])),
        "renewal_vs_plain_loop": paired(ours, rates(result["plain loop"])),
    }


def _host(result: Mapping[str, Any]) -> Found:
    loads = result["loads"]
    return {
        "session_check_vs_hello": paired(rates(loads["session check"]), rates(loads["hello-world function"])),
        "graph_call_vs_empty_proxy": paired(rates(loads["Graph call"]), rates(loads["do-nothing proxy function"])),
        "vault_calls_per_warm_request": result["vault_calls_per_warm_request"],
        "vault_writes_per_sign_in": result["sign_in"]["writes"],
    }


def _quota(result: Mapping[str, Any]) -> Found:
    return {
        "sweep_quota_share": result["quota_share"],
        "sweep_throttled_share": result["throttled_share"],
        "sign_ins_throttled_during_sweep": result["sign_ins_throttled"],
    }


def _day(result: Sequence[Mapping[str, Any]]) -> Found:
    return {
        "vault_writes_per_idle_day": per_session_day(result, lambda day: day["vault"]["writes"]),
        "vault_reads_per_idle_day": own_reads(result) + listing_reads(result),
    }


def per_session_day(days: Sequence[Mapping[str, Any]], count: Callable[[Mapping[str, Any]], float]) -> float:
    """Calls for each session and day in a vault of VAULT_OF, listings apart: a day's fixed calls and each session's
    own, told apart by two vaults of different size.
    """
    (few, some), (many, most) = ((day["sessions"], count(day)) for day in days)
    own = (most - some) / (many - few)
    return float(own + (some - own * few) / VAULT_OF)


def own_reads(days: Sequence[Mapping[str, Any]]) -> float:
    """Everything but listings, for a session and day."""
    return per_session_day(days, lambda day: day["vault"]["reads"] - day["vault"]["by_kind"].get(_LISTING, 0))


def listing_reads(days: Sequence[Mapping[str, Any]]) -> float:
    """A session's part of the listings of a day: as measured for a pass, as often as the bundle lists such a vault."""
    day = days[-1]
    secrets = day["sessions"] * _SECRETS_A_SESSION
    pages = day["vault"]["by_kind"].get(_LISTING, 0) / day["passes"]
    of_a_pass = pages * secrets / (secrets + _OTHER_SECRETS) / day["sessions"]
    every = max(pass_every(VAULT_OF * _SECRETS_A_SESSION), timedelta(seconds=STEP_S))
    return float(of_a_pass * (timedelta(days=1) / every))


def _sizes(result: Sequence[Mapping[str, Any]]) -> Found:
    peaks = {one["sessions"]: one["peak_mib"] for one in result}
    return {"sweep_peak_mib_100k": peaks.get(100_000)}


def _startup(result: Mapping[str, Sequence[float]]) -> Found:
    return {
        "import_vs_bare": paired(result["import the bundle"], result["import azure.functions"]),
        "first_answer_vs_bare": paired(result["first answer of the bundle"], result["first answer of hello-world"]),
    }


_FROM: Mapping[str, Callable[[Any], Found]] = {
    "refreshes": _refreshes,
    "renewals": _renewals,
    "host": _host,
    "quota": _quota,
    "day": _day,
    "sizes": _sizes,
    "startup": _startup,
}

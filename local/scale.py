"""Owns the model of what a day costs and which limit comes first, for so many sessions. Pure, but for its table.

`python -m local.scale [bench.json]` prints the table of docs/scale.md; with the benchmark's JSON the transaction
counts are the measured ones. Prices and quotas: "Azure Key Vault pricing", "Azure Key Vault service limits",
"Azure Functions pricing" (Flex Consumption, on demand); look them up for your region before you rely on a dollar.
"""

import json
import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil
from pathlib import Path

from shared.schedule import PASS_LATEST, pass_every

VAULT_WRITES_PER_S = 30.0
VAULT_READS_PER_S = 400.0
SWEEP_SHARE = 0.8
VAULT_DOLLARS_PER_10K = 0.03
FUNCTION_DOLLARS_PER_MILLION = 0.40
FUNCTION_DOLLARS_PER_GB_S = 0.000026
INSTANCE_GB = 2.0
SECRETS_PER_SESSION = 3
SECRETS_PER_PAGE = 25
VAULTS_PER_SUBSCRIPTION = 5
"""A subscription and region allows five times a vault's quota; more vaults need more subscriptions or regions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Transactions as the benchmark measures them."""

    writes_per_sign_in: float = 3.0
    reads_per_sign_in: float = 2.0
    writes_per_renewal: float = 1.0
    reads_per_renewal: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How people use the app: the assumptions, each to be replaced by your own figures."""

    active_share: float = 0.2
    """of all sessions, on a working day"""
    active_hours: float = 8.0
    """in which a session in use is renewed about hourly"""
    requests_per_active: float = 100.0
    sign_ins_per_active: float = 0.1
    """most people stay signed in"""
    peak_factor: float = 3.0
    """the busiest hour against the mean of a day, for sign-ins and renewals of sessions in use"""
    request_ms: float = 150.0
    """mostly waiting for Microsoft Graph; Flex bills the instance while one request or more runs"""
    at_once: float = 16.0
    """requests that share an instance (perInstanceConcurrency)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day with so many sessions."""

    sessions: int
    writes: float
    reads: float
    peak_writes_per_s: float
    listings: float
    vaults: int
    subscriptions: int
    vault_dollars: float
    function_dollars: float

    @property
    def dollars(self) -> float:
        return self.vault_dollars + self.function_dollars


def day(sessions: int, counts: Counts, habits: Habits) -> Day:
    """What a day costs, and how many vaults its busiest hour needs."""
    active = sessions * habits.active_share
    in_use = active * habits.active_hours
    kept_alive = float(sessions)
    sign_ins = active * habits.sign_ins_per_active
    writes = (in_use + kept_alive) * counts.writes_per_renewal + sign_ins * counts.writes_per_sign_in
    even = kept_alive * counts.writes_per_renewal / 86_400
    busy = (in_use * counts.writes_per_renewal + sign_ins * counts.writes_per_sign_in) / 86_400
    peak = even + busy * habits.peak_factor
    by_writes = ceil(peak / (VAULT_WRITES_PER_S * SWEEP_SHARE))
    # Listing as seldom as ever may still take a tenth of the reads: the rest is for people.
    secrets = sessions * SECRETS_PER_SESSION
    pages = secrets / SECRETS_PER_PAGE
    by_listing = ceil(pages / PASS_LATEST.total_seconds() / (VAULT_READS_PER_S * 0.1))
    vaults = max(1, by_writes, by_listing)
    runs = 288.0
    listings = pages * min(runs, timedelta(days=1) / (pass_every(secrets // vaults) or timedelta(days=1) / runs))
    reads = (in_use + kept_alive) * counts.reads_per_renewal + sign_ins * counts.reads_per_sign_in + listings
    requests = active * habits.requests_per_active + sign_ins * 3
    gb_s = requests * habits.request_ms / 1000 / habits.at_once * INSTANCE_GB + runs * 60 * INSTANCE_GB
    return Day(
        sessions=sessions,
        writes=writes,
        reads=reads,
        peak_writes_per_s=peak,
        listings=listings,
        vaults=vaults,
        subscriptions=ceil(vaults / VAULTS_PER_SUBSCRIPTION),
        vault_dollars=(writes + reads) / 10_000 * VAULT_DOLLARS_PER_10K,
        function_dollars=requests / 1e6 * FUNCTION_DOLLARS_PER_MILLION + gb_s * FUNCTION_DOLLARS_PER_GB_S,
    )


def most_sessions_of_a_vault(counts: Counts, habits: Habits) -> int:
    """When to add a vault: the most sessions whose busiest hour one vault carries, to a thousand."""
    low, high = 1, 100_000
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if day(middle * 1000, counts, habits).vaults == 1 else (low, middle - 1)
    return low * 1000


def measured(file: Path) -> Counts:
    """The counts of a benchmark run; what it did not measure stays as assumed.

    An idle session is renewed once a day, so what a day costs it without the listing is what a renewal costs.
    """
    result = json.loads(file.read_text())
    ratios, counts = result["ratios"], result.get("counts", {})
    found = {
        "writes_per_sign_in": ratios.get("vault_writes_per_sign_in"),
        "writes_per_renewal": ratios.get("vault_writes_per_idle_day"),
        "reads_per_sign_in": counts.get("vault_reads_per_sign_in"),
        "reads_per_renewal": counts.get("vault_own_reads_per_idle_day"),
    }
    return replace(Counts(), **{name: value for name, value in found.items() if value is not None})


def table(counts: Counts, habits: Habits) -> str:
    lines = [
        "| sessions | vault writes a day | vault reads a day | writes/s in the busiest hour | vaults | Key Vault $ a day "
        "| Functions $ a day |",
        "|---|---|---|---|---|---|---|",
    ]
    for sessions in (10_000, 100_000, 1_000_000, 10_000_000):
        one = day(sessions, counts, habits)
        lines.append(
            f"| {sessions:,} | {one.writes:,.0f} | {one.reads:,.0f} | {one.peak_writes_per_s:,.1f} | {one.vaults} "
            f"| {one.vault_dollars:,.2f} | {one.function_dollars:,.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    COUNTS = measured(Path(sys.argv[1])) if len(sys.argv) > 1 else Counts()
    print(table(COUNTS, Habits()))
    print(f"\nOne vault carries about {most_sessions_of_a_vault(COUNTS, Habits()):,} sessions.")

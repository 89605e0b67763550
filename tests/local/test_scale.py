"""The model behind docs/scale.md: it must obey the arithmetic that a reader would do on paper."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from local.scale import Counts, Habits, day, measured, most_sessions_of_a_vault, table

COUNTS, HABITS = Counts(), Habits()
IDLE = replace(HABITS, active_share=0.0)


def test_idle_sessions_cost_one_write_a_day_each() -> None:
    """R-11: kept alive about daily."""
    assert day(100_000, COUNTS, IDLE).writes == 100_000
    assert day(100_000, COUNTS, IDLE).peak_writes_per_s == pytest.approx(100_000 / 86_400)


def test_sessions_in_use_cost_a_write_an_hour_and_sign_ins_their_three() -> None:
    """R-11."""
    busy = replace(HABITS, active_share=1.0, active_hours=8, sign_ins_per_active=1)
    assert day(1_000, COUNTS, busy).writes == 1_000 * (8 + 1 + 3)


def test_a_vault_is_added_when_the_busiest_hour_outgrows_the_sweeps_share() -> None:
    """R-11: by the writes, or by the reads of a pass, whichever comes first."""
    most = most_sessions_of_a_vault(COUNTS, HABITS)
    assert day(most, COUNTS, HABITS).vaults == 1
    assert day(most + 1_000, COUNTS, HABITS).vaults == 2
    assert day(most, COUNTS, HABITS).peak_writes_per_s <= 24
    assert day(1_900_000, COUNTS, IDLE).vaults == 2, "a pass over six million secrets is too much for one"


@pytest.mark.parametrize("sessions", [10_000, 100_000, 1_000_000, 10_000_000])
def test_more_sessions_cost_more_but_never_more_each(sessions: int) -> None:
    """R-11: listing is bounded by the quota's one percent, so it does not grow out of hand."""
    one, ten = day(sessions, COUNTS, HABITS), day(sessions * 10, COUNTS, HABITS)
    assert one.dollars < ten.dollars <= 10.5 * one.dollars
    assert ten.subscriptions >= one.subscriptions


def test_the_benchmarks_counts_replace_the_assumed_ones(tmp_path: Path) -> None:
    """R-11: what was not measured stays as assumed."""
    file = tmp_path / "bench.json"
    ratios = {"vault_writes_per_sign_in": 2.5, "vault_writes_per_idle_day": None, "vault_reads_per_idle_day": 7.9}
    file.write_text(json.dumps({"ratios": ratios, "counts": {"vault_own_reads_per_idle_day": 2.25}}))
    assert measured(file) == replace(COUNTS, writes_per_sign_in=2.5, reads_per_renewal=2.25)


def test_the_document_shows_the_table_of_today() -> None:
    """R-11: docs/scale.md is not older than the model."""
    document = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
    assert table(COUNTS, HABITS) in document
    assert f"{most_sessions_of_a_vault(COUNTS, HABITS):,}" in document

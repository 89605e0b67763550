"""The operator hears of a throttled vault, and is not drowned."""

import json
import logging

import pytest

from shared.adapters.throttling import Throttling
from tests.doubles.clock import ManualClock


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    read = [json.loads(record.getMessage()) for record in caplog.records]
    assert {line["event"] for line in read} <= {"vault_throttled"}
    return [(line["vault"], line["times"]) for line in read]


def test_the_first_429_is_told_at_once_and_a_storm_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    throttling = Throttling(clock)
    with caplog.at_level(logging.INFO, logger="onenote_auth"):
        throttling.hear("main")
        assert lines(caplog) == [("main", 1)]
        for _ in range(500):
            clock.advance(0.1)
            throttling.hear("main")
        assert lines(caplog) == [("main", 1)]
        clock.advance(60)
        throttling.hear("main")
    assert lines(caplog) == [("main", 1), ("main", 501)]
    assert throttling.counts["main"] == 502


def test_each_vault_has_lines_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    throttling = Throttling(ManualClock())
    with caplog.at_level(logging.INFO, logger="onenote_auth"):
        throttling.hear("a")
        throttling.hear("b")
    assert lines(caplog) == [("a", 1), ("b", 1)]


def test_a_clock_set_back_silences_nobody(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    throttling = Throttling(clock)
    with caplog.at_level(logging.INFO, logger="onenote_auth"):
        throttling.hear("main")
        clock.advance(-3_600)
        throttling.hear("main")
    assert lines(caplog) == [("main", 1), ("main", 1)]

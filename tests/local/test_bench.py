"""`dev.py bench`: the figures that callers rely on are there and reckoned right; each way of measuring runs."""

import json
import math
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from local.bench import host_calls, sizes
from local.bench.__main__ import main as bench
from local.bench.figures import WANTED, counts, ratios
from local.bench.processes import PROJECT
from local.bench.report import text_table, write_page

# The contract of `bench --json`, word for word.
KEYS = {
    "session_check_vs_hello",
    "graph_call_vs_empty_proxy",
    "refresh_vs_bare_client",
    "refresh_vs_msal_threads",
    "renewal_vs_sdk_threads",
    "renewal_vs_plain_loop",
    "sweep_quota_share",
    "sweep_throttled_share",
    "sign_ins_throttled_during_sweep",
    "vault_calls_per_warm_request",
    "vault_writes_per_sign_in",
    "vault_writes_per_idle_day",
    "vault_reads_per_idle_day",
    "sweep_peak_mib_100k",
    "import_vs_bare",
    "first_answer_vs_bare",
}


def rounds(*per_s: float) -> list[dict[str, float]]:
    return [{"per_s": one, "cpu_ms": 1.0, "p50_ms": 2.0, "p99_ms": 3.0, "requests": 10} for one in per_s]


def test_a_file_that_cannot_be_written_is_said_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not after five minutes."""
    with pytest.raises(SystemExit) as exit_:
        bench(["--json", str(tmp_path / "nowhere" / "figures.json")])
    assert exit_.value.code == 2
    assert "figures.json can't be written: No such file or directory" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="a process there cannot be sent Ctrl-C alone")
@pytest.mark.parametrize("command", ["local.bench", "local.demo"])
def test_ctrl_c_ends_a_long_command_in_one_word(command: str) -> None:
    """No traceback; exit code 130. A terminal sends it to the whole process group."""
    with subprocess.Popen(
        [sys.executable, "-u", "-m", command],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()  # it has begun
        os.killpg(running.pid, signal.SIGINT)
        err = running.communicate(timeout=30)[1].decode()
    assert (running.returncode, err.endswith("\nstopped\n"), "local/bench/__main__" in err) == (130, True, False), err


def day(sessions: int) -> dict[str, Any]:
    """Two reads, a write and a refresh for each session; 100 reads whatever there is; 288 listings of 3/25 a session and 2/25."""
    listing = 288 * (sessions * 3 + 2) / 25
    return {
        "sessions": sessions,
        "passes": 288,
        "provider": {"refresh": sessions, "metadata": 1},
        "vault": {
            "writes": sessions,
            "reads": 2 * sessions + 100 + listing,
            "by_kind": {"GET secrets": listing, "GET session": 2 * sessions},
        },
    }


def size(sessions: int, peak_mib: float | None) -> dict[str, Any]:
    result = {"sessions": sessions, "reads": 1, "writes": 1, "seconds": 1.5, "peak_mib": peak_mib}
    return {**result, "summary": {"due": 1}}


SECTIONS: dict[str, Any] = {
    "refreshes": {
        "bare client": rounds(100, 100, 200),
        "ours": rounds(60, 70, 160),
        "msal on 32 threads": rounds(10, 20, 40),
    },
    "renewals": {
        "ours": rounds(100, 300, 200),
        "msal and SecretClient on 32 threads": rounds(50, 100, 100),
        "plain loop": rounds(20, 100, 50),
    },
    "host": {
        "loads": {
            "hello-world function": rounds(100, 100),
            "session check": rounds(80, 100),
            "do-nothing proxy function": rounds(50, 50),
            "Graph call": rounds(40, 45),
            "bare reverse proxy": rounds(70, 70),
        },
        "sign_in": {"reads": 2.0, "writes": 3.0},
        "vault_calls_per_warm_request": 0.0,
    },
    "quota": {
        "due": 10,
        "renewed": 10,
        "seconds": 1.0,
        "writes_per_s": 23.0,
        "quota_share": 0.96,
        "throttled": 0,
        "throttled_share": 0.0,
        "sign_ins": {"done": 5, "failed": 0},
        "sign_ins_throttled": 0,
    },
    "day": [day(10), day(50)],
    "sizes": [size(1_000, 70.0), size(100_000, 150.0)],
    "startup": {
        "import azure.functions": [0.1, 0.2, 0.1],
        "import the bundle": [0.2, 0.2, 0.2],
        "first answer of hello-world": [1.0, 1.0, 1.0],
        "first answer of the bundle": [1.5, 1.4, 2.0],
    },
}
for _load in SECTIONS["host"]["loads"].values():
    for _round in _load:
        _round["cpu_ms"] = None


def result(sections: dict[str, Any]) -> dict[str, Any]:
    machine = {"system": "Linux", "processors": 2, "python": "3.13.0"}
    head = {"at": "2026-01-01T00:00:00+00:00", "quick": False, "took_s": 1.0, "machine": machine}
    return {**head, "ratios": ratios(sections), "counts": counts(sections), "sections": sections}


def test_what_was_not_measured_is_null_and_every_key_of_the_contract_is_there() -> None:
    assert set(WANTED) == KEYS
    assert ratios({}) == dict.fromkeys(WANTED)
    assert counts({}) == {}


def test_ratios_are_medians_of_the_rounds_own_ratios() -> None:
    found = ratios(SECTIONS)
    assert found["refresh_vs_bare_client"] == pytest.approx(0.7)
    assert found["refresh_vs_msal_threads"] == pytest.approx(4.0)
    assert found["renewal_vs_sdk_threads"] == pytest.approx(2.0)
    assert found["renewal_vs_plain_loop"] == pytest.approx(4.0)
    assert found["session_check_vs_hello"] == pytest.approx(0.9)
    assert found["graph_call_vs_empty_proxy"] == pytest.approx(0.85)
    assert found["import_vs_bare"] == pytest.approx(2.0)
    assert found["first_answer_vs_bare"] == pytest.approx(1.5)
    assert found["sweep_peak_mib_100k"] == 150.0


def test_an_idle_day_is_told_apart_into_what_is_fixed_what_is_each_sessions_and_the_listings() -> None:
    """In a vault of 100,000 the fixed calls are next to nothing, and a listing comes every ninety minutes."""
    found, more = ratios(SECTIONS), counts(SECTIONS)
    assert found["vault_writes_per_idle_day"] == pytest.approx(1.0)
    assert more["vault_own_reads_per_idle_day"] == pytest.approx(2.001)
    assert more["vault_listing_reads_per_idle_day"] == pytest.approx(16 * 3 / 25)
    assert found["vault_reads_per_idle_day"] == pytest.approx(2.001 + 16 * 3 / 25)
    assert more["provider_calls_per_idle_day"] == pytest.approx(1.0)


def test_the_page_has_every_ratio_and_plots_that_are_well_formed(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    write_page(page, result(SECTIONS))
    text = page.read_text(encoding="utf-8")
    assert all(f"`{key}`" in text for key in KEYS)
    plots = sorted((tmp_path / "benchmarks").glob("*.svg"))
    assert plots
    for plot in plots:
        assert f"(benchmarks/{plot.name})" in text
        assert ElementTree.fromstring(plot.read_text(encoding="utf-8")).tag.endswith("svg")


def test_the_table_shows_what_is_missed_and_what_was_not_measured() -> None:
    lines = {
        line.split()[0]: line.split() for line in text_table(result({"host": SECTIONS["host"]})).splitlines() if line
    }
    assert lines["vault_calls_per_warm_request"][-1] == "yes"
    assert lines["refresh_vs_bare_client"][1] == "-"


def test_a_filled_vault_is_one_that_the_bundle_itself_could_have_left(tmp_path: Path) -> None:
    """The sweep reads it, renews what is due and finds no index to repair."""
    (swept,) = sizes.measure(tmp_path, sessions=[300], until=math.inf)
    summary = swept["summary"]
    assert (summary["sessions"], summary["due"], summary["renewed"]) == (300, 2, 2)
    assert (summary["indexes_repaired"], summary["failed"]) == (0, {})


def test_large_vaults_are_left_out_when_the_time_is_up(tmp_path: Path) -> None:
    assert sizes.measure(tmp_path, sessions=[300], until=-math.inf) == []


def test_calls_through_the_host_are_measured_and_the_vaults_part_counted(tmp_path: Path) -> None:
    """0 vault calls for a warm request, 3 writes at most for a sign-in."""
    measured = host_calls.measure(tmp_path, rounds=1, seconds=0.1)
    assert all(load[0]["per_s"] > 0 for load in measured["loads"].values())
    assert measured["vault_calls_per_warm_request"] == 0
    assert measured["sign_in"]["writes"] <= 3


def test_the_quick_command_writes_its_figures(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    command = [sys.executable, "-m", "local.bench", "--quick", "--only", "refreshes", "--json", str(file)]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    written = json.loads(file.read_text(encoding="utf-8"))["ratios"]
    assert set(written) == KEYS
    measured = {name for name, figure in written.items() if figure is not None}
    assert measured == {name for name in KEYS if name.startswith("refresh_")}

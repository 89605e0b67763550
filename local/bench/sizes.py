"""Owns the measurement of a sweep's time and memory by the number of sessions, in a vault without a quota."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local.bench import remote
from local.bench.processes import peers, run
from local.bench.rounds import STEP_S

TENANTS = 1_000
_RUNS_A_DAY = 24 * 3600 // STEP_S


def measure(folder: Path, *, sessions: Sequence[int], until: float) -> list[dict[str, Any]]:
    """For each number, a run in a new process with a day's even share of the sessions due: 1 of 288.

    What would not end before `until`, by the time that the size before took, is left out.
    """
    results: list[dict[str, Any]] = []
    a_session_s = 0.0
    for number in sessions:
        began = time.monotonic()
        if began + number * a_session_s > until:
            print(f"    {number:,} sessions: not measured, the time is up", flush=True)
            break
        with peers(folder) as around:
            remote.fill(around, sessions=number, due=-(-number // _RUNS_A_DAY), tenants=TENANTS)
            swept = run("local.bench.sweeper", around.settings("sweep"))
            usage = remote.usage(around, "sweep")
        result = {"sessions": number, "reads": usage["reads"], "writes": usage["writes"], **swept}
        shown = f"{number:,} sessions: {swept['seconds']:.1f} s"
        print(f"    {shown}" + (f", {swept['peak_mib']:.0f} MiB" if swept["peak_mib"] else ""), flush=True)
        results.append(result)
        a_session_s = (time.monotonic() - began) / number
    return results

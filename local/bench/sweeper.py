"""Owns one run of the sweep in a process of its own: how long it took, how much memory the process used at most.

Runs as `python -m local.bench.sweeper '{}'` on the settings of the environment.
"""

import asyncio
import dataclasses
import json
import time
from pathlib import Path

from local.bench.clients import bundle


def peak_mib() -> float | None:
    """The most memory that this process had at once, resident; None where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; not getrusage, which begins with what the parent had (proc(5), VmHWM)
        return int(status.read_text(encoding="utf-8").partition("VmHWM:")[2].split()[0]) / 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes, as macOS has it


async def measure() -> dict[str, object]:
    parts = await bundle()
    await parts.ring.newest()
    before = peak_mib()
    began = time.perf_counter()
    summary = await parts.sweep.run()
    return {
        "seconds": time.perf_counter() - began,
        "idle_mib": before,
        "peak_mib": peak_mib(),
        "summary": dataclasses.asdict(summary),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure())))

"""Owns the command `python -m local.bench [--quick] [--json FILE] [--only SECTION …]`.

Exit code 0 when everything was measured (whatever came out), 1 when a measurement failed, 2 for a file that can't be
written, 130 after Ctrl-C.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.bench.figures import counts, ratios
from local.bench.processes import PROJECT, PeerFailed
from local.bench.report import text_table, write_page
from local.bench.sections import QUICK, SECTIONS, WHOLE

PAGE = PROJECT / "docs" / "benchmarks.md"
QUICK_S, WHOLE_S = 58, 290
"""No measurement begins, and no large vault is swept, that would end later than this."""
_SLOWEST = 2.0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.bench", description="The bundle beside its baselines.")
    parser.add_argument("--quick", action="store_true", help="under a minute: fewer, shorter rounds, no large vaults")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help=", ".join(SECTIONS))
    given = parser.parse_args(arguments)
    if given.json:  # before minutes are spent on what could not be kept
        try:
            given.json.open("a", encoding="utf-8").close()
        except OSError as error:
            parser.error(f"{given.json} can't be written: {error.strerror}")
    return given


def measure(names: Sequence[str], *, quick: bool) -> dict[str, Any]:
    """Run these sections. A failed one says so and is left out."""
    effort = QUICK if quick else WHOLE
    began, at = time.monotonic(), datetime.now(UTC)
    until = began + (QUICK_S if quick else WHOLE_S)
    found: dict[str, Any] = {}
    failed: list[str] = []
    slowness = 1.0
    with tempfile.TemporaryDirectory(prefix="onenote-auth-bench-") as folder:
        for number, name in enumerate(names):
            section = SECTIONS[name]
            expected_s = section.quick_s if quick else section.whole_s
            if time.monotonic() + expected_s * slowness > until:
                print(f"    {section.title}: not measured, the time is up", flush=True)
                continue
            section_began = time.monotonic()
            print(f"[{number + 1}/{len(names)}] {section.title} ({time.monotonic() - began:.0f} s so far)", flush=True)
            try:
                found[name] = section.measure(Path(folder), effort, until)
            except (PeerFailed, OSError, AssertionError, KeyError, ZeroDivisionError) as error:
                print(f"    failed: {error}", file=sys.stderr, flush=True)
                failed.append(name)
            # A busy machine is slow at what comes next, too; but most of a section are rounds of a fixed length.
            slowness = min(max(1.0, (time.monotonic() - section_began) / expected_s), _SLOWEST)
    return {
        "at": at.isoformat(timespec="seconds"),
        "quick": quick,
        "took_s": round(time.monotonic() - began, 1),
        "failed": failed,
        "machine": {
            "system": platform.system(),
            "processors": os.cpu_count(),
            "python": platform.python_version(),
        },
        "ratios": ratios(found),
        "counts": counts(found),
        "sections": found,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parse(arguments)
    names = given.only or list(SECTIONS)
    result = measure(names, quick=given.quick)
    print("\n" + text_table(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(f"written: {given.json}")
    complete = set(result["sections"]) == set(SECTIONS)
    if complete and not given.quick:
        write_page(PAGE, result)
        print(f"written: {PAGE.relative_to(PROJECT)}")
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)

"""Owns running walks: one stack for all walks with the same settings, freshly seeded before each; the closing table."""

import asyncio
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.browser import Browser, BrowserError
from local.control_client import ControlClient
from local.demo.step import StepFailed
from local.demo.visit import Visit, Walk
from local.process import StackFailed, StackProcess

_ONCE_A_YEAR = "0 0 0 1 1 *"  # the timer runs when a walk says so, and not on its own in between


def run(walks: Sequence[Walk], *, rows: Mapping[str, str] | None = None) -> int:
    """Walk them all; 0 only if every step was checked. With `rows` (title by row), each must have been walked."""
    start = time.monotonic()
    walked: list[Walk] = []
    try:
        for settings in _distinct([walk.settings for walk in walks]):
            together = [walk for walk in walks if walk.settings == settings]
            _on_one_stack(settings, together)
            walked += together
        if rows is not None:
            _table(rows, [walk for walk in walks if walk in walked])
    except (StepFailed, BrowserError, StackFailed) as error:
        print(f"\nFAILED  {error}", file=sys.stderr, flush=True)
        return 1
    print(f"\nEvery step was checked, in {time.monotonic() - start:.1f} s.", flush=True)
    return 0


def _distinct(settings: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    found: list[Mapping[str, str]] = []
    for each in settings:
        if each not in found:
            found.append(each)
    return found


def _on_one_stack(settings: Mapping[str, str], walks: Sequence[Walk]) -> None:
    start = time.monotonic()
    given = {"REFRESH_SCHEDULE": _ONCE_A_YEAR, **settings}
    with StackProcess(settings=given) as stack:
        # of a setting in several lines (PEM), the name says enough
        shown = [f"{name}={value}" if "\n" not in value else name for name, value in settings.items()]
        with_what = f" with {' '.join(shown)}" if shown else ""
        print(f"\nok  stack: ready at {stack.url} after {time.monotonic() - start:.1f} s{with_what}", flush=True)
        asyncio.run(_walk(stack, walks))
        code = stack.stop()
    if code != 0:
        raise StepFailed("end the stack", "exit code 0", f"exit code {code}")


async def _walk(stack: StackProcess, walks: Sequence[Walk]) -> None:
    async with ControlClient(stack.url) as control:
        for walk in walks:
            print(f"\n{walk.name} ({', '.join(walk.rows)})", flush=True)
            await control.reset()
            async with Browser(stack.url) as browser:
                visit = Visit(stack, control, browser)
                try:
                    await walk.steps(visit)
                    visit.end()
                except (LookupError, TypeError, ValueError) as error:
                    # An answer of another shape than the step takes for granted: the line that broke says which.
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    seen = f"{type(error).__name__}: {error} at {Path(where.filename).name}:{where.lineno}"
                    raise StepFailed(visit.last_step, "an answer that can be read", seen) from error


def _table(rows: Mapping[str, str], walked: Sequence[Walk]) -> None:
    print("\nRow   what it asks → walked in")
    for row, title in rows.items():
        names = [walk.name for walk in walked if row in walk.rows]
        if not names:
            raise StepFailed("the closing table", "every row walked", f"{row} was not")
        print(f"{row}  {title} → {'; '.join(names)}", flush=True)

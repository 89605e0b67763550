"""Owns how contenders are compared: alternating rounds of equal time, each the same number of calls at once.

A machine's speed changes while it works; what runs side by side sees the same of it. Ratios are taken round by round.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

AT_ONCE = 32

STEP_S = 300
"""Between two runs of the timer, as its default schedule has it."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Calls a second, and the processor's milliseconds of this process for one: what a busy machine changes less."""

    per_s: float
    cpu_ms: float


type Measure = Callable[[float], Awaitable[Rate]]
"""Given seconds, works for that long."""


async def alternate(
    contenders: Mapping[str, Measure], *, rounds: int, seconds: float
) -> dict[str, list[dict[str, float]]]:
    """Each contender's Rate of every round, as JSON. Each round begins with another one; a short one before warms up."""
    rates: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    order = list(contenders)
    for measure in contenders.values():
        await measure(min(0.3, seconds))
    for number in range(rounds):
        for name in order:
            rates[name].append(asdict(await contenders[name](seconds)))
        shown = ", ".join(f"{name} {rates[name][-1]['per_s']:,.0f}/s" for name in contenders)
        print(f"round {number + 1} of {rounds}: {shown}", flush=True)
        order = [*order[1:], order[0]]
    return rates


def on_the_loop(act: Callable[[int], Awaitable[object]]) -> Measure:
    """`act(worker)` over and over by AT_ONCE tasks."""

    async def measure(seconds: float) -> Rate:
        began, cpu = time.perf_counter(), time.process_time()
        calls = 0

        async def work(worker: int) -> None:
            nonlocal calls
            while time.perf_counter() < began + seconds:
                await act(worker)
                calls += 1

        await asyncio.gather(*(work(worker) for worker in range(AT_ONCE)))
        return _rate(calls, began, cpu)

    return measure


def in_threads(act: Callable[[int], object], *, threads: int = AT_ONCE) -> Measure:
    """`act(worker)` over and over by as many threads."""

    async def measure(seconds: float) -> Rate:
        began, cpu = time.perf_counter(), time.process_time()

        def work(worker: int) -> int:
            calls = 0
            while time.perf_counter() < began + seconds:
                act(worker)
                calls += 1
            return calls

        def all_of_them() -> int:
            with ThreadPoolExecutor(threads) as pool:
                return sum(pool.map(work, range(threads)))

        return _rate(await asyncio.to_thread(all_of_them), began, cpu)

    return measure


def _rate(calls: int, began: float, cpu: float) -> Rate:
    return Rate(
        per_s=calls / (time.perf_counter() - began),
        cpu_ms=(time.process_time() - cpu) / calls * 1e3,
    )

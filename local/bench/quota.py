"""Owns the measurement of a sweep under a vault's real write quota, while people sign in through the functions host."""

import asyncio
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, DummyCookieJar

from local.bench import remote
from local.bench.processes import PROJECT, free_port, host, peers, run
from local.bench.sign_in import SignInFailed, sign_in
from local.vault.key_vault import CREATE_SECRET_PER_10S

SHARE_PER_S = 0.8 * CREATE_SECRET_PER_10S / 10
"""The sweep's own share of the quota: sign-ins need the rest."""

_SIGN_INS_PER_S = 1.5
"""Three writes each: three quarters of what the sweep leaves."""


def measure(folder: Path, *, due: int) -> dict[str, Any]:
    with ExitStack() as exits:
        around = exits.enter_context(peers(folder))
        port = free_port()
        base = f"http://localhost:{port}"
        exits.enter_context(host(PROJECT, around.settings("host", base), port))
        remote.fill(around, sessions=due, due=due)
        remote.enforce_quota(around)
        over = threading.Event()
        swept: dict[str, Any] = {}

        def sweep() -> None:
            try:
                swept.update(run("local.bench.sweeper", around.settings("sweep")))
            finally:
                over.set()

        thread = threading.Thread(target=sweep)
        thread.start()
        sign_ins = asyncio.run(_sign_ins(base, over))
        thread.join()
        sweep_usage, host_usage = remote.usage(around, "sweep"), remote.usage(around, "host")
        took_s = sweep_usage["last_write_at"] - sweep_usage["first_write_at"]
        throttled = sweep_usage["throttled_writes"] + sweep_usage["throttled_reads"]
        calls = sweep_usage["writes"] + sweep_usage["reads"] + throttled
        return {
            "due": due,
            "renewed": swept["summary"]["renewed"],
            "seconds": swept["seconds"],
            "writes_per_s": (sweep_usage["writes"] - 1) / took_s,
            "quota_share": (sweep_usage["writes"] - 1) / took_s / SHARE_PER_S,
            "throttled": throttled,
            "throttled_share": throttled / calls,
            "sign_ins": sign_ins,
            "sign_ins_throttled": host_usage["throttled_writes"] + host_usage["throttled_reads"],
        }


async def _sign_ins(base: str, over: threading.Event) -> dict[str, int]:
    """Sign in at a steady rate until the sweep is over; how many did, how many could not."""
    counts = {"done": 0, "failed": 0}
    loop = asyncio.get_running_loop()
    next_at = loop.time()
    async with ClientSession(cookie_jar=DummyCookieJar()) as http:
        while not over.is_set():
            try:
                await sign_in(http, base, f"visitor-{sum(counts.values())}")
                counts["done"] += 1
            except SignInFailed:
                counts["failed"] += 1
            next_at += 1 / _SIGN_INS_PER_S
            await asyncio.sleep(max(0.0, next_at - loop.time()))
    return counts

"""Owns the measurement of calls through the functions host: the bundle beside functions that do next to nothing.

Also counts what a sign-in and a warm request cost in calls to the vault.
"""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, DummyCookieJar

from local.bench import remote
from local.bench.load import Sample, load, together
from local.bench.processes import BASELINE_APP, PROJECT, Peers, free_port, host, peers, processor_apart, proxy
from local.bench.provider import ACCESS_TOKEN
from local.bench.sign_in import sign_in

_GRAPH = "/api/graph/v1.0/me/onenote/notebooks"
_SIGN_INS = 20
"""People. More than connections: nobody has more calls under way than OneNote lets one person have."""

_STRETCHES = 5
"""Of which each round consists: a machine's speed changes from one second to the next, so nobody gets a whole one."""

_LABEL = "host"


@dataclass(frozen=True, kw_only=True)
class _Target:
    url: str
    pid: int
    cookies: tuple[str, ...] = ("",)


def measure(folder: Path, *, rounds: int, seconds: float) -> dict[str, Any]:
    with ExitStack() as exits:
        give_processor = exits.enter_context(processor_apart())
        around = exits.enter_context(peers(folder))
        ours_port, bare_port = free_port(), free_port()
        ours, bare = f"http://localhost:{ours_port}", f"http://localhost:{bare_port}"
        ours_pid = exits.enter_context(host(PROJECT, around.settings(_LABEL, ours), ours_port))
        bare_settings = {
            "CA_BUNDLE": str(around.bundle),
            "GRAPH_BASE_URL": around.provider,
            # Graph answers nobody without one, and it is most of what a call sends.
            "ACCESS_TOKEN": ACCESS_TOKEN,
        }
        bare_pid = exits.enter_context(host(BASELINE_APP, bare_settings, bare_port))
        proxy_url, proxy_pid = exits.enter_context(proxy(around))
        for pid in (ours_pid, bare_pid, proxy_pid):
            give_processor(pid)
        cookies, per_sign_in = asyncio.run(_sign_ins(around, ours))
        targets = {
            "hello-world function": _Target(url=f"{bare}/api/hello", pid=bare_pid),
            "session check": _Target(url=f"{ours}/api/auth/session", pid=ours_pid, cookies=cookies),
            "do-nothing proxy function": _Target(url=bare + _GRAPH, pid=bare_pid),
            "Graph call": _Target(url=ours + _GRAPH, pid=ours_pid, cookies=cookies),
            "bare reverse proxy": _Target(url=proxy_url + _GRAPH, pid=proxy_pid),
        }
        before = remote.usage(around, _LABEL)
        loads = asyncio.run(_rounds(targets, rounds, seconds))
        after = remote.usage(around, _LABEL)
        warm = sum(one["requests"] for name in ("session check", "Graph call") for one in loads[name])
        calls = after["reads"] + after["writes"] - before["reads"] - before["writes"]
        return {"loads": loads, "sign_in": per_sign_in, "vault_calls_per_warm_request": calls / warm}


async def _sign_ins(around: Peers, base: str) -> tuple[tuple[str, ...], dict[str, float]]:
    """Sessions, and the vault's reads and writes for one sign-in, the first of a process apart."""
    async with ClientSession(cookie_jar=DummyCookieJar()) as http:
        await sign_in(http, base, "user-0")
        before = remote.usage(around, _LABEL)
        cookies = [await sign_in(http, base, f"user-{number}") for number in range(1, _SIGN_INS + 1)]
        after = remote.usage(around, _LABEL)
        return tuple(cookies), {kind: (after[kind] - before[kind]) / _SIGN_INS for kind in ("reads", "writes")}


async def _rounds(targets: Mapping[str, _Target], rounds: int, seconds: float) -> dict[str, list[dict[str, Any]]]:
    loads: dict[str, list[dict[str, Any]]] = {name: [] for name in targets}
    order = list(targets)

    async def one(target: _Target, for_s: float) -> Sample:
        return await load(target.url, seconds=for_s, pid=target.pid, cookies=target.cookies)

    for target in targets.values():
        await one(target, min(0.3, seconds))
    for number in range(rounds):
        samples: dict[str, list[Sample]] = {name: [] for name in targets}
        for _ in range(_STRETCHES):
            for name in order:
                samples[name].append(await one(targets[name], seconds / _STRETCHES))
            order = [*order[1:], order[0]]
        for name in targets:
            loads[name].append(asdict(together(samples[name])))
        shown = ", ".join(f"{name} {loads[name][-1]['per_s']:,.0f}/s" for name in targets)
        print(f"    round {number + 1} of {rounds}: {shown}", flush=True)
    return loads

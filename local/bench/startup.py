"""Owns the measurement of starts: importing the bundle, and from process start to the first answer, beside bare ones.

The first answer is a signed-in session check: settings, identity, key ring and one session read from the vault.
Both hosts are the embedded one, whose own start is part of both.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from aiohttp import ClientSession, DummyCookieJar

from local.bench.processes import BASELINE_APP, PROJECT, environment, free_port, host, peers
from local.bench.sign_in import sign_in


def measure(folder: Path, *, rounds: int) -> dict[str, list[float]]:
    """Seconds, one a round."""
    with peers(folder) as around:
        port = free_port()
        settings = around.settings("host", f"http://localhost:{port}")
        with host(PROJECT, settings, port):
            cookie = asyncio.run(_session(f"http://localhost:{port}"))
        cases: Mapping[str, Callable[[], float]] = {
            "import azure.functions": lambda: _import("azure.functions", {}),
            "import the bundle": lambda: _import("function_app", settings),
            "first answer of hello-world": lambda: _first_answer(BASELINE_APP, {}, "/api/hello", ""),
            "first answer of the bundle": lambda: _first_answer(PROJECT, settings, "/api/auth/session", cookie),
        }
        took: dict[str, list[float]] = {name: [] for name in cases}
        for number in range(rounds):
            for name, case in cases.items():
                took[name].append(case())
            shown = ", ".join(f"{name} {seconds[-1]:.2f} s" for name, seconds in took.items())
            print(f"    round {number + 1} of {rounds}: {shown}", flush=True)
        return took


async def _session(base: str) -> str:
    async with ClientSession(cookie_jar=DummyCookieJar()) as http:
        return await sign_in(http, base, "user-0")


def _import(module: str, settings: Mapping[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(  # noqa: S603 - our own modules, no shell
        [sys.executable, "-c", f"import {module}"], cwd=PROJECT, env=environment(settings), check=True
    )
    return time.perf_counter() - began


def _first_answer(app: Path, settings: Mapping[str, str], path: str, cookie: str) -> float:
    port = free_port()
    began = time.perf_counter()
    with host(app, settings, port):
        asyncio.run(_ask(f"http://localhost:{port}{path}", cookie))
        return time.perf_counter() - began


async def _ask(url: str, cookie: str) -> None:
    async with ClientSession(cookie_jar=DummyCookieJar()) as http, http.get(url, headers={"Cookie": cookie}) as answer:
        assert answer.status == 200
        assert cookie == "" or (await answer.json())["signed_in"]

"""A process killed with SIGKILL at random points of the timer's run (R-11): afterwards every session still works.

Where a spent refresh token stays valid. Half of the kills come at a random moment, half at a random call: before the
service works, after it has worked and before it answers, or just after its answer.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web

from shared.model import Health, SessionRef
from tests.faults.world import Instance, World

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a process that forks is killed: not on Windows")

ROUNDS = 4
KILLS = 50
SESSIONS = 30
RANDOM_MOMENT_S = 0.35
OVER_S = 40 * 86_400


class Sweeper:
    """The process that sweeps, and a call at which the present child is killed."""

    def __init__(self, process: asyncio.subprocess.Process, rng: random.Random) -> None:
        self._process = process
        self._rng = rng
        self._child = 0
        self._calls_left = -1
        self._phase = ""

    async def run(self, *, kill: str | None, most_calls: int = 0) -> int:
        """One sweep in a child; `kill` at a random `moment` or `call`. The exit code."""
        assert self._process.stdin
        self._calls_left = self._rng.randrange(1, most_calls) if kill == "call" else -1
        self._phase = self._rng.choice(("before", "after", "answered"))
        self._process.stdin.write(b"go\n")
        self._child = int(await self._line("started"))
        if kill == "moment":
            await asyncio.sleep(self._rng.uniform(0, RANDOM_MOMENT_S))
            self._kill()
        code = int(await self._line("ended"))
        self._calls_left = -1  # a run that ended before that call: what comes next is no sweep's
        return code

    async def _line(self, begins: str) -> str:
        assert self._process.stdout
        line = (await self._process.stdout.readline()).decode().split()
        assert line[:1] == [begins], line
        return line[-1]

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self._calls_left -= 1
        mine = self._calls_left == 0
        if mine and self._phase == "before":
            self._kill()
            if request.transport:
                request.transport.abort()
            return web.Response()
        answer: web.StreamResponse = await handler(request)
        if mine and self._phase == "after":
            self._kill()
        elif mine:
            asyncio.get_running_loop().call_later(self._rng.uniform(0, 0.004), self._kill)
        return answer


@asynccontextmanager
async def sweeper(environ: Mapping[str, str], rng: random.Random) -> AsyncIterator[Sweeper]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.faults.sweeper",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **environ},
    )
    assert process.stdout
    assert await process.stdout.readline() == b"ready\n"
    try:
        yield Sweeper(process, rng)
    finally:
        assert process.stdin
        process.stdin.close()
        await process.wait()


def make_due(world: World, names: list[str]) -> None:
    """As if a day had passed, without a call."""
    for name in names:
        version = world.vault.store.living.get(name)
        assert version is not None
        version.current.tags = {**version.current.tags, "due": str(int(time.time()) - 60)}


def make_over(world: World, name: str) -> None:
    """As if nobody had been here for longer than a session lives unused."""
    secret = world.vault.store.living.get(name)
    assert secret is not None
    secret.current.tags = {**secret.current.tags, "seen": str(int(time.time()) - OVER_S)}


def nothing_is_lost(world: World, names: list[str]) -> None:
    """Every session's stored refresh token is one that the provider takes, and none is marked as dead."""
    records = world.records()
    ledger = world.provider._core.ledger
    for name in names:
        record = records[name]
        token = ledger.refresh_tokens[record.grant.refresh_token or ""]
        assert token.family.dead is None
        assert record.marks.health is Health.OK
        assert record.marks.failures == 0


@pytest.mark.parametrize("part", range(ROUNDS))
async def test_every_session_works_after_the_timers_process_was_killed_anywhere(
    world: World, seed: int, part: int
) -> None:
    rng = random.Random(f"{seed}.{part}")
    instance = await world.instance()
    for number in range(SESSIONS):
        world.jar.clear()
        await world.sign_in(instance, "work" if number % 3 else "personal")
    everyone = sorted(world.records())
    killed = 0
    async with sweeper(world.environ, rng) as process:
        for door in ("vault", "provider", "identity"):
            await world.doors[door].watch(process.middleware)
        for number in range(KILLS):
            world.jar.clear()
            await world.sign_in(instance)  # a session that is over when the process is killed
            (ending,) = set(world.records()) - set(everyone)
            make_over(world, ending)
            due = rng.sample(everyone, rng.choice((2, 5, 10, SESSIONS)))
            make_due(world, due)
            kill = "call" if number % 2 else "moment"
            killed += await process.run(kill=kill, most_calls=4 * len(due) + 14) == -signal.SIGKILL
            nothing_is_lost(world, everyone)
            if ending in world.records():
                world.vault.store.delete(ending)
            for gone in world.vault.store.deleted():
                gone.deleted -= 120  # old enough for the next run to purge
        assert killed >= KILLS * 0.8, killed
        make_due(world, everyone)
        assert await process.run(kill=None) == 0
    nothing_is_lost(world, everyone)
    assert sorted(world.records()) == everyone
    person = await world.instance()
    for name in everyone:
        await works(world, person, name)


async def works(world: World, person: Instance, name: str) -> None:
    """Its access token opens OneNote, and its refresh token gives another one."""
    stored = await person.parts.sessions.get(SessionRef(vault="main", name=name))
    assert world.provider.access_token(stored.record.grant.access_token)
    renewed = await person.parts.engine.renew(stored)
    assert world.provider.access_token(renewed.record.grant.access_token)

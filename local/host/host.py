"""Owns the host as a whole: the app, its routes, its timers, their start and end. Opens no socket."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from local.host.admin import Admin
from local.host.app_files import HostJson, read_host_json
from local.host.errors import FunctionFailed, HostError
from local.host.front import Front
from local.host.functions import HTTP, Function
from local.host.keys import HostKeys
from local.host.messages import TypedData
from local.host.routing import Route, Router
from local.host.timers import StatusFile, Timer, TimerState
from local.host.worker import Worker

END_S = 10.0

log = logging.getLogger("local.host")


class FunctionsHost:
    """One app in this process; a process can hold one only, once.

    `keys` come from the environment where none are given (see `keys`). With `state_dir`, a timer's run that was
    missed while no host was there is made up for at the next start.
    """

    def __init__(self, app_dir: Path, *, keys: HostKeys | None = None, state_dir: Path | None = None) -> None:
        self._app_dir = app_dir.resolve()
        self.keys = keys if keys is not None else HostKeys.from_environment(os.environ)
        self._state_dir = state_dir
        self._worker = Worker(self._app_dir)
        self._host_json = HostJson()
        self._functions: dict[str, Function] = {}
        self._timers: dict[str, Timer] = {}
        self._front: Front | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._runs: set[asyncio.Task[None]] = set()

    @property
    def functions(self) -> Mapping[str, Function]:
        """By name; empty before `load`."""
        return self._functions

    async def load(self) -> None:
        """Import and index the app. Raises HostError with a text for the developer."""
        self._host_json = read_host_json(self._app_dir)
        self._functions = await self._worker.load()
        routes = [
            Route(function=one.name, template=one.route, methods=one.methods)
            for one in self._functions.values()
            if one.trigger == HTTP
        ]
        router = Router(routes, prefix=self._host_json.route_prefix)
        self._timers = {name: timer for name, one in self._functions.items() if (timer := self._timer(one))}
        self._front = Front(
            worker=self._worker,
            functions=self._functions,
            router=router,
            keys=self.keys,
            custom_headers=self._host_json.custom_headers,
            admin=Admin(keys=self.keys, functions=self._functions, start=self._start_run),
        )

    def startup_problems(self) -> list[str]:
        """What the app itself says against a start: the lines of `function_app.startup_problems()`, if any."""
        problems = getattr(sys.modules.get("function_app"), "startup_problems", None)
        return [str(line) for line in problems()] if callable(problems) else []

    async def start(self) -> None:
        """Load the app unless that is done, and start the timers. Raises HostError."""
        if self._front is None:
            await self.load()
        self._loops = [asyncio.create_task(timer.serve()) for timer in self._timers.values()]
        for loop in self._loops:
            loop.add_done_callback(_report)

    async def close(self, *, wait_s: float = END_S) -> bool:
        """Start no timer any more, and wait for what runs; the functions are not told. Whether all ended."""
        for loop in self._loops:
            loop.cancel()
        ended = await self._worker.wait_idle(wait_s)
        if not ended:
            log.warning("%d function(s) did not end within %g s", self._worker.running, wait_s)
        for task in self._runs:
            task.cancel()
        await asyncio.gather(*self._loops, *self._runs, return_exceptions=True)
        if self._front is not None and ended:  # a thread that still works would hold this up
            self._worker.close()
        return ended

    def routes_text(self, base_url: str = "") -> str:
        """The functions with their addresses, as Core Tools print them at the start."""
        lines = ["Functions:"]
        for one in sorted(self._functions.values(), key=lambda one: (one.trigger, one.name)):
            if one.trigger == HTTP:
                methods = f"[{','.join(sorted(one.methods))}] " if one.methods else ""
                path = "/".join(filter(None, (self._host_json.route_prefix, one.route.strip("/"))))
                lines += ["", f"\t{one.name}: {methods}{base_url}/{path}"]
            else:
                lines += ["", f"\t{one.name}: {one.trigger}"]
        return "\n".join([*lines, ""]).expandtabs(8)

    def add_to(self, app: web.Application) -> None:
        """Answer whatever `app` has no route of its own for. Serve it with a HostRunner."""
        app.router.add_route("*", "/{path:(?s:.*)}", self.handle)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One HTTP request, as the platform's host would answer it. After `load` only."""
        assert self._front is not None
        return await self._front.handle(request)

    async def run_timer(self, name: str) -> None:
        """Run a timer now and wait for its end. Raises HostError for an unknown name, FunctionFailed."""
        if name not in self._timers:
            raise HostError(f"There is no timer {name}.")
        await asyncio.shield(self._spawn(self._timers[name].run_now()))

    def timers(self) -> list[TimerState]:
        """Every timer's schedule and times."""
        return [timer.state for timer in self._timers.values()]

    def _timer(self, function: Function) -> Timer | None:
        if function.schedule is None:
            return None

        async def run(timer_json: str) -> None:
            await self._worker.invoke(function, TypedData(json=timer_json))

        kept = self._state_dir is not None and function.monitored
        return Timer(
            function.name,
            function.schedule,
            run=run,
            keep=StatusFile(self._state_dir, function.name) if self._state_dir and kept else None,
            run_on_startup=function.run_on_startup,
        )

    def _start_run(self, name: str) -> None:
        async def run() -> None:
            with contextlib.suppress(FunctionFailed):  # the log has it
                await self._timers[name].run_now()

        self._spawn(run())

    def _spawn(self, run: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(run)
        self._runs.add(task)
        task.add_done_callback(self._runs.discard)
        return task


def _report(loop: asyncio.Task[None]) -> None:
    if not loop.cancelled() and (error := loop.exception()) is not None:
        log.error("a timer has stopped", exc_info=error)

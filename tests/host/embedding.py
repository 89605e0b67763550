"""A program that embeds the host, as the development stack does; run by `test_embedding` in a process of its own.

Prints one JSON object of what it saw.
"""

import asyncio
import json
import sys
from typing import Any

from aiohttp import ClientSession, web

from local.host import FunctionFailed, FunctionsHost, HostError, HostKeys, HostRunner
from tests.host.served import APP


async def home(_: web.Request) -> web.Response:
    return web.Response(text="the program's own page")


async def main() -> dict[str, Any]:
    host = FunctionsHost(APP, keys=HostKeys(master="m", function="f"))
    await host.start()
    seen: dict[str, Any] = {
        "functions": {
            name: [one.trigger, one.route, sorted(one.methods or ()), one.auth_level.value]
            for name, one in host.functions.items()
        },
        "routes": host.routes_text(),
        "modules": [name for name in ("grpc", "google.protobuf") if name in sys.modules],
    }
    app = web.Application()
    app.router.add_get("/", home)
    host.add_to(app)
    runner = HostRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    await host.run_timer("tick")
    timer = next(one for one in host.timers() if one.name == "tick")
    seen["timer"] = [timer.name, timer.schedule, timer.last is not None, timer.next is not None]
    for name in ("nothing", "fail"):
        try:
            await host.run_timer(name)
        except (HostError, FunctionFailed) as error:
            seen[name] = f"{type(error).__name__}: {error}"
    async with ClientSession() as client:
        for method, path in (("GET", "/"), ("POST", "/"), ("GET", "/api/memory"), ("GET", "/api/guarded?code=f")):
            async with client.request(method, base + path) as answer:
                seen[f"{method} {path}"] = [answer.status, await answer.text()]
    slow = asyncio.create_task(fetch(f"{base}/api/slow/x?seconds=0.2"))
    await asyncio.sleep(0.1)  # it must have begun
    seen["ended"] = await host.close()
    seen["slow"] = await slow
    await runner.cleanup()
    return seen


async def fetch(url: str) -> str:
    async with ClientSession() as client, client.get(url) as answer:
        return await answer.text()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))

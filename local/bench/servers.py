"""Owns the command `python -m local.bench.servers provider|vault|proxy`: one peer of the benchmarks in its own process.

Prints one line of JSON when it serves: its addresses and its throw-away authority's file. Ends with its input.
"""

import argparse
import asyncio
import json
import ssl
import sys
import tempfile
from pathlib import Path

from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web

from local.bench import lean_http
from local.bench.provider import ACCESS_TOKEN, LeanProvider
from local.bench.vault import CountedVault
from local.listen import Listener
from local.tls import LocalAuthority, make_authority


async def _provider(authority: LocalAuthority) -> dict[str, str]:
    provider = LeanProvider()
    url = f"https://localhost:{await lean_http.serve(provider.handle, authority.context)}"
    provider.start(url)
    return {"url": url}


async def _vault(authority: LocalAuthority) -> dict[str, str]:
    listener, control = Listener(tls=authority.context), Listener()
    vault = CountedVault(listener.url())
    await listener.serve(vault.make_app())
    await control.serve(vault.make_control())
    return {"url": listener.url(), "control": control.url("127.0.0.1")}


async def _proxy(graph: str, bundle: str) -> dict[str, str]:
    """A bare reverse proxy: what passing a call on costs at least, with these parts."""
    context = ssl.create_default_context(cafile=bundle)
    token = {"Authorization": f"Bearer {ACCESS_TOKEN}"}
    session = ClientSession(connector=TCPConnector(ssl=context), cookie_jar=DummyCookieJar(), headers=token)

    async def handle(request: web.Request) -> web.Response:
        async with session.get(graph + request.path_qs.removeprefix("/api/graph")) as answer:
            return web.Response(body=await answer.read(), status=answer.status, content_type=answer.content_type)

    app = web.Application()
    app.router.add_get("/api/graph/{path:.*}", handle)
    listener = Listener()
    await listener.serve(app)
    return {"url": listener.url("127.0.0.1")}


async def _serve(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="onenote-auth-bench-") as folder:
        authority = make_authority(Path(folder))
        if given.peer == "proxy":
            serving = await _proxy(given.graph, given.bundle)
        else:
            serving = await (_provider if given.peer == "provider" else _vault)(authority)
        print(json.dumps({**serving, "bundle": str(authority.bundle)}), flush=True)
        # Its end is the parent's, however that ends: nothing is left behind.
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.bench.servers")
    parser.add_argument("peer", choices=("provider", "vault", "proxy"))
    parser.add_argument("--graph", help="of the proxy: where calls go")
    parser.add_argument("--bundle", help="of the proxy: trust roots")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()

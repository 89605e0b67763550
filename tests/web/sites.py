"""Owns sites by name for a browser: https hosts under `.test` on loopback, with pages, with a proxy to the functions.

Names are the browser's matter (`RESOLVER`); certificates come from a throw-away authority, which it is told to ignore.
"""

from collections.abc import Awaitable, Callable, Iterable

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from local.listen import Listener

type Handler = Callable[[web.Request], Awaitable[web.Response]]

RESOLVER = "--host-resolver-rules=MAP *.test 127.0.0.1"
_PAGE = '<!doctype html><html lang="en"><title>{host}</title><link rel="icon" href="data:,"><h1>{host}</h1></html>'
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "te", "trailer"}


class Site:
    """One host. `serve` says what stands there."""

    def __init__(self, listener: Listener, host: str) -> None:
        self._listener = listener
        self.origin = listener.url(host)

    async def serve(self, functions: str | None = None, *, as_host: bool = False) -> None:
        """A page at every address; with `functions` (their address) these at `/api/`.

        `as_host`: they see this site's name in `Host`, as behind a custom domain, and else their own, as a linked
        backend does.
        """
        app = web.Application(client_max_size=50_000_000)
        if functions:
            app.router.add_route("*", "/api/{path:.*}", _proxy(functions, as_host=as_host))
        app.router.add_get("/{path:.*}", _page)
        await self._listener.serve(app)

    async def close(self) -> None:
        await self._listener.close()


async def _page(request: web.Request) -> web.Response:
    return web.Response(text=_PAGE.format(host=request.host), content_type="text/html")


def _proxy(functions: str, *, as_host: bool) -> Handler:
    async def pass_on(request: web.Request) -> web.Response:
        headers = _kept(request.headers.items(), "host")
        headers["X-Forwarded-Host"] = request.host
        if as_host:
            headers["Host"] = request.host
        target = URL(functions + request.raw_path, encoded=True)
        async with (
            aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.request(
                request.method, target, headers=headers, data=await request.read(), allow_redirects=False
            ) as answer,
        ):
            return web.Response(
                status=answer.status, body=await answer.read(), headers=_kept(answer.headers.items(), "date", "server")
            )

    return pass_on


def _kept(headers: Iterable[tuple[str, str]], *but: str) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers if name.lower() not in {*_HOP_BY_HOP, *but})

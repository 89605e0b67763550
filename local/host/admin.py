"""Owns the host's own API below /admin: start a timer now, and whether the host runs. Master key only.

"Manually run a non HTTP-triggered function" in the platform's documentation.
"""

import json
from collections.abc import Callable, Mapping

from aiohttp import web

from local.host.functions import TIMER, Function
from local.host.keys import AuthLevel, HostKeys
from local.host.runner import bare

ADMIN_PREFIX = "/admin/"


class Admin:
    """`start` begins a timer's run and returns at once."""

    def __init__(self, *, keys: HostKeys, functions: Mapping[str, Function], start: Callable[[str], None]) -> None:
        self._keys = keys
        self._functions = {function.name.lower(): function for function in functions.values()}
        self._start = start

    async def answer(self, request: web.Request, path: str, key: str | None) -> web.Response:
        """A request whose decoded path begins with /admin/, in any case."""
        if not self._keys.opens(AuthLevel.ADMIN, key):
            return bare(401)
        match request.method, *path.lower().strip("/").split("/")[1:]:
            case "GET", "host", "status":
                return web.json_response({"state": "Running"})
            case "POST", "functions", name:
                return await self._run(request, name)
        return bare(404)

    async def _run(self, request: web.Request, name: str) -> web.Response:
        """202 at once. The body is `{}` or has an `input`, which a timer has no use for."""
        if request.content_type != "application/json":
            return bare(415)
        function = self._functions.get(name)
        if function is None:
            return bare(404)
        try:
            body = json.loads(await request.content.read())
        except ValueError:
            body = None
        # The platform's host also makes up requests for HTTP functions; they can be called as they are.
        if not isinstance(body, dict) or function.trigger != TIMER:
            return bare(400)
        self._start(function.name)
        return bare(202)

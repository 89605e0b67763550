"""Owns the vault under measurement: the embedded Key Vault, who called it how often, and a managed identity beside it.

Each client gets an identity endpoint of its own (`/msi/LABEL`), so calls are counted by client without its help.
"""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import hdrs, web

from local.bench.fill import fill
from local.vault.key_vault import CREATE_SECRET_PER_10S, OTHER_PER_10S, KeyVault

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_TOKEN = "bench-"


@dataclass(slots=True)
class Usage:
    """One client's calls. `writes` are counted as the write quota counts: what makes a version. Times in seconds."""

    writes: int = 0
    reads: int = 0
    throttled_writes: int = 0
    throttled_reads: int = 0
    first_write_at: float | None = None
    last_write_at: float | None = None
    by_kind: Counter[str] = field(default_factory=Counter)


class CountedVault:
    """`make_app` is the vault, `make_control` its managed-identity endpoint and this run's remote control."""

    def __init__(self, url: str) -> None:
        self.vault = KeyVault(url=url, accepts=lambda token: token.startswith(_TOKEN))
        self.usage: dict[str, Usage] = {}

    def make_app(self) -> web.Application:
        app = self.vault.make_app()
        app.middlewares.insert(0, self._counted)
        return app

    def make_control(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/msi/{label}/token", self._token)
        app.router.add_get("/usage", self._usage)
        app.router.add_post("/fill", self._fill)
        app.router.add_post("/quota", self._quota)
        return app

    @web.middleware
    async def _counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        label = request.headers.get(hdrs.AUTHORIZATION, "").partition(_TOKEN)[2]
        answer = await handler(request)
        if label and answer.status != 401:
            self._count(self.usage.setdefault(label, Usage()), request, answer.status)
        return answer

    def _count(self, usage: Usage, request: web.Request, status: int) -> None:
        write = request.method == hdrs.METH_PUT
        if status == 429:
            usage.throttled_writes += write
            usage.throttled_reads += not write
            return
        usage.writes += write
        usage.reads += not write
        usage.by_kind[f"{request.method} {_kind(request.path)}"] += 1
        if write:
            usage.last_write_at = time.monotonic()
            usage.first_write_at = usage.first_write_at or usage.last_write_at

    async def _token(self, request: web.Request) -> web.Response:
        """As App Service answers ("REST endpoint reference")."""
        expires = str(int(time.time()) + 24 * 3600)
        token = {"access_token": _TOKEN + request.match_info["label"], "expires_on": expires, "token_type": "Bearer"}
        return web.json_response(token | {"resource": request.query.get("resource", "")})

    async def _usage(self, _: web.Request) -> web.Response:
        return web.json_response({label: as_dict(usage) for label, usage in self.usage.items()})

    async def _fill(self, request: web.Request) -> web.Response:
        return web.json_response(fill(self.vault.store, **await request.json()))

    async def _quota(self, request: web.Request) -> web.Response:
        self.vault.set_quota_per_10s, self.vault.other_quota_per_10s = CREATE_SECRET_PER_10S, OTHER_PER_10S
        return web.json_response({})


def as_dict(usage: Usage) -> Mapping[str, object]:
    return {name: getattr(usage, name) for name in Usage.__slots__}


def _kind(path: str) -> str:
    """What is addressed: `secrets` and `deletedsecrets` are listings, other secrets than a session's go by name."""
    _, collection, *name = path.split("/")
    if not name or not name[0]:
        return collection
    what = {"s-": "session", "a-": "account index", "f-": "sid index"}.get(name[0][:2], name[0])
    return what if collection == "secrets" else f"deleted {what}"

"""Owns the control API of the embedded stack under `/_local/…`: its clock, timer, faults and what lies in the
vaults.

For the demo page, the demo command and the tests. It is JSON in and out; whatever changes something wants the
header `x-local-control`, which no form and no other site's script can send, and every request a loopback
Host, so that no name which an attacker points at 127.0.0.1 gets in.
"""

import contextlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any, get_args
from urllib.parse import urlsplit

from aiohttp import web

from local.clock import MovableClock
from local.faults import Action, Fault, Faults
from local.host import FunctionFailed, FunctionsHost
from local.services import Services
from local.vault.access import NETWORKS, ROLES

SWEEP = "sweep"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_FARTHEST_S = 3650 * 86_400  # ten years: beyond, certificates and cookies end for reasons of their own

_REFUSAL = frozenset({"username", "error", "codes", "suberror", "claims", "at", "until_sign_in"})
_SWITCHES = frozenset(
    {"provisioning", "notebook_limit", "too_many_items", "calls_per_minute", "calls_at_once", "claims_challenge"}
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Body = dict[str, Any]


class ControlError(Exception):
    """A request to this API that can't be done; the text says why."""


class Control:
    """The routes, over the parts that they move. `public_url` is where the bundle is, `settings` are its app's."""

    def __init__(
        self,
        *,
        public_url: str,
        services: Services,
        host: FunctionsHost,
        clock: MovableClock,
        settings: Mapping[str, str],
    ) -> None:
        self._public_url = public_url
        self._settings = settings
        self._services = services
        self._host = host
        self._clock = clock

    def make_app(self) -> web.Application:
        """To be mounted at `/_local`."""
        app = web.Application(middlewares=[_guard])
        app.router.add_get("/state", self.state)
        app.router.add_get("/vaults", self.vaults)
        app.router.add_get("/calls", self.calls)
        app.router.add_get("/keys", self.keys)
        app.router.add_get("/settings", self.settings)
        app.router.add_post("/clock", self.clock)
        app.router.add_post("/timer", self.timer)
        app.router.add_post("/expire-access-tokens", self.expire_access_tokens)
        app.router.add_post("/revoke", self.revoke)
        app.router.add_post("/refuse", self.refuse)
        app.router.add_delete("/refuse", self.stop_refusing)
        app.router.add_post("/behaviour", self.behaviour)
        app.router.add_post("/onenote", self.onenote)
        app.router.add_post("/vault", self.vault)
        app.router.add_post("/faults", self.add_fault)
        app.router.add_delete("/faults", self.clear_faults)
        app.router.add_post("/reset", self.reset)
        return app

    async def state(self, request: web.Request) -> web.Response:
        """The clock, the timers, every address, and how many calls each service has had."""
        timers = [
            {"name": t.name, "schedule": t.schedule, "last": _iso(t.last), "next": _iso(t.next)}
            for t in self._host.timers()
        ]
        addresses = {
            "front": self._public_url,
            "consent_page": self._services.consent_page,
            **self._services.urls(),
        }
        return web.json_response(
            {
                "now": _iso(datetime.now(UTC)),
                "clock_offset_s": self._clock.offset_s,
                "timer": SWEEP,
                "timers": timers,
                "services": addresses,
                "calls": {name: len(faults.calls) for name, faults in self._services.faults().items()},
            }
        )

    async def vaults(self, request: web.Request) -> web.Response:
        """What lies in the vaults: names, tags, versions, deleted ones too; values only with `?values=1`."""
        return web.json_response({"vaults": self._services.vault_contents(values=request.query.get("values") == "1")})

    async def calls(self, request: web.Request) -> web.Response:
        """The calls of one service (`?service=`), oldest first; paths only, for queries can hold secrets."""
        faults = self._faults_of(request.query.get("service"))
        return web.json_response({"calls": [asdict(call) for call in faults.calls]})

    async def keys(self, request: web.Request) -> web.Response:
        """The host's keys, for the operator's routes. They are passwords: other sites' scripts get none."""
        _not_for_scripts(request)
        return web.json_response({"master": self._host.keys.master, "function": self._host.keys.function})

    async def settings(self, request: web.Request) -> web.Response:
        """The app settings that the bundle runs on, its client secret among them."""
        _not_for_scripts(request)
        return web.json_response(dict(self._settings))

    async def vault(self, request: web.Request) -> web.Response:
        """`{"name": …}` and of `network`, `role` what is to change: whom that vault lets in, to do what."""
        wanted = await _body(request)
        vault = self._services.vaults.get(wanted.pop("name", None))
        known = {"network": NETWORKS, "role": tuple(ROLES)}
        if vault is None or any(value not in known.get(name, ()) for name, value in wanted.items()):
            raise ControlError(f"there must be a vault's name, and of {known} what is to change")
        for name, value in wanted.items():
            setattr(vault.access, name, value)
        return web.json_response({})

    async def clock(self, request: web.Request) -> web.Response:
        """`{"advance_s": N}`: the whole process's clock moves."""
        seconds = (await _body(request)).get("advance_s")
        if not isinstance(seconds, int | float) or abs(self._clock.offset_s + seconds) > _FARTHEST_S:
            raise ControlError("advance_s must be a number of seconds, ten years at most in all")
        self._clock.advance(seconds)
        return web.json_response({"now": _iso(datetime.now(UTC)), "clock_offset_s": self._clock.offset_s})

    async def timer(self, request: web.Request) -> web.Response:
        """Fires a timer through the functions host; answers when its run has ended."""
        name = (await _body(request)).get("name", SWEEP)
        if name not in {timer.name for timer in self._host.timers()}:
            raise ControlError("there is no timer of that name")
        start = time.monotonic()
        try:
            await self._host.run_timer(name)
        except FunctionFailed as error:
            return web.json_response({"title": "The timer failed", "detail": str(error)}, status=502)
        return web.json_response({"name": name, "took_s": round(time.monotonic() - start, 3)})

    async def expire_access_tokens(self, request: web.Request) -> web.Response:
        self._services.identity.expire_access_tokens()
        return web.json_response({})

    async def revoke(self, request: web.Request) -> web.Response:
        """`{"username": …}`: consent taken back, refresh tokens dead."""
        username = (await _body(request)).get("username")
        if not isinstance(username, str):
            raise ControlError("username is missing")
        with _unknown_user():
            self._services.identity.revoke_consent(username)
        return web.json_response({})

    async def refuse(self, request: web.Request) -> web.Response:
        """Arguments of `IdentityProvider.refuse`: `username` is refused with any error there is."""
        wanted = await _body(request)
        unknown = sorted(set(wanted) - _REFUSAL)
        if unknown or not isinstance(wanted.get("username"), str):
            raise ControlError(f"a refusal has a username and of {', '.join(sorted(_REFUSAL))} what it needs")
        with _unknown_user():
            self._services.identity.refuse(**wanted)
        return web.json_response({})

    async def stop_refusing(self, request: web.Request) -> web.Response:
        self._services.identity.stop_refusing()
        return web.json_response({})

    async def behaviour(self, request: web.Request) -> web.Response:
        """Attributes of the identity provider's Behaviour, by name."""
        target = self._services.identity.behaviour
        wanted = await _body(request)
        unknown = sorted(name for name in wanted if name.startswith("_") or not hasattr(target, name))
        if unknown:
            raise ControlError(f"the identity provider has no behaviour {', '.join(unknown)}")
        for name, value in wanted.items():
            setattr(target, name, value)
        return web.json_response({})

    async def onenote(self, request: web.Request) -> web.Response:
        """`{"username": …}` and attributes of OneNote's Switches: how it treats that person from now on."""
        wanted = await _body(request)
        username = wanted.pop("username", None)
        if not isinstance(username, str) or not wanted.keys() <= _SWITCHES:
            raise ControlError(f"there must be a username and of {', '.join(sorted(_SWITCHES))} what is to change")
        target = self._services.onenote.switches(username)
        for name, value in wanted.items():
            setattr(target, name, value)
        return web.json_response({})

    async def add_fault(self, request: web.Request) -> web.Response:
        """`{"service": …}` and the fields of a Fault."""
        given = await _body(request)
        faults = self._faults_of(given.pop("service", None))
        unknown = sorted(set(given) - {field.name for field in fields(Fault)})
        if unknown or given.get("action") not in get_args(Action):
            raise ControlError(f"a fault has an action of {', '.join(get_args(Action))} and fields of its own only")
        try:
            faults.add(Fault(**given))
        except (ValueError, TypeError, re.error) as error:
            raise ControlError(f"this fault makes no sense: {error}") from error
        return web.json_response({})

    async def clear_faults(self, request: web.Request) -> web.Response:
        for faults in self._services.faults().values():
            faults.clear()
        return web.json_response({})

    async def reset(self, request: web.Request) -> web.Response:
        """Services as they were seeded, and the real time. The bundle goes on running."""
        self._clock.reset()
        await self._services.reset()
        return web.json_response({})

    def _faults_of(self, service: object) -> Faults:
        known: Mapping[str, Faults] = self._services.faults()
        if not isinstance(service, str) or service not in known:
            raise ControlError(f"service must be one of {', '.join(known)}")
        return known[service]


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    if urlsplit(f"//{request.host}").hostname not in _LOOPBACK:
        return web.json_response({"title": "Not for this host name"}, status=403)
    if request.method not in ("GET", "HEAD") and "x-local-control" not in request.headers:
        return web.json_response({"title": "The header x-local-control is missing"}, status=403)
    try:
        return await handler(request)
    except ControlError as error:
        return web.json_response({"title": "Not possible", "detail": str(error)}, status=400)


def _not_for_scripts(request: web.Request) -> None:
    if "x-local-control" not in request.headers:
        raise ControlError("the header x-local-control is missing")


@contextlib.contextmanager
def _unknown_user() -> Iterator[None]:
    try:
        yield
    except LookupError as error:
        raise ControlError(str(error)) from error


async def _body(request: web.Request) -> Body:
    """The JSON object of a request; nothing sent is an empty one."""
    text = await request.text()
    try:
        value = json.loads(text) if text.strip() else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ControlError("the body must be a JSON object")
    return value


def _iso(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

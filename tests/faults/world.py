"""Owns the bundle's real parts on embedded services in one process, and ways to disturb each of their calls.

Vault, provider, Graph and managed-identity endpoint, each behind a `Door` that can shut. `instance` is one process of
the app: its caches are new, its cookies are the person's one browser.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.typedefs import Middleware

from local.browser import Browser
from local.browser.sign_in import PERSONAL_USER, WORK_USER, sign_in_on
from local.clock import MovableClock
from local.faults import Faults
from local.graph.onenote import OneNote
from local.identity_provider import IdentityProvider
from local.listen import Listener
from local.managed_identity import ManagedIdentity
from local.tls import LocalAuthority
from local.vault.key_vault import KeyVault
from shared import settings
from shared.adapters import record_format
from shared.compose import Composition
from shared.model import Record
from shared.parts import Parts
from tests.functions.bundle import Functions, Reply

APP = "http://localhost:7071"
CLIENT_ID = "5e3ce6c0-2b1f-4448-8285-4b75aa91e6d9"
CLIENT_SECRET = "the+client/secret"
IDENTITY_HEADER = "the-identity-header"
NOTEBOOKS = "v1.0/me/onenote/notebooks"
FEDERATION = {"AUTH_CLIENT_SECRET": "", "AUTH_MANAGED_IDENTITY_CLIENT_ID": "2d1c55a0-f3b9-4b6a-9a52-1f6f5d0a7c11"}
PAGE = {"accept": "text/html"}
USERS = {"work": WORK_USER, "personal": PERSONAL_USER}


class Door:
    """One service's port. It can shut at once, or when a certain call comes: from then on nobody listens there."""

    def __init__(self, authority: LocalAuthority | None = None) -> None:
        self._tls = authority.context if authority else None
        self._listener = Listener(tls=self._tls)
        self._make_app: Callable[[], web.Application] | None = None
        self._shuts_at: tuple[str | None, re.Pattern[str]] | None = None
        self._passes = 0
        self._is_shut = False
        self._watching: list[Middleware] = []
        self._shutting: asyncio.Task[None] | None = None
        self.port = self._listener.port

    def url(self, host: str = "localhost") -> str:
        return self._listener.url(host)

    async def serve(self, make_app: Callable[[], web.Application]) -> None:
        self._make_app = make_app
        app = make_app()
        app.middlewares[:0] = [self._gate, *self._watching]
        await self._listener.serve(app)

    async def watch(self, middleware: Middleware) -> None:
        """Let every call pass through `middleware` from now on."""
        assert self._make_app is not None
        self._watching.append(middleware)
        await self.serve(self._make_app)

    async def shut(self) -> None:
        self._is_shut = True
        await self._listener.close()

    def shut_at(self, method: str | None, path: str, passes: int = 0) -> None:
        self._passes = passes
        self._shuts_at = (method, re.compile(path))

    async def open(self) -> None:
        """Listen again where it was, if nobody does."""
        self._shuts_at = None
        if self._shutting:
            await self._shutting
            self._shutting = None
        if not self._is_shut:
            return
        assert self._make_app is not None
        self._is_shut = False
        self._listener = Listener(self.port, tls=self._tls)
        await self.serve(self._make_app)

    @web.middleware
    async def _gate(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        if self._is_the_one(request):
            if self._shutting is None:
                self._shutting = asyncio.create_task(self.shut())
            if request.transport:
                request.transport.abort()
            return web.Response()
        answer: web.StreamResponse = await handler(request)
        return answer

    def _is_the_one(self, request: web.Request) -> bool:
        method, path = self._shuts_at or (None, None)
        if path is None or method not in (None, request.method) or not path.search(request.path_qs):
            return False
        self._passes -= 1
        return self._passes < 0


class Instance(Functions):
    """One process of the app. `jar` is the person's browser."""

    def __init__(self, composition: Composition, parts: Parts, jar: dict[str, str]) -> None:
        super().__init__(composition.parts)
        self.composition = composition
        self.parts = parts
        self.jar = jar

    async def login(self, account: str = "work", **query: str) -> Reply:
        return await self.call("auth_login", path="auth/login", headers=PAGE, query={"account": account, **query})

    async def callback(self, form: dict[str, str]) -> Reply:
        return await self.call("auth_callback", "POST", "auth/callback", headers=PAGE, form=form)

    async def session(self) -> Reply:
        return await self.call("auth_session", path="auth/session")

    async def notebooks(self) -> Reply:
        return await self.call("graph_call", path=f"graph/{NOTEBOOKS}")

    async def logout(self) -> Reply:
        return await self.call("auth_logout", "POST", "auth/logout", headers={**PAGE, "origin": APP})


@dataclass(slots=True)
class World:
    vault: KeyVault
    provider: IdentityProvider
    onenote: OneNote
    identity: ManagedIdentity
    doors: dict[str, Door]
    person: Browser
    environ: dict[str, str]
    exits: AsyncExitStack
    clock: MovableClock = field(default_factory=MovableClock)
    jar: dict[str, str] = field(default_factory=dict)

    async def instance(self) -> Instance:
        """One more process, that knows nothing yet."""
        composition = Composition(self.environ)
        self.exits.push_async_callback(composition.close)
        return Instance(composition, await composition.parts(), self.jar)

    def faults(self, service: str) -> Faults:
        services: dict[str, KeyVault | IdentityProvider | OneNote | ManagedIdentity] = {
            "vault": self.vault,
            "provider": self.provider,
            "graph": self.onenote,
            "identity": self.identity,
        }
        return services[service].faults

    async def authorize(self, url: str, account: str = "work") -> dict[str, str]:
        """What the provider sends to the callback when the person has said yes."""
        page = await sign_in_on(self.person, await self.person.goto(url), USERS[account])
        return dict(page.form(field_name="state").fields)

    async def sign_in(self, instance: Instance, account: str = "work", **query: str) -> Reply:
        to_provider = await instance.login(account, **query)
        assert to_provider.location.startswith(self.doors["front"].url("127.0.0.1")), to_provider.location
        return await instance.callback(await self.authorize(to_provider.location, account))

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def pause(self, seconds: float) -> None:
        """Let the background work, for that time of the hurried loop."""
        await asyncio.sleep(seconds)

    async def mend(self) -> None:
        """Everybody answers again."""
        for service in ("vault", "provider", "graph", "identity"):
            self.faults(service).clear()
            await self.doors[service].open()

    def records(self) -> dict[str, Record]:
        """Sessions that live in the vault, by name; the newest version of each."""
        return {
            secret.name: record_format.from_value(secret.current.value, secret.current.tags)
            for secret in self.vault.store.living
            if secret.name.startswith("s-")
        }

    def secrets(self) -> set[str]:
        """What no log line may hold: every token and code given out, cookies, keys, credentials."""
        ledger = self.provider._core.ledger
        found = {CLIENT_SECRET, IDENTITY_HEADER, *ledger.codes, *ledger.refresh_tokens, *ledger.access_tokens}
        found |= {value for value in self.jar.values() if len(value) > 20}
        found |= {value.split(".")[2] for name, value in self.jar.items() if name == "__Secure-onenote-auth"}
        found |= set(self.identity._issued)
        found |= {secret.current.value for secret in self.vault.store.living if secret.name == "key-ring"}
        return found


@asynccontextmanager
async def world(
    authority: LocalAuthority,
    monkeypatch: pytest.MonkeyPatch,
    *,
    as_entra: bool = True,
    more: Mapping[str, str] | None = None,
) -> AsyncIterator[World]:
    """`as_entra`: a provider where a spent refresh token stays valid, so that the bundle claims nothing first.

    `more` are app settings.
    """
    async with AsyncExitStack() as exits:
        for name in ("azure", "msal"):  # the bundle turns them down for the whole process
            exits.callback(logging.getLogger(name).setLevel, logging.getLogger(name).level)
        doors = {
            "front": Door(),
            "provider": Door(authority),
            "vault": Door(authority),
            "graph": Door(authority),
            "identity": Door(),
        }
        for door in doors.values():
            exits.push_async_callback(door.shut)
        identity = ManagedIdentity(header=IDENTITY_HEADER)
        provider = IdentityProvider(
            front_url=doors["front"].url("127.0.0.1"),
            back_url=doors["provider"].url(),
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            redirect_uris=[f"{APP}/api/auth/callback"],
            accepts_assertion=lambda assertion: identity.accepts(assertion, "api://AzureADTokenExchange"),
        )
        vault = KeyVault(url=doors["vault"].url(), accepts=identity.accepts)
        onenote = OneNote(url=doors["graph"].url(), tokens=provider.access_token)
        await doors["front"].serve(provider.make_app)
        await doors["provider"].serve(provider.make_app)
        await doors["vault"].serve(vault.make_app)
        await doors["graph"].serve(onenote.make_app)
        await doors["identity"].serve(identity.make_app)
        environ = {
            "AUTH_CLIENT_ID": CLIENT_ID,
            "AUTH_CLIENT_SECRET": CLIENT_SECRET,
            "AUTH_AUTHORITY_HOST": doors["provider"].url(),
            "GRAPH_BASE_URL": doors["graph"].url(),
            "TOKEN_VAULT_URLS": f"main={doors['vault'].url()}",
            "PUBLIC_BASE_URL": APP,
            "CA_BUNDLE": str(authority.bundle),
            "IDENTITY_ENDPOINT": f"{doors['identity'].url()}/msi/token",
            "IDENTITY_HEADER": IDENTITY_HEADER,
            **(more or {}),
        }
        for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
            monkeypatch.setenv(name, environ[name])  # the SDK reads the environment itself
        if as_entra:
            count_as_entra(monkeypatch, environ)
        person = await exits.enter_async_context(Browser(doors["front"].url("127.0.0.1")))
        person.plays_scripts = False
        made = World(vault, provider, onenote, identity, doors, person, environ, exits)
        exits.callback(made.clock.reset)
        yield made


def count_as_entra(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    """Let the embedded provider count as Microsoft's public cloud."""
    host = environ["AUTH_AUTHORITY_HOST"]
    monkeypatch.setattr(settings, "PUBLIC_CLOUD_AUTHORITY", host)
    monkeypatch.setitem(settings.MICROSOFT_CLOUDS, host, (environ["GRAPH_BASE_URL"],))

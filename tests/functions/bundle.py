"""Owns the HTTP functions put together over doubles, and a browser's share of a request: address, cookies, headers."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import azure.functions as func

from shared.findings import Finding
from shared.functions import auth, graph, ops, reference, sessions
from shared.functions.cookies import Cookies
from shared.model import Account, SessionId, Stored
from shared.parts import Parts, PartsNow
from shared.settings import Settings, read_settings
from shared.usecases.doctor import Check, Doctor
from tests.doubles.identity import work_account
from tests.usecases.world import World

ENVIRON = {
    "AUTH_CLIENT_ID": "client-id",
    "AUTH_CLIENT_SECRET": "a-secret-that-never-shows",
    "TOKEN_VAULT_URLS": "main=https://main.vault.azure.net",
    "PUBLIC_BASE_URL": "https://notes.example",
    "FRONTEND_ORIGINS": "https://app.notes.example",
}

_HOST_JSON = json.loads((Path(__file__).parents[2] / "host.json").read_text(encoding="utf-8"))
BY_THE_HOST: Mapping[str, str] = {
    name.lower(): value for name, value in _HOST_JSON["extensions"]["http"]["customHeaders"].items()
}
"""Headers that the host puts on every answer which has none of that name."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as the host sends it."""

    status: int
    headers: dict[str, str]
    cookies: tuple[str, ...]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def location(self) -> str:
        return self.headers["location"]

    @property
    def fragment(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.location).fragment))


class Functions:
    """All HTTP functions. `jar` holds the browser's cookies; `call` sends them, and keeps what the answer sets."""

    def __init__(self, parts_now: PartsNow) -> None:
        self.jar: dict[str, str] = {}
        app = func.FunctionApp()
        for module in (auth, sessions, graph, ops):
            app.register_functions(module.blueprint(parts_now))
        app.register_functions(reference.blueprint())
        self.functions = {f.get_function_name(): f.get_user_function() for f in app.get_functions()}

    async def call(
        self,
        name: str,
        method: str = "GET",
        path: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: bytes = b"",
        route: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        **more: str,
    ) -> Reply:
        sent = {"cookie": "; ".join(f"{k}={v}" for k, v in self.jar.items())} if self.jar else {}
        if form is not None:
            sent["content-type"] = "application/x-www-form-urlencoded"
            body = urlencode(form).encode()
        query = {**(query or {}), **more}
        url = f"http://10.0.0.1/api/{path or name}" + (f"?{urlencode(query)}" if query else "")
        request = func.HttpRequest(
            method, url, headers={**sent, **(headers or {})}, params=query, route_params=route, body=body
        )
        response = await self.functions[name](request)
        cookies = tuple(response.headers.get_all("Set-Cookie") or ())
        for text in cookies:
            for key, morsel in SimpleCookie(text).items():
                if morsel["max-age"] == "0":
                    self.jar.pop(key, None)
                else:
                    self.jar[key] = unquote(morsel.value)
        answered = {k.lower(): v for k, v in response.headers.items() if k.lower() != "set-cookie"}
        if "content-type" not in answered:
            answered["content-type"] = response.mimetype
        return Reply(response.status_code, {**BY_THE_HOST, **answered}, cookies, response.get_body())


class Bundle(Functions):
    """The functions over doubles."""

    def __init__(self, **environ: str) -> None:
        self.world = World()
        self.findings = [Finding(check=name, what="") for name in ("vault", "key_ring", "identity_provider")]
        self.settings: Settings = read_settings({**ENVIRON, **environ})
        here = self.world.here
        self.parts = Parts(
            settings=self.settings,
            clock=self.world.clock,
            ring=self.world.ring,
            store=self.world.store,
            identity=self.world.identity,
            sessions=here.sessions,
            engine=here.engine,
            sign_in=here.sign_in(
                tenant=self.settings.tenant,
                default_scopes=self.settings.default_scopes,
                allowed_scopes=self.settings.allowed_scopes,
                allow_token_flow=self.settings.allow_token_flow,
            ),
            sign_out=here.sign_out,
            accounts=here.accounts,
            notes=here.notes,
            sweep=here.sweep,
            doctor=Doctor([Check(name="all", look=self._look)], self.world.clock),
        )
        self.cookies = Cookies(self.settings, self.world.ring, self.world.clock)
        self.failure: Exception | None = None
        super().__init__(self._parts)

    async def _look(self) -> Iterable[Finding]:
        return self.findings

    async def _parts(self) -> Parts:
        if self.failure:
            raise self.failure
        return self.parts

    async def signed_in(self, account: Account | None = None, *, lives_s: float = 3600) -> Stored:
        """The browser has a session's cookie."""
        template = await self.world.signed_in(account or work_account(), lives_s=lives_s)
        session = SessionId.new("main")
        await self.world.memory.delete(template.ref)
        stored = await self.world.memory.create(session.ref, template.record)
        cookie = await self.cookies.set_session(session)
        self.jar |= {key: morsel.value for key, morsel in SimpleCookie(cookie).items()}
        return stored

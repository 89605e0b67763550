"""Owns the embedded identity provider with the bundle's own adapter in front of it, and a person with a browser."""

import base64
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aiohttp import ClientSession, web

from local.browser import Browser
from local.browser.sign_in import sign_in_on
from local.faults import Fault
from local.identity_provider import CONTOSO_TENANT, IdentityProvider
from local.listen import Listener
from local.tls import LocalAuthority
from shared.adapters.client_credential import ClientCredential
from shared.adapters.clock import SystemClock
from shared.adapters.http import open_session
from shared.adapters.metadata import Metadata
from shared.adapters.msal_identity import MsalIdentity
from shared.adapters.token_endpoint import TokenEndpoint
from shared.model import Attempt, digest
from shared.settings import Settings, read_settings

CLIENT_ID = "0d7e4c1a-9b55-4a43-8f0a-6a4f0b9f2f11"
SECRET = "a secret+with/odd=signs"


def settings(back: str, app: str, **more: str) -> Settings:
    """The bundle's settings for a provider at `back` and an app at `app`."""
    environ = {
        "AUTH_CLIENT_ID": CLIENT_ID,
        "AUTH_CLIENT_SECRET": SECRET,
        "AUTH_AUTHORITY_HOST": back,
        "GRAPH_BASE_URL": "https://localhost:1",
        "PUBLIC_BASE_URL": app,
        "TOKEN_VAULT_URLS": "https://localhost:2",
        **more,
    }
    return read_settings({name: value for name, value in environ.items() if value})


def new_attempt(**more: object) -> Attempt:
    base = Attempt(
        state=secrets.token_urlsafe(16),
        nonce=secrets.token_urlsafe(16),
        code_verifier=secrets.token_urlsafe(48),
        authority="common",
        kind=None,
        scopes=("Notes.Read",),
        return_to="/",
        started_at=datetime.now(UTC),
    )
    return replace(base, **more)  # type: ignore[arg-type]


@dataclass(slots=True)
class Operator:
    """The operator's vault and managed identity, as far as the client credential asks them."""

    secret: str = SECRET
    reads: int = 0
    assertions: int = 0

    async def read_secret(self, _address: str) -> str:
        self.reads += 1
        return self.secret

    async def identity_token(self, _scope: str, _client_id: str) -> str:
        self.assertions += 1
        return "a good assertion"


class ProviderWorld:
    def __init__(self, provider: IdentityProvider, http: ClientSession, *, front: str, back: str, app: str) -> None:
        self.provider = provider
        self.http = http
        self.front = front
        self.back = back
        self.app = app
        self.operator = Operator()
        self.identity = self.rebuilt()

    def rebuilt(self, **more: str) -> MsalIdentity:
        """The adapter with other settings, as an instance that starts now."""
        self.settings = settings(self.back, self.app, **more)
        self.credential = ClientCredential(self.settings, self.operator.read_secret, self.operator.identity_token)
        clock = SystemClock()
        metadata = Metadata(self.http, self.settings.authority_host, self.settings.tenant, clock)
        self.endpoint = TokenEndpoint(self.settings, self.http, metadata, self.credential, clock)
        self.identity = MsalIdentity(self.settings, self.http, metadata, self.endpoint, clock)
        return self.identity

    async def callback(self, attempt: Attempt, username: str) -> dict[str, str]:
        """What the provider sends to the app's callback after the person has chosen the account and said yes."""
        async with Browser(self.front) as browser:
            page = await browser.goto(await self.identity.authorization_url(attempt))
            page = await sign_in_on(browser, page, username)
        assert page.status == 200, page.text
        answer: dict[str, str] = page.json()
        return answer

    async def code(self, attempt: Attempt, username: str) -> str:
        return (await self.callback(attempt, username))["code"]

    def answer_with(self, body: object, *, status: int = 200, times: int | None = None) -> None:
        """Let the token endpoint say this."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.provider.faults.add(Fault(path="/token$", action="status", status=status, body=text, times=times))

    def claims(self, attempt: Attempt, **more: object) -> dict[str, object]:
        """Claims of an id token that answers `attempt`; None takes one away."""
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": f"{self.back}/{CONTOSO_TENANT}/v2.0",
            "aud": CLIENT_ID,
            "tid": CONTOSO_TENANT,
            "oid": "an-oid",
            "sub": "a-sub",
            "nonce": digest(attempt.nonce),
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "preferred_username": "carol@contoso.example",
            "name": "Carol",
            **more,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def tokens(self, attempt: Attempt, **more: object) -> dict[str, object]:
        """A token answer to `attempt`; `more` replaces fields, None takes one away."""
        body: dict[str, object] = {
            "token_type": "Bearer",
            "access_token": "an-access-token",
            "refresh_token": "a-refresh-token",
            "expires_in": 3600,
            "scope": "Notes.Read openid profile offline_access",
            "id_token": unsigned(self.claims(attempt)),
            **more,
        }
        return {name: value for name, value in body.items() if value is not None}


def unsigned(claims: object) -> str:
    """A JWT as msal reads it; nobody verifies what came straight from the token endpoint."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(claims)}.c2lnbmF0dXJl"


@asynccontextmanager
async def provider_world(authority: LocalAuthority) -> AsyncIterator[ProviderWorld]:
    async with AsyncExitStack() as stack:
        front, back, app = Listener(), Listener(tls=authority.context), Listener()
        for listener in (front, back, app):
            stack.push_async_callback(listener.close)
        provider = IdentityProvider(
            front_url=front.url("127.0.0.1"),
            back_url=back.url(),
            client_id=CLIENT_ID,
            client_secret=SECRET,
            redirect_uris=[f"{app.url()}/api/auth/callback"],
            accepts_assertion=lambda assertion: assertion == "a good assertion",
        )
        await front.serve(provider.make_app())
        await back.serve(provider.make_app())
        await app.serve(_echo())
        http = await stack.enter_async_context(open_session(str(authority.bundle), total_s=1))
        yield ProviderWorld(provider, http, front=front.url("127.0.0.1"), back=back.url(), app=app.url())


def _echo() -> web.Application:
    async def callback(request: web.Request) -> web.Response:
        sent = await request.post()
        return web.json_response({name: str(value) for name, value in sent.items()})

    app = web.Application()
    app.router.add_post("/api/auth/callback", callback)
    return app

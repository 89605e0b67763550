"""Owns how the bundle is put together: which adapter stands behind which port.

Nothing is opened before the first call, inside the event loop that serves it: an import that fails or takes long
would turn every route into 404 in Azure. The heavy SDKs load here, not at import.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared import log
from shared.errors import Misconfigured, SessionEnded, SessionUnknown
from shared.parts import Parts
from shared.settings import Settings, read_settings

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from shared.adapters.provider_probe import ProviderProbe
    from shared.adapters.vault_probe import VaultProbe
    from shared.adapters.web_probe import WebProbe
    from shared.ports import Clock, KeyRing, SessionStore
    from shared.usecases.doctor import Check


class Composition:
    """`parts()` is the bundle, made once; `problems` are the settings' findings, empty when all is well."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._parts: Parts | None = None
        self._lock = asyncio.Lock()
        self._settings: Settings | None = None
        self._connections: list[ClientSession] = []
        self.problems: tuple[str, ...] = ()
        try:
            self._settings = read_settings(environ)
        except Misconfigured as error:
            self.problems = error.findings
            log.error("settings_not_usable", findings=list(self.problems))

    async def parts(self) -> Parts:
        """Raises Misconfigured while the settings are wrong."""
        if self._parts is None:
            if self._settings is None:
                raise Misconfigured(self.problems)
            async with self._lock:
                if self._parts is None:
                    self._parts = _build(self._settings, self._connections)
        return self._parts

    async def close(self) -> None:
        """End the connections, for a process that goes on without the bundle. The platform never asks for it."""
        while self._connections:
            await self._connections.pop().close()


def _build(settings: Settings, connections: "list[ClientSession]") -> Parts:
    from shared.adapters.client_credential import ClientCredential
    from shared.adapters.clock import SystemClock
    from shared.adapters.graph import GraphNotes
    from shared.adapters.http import open_session
    from shared.adapters.key_ring import KeyVaultKeyRing
    from shared.adapters.key_vault import KeyVaultStore
    from shared.adapters.metadata import Metadata
    from shared.adapters.msal_identity import MsalIdentity
    from shared.adapters.provider_probe import ProviderProbe
    from shared.adapters.throttling import Throttling
    from shared.adapters.token_endpoint import TokenEndpoint
    from shared.adapters.vault_client import open_client, sdk_errors
    from shared.adapters.vault_probe import VaultProbe
    from shared.adapters.web_probe import WebProbe
    from shared.adapters.workload import identity_token, open_credential
    from shared.attempts import Rules
    from shared.schedule import Policy
    from shared.usecases.accounts import Accounts
    from shared.usecases.claims import Claims
    from shared.usecases.doctor import Doctor
    from shared.usecases.notes import NotesCalls
    from shared.usecases.refresh import Engine
    from shared.usecases.sessions import Sessions
    from shared.usecases.sign_in import SignIn
    from shared.usecases.sign_out import SignOut
    from shared.usecases.sweep import Sweep

    # Four lines a call at INFO, secret names among them.
    for noisy in ("azure", "msal"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

    clock = SystemClock()
    vault_http = open_session(settings.ca_bundle, total_s=10)
    provider_http = open_session(settings.ca_bundle, total_s=15)
    # Time and number of these calls are bounded where they are made, by `NotesCalls` and its gates.
    graph_http = open_session(settings.ca_bundle, total_s=None, limit=0)
    connections += (vault_http, provider_http, graph_http)
    credential = open_credential(settings, vault_http, clock)
    throttling = Throttling(clock)
    clients = {
        label: open_client(url, credential, vault_http, partial(throttling.hear, label))
        for label, url in settings.vaults
    }

    async def read_secret(address: str) -> str:
        parts = urlsplit(address)
        _, name, *version = parts.path.strip("/").split("/")
        client = open_client(f"https://{parts.netloc}", credential, vault_http)
        mend = (
            f"Give the app's identity the role Key Vault Secrets User on {parts.netloc}, and let it reach that vault."
        )
        try:
            async with sdk_errors("read the app's own credential", mend):
                return (await client.get_secret(name, version[0] if version else None)).value or ""
        except (SessionUnknown, SessionEnded) as error:
            # The seam's words are about sessions; here it is the operator's secret that is missing.
            raise Misconfigured(
                [f"There is no secret {name} in {parts.netloc}: put the app's credential there."]
            ) from error

    policy = Policy(
        idle=timedelta(days=settings.session_idle_days),
        longest=timedelta(days=settings.session_max_days),
        keep_alive=timedelta(hours=settings.keep_alive_hours),
    )
    metadata = Metadata(provider_http, settings.authority_host, settings.tenant, clock)
    proof = ClientCredential(settings, read_secret, identity_token(settings, vault_http, clock))
    tokens = TokenEndpoint(settings, provider_http, metadata, proof, clock)
    identity = MsalIdentity(settings, provider_http, metadata, tokens, clock)
    store = KeyVaultStore(clients, throttling.counts)
    ring = KeyVaultKeyRing(lambda: clients[settings.vaults[0][0]], clock)
    sessions = Sessions(store, clock, policy, cache_s=settings.session_cache_seconds)
    # Microsoft lets a spent refresh token live on; of another provider nobody knows.
    claims = None if settings.microsoft_cloud else Claims(store, clock)
    engine = Engine(store, sessions, identity, clock, policy, claims)
    sign_out = SignOut(store, sessions, identity, clock)
    rules = Rules(
        tenant=settings.tenant,
        default_scopes=settings.default_scopes,
        allowed_scopes=settings.allowed_scopes,
        allow_token_flow=settings.allow_token_flow,
    )
    provider = ProviderProbe(settings, provider_http, metadata, tokens)
    web = WebProbe(graph_http, public_base_url=settings.public_base_url, graph_base_url=settings.graph_base_url)
    # A single vault needs no name.
    vaults = {label: VaultProbe(client, of=label if len(clients) > 1 else "") for label, client in clients.items()}
    return Parts(
        settings=settings,
        clock=clock,
        ring=ring,
        store=store,
        identity=identity,
        sessions=sessions,
        engine=engine,
        sign_in=SignIn(store, sessions, engine, identity, clock, policy, rules, sign_out),
        sign_out=sign_out,
        accounts=Accounts(store, sessions, engine, sign_out),
        notes=NotesCalls(GraphNotes(graph_http, settings.graph_base_url, settings.graph_body_max_bytes), engine, clock),
        sweep=Sweep(store, sessions, engine, ring, clock, policy),
        doctor=Doctor(_checks(settings, provider, web, vaults, store, ring, clock), clock),
    )


def _checks(
    settings: Settings,
    provider: "ProviderProbe",
    web: "WebProbe",
    vaults: "Mapping[str, VaultProbe]",
    store: "SessionStore",
    ring: "KeyRing",
    clock: "Clock",
) -> "Sequence[Check]":
    """What `/api/ops/health` and `dev.py doctor` look at, in the order in which they show it."""
    from shared.usecases.doctor import KEEP_GENTLY_S, Check, front_ends_check, key_ring_check, timer_check

    authority = ("identity_provider", "")
    return (
        front_ends_check(settings.public_base_url, lambda: settings.elsewhere),
        Check(name="identity_provider", look=provider.authority),
        Check(name="credential", look=provider.credential, after=authority, keep_s=KEEP_GENTLY_S),
        Check(name="redirect_uri", look=provider.redirect_uri, after=authority, keep_s=KEEP_GENTLY_S),
        Check(name="public_address", look=web.public_address),
        Check(name="graph", look=web.graph),
        *(Check(name="vault", of=probe.of, look=probe.look) for probe in vaults.values()),
        key_ring_check(ring, of=vaults[settings.vaults[0][0]].of),
        *(timer_check(store, clock, label, of=probe.of) for label, probe in vaults.items()),
    )

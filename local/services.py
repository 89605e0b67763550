"""Owns the services around the bundle: who listens where, how they know each other, and their seeded state.

Identity provider, Key Vaults, managed-identity endpoint and OneNote. Knows neither the functions host nor the
demo page.
"""

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from local.app_certificate import AppCertificate
from local.faults import Faults
from local.graph.onenote import OneNote
from local.identity_provider import AccessToken, IdentityProvider
from local.listen import Listener
from local.managed_identity import ManagedIdentity
from local.tls import make_authority
from local.vault.key_vault import KeyVault

CLIENT_ID = "5e3ce6c0-2b1f-4448-8285-4b75aa91e6d9"


class Services:
    """The services on free ports. `folder` keeps the throw-away authority, `public_url` is where the bundle
    is. `app_certificate` (PEM) is what the app registration knows beside the secret, if anything.

    `reset` puts new ones in place of identity provider, vaults and OneNote. The managed-identity endpoint
    stays: the bundle caches its tokens, as it does in Azure.
    """

    def __init__(self, *, folder: Path, vaults: int, app_certificate: str | None = None) -> None:
        self.authority = make_authority(folder)
        self._app_certificate_pem = app_certificate
        self._client_secret = secrets.token_urlsafe(24)
        self._identity_header = secrets.token_hex(16)
        tls = self.authority.context
        self._identity_front = Listener()
        self._identity_back = Listener(tls=tls)
        self._graph = Listener(tls=tls)
        self._vaults = [Listener(tls=tls) for _ in range(vaults)]
        self._managed_identity = Listener()
        self._public_url = ""
        self._app_certificate: AppCertificate | None = None
        self.managed_identity = ManagedIdentity(header=self._identity_header)

    @property
    def identity_url(self) -> str:
        """The provider as browsers see it: on another site than the bundle on purpose."""
        return self._identity_front.url("127.0.0.1")

    @property
    def consent_page(self) -> str:
        """Where people take their consent back."""
        return f"{self.identity_url}/consent"

    def urls(self) -> dict[str, str]:
        """Every address, by service, for people and for the control API."""
        vaults = {_vault_name(n): listener.url() for n, listener in enumerate(self._vaults)}
        return {
            "identity": self._identity_back.url(),
            "identity_pages": self.identity_url,
            "graph": self._graph.url(),
            "managed_identity": self._managed_identity.url(),
            **vaults,
        }

    def settings(self) -> dict[str, str]:
        """The app settings that point the bundle here, as an operator would write them for Azure."""
        return {
            "AUTH_CLIENT_ID": CLIENT_ID,
            "AUTH_CLIENT_SECRET": self._client_secret,
            "AUTH_AUTHORITY_HOST": self._identity_back.url(),
            "AUTH_TENANT": "common",
            "GRAPH_BASE_URL": self._graph.url(),
            "TOKEN_VAULT_URLS": ",".join(listener.url() for listener in self._vaults),
            "CA_BUNDLE": str(self.authority.bundle),
            # as App Service gives them to an app with a managed identity ("REST endpoint reference")
            "IDENTITY_ENDPOINT": f"{self._managed_identity.url()}/msi/token",
            "IDENTITY_HEADER": self._identity_header,
        }

    async def start(self, public_url: str) -> None:
        """Serve everything, in its seeded state."""
        self._public_url = public_url
        if self._app_certificate_pem:
            url = self._identity_back.url()
            # What can't be read is nothing to know: the bundle says what is wrong with its setting.
            with contextlib.suppress(ValueError):
                self._app_certificate = AppCertificate(self._app_certificate_pem, client_id=CLIENT_ID, provider_url=url)
        await self._managed_identity.serve(self.managed_identity.make_app())
        await self.reset()

    async def reset(self) -> None:
        """New services in place of the old ones: no session, no consent, no fault, notebooks as seeded."""
        self.managed_identity.faults.clear()
        self.managed_identity.faults.calls.clear()
        self.identity = IdentityProvider(
            front_url=self.identity_url,
            back_url=self._identity_back.url(),
            client_id=CLIENT_ID,
            client_secret=self._client_secret,
            redirect_uris=[f"{self._public_url}/api/auth/callback"],
            front_channel_logout_url=f"{self._public_url}/api/auth/frontchannel-logout",
            accepts_assertion=self._accepts_assertion,
        )
        self.onenote = OneNote(url=self._graph.url(), tokens=self._token)
        self.vaults = {
            _vault_name(n): KeyVault(url=listener.url(), accepts=self.managed_identity.accepts)
            for n, listener in enumerate(self._vaults)
        }
        for listener, app in self._apps():
            await listener.serve(app)

    async def close(self) -> None:
        everyone = (
            self._identity_front,
            self._identity_back,
            self._graph,
            *self._vaults,
            self._managed_identity,
        )
        for listener in everyone:
            await listener.close()

    def faults(self) -> Mapping[str, Faults]:
        """What records and disturbs each service's calls."""
        return {
            "identity": self.identity.faults,
            "graph": self.onenote.faults,
            "managed_identity": self.managed_identity.faults,
            **{name: vault.faults for name, vault in self.vaults.items()},
        }

    def vault_contents(self, *, values: bool) -> list[dict[str, Any]]:
        """What lies in each vault, without a call to it: `values` adds every version's value, oldest first."""
        return [
            {"name": name, "secrets": _secrets(vault, False, values), "deleted": _secrets(vault, True, values)}
            for name, vault in self.vaults.items()
        ]

    def _apps(self) -> Iterator[tuple[Listener, web.Application]]:
        yield self._identity_front, self.identity.make_app()
        yield self._identity_back, self.identity.make_app()
        yield self._graph, self.onenote.make_app()
        for listener, vault in zip(self._vaults, self.vaults.values(), strict=True):
            yield listener, vault.make_app()

    def _accepts_assertion(self, assertion: str) -> bool:
        """A managed identity as the app's credential ("Configure an application to trust a managed identity"), or
        the app's certificate.
        """
        if self._app_certificate is not None and self._app_certificate.accepts(assertion):
            return True
        return self.managed_identity.accepts(assertion, "api://AzureADTokenExchange")

    def _token(self, token: str) -> AccessToken | None:
        return self.identity.access_token(token)


def _secrets(vault: KeyVault, deleted: bool, values: bool) -> list[dict[str, Any]]:
    return [
        {"name": secret.name, "tags": dict(secret.tags), "versions": secret.versions}
        | ({"values": vault.values(secret.name)} if values else {})
        for secret in vault.overview()
        if secret.deleted == deleted
    ]


def _vault_name(number: int) -> str:
    return "vault" if number == 0 else f"vault{number + 1}"

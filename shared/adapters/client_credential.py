"""Owns how the bundle proves to the identity provider which app it is: secret, certificate or managed identity.

A secret or certificate may be given as the address of a secret in the operator's vault: it is read with the
app's own identity, and read again when the provider refuses it, so that a rotation needs no restart (R-01).
"""

import asyncio
from collections.abc import Awaitable, Callable

from shared.settings import Settings, is_secret_address

type ReadSecret = Callable[[str], Awaitable[str]]
type IdentityToken = Callable[[str, str], Awaitable[str]]
type MsalCredential = str | dict[str, Callable[[dict[str, str]], str]]

_EXCHANGE = "api://AzureADTokenExchange/.default"
_EXCHANGE_IN_CLOUD = {
    "https://login.microsoftonline.us": "api://AzureADTokenExchangeUSGov/.default",
    "https://login.partner.microsoftonline.cn": "api://AzureADTokenExchangeChina/.default",
    "https://login.chinacloudapi.cn": "api://AzureADTokenExchangeChina/.default",
}


class ClientCredential:
    """`await get(authority)` gives what msal takes as `client_credential` for that tenant segment."""

    def __init__(self, settings: Settings, read_secret: ReadSecret, identity_token: IdentityToken) -> None:
        self._settings = settings
        self._read_secret = read_secret
        self._identity_token = identity_token
        self._value: MsalCredential | None = None
        self._reading = asyncio.Lock()
        self._assertion = ""

    async def get(self, authority: str) -> MsalCredential:
        """Raises Misconfigured when the credential is unusable, Unavailable when its vault can't be asked."""
        settings = self._settings
        has_other = bool(settings.client_secret or settings.client_certificate)
        # Nobody has confirmed that the endpoint of personal accounts takes a managed identity's assertion.
        personal_possible = authority in ("consumers", "common")
        if settings.managed_identity_client_id and not (has_other and personal_possible):
            self._assertion = await self._identity_token(
                _EXCHANGE_IN_CLOUD.get(settings.authority_host, _EXCHANGE),
                settings.managed_identity_client_id,
            )
            return {"client_assertion": self._current_assertion}
        async with self._reading:  # everybody waits for one look at the vault
            if self._value is None:
                self._value = await self._read()
            return self._value

    def forget(self, refused: MsalCredential) -> bool:
        """Read the credential again at the next call, unless that has happened since `refused` was given.

        False where there is nothing to read again.
        """
        given = self._settings.client_secret or self._settings.client_certificate or ""
        if self._value is refused:
            self._value = None
        return is_secret_address(given)

    async def _read(self) -> MsalCredential:
        settings = self._settings
        if settings.client_secret:
            return await self._resolve(settings.client_secret)
        # Loads cryptography, which an app with a secret does without.
        from shared.adapters.certificate import CertificateAssertion

        pem = await self._resolve(settings.client_certificate or "")
        return {"client_assertion": CertificateAssertion.from_pem(pem, settings.client_id)}

    async def _resolve(self, value: str) -> str:
        return await self._read_secret(value) if is_secret_address(value) else value

    def _current_assertion(self, _context: dict[str, str]) -> str:
        return self._assertion

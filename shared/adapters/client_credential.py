"""Owns how the bundle proves to the identity provider which app it is: secret, certificate or managed identity.

A secret or certificate may be given as the address of a secret in the operator's vault: it is read with the
app's own identity, and read again when the provider refuses it, so that a rotation needs no restart (R-01).
"""

import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from shared import base64url
from shared.errors import Misconfigured
from shared.settings import Settings, is_secret_address

type ReadSecret = Callable[[str], Awaitable[str]]
type IdentityToken = Callable[[str, str], Awaitable[str]]
type MsalCredential = str | dict[str, Callable[[dict[str, str]], str]]

_ASSERTION_S = 600
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
        if self._value is None:
            self._value = await self._read()
        return self._value

    def forget(self) -> bool:
        """Read the credential again at the next call; False where there is nothing to read again."""
        given = self._settings.client_secret or self._settings.client_certificate or ""
        self._value = None
        return is_secret_address(given)

    async def _read(self) -> MsalCredential:
        settings = self._settings
        if settings.client_secret:
            return await self._resolve(settings.client_secret)
        pem = await self._resolve(settings.client_certificate or "")
        return {"client_assertion": CertificateAssertion.from_pem(pem, settings.client_id)}

    async def _resolve(self, value: str) -> str:
        return await self._read_secret(value) if is_secret_address(value) else value

    def _current_assertion(self, _context: dict[str, str]) -> str:
        return self._assertion


@dataclass(slots=True)
class CertificateAssertion:
    """A signed assertion per token endpoint, made anew before it expires (RFC 7523 §2.2).

    msal would sign one for every call, which costs more than all the rest of the call.
    """

    client_id: str
    key: RSAPrivateKey
    headers: dict[str, str]
    made: dict[str, tuple[float, str]]

    @classmethod
    def from_pem(cls, pem: str, client_id: str) -> "CertificateAssertion":
        # Settings are often pasted on one line.
        data = pem.replace("\\n", "\n").encode()
        try:
            key = load_pem_private_key(data, password=None)
            certificate = x509.load_pem_x509_certificate(data)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: the key wants a password
            raise Misconfigured(
                [
                    "AUTH_CLIENT_CERTIFICATE can't be read: it needs an unencrypted private key and its certificate, as PEM."
                ]
            ) from error
        if not isinstance(key, RSAPrivateKey):
            raise Misconfigured(["AUTH_CLIENT_CERTIFICATE holds no RSA key: the identity platform takes no other."])
        thumbprint = base64url.encode(certificate.fingerprint(hashes.SHA256()))
        return cls(client_id, key, {"x5t#S256": thumbprint}, {})

    def __call__(self, context: dict[str, str]) -> str:
        audience = context["token_endpoint"]
        now = time.time()
        until, assertion = self.made.get(audience, (0.0, ""))
        if not now < until < now + _ASSERTION_S:
            claims = {
                "aud": audience,
                "iss": self.client_id,
                "sub": self.client_id,
                "jti": str(uuid.uuid4()),
                "nbf": int(now) - 60,
                "iat": int(now),
                "exp": int(now) + _ASSERTION_S,
            }
            assertion = jwt.encode(claims, self.key, algorithm="PS256", headers=self.headers)
            if len(self.made) > 1000:
                self.made.clear()
            self.made[audience] = (now + _ASSERTION_S / 2, assertion)
        return assertion

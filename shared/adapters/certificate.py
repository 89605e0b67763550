"""Owns the assertions that an app with a certificate shows to the identity provider (RFC 7523 §2.2)."""

import time
import uuid
from dataclasses import dataclass

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from shared import base64url
from shared.errors import Misconfigured

_ASSERTION_S = 600


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

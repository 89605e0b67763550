"""Owns the certificate that the app registration knows, and the check of assertions signed with its key.

As "Microsoft identity platform application authentication certificate credentials" and RFC 7523 §3 want them.
"""

import base64
import re
from datetime import UTC, datetime, timedelta

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_LIFETIME_MOST_S = 86_400


def make_certificate() -> str:
    """A throw-away private key and its certificate, signed by itself, as PEM: what AUTH_CLIENT_CERTIFICATE takes."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "onenote-auth, for development")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (private + certificate.public_bytes(Encoding.PEM)).decode()


class AppCertificate:
    """`pem` is what the operator has, key included: of it only the certificate is kept, as an upload would.

    `provider_url` is where the token endpoints are. Raises ValueError for what is no RSA certificate.
    """

    def __init__(self, pem: str, *, client_id: str, provider_url: str) -> None:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise ValueError("the app's certificate has no RSA key")  # noqa: TRY004 - a wrong value, not a wrong type
        self._key = key
        self._thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).decode().rstrip("=")
        self._client_id = client_id
        self._audience = re.compile(re.escape(provider_url) + r"/[^/]+/oauth2/v2\.0/token")

    def accepts(self, assertion: str) -> bool:
        """Whether the app itself signed this, lately, for a token endpoint here."""
        try:
            header = jwt.get_unverified_header(assertion)
            claims = jwt.decode(
                assertion,
                self._key,
                algorithms=["PS256"],
                issuer=self._client_id,
                options={"require": ["aud", "exp", "iat", "iss", "jti", "nbf", "sub"], "verify_aud": False},
            )
        except jwt.PyJWTError:
            return False
        return (
            header.get("x5t#S256") == self._thumbprint
            and claims["sub"] == self._client_id
            and claims["exp"] - claims["iat"] <= _LIFETIME_MOST_S
            and self._audience.fullmatch(str(claims["aud"])) is not None
        )

"""Owns the provider's signing keys and the id tokens that they sign. Keys live as long as the process."""

import base64
import functools
import hashlib
import time
import uuid
from collections.abc import Iterable

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import RSAAlgorithm

from local.identity_provider.users import User

_LIFETIME_S = 3600
_BACKDATED_S = 300  # as Microsoft does, so that a verifier's clock may be a little behind


class SigningKeys:
    """The newest key signs; older ones stay published, for tokens that are still under way."""

    def __init__(self) -> None:
        # One first key for the process: making one takes long, and many short-lived providers are made in tests.
        self._keys = [_first_key()]

    def rotate(self) -> None:
        """Sign with a new key from now on, as the provider does without notice."""
        self._keys.append(_new_key())

    def jwks(self, issuer: str) -> dict[str, object]:
        """RFC 7517 §5, with Microsoft's `issuer` beside each key."""
        return {"keys": [_public(kid, key) | {"issuer": issuer} for kid, key in self._keys]}

    def sign(self, claims: dict[str, object]) -> str:
        kid, key = self._keys[-1]
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})


def id_token(
    keys: SigningKeys,
    *,
    back_url: str,
    client_id: str,
    user: User,
    scopes: Iterable[str],
    sid: str,
    nonce: str | None,
    access_token: str | None = None,
) -> str:
    """A signed id token ("ID token claims reference"). `access_token`, where it came along through the browser,
    is bound by at_hash (OpenID Connect Core §3.2.2.9).
    """
    issued_at = int(time.time()) - _BACKDATED_S
    claims: dict[str, object] = {
        "ver": "2.0",
        "iss": f"{back_url}/{user.tenant_id}/v2.0",
        "aud": client_id,
        "sub": subject(client_id, user),
        "tid": user.tenant_id,
        "iat": issued_at,
        "nbf": issued_at,
        "exp": issued_at + _BACKDATED_S + _LIFETIME_S,
        "sid": sid,
        "login_hint": user.login_hint,
        "uti": uuid.uuid4().hex[:22],
    }
    if "profile" in scopes:
        claims |= {"oid": user.oid, "name": user.name, "preferred_username": user.username}
    if "email" in scopes:
        claims["email"] = user.username
    if nonce is not None:
        claims["nonce"] = nonce
    if access_token is not None:
        claims["at_hash"] = _base64url(hashlib.sha256(access_token.encode("ascii")).digest()[:16])
    return keys.sign(claims)


def subject(client_id: str, user: User) -> str:
    """Pairwise: another app gets another one (OpenID Connect Core §8.1)."""
    return _base64url(hashlib.sha256(f"{client_id}|{user.oid}|{user.tenant_id}".encode()).digest())


@functools.cache
def _first_key() -> tuple[str, RSAPrivateKey]:
    return _new_key()


def _new_key() -> tuple[str, RSAPrivateKey]:
    return _base64url(uuid.uuid4().bytes), rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _public(kid: str, key: RSAPrivateKey) -> dict[str, object]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "use": "sig", "kid": kid}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")

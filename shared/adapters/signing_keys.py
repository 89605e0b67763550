"""Owns the signature of id tokens that came through the browser: the provider's keys, RS256 and nothing else.

Keys are fetched once an authority and again, seldom, for an unknown key id (OpenID Connect Core §10.1.1).
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from aiohttp import ClientError, ClientSession

from shared.adapters.metadata import Endpoints
from shared.errors import ProviderUnavailable
from shared.ports import Clock, InvalidIdToken

_AGAIN_AFTER = timedelta(minutes=5)
_TOKEN_MOST = 16_000


class SigningKeys:
    """`verified` gives the claims of a token whose signature is right; the claims themselves are still unchecked."""

    def __init__(self, http: ClientSession, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._known: dict[str, tuple[datetime, dict[str, dict[str, Any]]]] = {}
        self._lock = asyncio.Lock()

    async def verified(self, token: str, endpoints: Endpoints) -> Mapping[str, Any]:
        """Raises InvalidIdToken, ProviderUnavailable."""
        # Only the token flow's id tokens are checked here, so nobody else loads it.
        import jwt

        try:
            header = jwt.get_unverified_header(token) if len(token) <= _TOKEN_MOST else {}
        except (jwt.InvalidTokenError, ValueError) as error:
            raise InvalidIdToken("form") from error
        if header.get("alg") != "RS256":
            raise InvalidIdToken("alg")
        key = await self._key(endpoints, str(header.get("kid")))
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                jwt.PyJWK(key).key,
                algorithms=["RS256"],
                # The claims are checked together in `id_token`, the times against our own clock.
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise InvalidIdToken("signature") from error
        issuer = key.get("issuer")
        # A key that carries an issuer signs for that one only ("Access tokens", key and issuer).
        if isinstance(issuer, str) and issuer.replace("{tenantid}", str(claims.get("tid"))) != claims.get("iss"):
            raise InvalidIdToken("key issuer")
        return claims

    async def _key(self, endpoints: Endpoints, key_id: str) -> dict[str, Any]:
        url = endpoints.jwks
        if url is None:
            raise ProviderUnavailable("the provider's metadata names no keys")
        async with self._lock:
            fetched_at, keys = self._known.get(url, (None, {}))
            now = self._clock.now()
            if key_id not in keys and (fetched_at is None or abs(now - fetched_at) > _AGAIN_AFTER):
                keys = await self._fetch(url)
                self._known[url] = (now, keys)
        if key_id not in keys:
            raise InvalidIdToken("kid")
        return keys[key_id]

    async def _fetch(self, url: str) -> dict[str, dict[str, Any]]:
        try:
            async with self._http.get(url, allow_redirects=False) as answer:
                document = await answer.json(content_type=None) if answer.status == 200 else None
        except (ClientError, TimeoutError, ValueError, OSError) as error:
            raise ProviderUnavailable(f"identity provider keys: {type(error).__name__}") from error
        keys = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(keys, list):
            raise ProviderUnavailable("identity provider keys: not usable")
        return {
            key["kid"]: key
            for key in keys
            if isinstance(key, dict) and key.get("kty") == "RSA" and isinstance(key.get("kid"), str)
        }

"""Owns asking the platform for tokens of the app's managed identity, where IDENTITY_ENDPOINT says where.

azure-identity does the same, but loading it (with msal, requests and cryptography behind it) is the larger half of
what a cold instance does before its first answer. Source: "How to use managed identities for App Service and Azure
Functions", REST endpoint reference.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientError, ClientSession
from azure.core.credentials import AccessToken

from shared.ports import Clock

_API_VERSION = "2019-08-01"
_MARGIN_S = 300
_PAUSE_S = 30
_WAITS_S = (0.3, 1.0)
_HELD_LIMIT_S = 3.0
"""No call waits longer for a new token while the one that is held still opens the vault."""

_LATER = (404, 408, 410, 429, 500, 502, 503, 504)
"""Answers of an endpoint that is just being set up, or busy ("… on Azure VMs", Error handling)."""


class IdentityAnswerError(Exception):
    """Something else than a token; `status_code` is HTTP's."""

    def __init__(self, status_code: int) -> None:
        super().__init__(f"HTTP {status_code}")
        self.status_code = status_code


@dataclass(frozen=True, slots=True)
class _Held:
    """Times in seconds since the epoch."""

    token: AccessToken
    asked_at: float
    ask_at: float

    def is_fresh(self, now: float) -> bool:
        # A clock that was set back says nothing about how much longer the token lives.
        return self.asked_at <= now < self.ask_at

    def is_good(self, now: float) -> bool:
        return self.token.expires_on - now >= _MARGIN_S


class ManagedIdentity:
    """Gives tokens as an azure.core credential does. `client_id` names a user-assigned identity, None the system-assigned one."""

    def __init__(self, http: ClientSession, clock: Clock, *, endpoint: str, header: str, client_id: str | None) -> None:
        self._http = http
        self._clock = clock
        self._endpoint = endpoint
        self._header = header
        self._client_id = client_id
        self._held: dict[str, _Held] = {}
        self._lock = asyncio.Lock()

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """A token for the one scope, kept for half of its life and for longer only while no other is to be had.

        Raises IdentityAnswerError, and what aiohttp and a body that is no token raise.
        """
        (scope,) = scopes
        held, now = self._held.get(scope), self._clock.now().timestamp()
        if held and (held.is_fresh(now) or (held.is_good(now) and self._lock.locked())):
            return held.token
        async with self._lock:
            held, now = self._held.get(scope), self._clock.now().timestamp()
            if held and held.is_fresh(now):
                return held.token
            try:
                async with asyncio.timeout(_HELD_LIMIT_S if held and held.is_good(now) else None):
                    token = await self._patiently(scope)
            except Exception:
                if held is None or not held.is_good(now):
                    raise
                self._held[scope] = _Held(held.token, asked_at=now, ask_at=now + _PAUSE_S)
                return held.token
            half_s = max(_PAUSE_S, (token.expires_on - now) / 2)
            self._held[scope] = _Held(token, asked_at=now, ask_at=now + half_s)
            return token

    async def _patiently(self, scope: str) -> AccessToken:
        for wait_s in _WAITS_S:
            try:
                return await self._ask(scope)
            except IdentityAnswerError as error:
                if error.status_code not in _LATER:
                    raise
            except (ClientError, OSError):
                pass
            await self._clock.sleep(wait_s)
        return await self._ask(scope)

    async def _ask(self, scope: str) -> AccessToken:
        query = {"api-version": _API_VERSION, "resource": scope.removesuffix("/.default")}
        if self._client_id:
            query["client_id"] = self._client_id
        headers = {"X-IDENTITY-HEADER": self._header}
        async with self._http.get(self._endpoint, params=query, headers=headers, allow_redirects=False) as answer:
            if answer.status != 200:
                raise IdentityAnswerError(answer.status)
            content = await answer.json(content_type=None)
        token = content["access_token"]
        if not isinstance(token, str) or not token:
            raise ValueError("no token")
        return AccessToken(token, int(content["expires_on"]))

"""Owns the embedded managed-identity endpoint, as App Service and Functions offer it to an app.

The real azure-identity classes run against it; its tokens open the vaults and stand in for the app's credential.
Source: "How to use managed identities for App Service and Azure Functions", REST endpoint reference.
"""

import secrets
import time
from dataclasses import dataclass

from aiohttp import web

from local.faults import Faults

TOKEN_LIFETIME_S = 24 * 3600
VAULT = "https://vault.azure.net"

_API_VERSION = "2019-08-01"
_SYSTEM_ASSIGNED = "00000000-0000-0000-0000-00000000000a"


@dataclass(frozen=True)
class _Issued:
    resource: str
    expires_at: float  # seconds since the epoch


class ManagedIdentity:
    """`header` is what the platform gives the app as IDENTITY_HEADER; every path is the token endpoint."""

    def __init__(self, *, header: str) -> None:
        self.faults = Faults()
        self._header = header.encode()
        self._issued: dict[str, _Issued] = {}

    def make_app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware])
        app.router.add_get("/{anywhere:.*}", self._token)
        return app

    def accepts(self, token: str, resource: str = VAULT) -> bool:
        """Whether the token was issued here for that resource and has not run out."""
        issued = self._issued.get(token)
        return (
            issued is not None
            and issued.resource.rstrip("/") == resource.rstrip("/")
            and time.time() < issued.expires_at
        )

    async def _token(self, request: web.Request) -> web.Response:
        # the header keeps requests out that an attacker makes the app send (server-side request forgery)
        if not secrets.compare_digest(request.headers.get("X-IDENTITY-HEADER", "").encode(), self._header):
            return _refusal(401, "The header X-IDENTITY-HEADER is missing or wrong.")
        if request.query.get("api-version") != _API_VERSION:
            return _refusal(400, f"The parameter api-version must be {_API_VERSION}.")
        resource = request.query.get("resource")
        if not resource:
            return _refusal(400, "The parameter resource is missing.")
        token = secrets.token_urlsafe(96)
        expires_at = int(time.time()) + TOKEN_LIFETIME_S
        self._issued[token] = _Issued(resource=resource, expires_at=expires_at)
        return web.json_response(
            {
                "access_token": token,
                "expires_on": str(expires_at),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": request.query.get("client_id", _SYSTEM_ASSIGNED),
            }
        )


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": message}, status=status)

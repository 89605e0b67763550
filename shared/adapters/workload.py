"""Owns the app's own identity: what it shows to Key Vault, and to the provider as a federated credential.

In Azure (and wherever IDENTITY_ENDPOINT is set) that is the managed identity; on a developer's machine whatever
azure-identity finds, such as the Azure CLI's sign-in.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline.transport import AioHttpTransport

from shared import log
from shared.errors import Misconfigured, Unavailable
from shared.settings import Settings

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from azure.core.credentials_async import AsyncTokenCredential

_LIMIT_S = 10


def open_credential(settings: Settings, transport: AioHttpTransport) -> "AsyncTokenCredential":
    """The credential for the token vaults."""
    if settings.has_identity_endpoint:
        from azure.identity.aio import ManagedIdentityCredential

        return ManagedIdentityCredential(client_id=settings.azure_client_id, transport=transport)
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential(managed_identity_client_id=settings.azure_client_id, transport=transport)


def identity_token(settings: Settings, http: "ClientSession") -> Callable[[str, str], Awaitable[str]]:
    """A function that gives a managed identity's token for a scope; the credential caches it for its life.

    It raises Misconfigured where there is no such identity, Unavailable where it can't be asked now.
    """
    opened: dict[str, AsyncTokenCredential] = {}

    async def token(scope: str, client_id: str) -> str:
        from azure.identity.aio import ManagedIdentityCredential

        if client_id not in opened:
            opened[client_id] = ManagedIdentityCredential(
                client_id=client_id, transport=AioHttpTransport(session=http, session_owner=False)
            )
        try:
            # The SDK's own retries go on for a minute.
            async with asyncio.timeout(_LIMIT_S):
                return (await opened[client_id].get_token(scope)).token
        except ClientAuthenticationError as error:
            if error.status_code not in (None, 400, 401, 403):
                raise Unavailable(f"managed identity: HTTP {error.status_code}") from error
            mend = "AUTH_MANAGED_IDENTITY_CLIENT_ID names no identity of this app: assign it, or check the id."
            log.error("managed_identity_refused", status=error.status_code, mend=mend)
            raise Misconfigured([mend]) from error
        except (AzureError, TimeoutError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Unavailable(f"managed identity: {type(error).__name__}") from error

    return token

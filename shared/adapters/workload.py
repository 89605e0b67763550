"""Owns the app's own identity: what it shows to Key Vault, and to the provider as a federated credential.

In Azure (and wherever IDENTITY_ENDPOINT and IDENTITY_HEADER are set) that is the managed identity; on a developer's
machine whatever azure-identity finds, such as the Azure CLI's sign-in.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from aiohttp import ClientError, ClientSession
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline.transport import AioHttpTransport

from shared import log
from shared.adapters.managed_identity import IdentityAnswerError, ManagedIdentity
from shared.errors import Misconfigured, StoreUnavailable, Unavailable
from shared.ports import Clock
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken
    from azure.core.credentials_async import AsyncTokenCredential

_LIMIT_S = 8
"""Within the limit of the vault call that waits for it, so that the log names the right one of the two."""

_NO_IDENTITY = (
    "The app has no usable identity: turn its managed identity on, check AZURE_CLIENT_ID, "
    "or sign in with the Azure CLI on a developer's machine."
)


class _Tokens(Protocol):
    """What is asked of an identity."""

    async def get_token(self, *scopes: str, **options: Any) -> "AccessToken": ...


class _VaultIdentity:
    """A credential whose failures are in our words: in others' they would read as the vault's."""

    def __init__(self, credential: _Tokens) -> None:
        self._credential = credential

    async def get_token(self, *scopes: str, **options: Any) -> "AccessToken":
        """Raises Misconfigured, StoreUnavailable."""
        async with _in_our_words(_NO_IDENTITY, StoreUnavailable):
            return await self._credential.get_token(*scopes, **options)

    async def close(self) -> None:
        """Its connections are the composition's."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None: ...


def open_credential(settings: Settings, http: ClientSession, clock: Clock) -> "AsyncTokenCredential":
    """The credential for the token vaults."""
    client_id = settings.azure_client_id
    if identity := _given_identity(settings, http, clock, client_id):
        return _VaultIdentity(identity)
    from azure.identity.aio import DefaultAzureCredential

    return _VaultIdentity(DefaultAzureCredential(managed_identity_client_id=client_id, transport=_transport(http)))


def identity_token(settings: Settings, http: ClientSession, clock: Clock) -> Callable[[str, str], Awaitable[str]]:
    """A function that gives a managed identity's token for a scope; the credential caches it for its life.

    It raises Misconfigured where there is no such identity, Unavailable where it can't be asked now.
    """
    opened: dict[str, _Tokens] = {}

    def open_(client_id: str) -> _Tokens:
        if identity := _given_identity(settings, http, clock, client_id):
            return identity
        from azure.identity.aio import ManagedIdentityCredential

        return ManagedIdentityCredential(client_id=client_id, transport=_transport(http))

    async def token(scope: str, client_id: str) -> str:
        if client_id not in opened:
            opened[client_id] = open_(client_id)
        mend = "AUTH_MANAGED_IDENTITY_CLIENT_ID names no identity of this app: assign it, or check the id."
        async with _in_our_words(mend, Unavailable):
            return (await opened[client_id].get_token(scope)).token

    return token


def _given_identity(
    settings: Settings, http: ClientSession, clock: Clock, client_id: str | None
) -> ManagedIdentity | None:
    """The managed identity that the platform gives the app; None where it gives none."""
    endpoint, header = settings.identity_endpoint, settings.identity_header
    if not (endpoint and header):
        return None
    return ManagedIdentity(http, clock, endpoint=endpoint, header=header, client_id=client_id)


def _transport(http: ClientSession) -> AioHttpTransport:
    return AioHttpTransport(session=http, session_owner=False)


@asynccontextmanager
async def _in_our_words(mend: str, unavailable: type[Unavailable]) -> AsyncIterator[None]:
    try:
        # azure-identity's own retries go on for a minute.
        async with asyncio.timeout(_LIMIT_S):
            yield
    except (ClientAuthenticationError, IdentityAnswerError) as error:
        if error.status_code not in (None, 400, 401, 403):
            raise unavailable(f"managed identity: HTTP {error.status_code}") from error
        log.error("managed_identity_refused", status=error.status_code, mend=mend)
        raise Misconfigured([mend]) from error
    except (AzureError, ClientError, OSError, TimeoutError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise unavailable(f"managed identity: {type(error).__name__}") from error

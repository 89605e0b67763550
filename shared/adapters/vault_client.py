"""Owns the connection to one Key Vault: the SDK's client, its time limits, and its errors in our words.

`sdk_errors` is the seam: nothing of azure.core passes it (a test walks the SDK's exception classes for gaps).
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
)
from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.keyvault.secrets._shared import AsyncChallengeAuthPolicy
from azure.keyvault.secrets.aio import SecretClient

from shared import log
from shared.adapters.http import retry_after_s
from shared.errors import Misconfigured, SessionEnded, SessionUnknown, StoreUnavailable

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.pipeline import PipelineResponse

CALL_LIMIT_S = 10
_WAIT_MOST_S = 2
_API_VERSION = "7.4"
"""Has all that is used here, and clouds, appliances and emulators know it that answer 400 to the SDK's own newest."""

_AZURE_VAULTS = re.compile(r"\.vault(?:\.azure\.net|\.azure\.cn|\.usgovcloudapi\.net)$")


class _BriefRetries(AsyncRetryPolicy[Any, Any]):
    """The SDK's retries, except after a wait that is longer than a person looks on: the caller hears of that one."""

    def __init__(self, on_throttled: Callable[[], None] | None) -> None:
        super().__init__(retry_total=2, retry_backoff_factor=0.2, retry_backoff_max=_WAIT_MOST_S)
        self._on_throttled = on_throttled

    def is_retry(self, settings: dict[str, Any], response: "PipelineResponse[Any, Any]") -> bool:
        """Asked about every answer there is."""
        if self._on_throttled and response.http_response.status_code == 429:
            self._on_throttled()
        again = bool(super().is_retry(settings, response))
        return again and (self.get_retry_after(response) or 0) <= _WAIT_MOST_S


def open_client(
    url: str,
    credential: "AsyncTokenCredential",
    http: "ClientSession",
    on_throttled: Callable[[], None] | None = None,
) -> SecretClient:
    """A client whose retries fit a request: three tries within the call's limit.

    `on_throttled` hears of every 429, those that a retry mends included.
    """
    host = urlsplit(url).hostname or ""
    # The challenge names Azure's resource, which is the vault's own domain in Azure only.
    is_azure = _AZURE_VAULTS.search(host) is not None
    return SecretClient(
        vault_url=url,
        credential=credential,
        api_version=_API_VERSION,
        # Without a session of our own the SDK opens a TLS connection for every call.
        transport=AioHttpTransport(session=http, session_owner=False),
        # Of the SDK's thirteen steps the two that a call needs: the others cost as much again, follow redirects with
        # our token, and write lines with names of secrets to the platform's log. The SDK gives the challenge's step no
        # public name; its version is pinned, and nothing works without it.
        policies=[
            _BriefRetries(on_throttled),
            AsyncChallengeAuthPolicy(credential, verify_challenge_resource=is_azure),
        ],
    )


_OFFICER = "Give the app's identity the role Key Vault Secrets Officer on the token vault, and let it reach the vault."


@asynccontextmanager
async def sdk_errors(doing: str, mend: str = _OFFICER) -> AsyncIterator[None]:
    """Bound a vault call in time and translate its errors, most specific first. `mend` is of a refusal.

    Raises SessionUnknown (404), SessionEnded (409), Misconfigured (401, 403), StoreUnavailable (the rest). A 404 or 409
    that is not in the vault's words is a proxy's, and says nothing about a session.
    """
    try:
        async with asyncio.timeout(CALL_LIMIT_S):
            yield
    except TimeoutError as error:
        raise StoreUnavailable(f"{doing}: no answer within {CALL_LIMIT_S} s") from error
    except HttpResponseError as error:
        raise _translate(error, doing, mend) from error
    except (AzureError, ValueError, TypeError, KeyError, AttributeError) as error:
        # The latter are how the SDK speaks of a 200 that is no vault's: a proxy's page, half an answer.
        raise StoreUnavailable(f"{doing}: {type(error).__name__}") from error


def _translate(error: HttpResponseError, doing: str, mend: str) -> Exception:
    status = error.status_code
    if status == 404 and error.error:
        return SessionUnknown(doing)
    if status == 409 and error.error:
        return SessionEnded(doing)
    if status in (401, 403):
        vault, why = _where_and_why(error)
        if why == "SecretDisabled":
            mend = f"A secret in {vault} is disabled: enable its newest version, or the one that a setting names."
        log.error("vault_refused_the_app", vault=vault, doing=doing, status=status, why=why, mend=mend)
        return Misconfigured([mend], everywhere=False)
    wait_s = retry_after_s(getattr(error.response, "headers", {}))
    return StoreUnavailable(f"{doing}: HTTP {status}", retry_after_s=wait_s)


def _where_and_why(error: HttpResponseError) -> tuple[str, str]:
    """Host of the vault and its own word for it ("Azure Key Vault REST API error codes"), where known."""
    request = getattr(error.response, "request", None)
    inner = getattr(error.error, "innererror", None)
    why = str(inner.get("code", "")) if isinstance(inner, dict) else ""
    return urlsplit(getattr(request, "url", "")).netloc, why if why.isalnum() else ""

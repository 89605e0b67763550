"""Owns making msal's application for an authority. The one module that loads msal, at the first call that needs it:
a cold instance that answers from its sessions does not wait for it.
"""

from typing import Any

import msal

from shared.adapters.client_credential import MsalCredential
from shared.adapters.metadata import Endpoints
from shared.adapters.msal_seam import Discovered


class NoCache(msal.TokenCache):  # type: ignore[misc]
    """Tokens are kept in the vault only."""

    def add(self, event: object, now: object = None) -> None: ...


def make_app(client_id: str, authority_url: str, credential: MsalCredential, endpoints: Endpoints) -> Any:
    """An application that knows its endpoints and keeps no token. Raises Misconfigured."""
    return msal.ConfidentialClientApplication(
        client_id,
        authority=authority_url,
        client_credential=credential,
        instance_discovery=False,
        http_client=Discovered(endpoints),
        token_cache=NoCache(),
        azure_region=False,
    )

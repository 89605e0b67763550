"""Owns the clients that are measured: the bundle's own parts as at Entra, and what people write with the SDKs today.

The baselines are as their documents show them: each library makes its own connections. Only trust is told them.
"""

import os

import msal
import requests
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from requests.adapters import HTTPAdapter

from local.bench.provider import TENANT
from local.bench.rounds import AT_ONCE
from shared.compose import Composition
from shared.parts import Parts
from shared.settings import MICROSOFT_CLOUDS


async def bundle() -> Parts:
    """The bundle on the environment's settings. The lean provider counts as one of Microsoft's clouds.

    Of any other provider nobody knows whether a spent refresh token stays valid, so the bundle claims each renewal
    in the vault first; at Entra it does not.
    """
    MICROSOFT_CLOUDS[os.environ["AUTH_AUTHORITY_HOST"]] = (os.environ["GRAPH_BASE_URL"],)
    return await Composition().parts()


def _tuned_session() -> requests.Session:
    session = requests.Session()
    session.verify = os.environ["CA_BUNDLE"]
    session.trust_env = False  # looks for proxies and netrc at every call otherwise, and ignores `verify`
    session.mount("https://", HTTPAdapter(pool_maxsize=AT_ONCE))
    return session


def msal_app(*, tuned: bool = False) -> msal.ConfidentialClientApplication:
    """`tuned`: with a kept connection for each thread, where msal's own session keeps ten."""
    return msal.ConfidentialClientApplication(
        os.environ["AUTH_CLIENT_ID"],
        client_credential=os.environ["AUTH_CLIENT_SECRET"],
        authority=f"{os.environ['AUTH_AUTHORITY_HOST']}/{TENANT}",
        instance_discovery=False,
        verify=os.environ["CA_BUNDLE"],
        http_client=_tuned_session() if tuned else None,
    )


def secret_client() -> SecretClient:
    """The synchronous client, in its default pipeline."""
    return SecretClient(
        vault_url=os.environ["TOKEN_VAULT_URLS"].partition("=")[2],
        credential=ManagedIdentityCredential(),
        verify_challenge_resource=False,
        connection_verify=os.environ["CA_BUNDLE"],
    )

"""The embedded managed-identity endpoint against the real azure-identity code."""

from collections.abc import AsyncIterator

import pytest
import time_machine
from aiohttp import ClientSession
from azure.identity.aio import ManagedIdentityCredential

from local.faults import Fault
from local.listen import Listener
from local.managed_identity import TOKEN_LIFETIME_S, ManagedIdentity

HEADER = "a-header-of-this-run"
EXCHANGE = "api://AzureADTokenExchange"


@pytest.fixture
async def identity(plain_listener: Listener) -> ManagedIdentity:
    identity = ManagedIdentity(header=HEADER)
    await plain_listener.serve(identity.make_app())
    return identity


@pytest.fixture
def endpoint(identity: ManagedIdentity, plain_listener: Listener, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where it is, in the environment too, as App Service puts it there."""
    endpoint = f"{plain_listener.url()}/msi/token"
    monkeypatch.setenv("IDENTITY_ENDPOINT", endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    return endpoint


@pytest.fixture
async def credential(endpoint: str) -> AsyncIterator[ManagedIdentityCredential]:
    async with ManagedIdentityCredential() as credential:
        yield credential


async def test_the_real_credential_gets_a_token_for_the_vault(
    identity: ManagedIdentity, credential: ManagedIdentityCredential
) -> None:
    """R-01: the class that runs in Azure runs here; its token is good for that resource alone."""
    token = await credential.get_token("https://vault.azure.net/.default")
    assert identity.accepts(token.token)
    assert not identity.accepts(token.token, EXCHANGE)
    assert not identity.accepts(token.token + "x")


async def test_a_token_for_the_exchange_is_told_from_one_for_the_vault(
    identity: ManagedIdentity, credential: ManagedIdentityCredential
) -> None:
    """R-01: the app's credential as a managed identity asks for the audience of token exchange."""
    token = await credential.get_token(f"{EXCHANGE}/.default")
    assert identity.accepts(token.token, EXCHANGE)
    assert not identity.accepts(token.token)


async def test_a_user_assigned_identity_is_named_by_its_client_id(
    identity: ManagedIdentity, endpoint: str, http: ClientSession
) -> None:
    async with ManagedIdentityCredential(client_id="11111111-2222-4333-8444-555555555555") as credential:
        token = await credential.get_token("https://vault.azure.net/.default")
    assert identity.accepts(token.token)
    query = {"api-version": "2019-08-01", "resource": "https://vault.azure.net", "client_id": "an-id"}
    async with http.get(endpoint, params=query, headers={"X-IDENTITY-HEADER": HEADER}) as answer:
        shown = await answer.json()
    assert (shown["client_id"], shown["token_type"], shown["resource"]) == ("an-id", "Bearer", query["resource"])


async def test_a_token_runs_out_after_a_day_and_the_credential_gets_another(
    identity: ManagedIdentity, credential: ManagedIdentityCredential
) -> None:
    """The clock of the whole process moves, as it does in the stack."""
    old = await credential.get_token("https://vault.azure.net/.default")
    with time_machine.travel(old.expires_on - 1, tick=False):
        assert identity.accepts(old.token)
    with time_machine.travel(old.expires_on + 1, tick=True):
        assert not identity.accepts(old.token)
        new = await credential.get_token("https://vault.azure.net/.default")
        assert identity.accepts(new.token)
    assert new.expires_on >= old.expires_on + TOKEN_LIFETIME_S


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, {"api-version": "2019-08-01", "resource": "r"}, 401),
        ({"X-IDENTITY-HEADER": "wrong"}, {"api-version": "2019-08-01", "resource": "r"}, 401),
        ({"X-IDENTITY-HEADER": "\u00fc"}, {"api-version": "2019-08-01", "resource": "r"}, 401),
        ({"X-IDENTITY-HEADER": HEADER}, {"resource": "r"}, 400),
        ({"X-IDENTITY-HEADER": HEADER}, {"api-version": "2019-08-01"}, 400),
    ],
)
async def test_a_request_that_the_platform_would_not_answer_gets_no_token(
    endpoint: str, http: ClientSession, headers: dict[str, str], query: dict[str, str], status: int
) -> None:
    async with http.get(endpoint, params=query, headers=headers) as answer:
        assert answer.status == status
        assert "access_token" not in await answer.json()


async def test_the_credential_survives_a_lost_connection(
    identity: ManagedIdentity, credential: ManagedIdentityCredential
) -> None:
    """The endpoint misbehaves like any other service; the SDK asks again."""
    identity.faults.add(Fault(action="reset_before"))
    assert identity.accepts((await credential.get_token("https://vault.azure.net/.default")).token)
    assert [call.status for call in identity.faults.calls] == [0, 200]

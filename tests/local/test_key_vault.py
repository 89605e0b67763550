"""The embedded Key Vault against the real SDK, and what only raw requests show of it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import ClientSession
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets._shared import http_challenge_cache
from azure.keyvault.secrets.aio import SecretClient

from local.faults import Fault
from local.listen import Listener
from local.managed_identity import ManagedIdentity
from local.vault.key_vault import KeyVault

VERSION = {"api-version": "2026-04-01"}
GOOD, BAD = "a-good-token", "a-bad-token"


class Credential:
    """Gives out whatever token the test says, and counts."""

    def __init__(self) -> None:
        self.token = GOOD
        self.asked: list[tuple[str, Any]] = []

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        self.asked.append((scopes[0], options.get("tenant_id")))
        return AccessToken(self.token, 2**33)

    async def close(self) -> None:
        return None

    async def __aenter__(self) -> "Credential":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


@pytest.fixture
async def vault(listener: Listener) -> KeyVault:
    vault = KeyVault(url=listener.url(), accepts=lambda token: token == GOOD)
    await listener.serve(vault.make_app())
    return vault


@pytest.fixture
def credential() -> Credential:
    return Credential()


@pytest.fixture
def connect(listener: Listener, http: ClientSession) -> Callable[..., SecretClient]:
    """A client as the product makes it: own HTTP session, short retries; more options as given."""
    # The SDK remembers challenges by host and port for the whole process, and this port may have been another vault's.
    http_challenge_cache.remove_challenge_for_url(listener.url())

    def connect(credential: Any, **options: Any) -> SecretClient:
        return SecretClient(
            vault_url=listener.url(),
            credential=credential,
            transport=AioHttpTransport(session=http, session_owner=False),
            verify_challenge_resource=False,
            retry_total=options.pop("retry_total", 0),
            **options,
        )

    return connect


@pytest.fixture
async def client(
    vault: KeyVault, credential: Credential, connect: Callable[..., SecretClient]
) -> AsyncIterator[SecretClient]:
    async with connect(credential) as client:
        yield client


@pytest.fixture
def raw(vault: KeyVault, listener: Listener, http: ClientSession) -> Callable[..., Any]:
    """Requests without the SDK: (status, JSON body or None, headers)."""

    async def raw(method: str, path: str, json: Any = None, **query: str) -> tuple[int, Any, Any]:
        async with http.request(
            method,
            listener.url() + path,
            json=json,
            params={**VERSION, **query},
            headers={"Authorization": f"Bearer {GOOD}"},
        ) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None, answer.headers

    return raw


def inner(error: HttpResponseError) -> str | None:
    assert error.error is not None
    return error.error.innererror["code"] if error.error.innererror else None


async def test_the_first_request_is_challenged_and_then_answered(
    vault: KeyVault, client: SecretClient, credential: Credential, listener: Listener, http: ClientSession
) -> None:
    """The SDK learns resource and tenant from the challenge, once; the body is sent only with a token."""
    await client.set_secret("s-1", "value")
    await client.get_secret("s-1")
    assert credential.asked == [("https://vault.azure.net/.default", "tenant")]
    assert [(call.method, call.status) for call in vault.faults.calls] == [("PUT", 401), ("PUT", 200), ("GET", 200)]
    async with http.get(f"{listener.url()}/secrets", params=VERSION) as answer:
        challenge = answer.headers["WWW-Authenticate"]
        assert (answer.status, (await answer.json())["error"]["code"]) == (401, "Unauthorized")
    assert challenge == f'Bearer authorization="{listener.url()}/tenant", resource="https://vault.azure.net"'


async def test_a_token_that_is_not_accepted_opens_nothing(
    vault: KeyVault, client: SecretClient, credential: Credential
) -> None:
    credential.token = BAD
    with pytest.raises(ClientAuthenticationError):
        await client.get_secret("s-1")
    assert (vault.reads, vault.writes) == (0, 0)


async def test_a_managed_identity_s_token_opens_the_vault(
    listener: Listener,
    plain_listener: Listener,
    connect: Callable[..., SecretClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R-01: both real SDKs against both embedded services, as the bundle uses them."""
    identity = ManagedIdentity(header="header")
    await plain_listener.serve(identity.make_app())
    vault = KeyVault(url=listener.url(), accepts=identity.accepts)
    await listener.serve(vault.make_app())
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{plain_listener.url()}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header")
    async with ManagedIdentityCredential() as credential, connect(credential) as client:
        await client.set_secret("s-1", "value")
        assert (await client.get_secret("s-1")).value == "value"


async def test_each_set_makes_a_version_and_the_newest_is_current(vault: KeyVault, client: SecretClient) -> None:
    """Version ids are 32 hex digits; older versions can still be read by theirs; names ignore case."""
    first = await client.set_secret("s-1", "old", tags={"due": "1"}, content_type="text/plain")
    second = await client.set_secret("S-1", "new")
    assert first.properties.version is not None
    assert len(bytes.fromhex(first.properties.version)) == 16
    current = await client.get_secret("s-1")
    assert (current.value, current.properties.version) == ("new", second.properties.version)
    assert current.properties.tags == {}
    old = await client.get_secret("s-1", first.properties.version)
    assert (old.value, old.properties.tags, old.properties.content_type) == ("old", {"due": "1"}, "text/plain")
    listed = [p.version async for p in client.list_properties_of_secret_versions("s-1")]
    assert listed == [first.properties.version, second.properties.version]
    assert (vault.values(), vault.values("s-1"), vault.values("s-2")) == (["old", "new"], ["old", "new"], [])


async def test_marking_replaces_all_tags_and_makes_no_version(vault: KeyVault, client: SecretClient) -> None:
    """R-11: the timer's marks; without a version, the newest is meant."""
    set_ = await client.set_secret("s-1", "value", tags={"due": "1", "state": "healthy"})
    assert set_.properties.version is not None
    await client.update_secret_properties("s-1", set_.properties.version, tags={"due": "2"}, content_type="text/x")
    assert (await client.get_secret("s-1")).properties.tags == {"due": "2"}
    marked = await client.update_secret_properties("s-1", tags={"due": "3"})
    assert marked.version == set_.properties.version
    found = await client.get_secret("s-1")
    assert (found.value, found.properties.tags, found.properties.content_type) == ("value", {"due": "3"}, "text/x")
    assert [(o.versions, o.tags) for o in vault.overview()] == [(1, {"due": "3"})]
    assert (vault.writes, vault.reads) == (1, 4)


async def test_marking_an_older_version_leaves_the_newer_alone(client: SecretClient) -> None:
    old = await client.set_secret("s-1", "old", tags={"of": "old"})
    await client.set_secret("s-1", "new", tags={"of": "new"})
    await client.update_secret_properties("s-1", old.properties.version, tags={"of": "nobody"})
    assert (await client.get_secret("s-1")).properties.tags == {"of": "new"}
    with pytest.raises(ResourceNotFoundError):
        await client.update_secret_properties("s-1", "0" * 32, tags={})


async def test_a_disabled_version_is_not_given_out(client: SecretClient) -> None:
    """Its properties can still be read and changed."""
    await client.set_secret("s-1", "value", enabled=False)
    with pytest.raises(HttpResponseError) as refused:
        await client.get_secret("s-1")
    assert (refused.value.status_code, inner(refused.value)) == (403, "SecretDisabled")
    assert [p.enabled async for p in client.list_properties_of_secrets()] == [False]
    await client.update_secret_properties("s-1", enabled=True)
    assert (await client.get_secret("s-1")).value == "value"


async def test_a_listing_comes_by_25_with_tags_and_without_values(
    vault: KeyVault, client: SecretClient, raw: Callable[..., Any]
) -> None:
    for number in range(60):
        await client.set_secret(f"s-{number:02}", "a secret value", tags={"n": str(number)})
    pages = [[p async for p in page] async for page in client.list_properties_of_secrets().by_page()]
    assert [len(page) for page in pages] == [25, 25, 10]
    assert [(p.name, p.tags) for page in pages for p in page] == [(f"s-{n:02}", {"n": str(n)}) for n in range(60)]
    assert {p.version for page in pages for p in page} == {None}
    status, body, _ = await raw("GET", "/secrets")
    assert (status, len(body["value"]), "a secret value" in str(body)) == (200, 25, False)
    small = [[p async for p in page] async for page in client.list_properties_of_secrets(max_page_size=24).by_page()]
    assert [len(page) for page in small] == [24, 24, 12]


async def test_what_is_deleted_between_two_pages_makes_none_be_left_out(client: SecretClient) -> None:
    """A sweep removes while it lists."""
    for number in range(40):
        await client.set_secret(f"s-{number:02}", "v")
    seen: list[str] = []
    async for page in client.list_properties_of_secrets(max_page_size=10).by_page():
        names = [p.name or "" async for p in page]
        seen += names
        for name in names:
            await client.delete_secret(name)
    assert seen == [f"s-{number:02}" for number in range(40)]


@pytest.mark.parametrize("size", ["26", "0", "-1", "x", "9" * 5000, ""])
async def test_a_page_of_another_size_than_1_to_25_is_refused(raw: Callable[..., Any], size: str) -> None:
    status, body, _ = await raw("GET", "/secrets", maxresults=size)
    assert (status, body["error"]["code"]) == (400, "BadParameter")


async def test_a_deleted_secret_is_gone_from_sight_and_its_name_is_taken(vault: KeyVault, client: SecretClient) -> None:
    """R-12: from the deletion on nothing is read, listed or written under that name."""
    await client.set_secret("s-1", "value", tags={"due": "1"})
    await client.set_secret("s-2", "other")
    deleted = await client.delete_secret("s-1")
    assert (deleted.name, deleted.recovery_id) == ("s-1", f"{client.vault_url}/deletedsecrets/s-1")
    assert deleted.deleted_date is not None
    with pytest.raises(ResourceNotFoundError) as missing:
        await client.get_secret("s-1")
    assert missing.value.error is not None
    assert missing.value.error.code == "SecretNotFound"
    with pytest.raises(ResourceExistsError) as taken:
        await client.set_secret("S-1", "again")
    assert (taken.value.status_code, inner(taken.value)) == (409, "ObjectIsDeletedButRecoverable")
    assert [p.name async for p in client.list_properties_of_secrets()] == ["s-2"]
    assert [d.name async for d in client.list_deleted_secrets()] == ["s-1"]
    assert (vault.names(), vault.deleted_names(), vault.values()) == (["s-2"], ["s-1"], ["other", "value"])
    assert [(o.name, o.deleted) for o in vault.overview()] == [("s-2", False), ("s-1", True)]


async def test_a_purged_secret_leaves_nothing_and_its_name_is_free(vault: KeyVault, client: SecretClient) -> None:
    """R-12: not even in the deleted secrets; nobody has to ask the vault for it to be so."""
    await client.set_secret("s-1", "value")
    await client.delete_secret("s-1")
    await client.purge_deleted_secret("s-1")
    assert (vault.values(), vault.overview(), vault.deleted_names()) == ([], [], [])
    with pytest.raises(ResourceNotFoundError):
        await client.purge_deleted_secret("s-1")
    await client.set_secret("s-1", "new")
    assert vault.values() == ["new"]


async def test_a_recovered_secret_is_as_it_was(vault: KeyVault, client: SecretClient) -> None:
    old = await client.set_secret("s-1", "old")
    await client.set_secret("s-1", "new", tags={"due": "1"})
    await client.delete_secret("s-1")
    recovered = await client.recover_deleted_secret("s-1")
    assert recovered.tags == {"due": "1"}
    assert (await client.get_secret("s-1")).value == "new"
    assert (await client.get_secret("s-1", old.properties.version)).value == "old"
    assert (vault.names(), vault.deleted_names()) == (["s-1"], [])


async def test_a_deletion_shows_late_and_the_name_is_busy_meanwhile(
    vault: KeyVault, client: SecretClient, raw: Callable[..., Any]
) -> None:
    """As the real service's: gone at once, among the deleted only seconds later."""
    await client.set_secret("s-1", "value")
    vault.store.delete_delay_s = 3600
    assert (await raw("DELETE", "/secrets/s-1"))[0] == 200
    assert (await raw("GET", "/secrets/s-1"))[0] == 404
    assert (await raw("GET", "/deletedsecrets/s-1"))[0] == 404
    assert (await raw("GET", "/deletedsecrets"))[1]["value"] == []
    for method, path in (("PUT", "/secrets/s-1"), ("DELETE", "/deletedsecrets/s-1")):
        status, body, _ = await raw(method, path, {"value": "x"})
        assert (status, body["error"]["innererror"]["code"]) == (409, "ObjectIsBeingDeleted")
    assert vault.deleted_names() == ["s-1"]
    vault.store.delete_delay_s = 0
    assert (await raw("GET", "/deletedsecrets/s-1"))[0] == 200
    assert (await raw("DELETE", "/deletedsecrets/s-1"))[0] == 204


async def test_a_purged_name_stays_taken_for_a_while(
    vault: KeyVault, client: SecretClient, raw: Callable[..., Any]
) -> None:
    await client.set_secret("s-1", "value")
    await client.delete_secret("s-1")
    vault.store.purge_delay_s = 3600
    assert (await raw("DELETE", "/deletedsecrets/s-1"))[0] == 204
    assert (await raw("GET", "/deletedsecrets/s-1"))[0] == 404
    status, body, _ = await raw("PUT", "/secrets/s-1", {"value": "x"})
    assert (status, body["error"]["innererror"]["code"]) == (409, "ObjectIsBeingDeleted")
    assert vault.values() == ["value"]
    vault.store.purge_delay_s = 0
    assert vault.values() == []
    assert (await raw("PUT", "/secrets/s-1", {"value": "x"}))[0] == 200


async def test_a_recovered_name_refuses_a_new_version_for_a_while(
    vault: KeyVault, client: SecretClient, raw: Callable[..., Any]
) -> None:
    await client.set_secret("s-1", "value")
    await client.delete_secret("s-1")
    vault.store.recover_delay_s = 3600
    assert (await raw("POST", "/deletedsecrets/s-1/recover"))[0] == 200
    assert (await client.get_secret("s-1")).value == "value"
    status, body, _ = await raw("PUT", "/secrets/s-1", {"value": "x"})
    assert (status, body["error"]["innererror"]["code"]) == (409, "ObjectIsBeingRecovered")
    vault.store.recover_delay_s = 0
    assert (await raw("PUT", "/secrets/s-1", {"value": "x"}))[0] == 200


async def test_quotas_are_kept_apart_and_refused_requests_do_not_count(
    vault: KeyVault, raw: Callable[..., Any]
) -> None:
    """Secret creations have a quota of their own; a Retry-After comes only where the vault is told to send it."""
    vault.set_quota_per_10s, vault.other_quota_per_10s = 2, 3
    body = {"value": "v"}
    assert [(await raw("PUT", f"/secrets/s-{n}", body))[0] for n in range(3)] == [200, 200, 429]
    assert [(await raw("GET", "/secrets/s-1"))[0] for _ in range(4)] == [200, 200, 200, 429]
    status, answer, headers = await raw("PUT", "/secrets/s-9", body)
    assert (status, answer["error"]["code"], "Retry-After" in headers) == (429, "Throttled", False)
    vault.retry_after_s = 4
    assert (await raw("PUT", "/secrets/s-9", body))[2]["Retry-After"] == "4"
    assert (vault.writes, vault.reads, vault.throttled) == (2, 3, 4)
    vault.set_quota_per_10s = 3
    assert (await raw("PUT", "/secrets/s-9", body))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        {"value": "x" * 25_001},
        {"value": "\u00fc" * 12_501},
        {"value": None},
        {"value": 7},
        {},
        {"value": "v", "tags": {str(n): "" for n in range(16)}},
        {"value": "v", "tags": {"t": "x" * 257}},
        {"value": "v", "tags": {"t": 1}},
        {"value": "v", "tags": []},
        {"value": "v", "contentType": "x" * 256},
        {"value": "v", "attributes": {"enabled": "yes"}},
        {"value": "v", "attributes": []},
        [],
        "text",
    ],
)
async def test_a_secret_beyond_the_limits_is_refused_and_nothing_stored(
    vault: KeyVault, raw: Callable[..., Any], body: Any
) -> None:
    status, answer, _ = await raw("PUT", "/secrets/s-1", body)
    assert (status, answer["error"]["code"]) == (400, "BadParameter")
    assert vault.overview() == []


async def test_a_secret_at_the_limits_is_stored(raw: Callable[..., Any]) -> None:
    body = {"value": "x" * 25_000, "tags": {f"{n:0256}": "x" * 256 for n in range(15)}, "contentType": "x" * 255}
    assert (await raw("PUT", "/secrets/" + "A-9" * 42 + "z", body))[0] == 200


@pytest.mark.parametrize("name", ["a_b", "a.b", "x" * 128, "%C3%BC", "a%2Fb", "a%20b"])
async def test_a_name_that_is_none_is_refused(raw: Callable[..., Any], name: str) -> None:
    for method, path in (("PUT", f"/secrets/{name}"), ("GET", f"/secrets/{name}"), ("GET", f"/deletedsecrets/{name}")):
        status, body, _ = await raw(method, path, {"value": "v"})
        assert (status, body["error"]["code"]) == (400, "BadParameter")


async def test_what_is_not_there_is_said_in_the_service_s_own_shape(
    raw: Callable[..., Any], http: ClientSession, listener: Listener
) -> None:
    """No request ends in a page or a bare text: clients read `error.code`."""
    for method, path, status in (
        ("GET", "/secrets/s-1", 404),
        ("DELETE", "/secrets/s-1", 404),
        ("GET", "/deletedsecrets/s-1", 404),
        ("POST", "/deletedsecrets/s-1/recover", 404),
        ("GET", "/keys", 404),
        ("POST", "/secrets", 405),
        ("GET", "/secrets?$skiptoken=%FF%FE", 400),
    ):
        found, body, _ = await raw(method, path)
        assert (path, found, set(body["error"])) == (path, status, {"code", "message"})
    async with http.get(f"{listener.url()}/secrets", headers={"Authorization": f"Bearer {GOOD}"}) as answer:
        assert answer.status == 400  # api-version is missing


async def test_a_vault_names_the_newest_api_that_it_knows(vault: KeyVault, raw: Callable[..., Any]) -> None:
    vault.versions = ("7.3", "7.4")
    assert (await raw("GET", "/secrets", **{"api-version": "7.4"}))[0] == 200
    status, body, _ = await raw("GET", "/secrets", **{"api-version": "7.5"})
    assert (status, body["error"]["code"]) == (400, "BadParameter")
    assert "latest supported version (7.4)" in body["error"]["message"]


async def test_the_vault_can_misbehave_like_any_service(vault: KeyVault, client: SecretClient) -> None:
    """A write whose answer is lost has happened all the same, and more than once: below the SDK's retries, which are
    off here, aiohttp repeats a PUT by itself where the connection had been used before."""
    await client.set_secret("s-1", "first")
    vault.faults.add(Fault(action="reset_after", method="PUT", times=2))
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        await client.set_secret("s-1", "second")
    assert (await client.get_secret("s-1")).value == "second"
    assert vault.values() == ["first", "second", "second"]

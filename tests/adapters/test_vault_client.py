"""The seam to the Key Vault SDK: every failure comes out in our words, within our time limit (R-10, R-16)."""

import asyncio
import inspect
import json
import logging
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core import exceptions as core
from azure.core.exceptions import AzureError, HttpResponseError, ODataV4Format, ResourceNotFoundError
from azure.identity import CredentialUnavailableError
from azure.keyvault.secrets.aio import SecretClient

from local.faults import Fault
from local.managed_identity import ManagedIdentity
from local.tls import LocalAuthority
from local.vault.key_vault import KeyVault
from shared.adapters import vault_client, vault_secrets
from shared.adapters.key_vault import KeyVaultStore
from shared.adapters.vault_client import sdk_errors
from shared.errors import BundleError, Misconfigured, SessionEnded, SessionUnknown, StoreUnavailable
from shared.model import Entry, Listing
from shared.origins import same_origin
from tests.contracts.subjects import vault_clients
from tests.doubles.clock import START
from tests.doubles.records import new_ref, record

NORTH = "north"
DOUBTFUL = Listing(entries=(), secrets=0, doubtful=frozenset({"a-1"}))


class World:
    """One vault behind the real SDK and the real managed identity credential."""

    def __init__(self, client: SecretClient, vault: KeyVault, identity: ManagedIdentity) -> None:
        self.client = client
        self.vault = vault
        self.identity = identity
        self.store = KeyVaultStore({NORTH: client})

    def calls(self, method: str, path: str) -> int:
        """Calls that came in past the challenge for a token."""
        return sum(c.method == method and path in c.path and c.status != 401 for c in self.vault.faults.calls)


@pytest.fixture
async def world(authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with vault_clients(authority, monkeypatch, [NORTH]) as (clients, vaults, identity):
        yield World(clients[NORTH], vaults[NORTH], identity)


async def listed(store: KeyVaultStore) -> list[Entry]:
    return list((await store.listing(NORTH)).entries)


def sdk_exceptions() -> Iterator[type[Exception]]:
    classes = [*vars(core).values(), CredentialUnavailableError]
    return (c for c in classes if inspect.isclass(c) and issubclass(c, Exception) and c.__module__.startswith("azure"))


def raised(kind: type[Exception], status: int | None = None) -> Exception:
    """An instance as the SDK would raise it, whatever its constructor wants."""
    error = kind.__new__(kind)
    Exception.__init__(error, "text from outside")
    if isinstance(error, HttpResponseError):
        error.status_code = status
        error.response = SimpleNamespace(headers={}) if status else None
        error.error = ODataV4Format({"code": "TheVaultsWord"}) if status else None
    return error


@pytest.mark.parametrize("kind", sorted(set(sdk_exceptions()), key=repr), ids=repr)
@pytest.mark.parametrize("status", [None, 400, 401, 403, 404, 409, 418, 429, 500, 503])
async def test_no_exception_of_the_sdk_passes_the_seam(kind: type[Exception], status: int | None) -> None:
    """A new SDK with a new exception class shows here."""
    with pytest.raises(BundleError) as caught:
        async with sdk_errors("read session"):
            raise raised(kind, status)
    assert "text from outside" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, SessionUnknown),
        (409, SessionEnded),
        (401, Misconfigured),
        (403, Misconfigured),
        (400, StoreUnavailable),
        (408, StoreUnavailable),
        (429, StoreUnavailable),
        (500, StoreUnavailable),
        (503, StoreUnavailable),
    ],
)
async def test_a_status_says_who_can_act(status: int, expected: type[BundleError]) -> None:
    with pytest.raises(expected):
        async with sdk_errors("read session"):
            raise raised(HttpResponseError, status)


@pytest.mark.parametrize("status", [404, 409])
async def test_a_status_that_is_not_in_the_vaults_words_says_nothing_about_a_session(status: int) -> None:
    """A gateway that lost its way to the vault answers 404, too: nobody is signed out by it."""
    error = raised(HttpResponseError, status)
    assert isinstance(error, HttpResponseError)
    error.error = None
    with pytest.raises(StoreUnavailable):
        async with sdk_errors("read session"):
            raise error


async def test_our_own_errors_and_bugs_pass_unchanged() -> None:
    for error in (RuntimeError("a bug"), SessionEnded("ours"), StopAsyncIteration()):
        with pytest.raises(type(error)):
            async with sdk_errors("read session"):
                raise error


async def test_a_missing_secret_is_an_unknown_session_and_no_outage(world: World) -> None:
    with pytest.raises(SessionUnknown):
        await world.store.load(new_ref(NORTH))
    assert issubclass(ResourceNotFoundError, AzureError)


@pytest.mark.parametrize("action", ["reset_before", "reset_after", "truncate", "garbage", "wrong_type"])
async def test_a_vault_that_stays_broken_is_unavailable_never_unknown(world: World, action: Any) -> None:
    """ "Never to be read as signed out": a person stays signed in through an outage."""
    stored = await world.store.create(new_ref(NORTH), record(START))
    world.vault.faults.add(Fault(action=action, times=None))
    works: list[Coroutine[Any, Any, object]] = [
        world.store.load(stored.ref),
        world.store.replace(stored.ref, stored.record),
        world.store.annotate(stored.ref, stored.version, stored.record.marks),
        world.store.by_account("0"),
        world.store.account_page(NORTH, None),
        listed(world.store),
        world.store.purge(NORTH, START),
        world.store.repair_indexes(NORTH, DOUBTFUL, START),
    ]
    results = await asyncio.gather(*works, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * len(works)


ODD = [
    "[]",
    "5",
    "null",
    "{}",
    '{"value": 5}',
    '{"value": [5]}',
    '{"value": {"id": 1}}',
    '{"value": null, "nextLink": 7}',
    '{"value": "{}", "id": "nonsense"}',
    '{"value": "{}", "id": "https://localhost/secrets/s-1/v", "tags": [1], "attributes": "x"}',
    '{"value": "{}", "id": "https://localhost/secrets/s-1/v", "attributes": {"created": "soon"}}',
    '{"value": [{"id": "https://localhost/secrets/s-1", "tags": {"v": "1", "due": "9999999999999999"}}]}',
    '{"value": [{"id": "https://localhost/secrets/s-1", "tags": {"v": [], "due": 1}}]}',
]


@pytest.mark.parametrize("body", ODD)
async def test_an_answer_of_an_unheard_of_shape_breaks_nothing(world: World, body: str) -> None:
    """A load finds no session in it, and only the seam's own errors come out, whatever is asked."""
    stored = await world.store.create(new_ref(NORTH), record(START))
    world.vault.faults.add(Fault(action="status", status=200, body=body, times=None))
    with pytest.raises(StoreUnavailable):
        await world.store.load(stored.ref)
    results = await asyncio.gather(
        world.store.replace(stored.ref, stored.record),
        world.store.annotate(stored.ref, stored.version, stored.record.marks),
        world.store.by_account("0"),
        world.store.account_page(NORTH, None),
        listed(world.store),
        world.store.purge(NORTH, START),
        world.store.repair_indexes(NORTH, DOUBTFUL, START),
        return_exceptions=True,
    )
    assert not [r for r in results if isinstance(r, Exception) and not isinstance(r, StoreUnavailable)]


@pytest.mark.parametrize(
    "fault", [Fault(action="reset_before", times=None), Fault(action="status", status=500, times=None)]
)
async def test_a_deletion_that_was_not_confirmed_is_no_success(world: World, fault: Fault) -> None:
    """R-12: "signed out" is said only when the vault has said so."""
    stored = await world.store.create(new_ref(NORTH), record(START))
    world.vault.faults.add(fault)
    with pytest.raises(StoreUnavailable):
        await world.store.delete(stored.ref)


async def test_a_redirect_is_not_followed(world: World) -> None:
    """R-16: our token is for the vault alone; an address that moved is the operator's to see."""
    stored = await world.store.create(new_ref(NORTH), record(START))
    there = {"Location": f"{world.client.vault_url}/secrets/{stored.ref.name}/?api-version=7.6"}
    world.vault.faults.add(Fault(action="status", status=307, headers=there, times=1))
    with pytest.raises(StoreUnavailable, match="HTTP 307"):
        await world.store.load(stored.ref)


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example/secrets?$skiptoken=A",
        "https://elsewhere.example@localhost/secrets?$skiptoken=A",
        "https://localhost:1/secrets?$skiptoken=A",
        "https://localhost:nonsense/secrets?$skiptoken=A",
        "/secrets?$skiptoken=A",
        "{vault}/keys?$skiptoken=A",
        "{vault}/secrets/../keys?$skiptoken=A",
    ],
)
async def test_a_next_link_that_leads_elsewhere_is_not_followed(world: World, link: str) -> None:
    """R-16: the token would go along."""
    link = link.replace("{vault}", world.client.vault_url)
    world.vault.faults.add(Fault(action="status", status=200, body=json.dumps({"value": [], "nextLink": link})))
    with pytest.raises(StoreUnavailable, match="not the vault's"):
        await listed(world.store)


def test_a_next_link_may_name_the_port_that_the_vaults_address_leaves_out() -> None:
    """Key Vault writes `https://NAME.vault.azure.net:443/secrets?…`."""
    assert same_origin("https://a.vault.azure.net:443/secrets?x=1", "https://A.vault.azure.net")
    assert not same_origin("https://a.vault.azure.net:8443/secrets", "https://a.vault.azure.net")
    assert not same_origin("http://a.vault.azure.net:443/secrets", "https://a.vault.azure.net")


@pytest.mark.parametrize("action", ["reset_before", "reset_after"])
async def test_one_lost_connection_is_made_good_by_a_retry(world: World, action: Any) -> None:
    stored = await world.store.create(new_ref(NORTH), record(START))
    world.vault.faults.add(Fault(action=action, times=1))
    assert (await world.store.load(stored.ref)).record == stored.record
    world.vault.faults.add(Fault(method="PUT", action=action, times=1))
    await world.store.replace(stored.ref, stored.record)
    world.vault.faults.add(Fault(method="DELETE", action=action, times=1))
    await world.store.delete(stored.ref)


async def test_a_deletion_names_the_secret_and_the_clients_api_version(world: World) -> None:
    """`delete` speaks past the SDK's slow `delete_secret`; path and version must still be the SDK's."""
    stored = await world.store.create(new_ref(NORTH), record(START))
    await world.store.delete(stored.ref)
    assert stored.ref.name in world.vault.deleted_names()
    assert world.calls("DELETE", f"/secrets/{stored.ref.name}") == 1
    assert world.calls("GET", "/deletedsecrets") == 0


async def test_a_vault_outside_the_public_cloud_need_not_know_the_newest_api(world: World) -> None:
    """What it does not know it answers with 400; the SDK by itself asks for its own newest version."""
    world.vault.versions = ("7.3", "7.4")
    stored = await world.store.create(new_ref(NORTH), record(START))
    await world.store.annotate(stored.ref, stored.version, stored.record.marks)
    assert (await world.store.load(stored.ref)).record == stored.record
    assert len(await listed(world.store)) == 1
    await world.store.delete(stored.ref)


async def test_marks_cost_no_write(world: World) -> None:
    """R-11: the vault's quota for new versions is for renewals."""
    stored = await world.store.create(new_ref(NORTH), record(START))
    writes = world.vault.writes
    await world.store.annotate(stored.ref, stored.version, stored.record.marks)
    assert world.vault.writes == writes


async def test_a_busy_vault_is_asked_three_times_then_the_caller_hears_of_it(world: World) -> None:
    world.vault.other_quota_per_10s = 0
    with pytest.raises(StoreUnavailable, match="HTTP 429"):
        await world.store.load(new_ref(NORTH))
    assert world.vault.throttled == 3


async def test_a_long_retry_after_is_passed_on_instead_of_waited_for(world: World) -> None:
    """A person must not look at a blank page for ten seconds to hear "later" in the end."""
    world.vault.other_quota_per_10s, world.vault.retry_after_s = 0, 30
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as refused:
        await world.store.load(new_ref(NORTH))
    assert refused.value.retry_after_s == 30
    assert time.monotonic() - began < 5
    assert world.vault.throttled == 1


async def test_a_short_retry_after_is_waited_for(world: World) -> None:
    stored = await world.store.create(new_ref(NORTH), record(START))
    world.vault.faults.add(Fault(action="status", status=429, headers={"Retry-After": "1"}, body="{}", times=1))
    assert (await world.store.load(stored.ref)).record == stored.record


async def test_a_vault_that_never_answers_costs_the_limit_and_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault_client, "CALL_LIMIT_S", 0.2)
    world.vault.faults.add(Fault(action="hang", times=None))
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="no answer within"):
        await world.store.load(new_ref(NORTH))
    assert time.monotonic() - began < 2


async def test_a_long_listing_may_take_longer_than_one_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vault of thousands has hundreds of pages; each has its own time limit."""
    refs = [new_ref(NORTH) for _ in range(80)]
    await asyncio.gather(*(world.store.create(ref, record(START)) for ref in refs))
    for ref in refs[:78]:
        world.vault.store.delete(ref.name)
    more = [new_ref(NORTH) for _ in range(78)]
    await asyncio.gather(*(world.store.create(ref, record(START)) for ref in more))
    monkeypatch.setattr(vault_client, "CALL_LIMIT_S", 0.5)
    slow = Fault(method="GET", path="^/(deleted)?secrets[?]", action="slow", delay_s=0.2, times=None)
    world.vault.faults.add(slow)
    entries, purged = await asyncio.gather(listed(world.store), world.store.purge(NORTH, datetime.now(UTC)))
    assert len(entries) == 80
    assert purged == 78


async def test_a_listing_goes_on_after_a_page_that_a_busy_vault_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-11: what was read of a large vault is not read for nothing."""
    monkeypatch.setattr(vault_secrets, "_PAGE_AGAIN_S", (0.0, 0.0, 0.0))
    await asyncio.gather(*(world.store.create(new_ref(NORTH), record(START)) for _ in range(60)))
    # Three tries each time.
    world.vault.faults.add(Fault(method="GET", path="^/secrets[?].*skiptoken", action="status", status=503, times=9))
    assert len(await listed(world.store)) == 60
    world.vault.faults.add(Fault(method="GET", path="^/secrets[?].*skiptoken", action="status", status=503, times=12))
    with pytest.raises(StoreUnavailable):
        await listed(world.store)


async def test_a_next_link_that_leads_to_its_own_page_ends_the_listing(world: World) -> None:
    """R-11: else it would go on behind the timer for ever."""
    link = f"{world.client.vault_url}/secrets?api-version=7.6&$skiptoken=A"
    body = json.dumps({"value": [], "nextLink": link})
    world.vault.faults.add(Fault(method="GET", path="^/secrets[?]", action="status", status=200, body=body, times=None))
    with pytest.raises(StoreUnavailable, match="no end"):
        await listed(world.store)


async def test_an_identity_without_the_role_is_the_operators_to_mend(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.vault.faults.add(Fault(action="status", status=403, body='{"error":{"code":"Forbidden"}}', times=None))
    with pytest.raises(Misconfigured, match="Key Vault Secrets Officer"):
        await world.store.load(new_ref(NORTH))
    assert "vault_refused_the_app" in caplog.text


@pytest.mark.parametrize(
    ("network", "role", "why"),
    [("open", "Key Vault Reader", "ForbiddenByRbac"), ("firewall", "", "ForbiddenByFirewall")],
)
async def test_a_refusal_says_which_vault_refused_and_why(
    world: World, caplog: pytest.LogCaptureFixture, network: str, role: str, why: str
) -> None:
    """With several vaults only one may be shut, and a role does not open a firewall."""
    world.vault.access.network, world.vault.access.role = network, role
    with pytest.raises(Misconfigured) as refused:
        await world.store.load(new_ref(NORTH))
    assert not refused.value.everywhere
    (line,) = [json.loads(each.message) for each in caplog.records if "vault_refused_the_app" in each.message]
    assert (line["vault"], line["why"]) == (world.client.vault_url.removeprefix("https://").rstrip("/"), why)


async def test_a_disabled_secret_is_no_matter_of_roles(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """R-01: whoever rotates secrets disables old versions, and may disable one too many; a role mends nothing then."""
    stored = await world.store.create(new_ref(NORTH), record(START))
    await world.client.update_secret_properties(stored.ref.name, enabled=False)
    with pytest.raises(Misconfigured) as refused:
        await world.store.load(stored.ref)
    (line,) = [json.loads(each.message) for each in caplog.records if "vault_refused_the_app" in each.message]
    assert line["why"] == "SecretDisabled"
    for mend in (line["mend"], *refused.value.findings):
        assert "disabled" in mend
        assert "role" not in mend


async def test_a_vault_that_takes_no_token_of_ours_is_the_operators_to_mend(world: World) -> None:
    world.vault.faults.add(
        Fault(
            action="status",
            status=401,
            headers={
                "WWW-Authenticate": 'Bearer authorization="https://localhost/t", resource="https://vault.azure.net"'
            },
            times=None,
        )
    )
    with pytest.raises(Misconfigured):
        await world.store.load(new_ref(NORTH))


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_an_identity_that_is_not_there_is_the_operators_to_mend(world: World, status: int) -> None:
    """400 is what the platform says to a user-assigned identity that is not assigned."""
    world.identity.faults.add(
        Fault(action="status", status=status, body='{"message":"Identity not found"}', times=None)
    )
    with pytest.raises(Misconfigured):
        await world.store.load(new_ref(NORTH))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(action="status", status=500, body="{}", times=None),
        Fault(action="status", status=503, times=None),
        Fault(action="garbage", times=None),
        Fault(action="wrong_type", times=None),
        Fault(action="truncate", times=None),
        Fault(action="reset_before", times=None),
        Fault(action="hang", times=None),
        Fault(action="status", status=200, body='{"access_token":"t"}', times=None),
        Fault(action="status", status=200, body='{"access_token":"t","expires_on":"soon"}', times=None),
        Fault(action="status", status=200, body="[]", times=None),
    ],
    ids=lambda fault: f"{fault.action} {fault.status} {fault.body[16:]}",
)
async def test_an_identity_that_can_not_be_asked_now_is_an_outage(
    world: World, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault_client, "CALL_LIMIT_S", 0.5)
    world.identity.faults.add(fault)
    with pytest.raises(StoreUnavailable):
        await world.store.load(new_ref(NORTH))


async def test_the_sdk_logs_neither_tokens_nor_values(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """R-16: even with every logger at its most talkative."""
    caplog.set_level(logging.DEBUG)
    stored = await world.store.create(new_ref(NORTH), record(START))
    await world.store.load(stored.ref)
    world.vault.faults.add(Fault(action="garbage", times=None))
    with pytest.raises(StoreUnavailable):
        await world.store.load(stored.ref)
    for secret in (stored.record.grant.access_token, stored.record.grant.refresh_token or "", "@contoso.example"):
        assert secret not in caplog.text
    assert not re.search(r"[A-Za-z0-9_-]{100,}", caplog.text)  # as long as only the identity's tokens are


async def test_a_client_asks_for_a_token_once(world: World) -> None:
    await world.store.create(new_ref(NORTH), record(START))
    assert len(world.identity.faults.calls) <= 3
    before = len(world.identity.faults.calls)
    for _ in range(5):
        with pytest.raises(SessionUnknown):
            await world.store.load(new_ref(NORTH))
    assert len(world.identity.faults.calls) == before


async def test_every_429_is_heard_of_even_where_a_retry_mends_it(
    authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-11: the sweep slows down before anybody else is refused."""
    heard: Counter[str] = Counter()
    async with vault_clients(authority, monkeypatch, [NORTH], heard) as (clients, vaults, _):
        store = KeyVaultStore(clients, heard)
        vaults[NORTH].faults.add(Fault(method="PUT", action="status", status=429, body="{}", times=2))
        await store.replace(new_ref(NORTH), record(START))
        assert store.throttled(NORTH) == 2

"""Owns what the contract suites run against: a store or ring, its clock, and a way to put foreign secrets there."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import time_machine
from azure.keyvault.secrets.aio import SecretClient

from local.listen import Listener
from local.managed_identity import ManagedIdentity
from local.tls import LocalAuthority
from local.vault.key_vault import KeyVault
from shared.adapters.clock import SystemClock
from shared.adapters.http import open_session
from shared.adapters.key_ring import KeyVaultKeyRing
from shared.adapters.key_vault import KeyVaultStore
from shared.adapters.vault_client import open_client
from shared.adapters.workload import open_credential
from shared.model import SessionRef
from shared.ports import KeyRing, SessionStore
from shared.settings import read_settings
from tests.doubles.clock import START, ManualClock
from tests.doubles.memory import MemoryKeyRing, MemoryStore

LABELS = ("north", "south")
SETTINGS = {
    "AUTH_CLIENT_ID": "the-app",
    "AUTH_CLIENT_SECRET": "the secret",
    "PUBLIC_BASE_URL": "https://app.example",
    "TOKEN_VAULT_URLS": "https://vault.example",
}


class StoreSubject(ABC):
    """A store with two vaults and a clock that stands still until it is moved."""

    store: SessionStore

    @abstractmethod
    def now(self) -> datetime: ...

    @abstractmethod
    def advance(self, by: timedelta) -> None: ...

    @abstractmethod
    async def put_raw(self, ref: SessionRef, value: str, tags: dict[str, str]) -> None: ...

    @abstractmethod
    def values(self) -> list[str]: ...


class MemorySubject(StoreSubject):
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.memory = MemoryStore(self.clock, LABELS)
        self.store = self.memory

    def now(self) -> datetime:
        return self.clock.now()

    def advance(self, by: timedelta) -> None:
        self.clock.advance(by)

    async def put_raw(self, ref: SessionRef, value: str, tags: dict[str, str]) -> None:
        self.memory.put_raw(ref, value, tags)

    def values(self) -> list[str]:
        return self.memory.values()


class VaultSubject(StoreSubject):
    """The real adapter and SDK, over https, against embedded vaults and the embedded managed identity."""

    def __init__(
        self, clients: dict[str, SecretClient], vaults: dict[str, KeyVault], traveller: time_machine.Traveller
    ) -> None:
        self.clients = clients
        self.vaults = vaults
        self.store = KeyVaultStore(clients)
        self._traveller = traveller

    def now(self) -> datetime:
        return datetime.now(UTC)

    def advance(self, by: timedelta) -> None:
        self._traveller.shift(by)

    async def put_raw(self, ref: SessionRef, value: str, tags: dict[str, str]) -> None:
        await self.clients[ref.vault].set_secret(ref.name, value, tags=tags)

    def values(self) -> list[str]:
        return [value for vault in self.vaults.values() for value in vault.values()]


@asynccontextmanager
async def vault_clients(
    authority: LocalAuthority,
    monkeypatch: pytest.MonkeyPatch,
    labels: Sequence[str] = LABELS,
    throttled: Counter[str] | None = None,
) -> AsyncIterator[tuple[dict[str, SecretClient], dict[str, KeyVault], ManagedIdentity]]:
    """Embedded vaults by label, each with a client as the bundle opens it, and the identity that opens them."""
    heard: Counter[str] = Counter() if throttled is None else throttled
    async with AsyncExitStack() as stack:
        identity = ManagedIdentity(header="the identity header")
        door = Listener()
        stack.push_async_callback(door.close)
        await door.serve(identity.make_app())
        monkeypatch.setenv("IDENTITY_ENDPOINT", door.url())
        monkeypatch.setenv("IDENTITY_HEADER", "the identity header")
        http = await stack.enter_async_context(open_session(str(authority.bundle), total_s=10))
        settings = read_settings(SETTINGS | {"IDENTITY_ENDPOINT": door.url(), "IDENTITY_HEADER": "the identity header"})
        credential = open_credential(settings, http, SystemClock())
        clients: dict[str, SecretClient] = {}
        vaults: dict[str, KeyVault] = {}
        for label in labels:
            listener = Listener(tls=authority.context)
            stack.push_async_callback(listener.close)
            vaults[label] = KeyVault(url=listener.url(), accepts=identity.accepts)
            await listener.serve(vaults[label].make_app())
            clients[label] = open_client(listener.url(), credential, http, partial(heard.update, (label,)))
        yield clients, vaults, identity


@asynccontextmanager
async def vault_subject(authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VaultSubject]:
    with time_machine.travel(START, tick=False) as traveller:
        async with vault_clients(authority, monkeypatch) as (clients, vaults, _):
            yield VaultSubject(clients, vaults, traveller)


class RingSubject(ABC):
    """Rings over one place, as several instances of the app have them."""

    @abstractmethod
    def ring(self) -> KeyRing:
        """One more instance, that knows nothing yet."""

    @abstractmethod
    def now(self) -> datetime: ...

    @abstractmethod
    def advance(self, by: timedelta) -> None: ...


class MemoryRingSubject(RingSubject):
    def __init__(self) -> None:
        self.clock = ManualClock()
        self._first = MemoryKeyRing(self.clock)

    def ring(self) -> KeyRing:
        return MemoryKeyRing(self.clock, self._first.keys)

    def now(self) -> datetime:
        return self.clock.now()

    def advance(self, by: timedelta) -> None:
        self.clock.advance(by)


class VaultRingSubject(RingSubject):
    def __init__(self, client: SecretClient, vault: KeyVault, traveller: time_machine.Traveller) -> None:
        self.client = client
        self.vault = vault
        self._traveller = traveller

    def ring(self) -> KeyVaultKeyRing:
        return KeyVaultKeyRing(lambda: self.client, SystemClock())

    def now(self) -> datetime:
        return datetime.now(UTC)

    def advance(self, by: timedelta) -> None:
        self._traveller.shift(by)


@asynccontextmanager
async def ring_subject(authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VaultRingSubject]:
    with time_machine.travel(START, tick=False) as traveller:
        async with vault_clients(authority, monkeypatch, LABELS[:1]) as (clients, vaults, _):
            yield VaultRingSubject(clients[LABELS[0]], vaults[LABELS[0]], traveller)

"""Owns the ring of keys that sign cookies: one secret in the first vault, whose versions are the keys.

A key's id is its version's, so that instances that make the first key at the same moment do no harm.
"""

import asyncio
import base64
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from azure.keyvault.secrets.aio import SecretClient

from shared.adapters.vault_secrets import Secret, VaultSecrets
from shared.errors import Misconfigured, SessionEnded, SessionUnknown, StoreUnavailable
from shared.model import RingKey
from shared.ports import Clock

_NAME = "key-ring"
_KEY_ID = re.compile(r"[0-9a-f]{32}")
_NEWEST_FOR = timedelta(hours=1)
_UNKNOWN_PER_MINUTE = 60
_KNOWN_MOST = 64


class KeyVaultKeyRing:
    """`KeyRing` over `VaultSecrets`."""

    def __init__(self, client: Callable[[], SecretClient], clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: dict[str, RingKey] = {}
        self._newest: tuple[datetime, RingKey] | None = None
        self._misses: list[datetime] = []

    async def newest(self) -> RingKey:
        async with self._lock:
            now = self._clock.now()
            if self._newest and abs(now - self._newest[0]) < _NEWEST_FOR:
                return self._newest[1]
            try:
                key = await self._read("")
            except SessionUnknown:
                key = await self._make()
            self._newest = (now, key)
            return key

    async def by_id(self, key_id: str) -> RingKey | None:
        if not _KEY_ID.fullmatch(key_id):
            return None
        if key := self._known.get(key_id):
            return key
        async with self._lock:
            if key := self._known.get(key_id):
                return key
            # Forged cookies must not become vault calls without end.
            now = self._clock.now()
            self._misses = [at for at in self._misses if abs(now - at) < timedelta(minutes=1)]
            try:
                if len(self._misses) < _UNKNOWN_PER_MINUTE:
                    self._misses.append(now)
                    return await self._read(key_id)
                # An instance that starts under a flood of forged cookies learns the key that signs now all the same.
                if self._newest is None:
                    self._newest = (now, await self._read(""))
            except SessionUnknown:
                return None
            if key := self._known.get(key_id):
                return key
            raise StoreUnavailable("too many unknown cookie keys", retry_after_s=30)

    async def rotate(self, *, older_than: datetime) -> bool:
        if (await self.newest()).created_at > older_than:
            return False
        async with self._lock:
            self._newest = (self._clock.now(), await self._make())
        return True

    async def _read(self, key_id: str) -> RingKey:
        return self._keep(await VaultSecrets(self._client()).get(_NAME, "read key ring", key_id))

    async def _make(self) -> RingKey:
        value = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        try:
            made = await VaultSecrets(self._client()).set(_NAME, value, "text/plain", {}, "write key ring")
        except SessionEnded as error:
            raise Misconfigured(
                [
                    f"The secret {_NAME} of the first token vault is deleted: recover it, or purge it to sign everybody out."
                ]
            ) from error
        return self._keep(made)

    def _keep(self, secret: Secret) -> RingKey:
        try:
            value = base64.urlsafe_b64decode(secret.value)
        except ValueError:
            value = b""
        if len(value) != 32:
            raise Misconfigured([f"The secret {_NAME} is not what the bundle wrote: purge it; people sign in again."])
        created_at = self._clock.now() if secret.created is None else datetime.fromtimestamp(secret.created, UTC)
        key = RingKey(id=secret.version, secret=value, created_at=created_at)
        if len(self._known) >= _KNOWN_MOST:
            self._known.pop(next(iter(self._known)))
        self._known[key.id] = key
        return key

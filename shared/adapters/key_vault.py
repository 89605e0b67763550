"""Owns sessions in Key Vault: one secret a session, two small indexes without tokens, deletion and purge.

Key Vault has no compare-and-swap, no query and no transaction. So an index may lose an entry when two sign-ins
meet; `repair_indexes` makes it good from the sessions' tags.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

from azure.keyvault.secrets.aio import SecretClient

from shared import log
from shared.adapters import record_format
from shared.adapters.vault_indexes import ACCOUNT, SID, IndexCheck, index_fingerprint, indexes_of
from shared.adapters.vault_secrets import Secret, VaultSecrets
from shared.errors import BundleError, RecordTooNew, SessionEnded, SessionUnknown, StoreUnavailable
from shared.model import Entry, Listing, Marks, PassNote, Record, SessionRef, Stored

_LISTED = "last-listing"
_SESSION = "s-"
_OURS = (_SESSION, ACCOUNT, SID, _LISTED)
_CONTENT_TYPE = "application/vnd.onenote-auth+json"
_INDEX_MOST = 300
"""Names in one index: 20 kB of the 25 that a secret's value may have."""

_JUST_WRITTEN_S = 60
_EMPTY_FOR_S = timedelta(days=3).total_seconds()
_REPAIRS_A_SECOND = 10
"""At most: when very many sessions end at once, sign-ins must find their part of the vault's 30 writes a second."""

_PURGE_AT_ONCE = 4
_PURGE_MOST = 2_000
"""In one run, so that the end of very many sessions at once does not outlast the timer's function."""


class KeyVaultStore:
    """`SessionStore` over `VaultSecrets`. `clients` by vault label, in the operator's order."""

    def __init__(self, clients: Mapping[str, SecretClient], throttled: Counter[str] | None = None) -> None:
        """`throttled` is counted up elsewhere, by vault label, whenever a vault answers 429."""
        self._vaults = {label: VaultSecrets(client) for label, client in clients.items()}
        self._throttled = Counter() if throttled is None else throttled

    @property
    def vaults(self) -> Sequence[str]:
        return tuple(self._vaults)

    async def create(self, ref: SessionRef, record: Record) -> Stored:
        stored = await self.replace(ref, record)
        await asyncio.gather(*(self._index(ref, name) for name in indexes_of(record.marks)))
        return stored

    async def load(self, ref: SessionRef) -> Stored:
        secret = await self._of(ref).get(ref.name, "read session")
        try:
            record = record_format.from_value(secret.value, secret.tags)
        except ValueError as error:
            raise StoreUnavailable("read session: the vault's answer is no record") from error
        return Stored(ref=ref, record=record, version=secret.version)

    async def replace(self, ref: SessionRef, record: Record) -> Stored:
        value, tags = record_format.to_value(record), record_format.to_tags(record.marks)
        secret = await self._of(ref).set(ref.name, value, _CONTENT_TYPE, tags, "write session")
        return Stored(ref=ref, record=record, version=secret.version)

    async def annotate(self, ref: SessionRef, version: str, marks: Marks) -> None:
        await self._of(ref).tag(ref.name, version, record_format.to_tags(marks), "mark session")

    async def delete(self, ref: SessionRef) -> None:
        if vault := self._vaults.get(ref.vault):
            await vault.delete(ref.name, "delete session")

    async def by_account(self, account_hash: str) -> Sequence[SessionRef]:
        return await self._look_up(ACCOUNT + account_hash)

    async def by_sid(self, sid_hash: str) -> Sequence[SessionRef]:
        return await self._look_up(SID + sid_hash)

    async def listing(self, vault: str) -> Listing:
        entries: list[Entry] = []
        foreign: set[str] = set()
        check, secrets = IndexCheck(), 0
        long_ago = time.time() - _EMPTY_FOR_S
        async for page in self._vaults[vault].pages("list sessions"):
            secrets += len(page)
            for secret in page:
                name = secret.name
                if name.startswith((ACCOUNT, SID)):
                    check.index(name, secret.tags, empty_for_long=(secret.updated or 0) < long_ago)
                elif not name.startswith(_SESSION):
                    continue
                elif marks := _marks(secret):
                    # A listing names no version. The empty one means "the newest" when tags are changed.
                    entries.append(Entry(ref=SessionRef(vault=vault, name=name), version="", marks=marks))
                    check.session(name, marks)
                else:
                    foreign.add(name)
                    log.warning("session_not_readable", vault=vault, session=name[:12])
        return Listing(entries=entries, secrets=secrets, doubtful=check.doubtful, foreign=frozenset(foreign))

    async def account_page(self, vault: str, page: str | None) -> tuple[Sequence[str], str | None]:
        secrets, following = await self._vaults[vault].page(page, "list accounts")
        return [s.name.removeprefix(ACCOUNT) for s in secrets if s.name.startswith(ACCOUNT)], following

    async def purge(self, vault: str, deleted_before: datetime) -> int:
        secrets, before = self._vaults[vault], deleted_before.timestamp()
        names: list[str] = []
        async with aclosing(secrets.deleted_pages("list deleted sessions")) as pages:
            async for page in pages:
                old = (secret for secret in page if secret.deleted is None or secret.deleted <= before)
                names += (secret.name for secret in old if secret.name.startswith(_OURS))
                if len(names) >= _PURGE_MOST:
                    break
        queue = iter(names[:_PURGE_MOST])
        return sum(await asyncio.gather(*(self._purge(secrets, queue) for _ in range(_PURGE_AT_ONCE))))

    async def repair_indexes(
        self, vault: str, listing: Listing, listed_at: datetime, removed: Collection[Entry] = ()
    ) -> int:
        doubtful = listing.doubtful.union(*(indexes_of(entry.marks) for entry in removed))
        names: dict[str, set[str]] = {index: set() for index in doubtful}
        gone = {entry.ref.name for entry in removed}
        if names:
            for entry in listing.entries:
                for index in indexes_of(entry.marks):
                    if index in names and entry.ref.name not in gone:
                        names[index].add(entry.ref.name)
        secrets, listed_s = self._vaults[vault], int(listed_at.timestamp())
        changed = 0
        for index, wanted in names.items():
            if await self._repair(secrets, index, wanted, listing.foreign, listed_s):
                changed += 1
                if changed % _REPAIRS_A_SECOND == 0:
                    await asyncio.sleep(1)
        return changed

    async def last_pass(self, vault: str) -> PassNote | None:
        try:
            tags = (await self._vaults[vault].get(_LISTED, "read the last pass")).tags
            return PassNote(at=datetime.fromtimestamp(int(tags["at"]), UTC), secrets=int(tags["secrets"]))
        except (SessionUnknown, KeyError, ValueError, OverflowError):
            return None

    async def note_pass(self, vault: str, note: PassNote) -> None:
        secrets = self._vaults[vault]
        tags = {"at": str(int(note.at.timestamp())), "secrets": str(note.secrets)}
        try:
            # Tags alone: no write of the quota that sign-ins need.
            await secrets.tag(_LISTED, "", tags, "note the pass")
        except SessionUnknown:
            await secrets.set(_LISTED, "-", _CONTENT_TYPE, tags, "note the pass")

    def throttled(self, vault: str) -> int:
        return self._throttled[vault]

    def _of(self, ref: SessionRef) -> VaultSecrets:
        try:
            return self._vaults[ref.vault]
        except KeyError:
            raise SessionUnknown("no such vault") from None

    async def _index(self, ref: SessionRef, name: str) -> None:
        secrets = self._of(ref)
        try:
            others = await self._read_index(secrets, name)
            await self._write_index(secrets, name, {*others[1 - _INDEX_MOST :], ref.name})
        except BundleError as error:
            # The sweep repairs it from the tags; the sign-in itself has succeeded.
            log.warning("index_not_written", vault=ref.vault, error=error.code, cause=str(error))

    async def _look_up(self, name: str) -> list[SessionRef]:
        async def one(vault: str, secrets: VaultSecrets) -> list[SessionRef]:
            return [SessionRef(vault=vault, name=n) for n in await self._read_index(secrets, name)]

        found = await asyncio.gather(*(one(vault, secrets) for vault, secrets in self._vaults.items()))
        return [ref for refs in found for ref in refs]

    async def _repair(
        self, secrets: VaultSecrets, name: str, wanted: Collection[str], foreign: frozenset[str], listed_s: int
    ) -> bool:
        try:
            there = await secrets.get(name, "read index")
        except SessionUnknown:
            return bool(wanted) and await self._write_index(secrets, name, wanted)
        updated = listed_s if there.updated is None else there.updated
        # An index written since the listing began may know sessions that the listing does not.
        if updated >= listed_s - _JUST_WRITTEN_S:
            return False
        if foreign:
            # What another release wrote can't be read here, but signing out everywhere must still find it.
            wanted = foreign.intersection(_names(there)).union(wanted)
        if there.tags.get("of") != index_fingerprint(wanted):
            return await self._write_index(secrets, name, wanted)
        if not wanted and listed_s - updated > _EMPTY_FOR_S:
            await secrets.delete(name, "delete index")
            return True
        return False

    async def _read_index(self, secrets: VaultSecrets, name: str) -> list[str]:
        try:
            return _names(await secrets.get(name, "read index"))
        except SessionUnknown:
            return []

    async def _write_index(self, secrets: VaultSecrets, name: str, names: Collection[str]) -> bool:
        value = json.dumps(sorted(names)[-_INDEX_MOST:])
        tags = {"v": str(record_format.VERSION), "of": index_fingerprint(names)}
        try:
            await secrets.set(name, value, _CONTENT_TYPE, tags, "write index")
        except SessionEnded:
            return False  # deleted, being recovered or being purged: it comes back with the next sweep
        return True

    async def _purge(self, secrets: VaultSecrets, names: Iterator[str]) -> int:
        purged = 0
        for name in names:
            try:
                await secrets.purge(name, "purge session")
                purged += 1
            except (SessionUnknown, SessionEnded):
                continue  # gone already, or not yet quite deleted: the next run sees
        return purged


def _marks(secret: Secret) -> Marks | None:
    """What a session's tags say; None for what another release, or somebody else, wrote."""
    try:
        return record_format.from_tags(secret.tags)
    except (ValueError, RecordTooNew):
        return None


def _names(index: Secret) -> list[str]:
    """What an index holds; nothing where somebody spoilt it."""
    try:
        names = json.loads(index.value)
    except ValueError:
        return []
    return [n for n in names if isinstance(n, str) and n.startswith(_SESSION)] if isinstance(names, list) else []

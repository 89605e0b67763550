"""Owns sessions in Key Vault: one secret a session, two small indexes without tokens, deletion and purge.

Key Vault has no compare-and-swap, no query and no transaction. So an index may lose an entry when two sign-ins
meet; `repair_indexes` makes it good from the sessions' tags.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from azure.core.async_paging import AsyncItemPaged
from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest
from azure.keyvault.secrets import SecretProperties
from azure.keyvault.secrets.aio import SecretClient

from shared import log
from shared.adapters import record_format
from shared.adapters.vault_client import sdk_errors
from shared.errors import (
    BadRequest,
    BundleError,
    RecordTooNew,
    SessionEnded,
    SessionUnknown,
    StoreUnavailable,
)
from shared.model import Entry, Marks, PassNote, Record, SessionRef, Stored, digest

_LISTED = "last-listing"
_SESSION, _ACCOUNT, _SID = "s-", "a-", "f-"
_CONTENT_TYPE = "application/vnd.onenote-auth+json"
_INDEX_MOST = 300
"""Names in one index: 20 kB of the 25 that a secret's value may have."""

_EMPTY_FOR = timedelta(days=3)
_PURGE_AT_ONCE = 4
_PURGE_MOST = 2_000
"""In one run, so that the end of very many sessions at once does not outlast the timer's function."""


class KeyVaultStore:
    """`SessionStore` over azure-keyvault-secrets. `clients` by vault label, in the operator's order."""

    def __init__(self, clients: Mapping[str, SecretClient], throttled: Counter[str] | None = None) -> None:
        """`throttled` is counted up elsewhere, by vault label, whenever a vault answers 429."""
        self._clients = clients
        self._throttled = Counter() if throttled is None else throttled

    @property
    def vaults(self) -> Sequence[str]:
        return tuple(self._clients)

    async def create(self, ref: SessionRef, record: Record) -> Stored:
        stored = await self.replace(ref, record)
        await asyncio.gather(*(self._index(ref, name) for name in _indexes_of(record.marks)))
        return stored

    async def load(self, ref: SessionRef) -> Stored:
        async with sdk_errors("read session"):
            secret = await self._client(ref).get_secret(ref.name)
        try:
            record = record_format.from_value(secret.value or "", secret.properties.tags or {})
        except ValueError as error:
            raise StoreUnavailable("read session: the vault's answer is no record") from error
        return Stored(ref=ref, record=record, version=secret.properties.version or "")

    async def replace(self, ref: SessionRef, record: Record) -> Stored:
        async with sdk_errors("write session"):
            secret = await self._client(ref).set_secret(
                ref.name,
                record_format.to_value(record),
                content_type=_CONTENT_TYPE,
                tags=record_format.to_tags(record.marks),
            )
        return Stored(ref=ref, record=record, version=secret.properties.version or "")

    async def annotate(self, ref: SessionRef, version: str, marks: Marks) -> None:
        async with sdk_errors("mark session"):
            await self._client(ref).update_secret_properties(ref.name, version, tags=record_format.to_tags(marks))

    async def delete(self, ref: SessionRef) -> None:
        if client := self._clients.get(ref.vault):
            await self._delete(client, ref.name)

    async def by_account(self, account_hash: str) -> Sequence[SessionRef]:
        return await self._look_up(_ACCOUNT + account_hash)

    async def by_sid(self, sid_hash: str) -> Sequence[SessionRef]:
        return await self._look_up(_SID + sid_hash)

    async def entries(self, vault: str) -> AsyncIterator[Entry]:
        listing = self._clients[vault].list_properties_of_secrets()
        async for page in _pages(listing, "list sessions"):
            for properties in page:
                name = properties.name or ""
                if not name.startswith(_SESSION):
                    continue
                marks = _marks(properties)
                if marks is None:
                    log.warning("session_not_readable", vault=vault, session=name[:12])
                    continue
                # A listing names no version. The empty one means "the newest" to the SDK's update.
                yield Entry(ref=SessionRef(vault=vault, name=name), version=properties.version or "", marks=marks)

    async def account_page(self, vault: str, page: str | None) -> tuple[Sequence[str], str | None]:
        client = self._clients[vault]
        if page and not page.startswith(client.vault_url.rstrip("/") + "/secrets?"):
            raise BadRequest("invalid_request", "There is no such page.")
        pages = client.list_properties_of_secrets().by_page(continuation_token=page)
        async with sdk_errors("list accounts"):
            try:
                names = [properties.name or "" async for properties in await anext(pages)]
            except HttpResponseError as error:
                if page and error.status_code == 400:
                    raise BadRequest("invalid_request", "There is no such page.") from error
                raise
        following: str | None = getattr(pages, "continuation_token", None)
        return [name.removeprefix(_ACCOUNT) for name in names if name.startswith(_ACCOUNT)], following

    async def purge(self, vault: str, deleted_before: datetime) -> int:
        client = self._clients[vault]
        names: list[str] = []
        async for page in _pages(client.list_deleted_secrets(), "list deleted sessions"):
            for secret in page:
                name = secret.name or ""
                if name.startswith((_SESSION, _ACCOUNT, _SID)) and (
                    secret.deleted_date is None or secret.deleted_date <= deleted_before
                ):
                    names.append(name)
        queue = iter(names[:_PURGE_MOST])
        return sum(await asyncio.gather(*(self._purge(client, queue) for _ in range(_PURGE_AT_ONCE))))

    async def repair_indexes(self, vault: str, entries: Collection[Entry], listed_at: datetime) -> int:
        client = self._clients[vault]
        # A number an index while all is well; names are gathered only for those that are not.
        sums: dict[str, int] = {}
        for entry in entries:
            for index in _indexes_of(entry.marks):
                sums[index] = sums.get(index, 0) + _part(entry.ref.name)
        never = datetime.min.replace(tzinfo=UTC)
        doubtful: dict[str, tuple[str, datetime]] = {}
        foreign: set[str] = set()
        async for page in _pages(client.list_properties_of_secrets(), "list indexes"):
            for properties in page:
                name = properties.name or ""
                if name.startswith((_ACCOUNT, _SID)):
                    of, updated_at = (properties.tags or {}).get("of", ""), properties.updated_on or listed_at
                    if not (total := sums.pop(name, 0)) or of != f"{total:x}":
                        doubtful[name] = (of, updated_at)
                elif name.startswith(_SESSION) and _marks(properties) is None:
                    foreign.add(name)
        doubtful |= dict.fromkeys(sums, ("", never))
        names: dict[str, set[str]] = {name: set() for name in doubtful}
        for entry in entries:
            for index in _indexes_of(entry.marks):
                if index in names:
                    names[index].add(entry.ref.name)
        changed = 0
        for name, (of, updated_at) in doubtful.items():
            # An index written since the listing began may know sessions that the listing does not.
            if updated_at >= listed_at - timedelta(seconds=60):
                continue
            wanted = names[name]
            if foreign and of:
                # What a newer release wrote can't be read here, but signing out everywhere must still find it.
                wanted = wanted | foreign.intersection(await self._read_index(client, name))
            if of != index_fingerprint(wanted):
                changed += await self._write_index(client, name, wanted)
            elif not wanted and listed_at - updated_at > _EMPTY_FOR:
                await self._delete(client, name)
                changed += 1
        return changed

    async def last_pass(self, vault: str) -> PassNote | None:
        try:
            async with sdk_errors("read the last pass"):
                tags = (await self._clients[vault].get_secret(_LISTED)).properties.tags or {}
            return PassNote(at=datetime.fromtimestamp(int(tags["at"]), UTC), secrets=int(tags["secrets"]))
        except (SessionUnknown, KeyError, ValueError, OverflowError):
            return None

    async def note_pass(self, vault: str, note: PassNote) -> None:
        client = self._clients[vault]
        tags = {"at": str(int(note.at.timestamp())), "secrets": str(note.secrets)}
        try:
            # Tags alone: no write of the quota that sign-ins need.
            async with sdk_errors("note the pass"):
                await client.update_secret_properties(_LISTED, tags=tags)
        except SessionUnknown:
            async with sdk_errors("note the pass"):
                await client.set_secret(_LISTED, "-", content_type=_CONTENT_TYPE, tags=tags)

    def throttled(self, vault: str) -> int:
        return self._throttled[vault]

    async def is_ready(self) -> None:
        async def one(client: SecretClient) -> None:
            async with sdk_errors("list sessions"):
                await anext(client.list_properties_of_secrets().by_page(), None)

        await asyncio.gather(*map(one, self._clients.values()))

    def _client(self, ref: SessionRef) -> SecretClient:
        try:
            return self._clients[ref.vault]
        except KeyError:
            raise SessionUnknown("no such vault") from None

    async def _index(self, ref: SessionRef, name: str) -> None:
        client = self._client(ref)
        try:
            others = await self._read_index(client, name)
            await self._write_index(client, name, {*others[1 - _INDEX_MOST :], ref.name})
        except BundleError as error:
            # The sweep repairs it from the tags; the sign-in itself has succeeded.
            log.warning("index_not_written", vault=ref.vault, error=error.code, cause=str(error))

    async def _look_up(self, name: str) -> list[SessionRef]:
        async def one(vault: str, client: SecretClient) -> list[SessionRef]:
            return [SessionRef(vault=vault, name=n) for n in await self._read_index(client, name)]

        found = await asyncio.gather(*(one(vault, client) for vault, client in self._clients.items()))
        return [ref for refs in found for ref in refs]

    async def _read_index(self, client: SecretClient, name: str) -> list[str]:
        try:
            async with sdk_errors("read index"):
                secret = await client.get_secret(name)
            names = json.loads(secret.value or "[]")
        except SessionUnknown:
            return []
        except ValueError:
            return []
        return [n for n in names if isinstance(n, str) and n.startswith(_SESSION)] if isinstance(names, list) else []

    async def _write_index(self, client: SecretClient, name: str, names: Collection[str]) -> bool:
        try:
            async with sdk_errors("write index"):
                await client.set_secret(
                    name,
                    json.dumps(sorted(names)[-_INDEX_MOST:]),
                    content_type=_CONTENT_TYPE,
                    tags={"v": str(record_format.VERSION), "of": index_fingerprint(names)},
                )
        except SessionEnded:
            return False  # deleted, being recovered or being purged: it comes back with the next sweep
        return True

    async def _purge(self, client: SecretClient, names: Iterator[str]) -> int:
        purged = 0
        for name in names:
            try:
                async with sdk_errors("purge session"):
                    await client.purge_deleted_secret(name)
                purged += 1
            except (SessionUnknown, SessionEnded):
                continue  # gone already, or not yet quite deleted: the next run sees
        return purged

    async def _delete(self, client: SecretClient, name: str) -> None:
        # The SDK's delete_secret waits until the deletion shows, which takes seconds.
        async with sdk_errors("delete session"):
            answer = await client.send_request(HttpRequest("DELETE", f"/secrets/{name}"))
            gone = answer.status_code in (404, 409)
            if not gone:
                answer.raise_for_status()
            # A proxy's page says nothing about the secret: only the vault's own words count.
            said = answer.json()
            if not isinstance(said, dict) or ("error" if gone else "recoveryId") not in said:
                raise StoreUnavailable("delete session: the answer is not a vault's")


async def _pages[T](listing: AsyncItemPaged[T], doing: str) -> AsyncIterator[list[T]]:
    """A listing page by page, each within its own time limit: a vault of many pages takes longer than one call may."""
    pages = listing.by_page()
    while True:
        try:
            async with sdk_errors(doing):
                page = [item async for item in await anext(pages)]
        except StopAsyncIteration:
            return
        yield page


def _marks(properties: SecretProperties) -> Marks | None:
    """What a session's tags say; None for what another release, or somebody else, wrote."""
    try:
        return record_format.from_tags(properties.tags or {})
    except (ValueError, RecordTooNew):
        return None


def _indexes_of(marks: Marks) -> tuple[str, ...]:
    account = _ACCOUNT + marks.account_hash
    return (account, _SID + marks.sid_hash) if marks.sid_hash else (account,)


def _part(name: str) -> int:
    return int(digest(name)[:24], 16)


def index_fingerprint(names: Collection[str]) -> str:
    """The same for the same names in any order, and computed one name at a time."""
    return f"{sum(map(_part, names)):x}"

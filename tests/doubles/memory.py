"""Owns the in-memory session store and key ring: every promise of `shared.ports`, and failures on request.

They are as treacherous as the vault behind the real ones: indexes are read, then written, so sign-ins that meet
lose an entry; a purged name is free again; a listing names no version. The contract suite holds both to the same.
"""

import asyncio
import json
import re
import secrets
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.adapters import record_format
from shared.errors import BadRequest, BundleError, RecordTooNew, SessionEnded, SessionUnknown
from shared.model import Entry, Listing, Marks, PassNote, Record, RingKey, SessionRef, Stored, whole_second
from shared.ports import Clock

_PAGE = 25
_SESSION, _ACCOUNT, _SID = "s-", "a-", "f-"
_EMPTY_FOR = timedelta(days=3)
_JUST_WRITTEN = timedelta(seconds=60)


@dataclass(slots=True, kw_only=True)
class _Failure:
    error: Exception
    left: int | None
    after: bool
    vault: str | None


class Switches:
    """What a test can do to a double. An operation is the name of the port's method.

    `calls` counts the calls of each operation, `latency_s` is how long each takes.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.latency_s = 0.0
        self._failures: dict[str, list[_Failure]] = {}

    def fail_next(
        self, operation: str, error: Exception, times: int | None = 1, *, after: bool = False, vault: str | None = None
    ) -> None:
        """Let the next calls fail, until `heal` with None; `after` the work was done (the answer is lost).

        With `vault` only calls to that vault fail.
        """
        assert hasattr(self, operation), operation
        failure = _Failure(error=error, left=times, after=after, vault=vault)
        self._failures.setdefault(operation, []).append(failure)

    def heal(self) -> None:
        """Nothing fails from now on."""
        self._failures.clear()

    async def before(self, operation: str, vault: str | None = None) -> None:
        self.calls[operation] += 1
        await asyncio.sleep(self.latency_s)
        self._fail(operation, vault, after=False)

    def afterwards(self, operation: str, vault: str | None = None) -> None:
        self._fail(operation, vault, after=True)

    def _fail(self, operation: str, vault: str | None, *, after: bool) -> None:
        for failure in self._failures.get(operation, ()):
            if failure.after is not after or failure.vault not in (None, vault):
                continue
            if failure.left is not None:
                failure.left -= 1
                if failure.left == 0:
                    self._failures[operation].remove(failure)
            raise failure.error


@dataclass(slots=True)
class _Version:
    value: str
    tags: dict[str, str]


@dataclass(slots=True)
class _Secret:
    """One name in a vault: its versions, oldest first, and when it was written or deleted last."""

    versions: dict[str, _Version] = field(default_factory=dict)
    updated_at: datetime = datetime.min
    deleted_at: datetime | None = None

    @property
    def current(self) -> _Version:
        return self.versions[next(reversed(self.versions))]


class MemoryStore(Switches):
    """`SessionStore` in memory. `index` is an operation too: one write of an index, whose failure is borne quietly."""

    def __init__(self, clock: Clock, vaults: Sequence[str] = ("v1",)) -> None:
        super().__init__()
        self._clock = clock
        self._passes: dict[str, PassNote] = {}
        self._vaults: dict[str, dict[str, _Secret]] = {label: {} for label in vaults}

    # What a test looks at or puts there ---------------------------------------------------------------------

    def names(self, *, deleted: bool = False) -> list[str]:
        """Every name in every vault, sessions and indexes, that lives or that is deleted."""
        return sorted(
            name
            for vault in self._vaults.values()
            for name, secret in vault.items()
            if (secret.deleted_at is not None) is deleted
        )

    def versions(self, ref: SessionRef) -> int:
        """How often the session was written; 0 when it is not there."""
        secret = self._vaults[ref.vault].get(ref.name)
        return len(secret.versions) if secret and secret.deleted_at is None else 0

    def values(self) -> list[str]:
        """Every value that is stored, old versions and deleted ones included."""
        return [
            version.value
            for vault in self._vaults.values()
            for secret in vault.values()
            for version in secret.versions.values()
        ]

    def put_raw(self, ref: SessionRef, value: str, tags: dict[str, str]) -> None:
        """A secret as another release, or an operator's hand, would have written it."""
        self._set(ref.vault, ref.name, value, tags)

    # The port ----------------------------------------------------------------------------------------------

    @property
    def vaults(self) -> Sequence[str]:
        return tuple(self._vaults)

    async def create(self, ref: SessionRef, record: Record) -> Stored:
        await self.before("create", ref.vault)
        stored = self._write(ref, record)
        names = [_ACCOUNT + record.marks.account_hash]
        if record.marks.sid_hash:
            names.append(_SID + record.marks.sid_hash)
        await asyncio.gather(*(self.index(ref, name) for name in names))
        self.afterwards("create", ref.vault)
        return stored

    async def load(self, ref: SessionRef) -> Stored:
        await self.before("load", ref.vault)
        secret = self._living(ref.vault, ref.name)
        version = next(reversed(secret.versions))
        record = record_format.from_value(secret.current.value, secret.current.tags)
        self.afterwards("load", ref.vault)
        return Stored(ref=ref, record=record, version=version)

    async def replace(self, ref: SessionRef, record: Record) -> Stored:
        await self.before("replace", ref.vault)
        stored = self._write(ref, record)
        self.afterwards("replace", ref.vault)
        return stored

    async def annotate(self, ref: SessionRef, version: str, marks: Marks) -> None:
        await self.before("annotate", ref.vault)
        secret = self._living(ref.vault, ref.name)
        found = secret.versions.get(version) if version else secret.current
        if found is None:
            raise SessionUnknown
        found.tags = record_format.to_tags(marks)
        self.afterwards("annotate", ref.vault)

    async def delete(self, ref: SessionRef) -> None:
        await self.before("delete", ref.vault)
        self._delete(ref.vault, ref.name)
        self.afterwards("delete", ref.vault)

    async def by_account(self, account_hash: str) -> Sequence[SessionRef]:
        await self._before_each_vault("by_account")
        return self._indexed(_ACCOUNT + account_hash)

    async def by_sid(self, sid_hash: str) -> Sequence[SessionRef]:
        await self._before_each_vault("by_sid")
        return self._indexed(_SID + sid_hash)

    async def listing(self, vault: str) -> Listing:
        entries: list[Entry] = []
        last, secrets = "", 0
        while True:
            await self.before("listing", vault)
            page = self._page(vault, last)
            secrets += len(page)
            for name in page:
                if name.startswith(_SESSION) and self._ours(vault, name):
                    marks = record_format.from_tags(self._vaults[vault][name].current.tags)
                    entries.append(Entry(ref=SessionRef(vault=vault, name=name), version="", marks=marks))
            if len(page) < _PAGE:
                return Listing(entries=entries, secrets=secrets, foreign=frozenset(self._foreign(vault)))
            last = page[-1]

    async def account_page(self, vault: str, page: str | None) -> tuple[Sequence[str], str | None]:
        await self.before("account_page", vault)
        mark, colon, last = (page or "after:").partition(":")
        if mark + colon != "after:" or not re.fullmatch(r"[a-z0-9-]*", last):
            raise BadRequest("invalid_request", "There is no such page.")
        names = self._page(vault, last)
        following = f"after:{names[-1]}" if len(names) == _PAGE and self._page(vault, names[-1]) else None
        return [name.removeprefix(_ACCOUNT) for name in names if name.startswith(_ACCOUNT)], following

    async def purge(self, vault: str, deleted_before: datetime) -> int:
        await self.before("purge", vault)
        gone = [
            name
            for name, secret in self._vaults[vault].items()
            if secret.deleted_at is not None and secret.deleted_at <= deleted_before
        ]
        for name in gone:
            del self._vaults[vault][name]
        self.afterwards("purge", vault)
        return len(gone)

    async def repair_indexes(
        self, vault: str, listing: Listing, listed_at: datetime, removed: Collection[Entry] = ()
    ) -> int:
        await self.before("repair_indexes", vault)
        wanted: dict[str, set[str]] = {}
        gone = {entry.ref for entry in removed}
        for entry in listing.entries:
            if entry.ref in gone:
                continue
            wanted.setdefault(_ACCOUNT + entry.marks.account_hash, set()).add(entry.ref.name)
            if entry.marks.sid_hash:
                wanted.setdefault(_SID + entry.marks.sid_hash, set()).add(entry.ref.name)
        there = {name for name in self._page(vault, "", None) if name.startswith((_ACCOUNT, _SID))}
        foreign = self._foreign(vault)
        changed = 0
        for name in {*wanted, *there}:
            secret, names = self._vaults[vault].get(name), wanted.get(name, set())
            names = names | foreign.intersection(self._read_index(vault, name))
            if secret and secret.updated_at >= listed_at - _JUST_WRITTEN:
                continue
            if name in there and set(self._read_index(vault, name)) == names:
                if not names and secret and listed_at - secret.updated_at > _EMPTY_FOR:
                    self._delete(vault, name)
                    changed += 1
                continue
            try:
                self._set(vault, name, json.dumps(sorted(names)), {})
            except SessionEnded:
                continue
            changed += 1
        self.afterwards("repair_indexes", vault)
        return changed

    async def last_pass(self, vault: str) -> PassNote | None:
        await self.before("last_pass", vault)
        return self._passes.get(vault)

    async def note_pass(self, vault: str, note: PassNote) -> None:
        await self.before("note_pass", vault)
        self._passes[vault] = PassNote(at=whole_second(note.at), secrets=note.secrets)
        self.afterwards("note_pass", vault)

    def throttled(self, vault: str) -> int:
        return 0  # has no quota

    # Its inside --------------------------------------------------------------------------------------------

    async def index(self, ref: SessionRef, name: str) -> None:
        """Add a session to an index, losing what another sign-in adds at the same moment."""
        names = {*self._read_index(ref.vault, name), ref.name}
        try:
            await self.before("index", ref.vault)
            self._set(ref.vault, name, json.dumps(sorted(names)), {})
        except BundleError:
            return  # the sign-in itself has succeeded

    async def _before_each_vault(self, operation: str) -> None:
        await asyncio.gather(*(self.before(operation, vault) for vault in self._vaults))

    def _ours(self, vault: str, name: str) -> bool:
        try:
            record_format.from_tags(self._vaults[vault][name].current.tags)
        except (ValueError, RecordTooNew):
            return False
        return True

    def _foreign(self, vault: str) -> set[str]:
        """Sessions that another release wrote."""
        return {n for n in self._page(vault, "", None) if n.startswith(_SESSION) and not self._ours(vault, n)}

    def _write(self, ref: SessionRef, record: Record) -> Stored:
        tags = record_format.to_tags(record.marks)
        version = self._set(ref.vault, ref.name, record_format.to_value(record), tags)
        return Stored(ref=ref, record=record, version=version)

    def _set(self, vault: str, name: str, value: str, tags: dict[str, str]) -> str:
        try:
            secret = self._vaults[vault].setdefault(name, _Secret())
        except KeyError:
            raise SessionUnknown from None
        if secret.deleted_at is not None:
            raise SessionEnded
        version = secrets.token_hex(16)
        secret.versions[version] = _Version(value, tags)
        secret.updated_at = self._clock.now()
        return version

    def _living(self, vault: str, name: str) -> _Secret:
        secret = self._vaults.get(vault, {}).get(name)
        if secret is None or secret.deleted_at is not None:
            raise SessionUnknown
        return secret

    def _delete(self, vault: str, name: str) -> None:
        secret = self._vaults.get(vault, {}).get(name)
        if secret and secret.deleted_at is None:
            secret.deleted_at = self._clock.now()

    def _page(self, vault: str, last: str, size: int | None = _PAGE) -> list[str]:
        """Living names after `last`, in their order."""
        living = (n for n, secret in self._vaults[vault].items() if secret.deleted_at is None and n > last)
        return sorted(living)[:size]

    def _read_index(self, vault: str, name: str) -> list[str]:
        try:
            names: list[str] = json.loads(self._living(vault, name).current.value)
        except SessionUnknown:
            return []
        return names

    def _indexed(self, name: str) -> list[SessionRef]:
        return [
            SessionRef(vault=vault, name=found) for vault in self._vaults for found in self._read_index(vault, name)
        ]


class MemoryKeyRing(Switches):
    """`KeyRing` in memory. Rings that are given the same list of keys are instances over one vault."""

    def __init__(self, clock: Clock, keys: list[RingKey] | None = None) -> None:
        super().__init__()
        self.keys: list[RingKey] = [] if keys is None else keys
        self._clock = clock

    async def newest(self) -> RingKey:
        await self.before("newest")
        key = self.keys[-1] if self.keys else self._make()
        self.afterwards("newest")
        return key

    async def by_id(self, key_id: str) -> RingKey | None:
        await self.before("by_id")
        return next((key for key in self.keys if key.id == key_id), None)

    async def rotate(self, *, older_than: datetime) -> bool:
        await self.before("rotate")
        if (self.keys[-1] if self.keys else self._make()).created_at > older_than:
            return False
        self._make()
        self.afterwards("rotate")
        return True

    def _make(self) -> RingKey:
        key = RingKey(id=secrets.token_hex(16), secret=secrets.token_bytes(32), created_at=self._clock.now())
        self.keys.append(key)
        return key

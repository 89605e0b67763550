"""Owns vaults full of idle sessions, in the bundle's own format, put there without a call.

Three secrets a session, as sign-ins leave them: the session, the index of its account, the index of its `sid`.
"""

import json
import secrets
import time
from datetime import UTC, datetime, timedelta

from local.bench.provider import TENANT
from local.vault.secret_store import SecretStore, Version
from shared import schedule
from shared.adapters import record_format
from shared.adapters.vault_indexes import index_fingerprint
from shared.model import Account, AccountKind, Grant, Health, Marks, Record, digest
from shared.schedule import Policy

POLICY = Policy(idle=timedelta(days=30), longest=timedelta(days=180), keep_alive=timedelta(hours=24))
"""The settings' defaults, which every measurement runs with."""

_SEEN_AGO = timedelta(hours=12)
_MADE_AGO = timedelta(days=10)


def fill(store: SecretStore, *, sessions: int, due: int, tenants: int = 1) -> list[str]:
    """Put `sessions` idle sessions of as many people in `tenants` tenants there; the names of the `due` ones.

    What is not due shares one value: nobody reads it before it is due, and memory is not what a vault is for.
    """
    now = datetime.now(UTC)
    shared_value = record_format.to_value(_record(0, TENANT, "s-" + digest("0"), now, is_due=False))
    names: list[str] = []
    entries: dict[str, tuple[str, dict[str, str]]] = {}
    for number in range(sessions):
        name = "s-" + digest(f"{number}.{secrets.token_hex(8)}")
        record = _record(number, tenant(number % tenants), name, now, is_due=number < due)
        value = record_format.to_value(record) if number < due else shared_value
        entries[name] = (value, record_format.to_tags(record.marks))
        index = (json.dumps([name]), {"v": str(record_format.VERSION), "of": index_fingerprint([name])})
        entries["a-" + record.marks.account_hash] = index
        entries[f"f-{record.marks.sid_hash}"] = index
        if number < due:
            names.append(name)
    made = int(time.time()) - 7_200
    # In order: a vault keeps its names sorted, and putting one in the middle moves all behind it.
    for name in sorted(entries):
        value, tags = entries[name]
        store.set(name, lambda version, _, value=value, tags=tags: _version(version, value, tags, made))  # type: ignore[misc]
    return names


def tenant(number: int) -> str:
    """The `number`-th made-up tenant id."""
    return TENANT if number == 0 else f"{number:08x}{TENANT[8:]}"


def _record(number: int, tenant_id: str, name: str, now: datetime, *, is_due: bool) -> Record:
    user = f"user-{number}"
    seen_at = now - _SEEN_AGO
    grant = Grant(
        access_token=f"{number:012d}" + "a" * 1_888,
        refresh_token=f"{number:012d}" + "r" * 1_088,
        expires_at=now - timedelta(hours=11),
        refresh_at=None,
        scopes=("Notes.Read",),
    )
    due_at = schedule.due_at(grant, seen_at=seen_at, now=now, name=name, policy=POLICY)
    return Record(
        account=Account(
            home_account_id=f"{user}.{tenant_id}",
            tenant_id=tenant_id,
            kind=AccountKind.WORK,
            username=f"{user}@contoso.example",
            name=f"User {user}",
            sid=digest(user)[:32],
            login_hint=f"{user}@contoso.example",
        ),
        grant=grant,
        requested=("Notes.Read",),
        refreshed_at=now - _SEEN_AGO,
        marks=Marks(
            health=Health.OK,
            reason=None,
            failures=0,
            due_at=now - timedelta(seconds=60 + number % 600) if is_due else due_at,
            seen_at=seen_at,
            created_at=now - _MADE_AGO,
            sid_hash=digest(digest(user)[:32]),
            account_hash=digest(f"{user}.{tenant_id}"),
        ),
    )


def _version(version_id: str, value: str, tags: dict[str, str], at: int) -> Version:
    return Version(
        id=version_id,
        value=value,
        content_type="application/vnd.onenote-auth+json",
        tags=tags,
        enabled=True,
        exp=None,
        nbf=None,
        created=at,
        updated=at,
    )

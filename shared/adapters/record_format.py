"""Owns how a record is written into a secret's value and tags: format version 1. Knows no SDK.

The value holds what is a password and who it belongs to; the tags hold what the timer decides by, so that a
listing is enough. Anyone who may list the vault can read tags: names and tokens never go there (R-16).
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from shared.errors import RecordTooNew
from shared.model import Account, AccountKind, Flow, Grant, Health, Marks, Record

VERSION = 1
_TAG_MOST = 250


def to_value(record: Record) -> str:
    account, grant = record.account, record.grant
    return json.dumps(
        {
            "v": VERSION,
            "account": {
                "home_account_id": account.home_account_id,
                "tenant_id": account.tenant_id,
                "kind": account.kind,
                "username": account.username,
                "name": account.name,
                "sid": account.sid,
                "login_hint": account.login_hint,
            },
            "access_token": grant.access_token,
            "refresh_token": grant.refresh_token,
            "expires_at": grant.expires_at.isoformat(),
            "refresh_at": grant.refresh_at.isoformat() if grant.refresh_at else None,
            "scopes": grant.scopes,
            "requested": record.requested,
            "refreshed_at": record.refreshed_at.isoformat(),
        },
        separators=(",", ":"),
    )


def to_tags(marks: Marks) -> dict[str, str]:
    tags = {
        "v": str(VERSION),
        "state": marks.health.value,
        "due": str(_seconds(marks.due_at)),
        "seen": str(_seconds(marks.seen_at)),
        "made": str(_seconds(marks.created_at)),
        "fails": str(marks.failures),
        "flow": marks.flow.value,
        "account": marks.account_hash,
    }
    if marks.reason:
        tags["reason"] = marks.reason
    if marks.sid_hash:
        tags["sid"] = marks.sid_hash
    if marks.claims and len(marks.claims) <= _TAG_MOST:
        tags["claims"] = marks.claims
    if marks.prompt:
        tags["prompt"] = marks.prompt
    if marks.claim:
        tags["claim"] = marks.claim
    return tags


def from_value(value: str, tags: Mapping[str, str]) -> Record:
    """Raises RecordTooNew, and ValueError for what was never a record of ours."""
    try:
        stored: dict[str, Any] = json.loads(value)
        if stored["v"] > VERSION:
            raise RecordTooNew
        account = stored["account"]
        return Record(
            account=Account(
                home_account_id=account["home_account_id"],
                tenant_id=account["tenant_id"],
                kind=AccountKind(account["kind"]),
                username=account["username"],
                name=account["name"],
                sid=account["sid"],
                login_hint=account["login_hint"],
            ),
            grant=Grant(
                access_token=stored["access_token"],
                refresh_token=stored["refresh_token"],
                expires_at=datetime.fromisoformat(stored["expires_at"]),
                refresh_at=datetime.fromisoformat(stored["refresh_at"]) if stored["refresh_at"] else None,
                scopes=tuple(stored["scopes"]),
            ),
            requested=tuple(stored["requested"]),
            refreshed_at=datetime.fromisoformat(stored["refreshed_at"]),
            marks=from_tags(tags),
        )
    except (KeyError, TypeError) as error:
        raise ValueError("not a record") from error


def from_tags(tags: Mapping[str, str]) -> Marks:
    """Raises RecordTooNew, and ValueError for tags that were never ours."""
    try:
        if int(tags["v"]) > VERSION:
            raise RecordTooNew
        return Marks(
            health=Health(tags["state"]),
            reason=tags.get("reason"),
            failures=int(tags["fails"]),
            due_at=_time(tags["due"]),
            seen_at=_time(tags["seen"]),
            created_at=_time(tags["made"]),
            sid_hash=tags.get("sid"),
            account_hash=tags["account"],
            flow=Flow(tags["flow"]),
            claims=tags.get("claims"),
            prompt=tags.get("prompt"),
            claim=tags.get("claim"),
        )
    except (KeyError, TypeError, OverflowError, OSError) as error:
        raise ValueError("not a record's tags") from error


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _time(seconds: str | int) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)

"""Owns sample records: whole seconds in the marks, recognisable tokens, one account unless a test says more."""

from dataclasses import replace
from datetime import datetime, timedelta

from shared.model import Account, Flow, Grant, Health, Marks, Record, SessionId, SessionRef, digest, whole_second
from tests.doubles.identity import work_account


def new_ref(vault: str) -> SessionRef:
    """A session's name as the bundle makes it."""
    return SessionId.new(vault).ref


def record(at: datetime, *, account: Account | None = None, tokens: str = "1", flow: Flow = Flow.CODE) -> Record:
    """A session that signed in at `at`; its tokens end with `tokens`."""
    account = account or work_account()
    moment = whole_second(at)
    return Record(
        account=account,
        grant=Grant(
            access_token=f"access-token-{tokens}",
            refresh_token=f"refresh-token-{tokens}" if flow is Flow.CODE else None,
            expires_at=at + timedelta(hours=1),
            refresh_at=at + timedelta(minutes=30),
            scopes=("Notes.Read",),
        ),
        requested=("Notes.Read",),
        refreshed_at=at,
        marks=Marks(
            health=Health.OK,
            reason=None,
            failures=0,
            due_at=moment + timedelta(minutes=50),
            seen_at=moment,
            created_at=moment,
            sid_hash=digest(account.sid) if account.sid else None,
            account_hash=digest(account.home_account_id),
            flow=flow,
        ),
    )


def failing(marks: Marks) -> Marks:
    """The same marks after two failed renewals."""
    return replace(
        marks, health=Health.RETRYING, reason="provider_busy", failures=2, due_at=marks.due_at + timedelta(minutes=4)
    )

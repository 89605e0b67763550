"""The values that the bundle works with: what they hide, and what they mean (R-02, R-03, R-16)."""

import dataclasses
from datetime import UTC, datetime

import pytest

from shared import model
from shared.model import (
    PERSONAL_TENANT,
    AccountKind,
    Attempt,
    Grant,
    NotesAnswer,
    NotesCall,
    RingKey,
    SessionId,
    TokenAnswer,
)
from tests.doubles.identity import WORK_TENANT, personal_account, work_account

NOW = datetime(2026, 3, 2, tzinfo=UTC)
SECRET = "hush-hush-this-is-a-password"


@pytest.mark.parametrize(
    "value",
    [
        Grant(access_token=SECRET, refresh_token=SECRET, expires_at=NOW, refresh_at=None, scopes=()),
        SessionId(vault="a", value=SECRET),
        RingKey(id="k", secret=SECRET.encode(), created_at=NOW),
        Attempt(
            state=SECRET,
            nonce=SECRET,
            code_verifier=SECRET,
            authority="common",
            kind=None,
            scopes=(),
            return_to="https://app.example/",
            started_at=NOW,
            login_hint=SECRET,
        ),
        TokenAnswer(id_token=SECRET, access_token=SECRET, expires_in="1", scope=None),
        NotesCall(method="POST", target="v1.0/me/onenote/pages", body=SECRET.encode()),
        NotesAnswer(status=200, headers={}, body=SECRET.encode()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_passwords_and_bodies_never_show_in_a_repr(value: object) -> None:
    """R-16: a repr ends in a traceback, and a traceback in the platform's log."""
    assert SECRET not in repr(value)


def test_every_value_is_frozen() -> None:
    """Values are shared between tasks."""
    classes = [c for c in vars(model).values() if isinstance(c, type) and dataclasses.is_dataclass(c)]
    assert len(classes) > 10
    assert all(c.__dataclass_params__.frozen for c in classes)  # type: ignore[attr-defined]


def test_a_personal_account_is_renewed_at_consumers_and_a_work_account_at_its_tenant() -> None:
    """R-02, R-03."""
    assert personal_account().authority == "consumers"
    assert work_account().authority == WORK_TENANT
    assert (personal_account().tenant_id, personal_account().kind) == (PERSONAL_TENANT, AccountKind.PERSONAL)


def test_a_session_id_is_new_each_time_and_its_name_in_the_vault_gives_no_cookie() -> None:
    """R-16: 256 random bits; a listing of the vault shows a hash."""
    ids = {SessionId.new("a").value for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(value) == 43 for value in ids)
    session = SessionId.new("a")
    assert session.value not in session.ref.name
    assert session.ref == SessionId(vault="a", value=session.value).ref
    assert len(session.ref.name) <= 127

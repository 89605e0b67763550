"""The record's form in a secret: what goes in comes out, what is not ours is told, nothing secret in a tag (R-10)."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters import record_format
from shared.errors import RecordTooNew
from shared.model import Account, AccountKind, Flow, Grant, Health, Marks, Record
from tests.doubles.clock import START
from tests.doubles.records import record

text = st.text(max_size=40)
seconds = st.integers(0, 2**33).map(lambda s: datetime.fromtimestamp(s, UTC))
moments = st.builds(lambda at, micro: at + timedelta(microseconds=micro), seconds, st.integers(0, 999_999))
accounts = st.builds(
    Account,
    home_account_id=text,
    tenant_id=text,
    kind=st.sampled_from(AccountKind),
    username=text,
    name=text,
    sid=st.none() | text,
    login_hint=st.none() | text,
)
grants = st.builds(
    Grant,
    access_token=text,
    refresh_token=st.none() | text,
    expires_at=moments,
    refresh_at=st.none() | moments,
    scopes=st.lists(text, max_size=5).map(tuple),
)
marks = st.builds(
    Marks,
    health=st.sampled_from(Health),
    reason=st.none() | st.text(min_size=1, max_size=40),
    failures=st.integers(0, 10**6),
    due_at=seconds,
    seen_at=seconds,
    created_at=seconds,
    sid_hash=st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
    account_hash=st.text("0123456789abcdef", min_size=64, max_size=64),
    flow=st.sampled_from(Flow),
    claims=st.none() | st.text(min_size=1, max_size=250),
)
records = st.builds(
    Record,
    account=accounts,
    grant=grants,
    requested=st.lists(text, max_size=5).map(tuple),
    refreshed_at=moments,
    marks=marks,
)


@given(records)
def test_a_record_comes_out_as_it_went_in(some: Record) -> None:
    value, tags = record_format.to_value(some), record_format.to_tags(some.marks)
    assert record_format.from_value(value, tags) == some
    assert record_format.from_tags(tags) == some.marks


@given(records)
def test_tags_stay_within_the_vaults_limits_and_hold_neither_token_nor_name(some: Record) -> None:
    """R-16: "About Azure Key Vault secrets": 15 tags of 256 characters; anyone who may list can read them."""
    tags = record_format.to_tags(some.marks)
    assert len(tags) <= 15
    assert all(len(part) <= 256 for pair in tags.items() for part in pair)
    allowed = {"v", "state", "due", "seen", "made", "fails", "flow", "account", "reason", "sid", "claims"}
    assert set(tags) <= allowed


def test_claims_that_no_tag_can_hold_are_left_out() -> None:
    some = replace(record(START).marks, claims="x" * 251)
    assert record_format.from_tags(record_format.to_tags(some)) == replace(some, claims=None)


def test_the_largest_tokens_fit_into_a_secret() -> None:
    """25 kB is the vault's limit; the longest tokens seen are below 8 kB."""
    large = replace(record(START).grant, access_token="a" * 8_000, refresh_token="r" * 8_000)
    some = replace(record(START), grant=large)
    assert len(record_format.to_value(some).encode()) < 25_000


@pytest.mark.parametrize("version", [2, 99])
def test_a_newer_releases_record_is_told_apart(version: int) -> None:
    value, tags = record_format.to_value(record(START)), record_format.to_tags(record(START).marks)
    newer = json.dumps(json.loads(value) | {"v": version})
    with pytest.raises(RecordTooNew):
        record_format.from_value(newer, tags)
    with pytest.raises(RecordTooNew):
        record_format.from_tags(tags | {"v": str(version)})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted(json.loads(record_format.to_value(record(START))))
TAGS = sorted(record_format.to_tags(record(START).marks))


@given(st.dictionaries(st.sampled_from(FIELDS), json_values, min_size=1), json_values)
def test_a_value_that_is_not_ours_is_told_and_no_crash(fields: dict[str, Any], other: object) -> None:
    tags = record_format.to_tags(record(START).marks)
    ours = json.loads(record_format.to_value(record(START)))
    for value in (json.dumps(ours | fields), json.dumps(other), "", "{", "\x00"):
        try:
            record_format.from_value(value, tags)
        except (ValueError, RecordTooNew):
            continue


@given(st.dictionaries(st.sampled_from(TAGS), st.text(max_size=20) | st.integers().map(str), min_size=1))
def test_tags_that_are_not_ours_are_told_and_no_crash(tags: dict[str, str]) -> None:
    for some in (tags, record_format.to_tags(record(START).marks) | tags):
        try:
            record_format.from_tags(some)
        except (ValueError, RecordTooNew):
            continue


@pytest.mark.parametrize("missing", ["v", "state", "due", "seen", "made", "fails", "flow", "account"])
def test_a_missing_tag_is_told(missing: str) -> None:
    tags = record_format.to_tags(record(START).marks)
    del tags[missing]
    with pytest.raises(ValueError, match="tags"):
        record_format.from_tags(tags)

"""The checks of an id token's claims, as a table (OpenID Connect Core §3.1.3.7; R-04), and who they speak of."""

import base64
import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters import id_token
from shared.client_info import read_client_info
from shared.model import PERSONAL_TENANT, AccountKind
from shared.ports import InvalidIdToken

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
TENANT = "3f0c6f5e-8c1d-4b6a-9a52-1f6f5d0a7c11"
TEMPLATE = "https://login.example/{tenantid}/v2.0"
CLAIMS: dict[str, object] = {
    "iss": f"https://login.example/{TENANT}/v2.0",
    "aud": "the-app",
    "tid": TENANT,
    "oid": "the-oid",
    "sub": "the-sub",
    "nonce": "the-nonce",
    "nbf": AT,
    "exp": AT + 3600,
}
MINUTES_5 = 300


def check(claims: object, *, issuer: str = TEMPLATE, tenant: str | None = None) -> None:
    assert isinstance(claims, dict)
    id_token.check(claims, issuer=issuer, client_id="the-app", nonce="the-nonce", tenant=tenant, now=NOW)


def changed(**more: object) -> dict[str, object]:
    return {name: value for name, value in (CLAIMS | more).items() if value is not None}


@pytest.mark.parametrize(
    "claims",
    [
        CLAIMS,
        changed(aud=["another", "the-app"]),
        changed(nbf=None),
        changed(nbf=AT + MINUTES_5),
        changed(exp=AT - MINUTES_5),
        changed(exp=AT + 0.5),
        changed(tid=PERSONAL_TENANT, iss=f"https://login.example/{PERSONAL_TENANT}/v2.0"),
    ],
)
def test_a_right_token_passes(claims: dict[str, object]) -> None:
    check(claims)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        (changed(tid=None), "tid"),
        (changed(tid=""), "tid"),
        (changed(tid=7), "tid"),
        (changed(tid=[TENANT]), "tid"),
        (changed(iss=None), "iss"),
        (changed(iss="https://login.example/another/v2.0"), "iss"),
        (changed(iss=TEMPLATE), "iss"),
        (changed(iss=[f"https://login.example/{TENANT}/v2.0"]), "iss"),
        (changed(tid="another"), "iss"),
        (changed(aud=None), "aud"),
        (changed(aud="THE-APP"), "aud"),
        (changed(aud="the-app-2"), "aud"),
        (changed(aud=[]), "aud"),
        (changed(aud={"the-app": 1}), "aud"),
        (changed(nonce=None), "nonce"),
        (changed(nonce=""), "nonce"),
        (changed(nonce=7), "nonce"),
        (changed(exp=None), "exp"),
        (changed(exp=str(AT + 3600)), "exp"),
        (changed(exp=AT - MINUTES_5 - 1), "exp"),
        (changed(exp=float("nan")), "exp"),
        (changed(nbf=AT + MINUTES_5 + 1), "nbf"),
        (changed(nbf="now"), "nbf"),
        (changed(nbf=float("nan")), "nbf"),
        ({}, "tid"),
    ],
)
def test_a_wrong_token_is_refused_by_the_name_of_the_check(claims: dict[str, object], expected: str) -> None:
    with pytest.raises(InvalidIdToken, match=f"^{expected}$"):
        check(claims)


def test_a_tenant_that_must_have_signed_in_is_insisted_on() -> None:
    check(CLAIMS, tenant=TENANT)
    with pytest.raises(InvalidIdToken, match=r"^tid$"):
        check(CLAIMS, tenant=PERSONAL_TENANT)


def test_an_authority_of_one_tenant_takes_that_issuer_only() -> None:
    check(CLAIMS, issuer=f"https://login.example/{TENANT}/v2.0")
    with pytest.raises(InvalidIdToken, match=r"^iss$"):
        check(CLAIMS, issuer="https://login.example/another/v2.0")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(st.dictionaries(st.sampled_from(sorted(CLAIMS)), json_values))
def test_whatever_comes_is_a_verdict_and_no_crash(claims: dict[str, Any]) -> None:
    """And whoever passes has every claim right."""
    with suppress(InvalidIdToken):
        check(CLAIMS | claims)
        assert (CLAIMS | claims)["nonce"] == "the-nonce"
    id_token.account(CLAIMS | {"name": claims.get("sub")}, claims.get("iss"))


# Who it is -----------------------------------------------------------------------------------------------------


def test_an_account_is_named_by_client_info_or_by_its_object() -> None:
    info = base64.urlsafe_b64encode(json.dumps({"uid": "u-1", "utid": "t-1"}).encode()).decode().rstrip("=")
    assert id_token.account(CLAIMS, info).home_account_id == "u-1.t-1"
    assert id_token.account(CLAIMS, None).home_account_id == f"the-oid.{TENANT}"
    assert id_token.account(changed(oid=None), None).home_account_id == f"the-sub.{TENANT}"
    with pytest.raises(InvalidIdToken, match=r"^oid$"):
        id_token.account(changed(oid=None, sub=" "), None)


def test_an_account_is_personal_by_its_tenant_alone() -> None:
    assert id_token.account(changed(tid=PERSONAL_TENANT), None).kind is AccountKind.PERSONAL
    assert id_token.account(changed(tid=PERSONAL_TENANT), None).authority == "consumers"
    assert id_token.account(CLAIMS, None).kind is AccountKind.WORK
    assert id_token.account(CLAIMS, None).authority == TENANT


@pytest.mark.parametrize(
    ("claims", "username", "name"),
    [
        ({"preferred_username": "p@x.example", "email": "e@x.example", "name": "P"}, "p@x.example", "P"),
        ({"email": "e@x.example", "upn": "u@x.example"}, "e@x.example", "e@x.example"),
        ({"upn": "u@x.example", "name": "  "}, "u@x.example", "u@x.example"),
        ({"preferred_username": ["x"], "name": 7}, "", ""),
        ({"preferred_username": "x" * 1000}, "x" * 320, "x" * 320),
    ],
)
def test_names_are_taken_as_they_come_and_never_without_bound(
    claims: dict[str, object], username: str, name: str
) -> None:
    account = id_token.account(CLAIMS | claims, None)
    assert (account.username, account.name) == (username, name)


def test_the_providers_own_hint_goes_before_the_username() -> None:
    claims = CLAIMS | {"preferred_username": "p@x.example", "sid": "the-sid"}
    assert id_token.account(claims, None).login_hint == "p@x.example"
    assert id_token.account(claims | {"login_hint": "O.hint"}, None).login_hint == "O.hint"
    assert id_token.account(claims, None).sid == "the-sid"
    assert id_token.account(CLAIMS, None).sid is None
    assert id_token.account(CLAIMS, None).login_hint is None


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()) | json_values)
def test_client_info_is_read_or_passed_over(value: object) -> None:
    found = read_client_info(value)
    assert found is None or (len(found) == 2 and "".join(found).replace("-", "").isalnum())


# The access token beside it ------------------------------------------------------------------------------------


def test_an_access_token_belongs_to_the_id_token_by_its_hash() -> None:
    """OpenID Connect Core §3.1.3.6: the left half of SHA-256, base64url."""
    half = base64.urlsafe_b64encode(hashlib.sha256(b"the token").digest()[:16]).decode().rstrip("=")
    id_token.check_at_hash({"at_hash": half}, "the token")
    for claims in ({}, {"at_hash": None}, {"at_hash": 7}, {"at_hash": half + "="}, {"at_hash": half[:-1]}):
        with pytest.raises(InvalidIdToken, match=r"^at_hash$"):
            id_token.check_at_hash(claims, "the token")
    with pytest.raises(InvalidIdToken, match=r"^at_hash$"):
        id_token.check_at_hash({"at_hash": half}, "another token")

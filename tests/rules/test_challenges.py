"""Claims challenges: read from OneNote's header, carried by a sign-in link (R-10, R-13)."""

import base64
import json

import pytest

from shared.challenges import claims_of, from_link, to_link, wants_claims

CLAIMS = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_claims_are_read_in_either_alphabet(encode: object) -> None:
    text = encode(CLAIMS.encode()).decode()  # type: ignore[operator]
    for given in (text, text.rstrip("=")):
        header = f'Bearer realm="", error="insufficient_claims", claims="{given}"'
        assert wants_claims(header)
        assert claims_of(header) == CLAIMS


@pytest.mark.parametrize("claims", ["", "é", "bm8", base64.b64encode(b"[1]").decode(), "A" * 3000])
def test_unreadable_claims_are_none(claims: str) -> None:
    assert claims_of(f'Bearer error="insufficient_claims", claims="{claims}"') is None


@pytest.mark.parametrize("written", ['claims = "{}"', 'Claims="{}"', 'claims ="{}", error="insufficient_claims"'])
def test_claims_are_read_however_the_parameter_is_written(written: str) -> None:
    """R-13; RFC 9110 §11.2."""
    given = base64.b64encode(CLAIMS.encode()).decode()
    assert claims_of(f'Bearer realm="", error="insufficient_claims", {written.format(given)}') == CLAIMS


def test_a_link_carries_claims_there_and_back() -> None:
    long = json.dumps({"access_token": {"acrs": {"values": ["c" * 900]}}})
    assert from_link(to_link(CLAIMS)) == CLAIMS
    assert from_link(to_link(long)) == long


@pytest.mark.parametrize("claims", [None, "", "x" * 1100])
def test_none_and_too_many_claims_are_not_carried(claims: str | None) -> None:
    """A link and the attempt's cookie can hold so much and no more."""
    assert to_link(claims) is None


@pytest.mark.parametrize("text", [None, "", "=", "a b", "bm8", "W10", "A" * 1500, "eyJh", "W" * 1000])
def test_a_link_that_carries_something_else_carries_nothing(text: str | None) -> None:
    """Anybody can make a link."""
    assert from_link(text) is None

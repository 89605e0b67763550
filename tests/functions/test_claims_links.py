"""After a claims challenge the link to the sign-in carries the claims, and every instance asks for them (R-10, R-13)."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.model import Health
from tests.doubles.identity import refused
from tests.doubles.notes import graph_error
from tests.functions.bundle import Bundle
from tests.functions.test_handling import PAGE

CLAIMS = '{"access_token":{"acrs":{"essential":true,"value":"' + "c1" * 200 + '"}}}'
"""More than a tag of Key Vault holds (256 characters): the vault can't carry them to another instance."""


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def challenged(bundle: Bundle) -> str:
    """The reconnect_url that a challenged call is answered with."""
    text = base64.b64encode(CLAIMS.encode()).decode()
    header = f'Bearer realm="", error="insufficient_claims", claims="{text}"'
    bundle.world.notes.usual = graph_error(401, "InvalidAuthenticationToken", www_authenticate=header)
    got = await bundle.call("graph_call", path="graph/v1.0/me/onenote/notebooks")
    assert (got.status, got.json["code"], got.json["reason"]) == (401, "reauth_required", "claims_required")
    return str(got.json["reconnect_url"])


async def test_the_link_carries_the_claims_to_another_instance() -> None:
    """A browser that has no session there shows that nothing but the link is needed."""
    bundle, other = Bundle(), Bundle()
    await bundle.signed_in()
    link = await challenged(bundle)
    await other.call("auth_login", query=query_of(link))
    assert other.world.identity.authorizations[0].claims == CLAIMS


async def test_the_session_says_the_same_link() -> None:
    bundle = Bundle()
    await bundle.signed_in()
    link = query_of(await challenged(bundle))
    health = (await bundle.call("auth_session")).json["health"]
    assert health["state"] == Health.REAUTH_REQUIRED
    assert query_of(health["reconnect_url"])["claims"] == link["claims"]


async def test_try_again_asks_for_them_again() -> None:
    """R-14: the error page after a sign-in that failed."""
    bundle = Bundle()
    await bundle.signed_in()
    await bundle.call("auth_login", query=query_of(await challenged(bundle)))
    state = bundle.world.identity.authorizations[0].state
    failed = await bundle.call("auth_callback", "POST", form={"error": "server_error", "state": state}, headers=PAGE)
    page = await bundle.call("auth_error", query=query_of(failed.location))
    assert f"claims={query_of(failed.location)['claims']}".encode() in page.body


async def test_try_again_asks_for_what_the_code_was_refused_for(bundle: Bundle) -> None:
    """R-14: the provider wants a further proof only when the code is redeemed; without it "Try again" goes in circles."""
    await bundle.call("auth_login")
    attempt = bundle.world.identity.authorizations[0]
    bundle.world.identity.next_redemptions = [refused("interaction_required", 50076, claims=CLAIMS)]
    form = {"code": "a-code", "state": attempt.state}
    failed = await bundle.call("auth_callback", "POST", form=form, headers=PAGE)
    page = await bundle.call("auth_error", query=query_of(failed.location))
    assert f"claims={query_of(failed.location)['claims']}".encode() in page.body
    await bundle.call("auth_login", claims=query_of(failed.location)["claims"])
    assert bundle.world.identity.authorizations[1].claims == CLAIMS


@pytest.mark.parametrize("claims", ["x", "W10", "eyJh", "<script>", "a" * 2000])
async def test_a_link_with_anything_else_is_refused_and_the_error_page_does_without(claims: str) -> None:
    bundle = Bundle()
    got = await bundle.call("auth_login", claims=claims)
    assert (got.status, got.json["code"]) == (400, "invalid_request")
    page = await bundle.call("auth_error", code="access_denied", claims=claims)
    assert page.status == 200
    assert b"claims=" not in page.body

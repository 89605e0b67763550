"""Tokens that come through the browser: nothing is believed that the provider's keys don't vouch for (R-05)."""

import base64
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from aiohttp import ClientSession, web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from local.faults import Fault
from local.identity_provider import CONTOSO_TENANT, FABRIKAM_TENANT, USERS, User
from local.listen import Listener
from local.tls import LocalAuthority
from shared.adapters.metadata import Endpoints
from shared.adapters.signing_keys import SigningKeys
from shared.errors import ProviderUnavailable
from shared.model import AccountKind, Attempt, Flow, TokenAnswer
from shared.ports import InvalidIdToken
from tests.adapters.provider_world import CLIENT_ID, ProviderWorld, new_attempt, provider_world, unsigned
from tests.doubles.clock import ManualClock

ADA = next(user for user in USERS if user.personal)
CAROL = next(user for user in USERS if user.tenant_id == CONTOSO_TENANT)
FORGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
async def world(authority: LocalAuthority) -> AsyncIterator[ProviderWorld]:
    async with provider_world(authority) as world:
        yield world


async def brought(world: ProviderWorld, user: User = CAROL, segment: str = "common") -> tuple[TokenAnswer, Attempt]:
    """An honest answer through the browser, and the attempt that it answers."""
    attempt = new_attempt(flow=Flow.TOKEN, authority=segment)
    sent = await world.callback(attempt, user.username)
    answer = TokenAnswer(
        id_token=sent["id_token"],
        access_token=sent["access_token"],
        expires_in=sent["expires_in"],
        scope=sent.get("scope"),
    )
    return answer, attempt


def key_calls(world: ProviderWorld) -> int:
    return sum("/discovery/" in call.path for call in world.provider.faults.calls)


@pytest.mark.parametrize(("user", "segment"), [(ADA, "consumers"), (CAROL, "common")])
async def test_honest_tokens_become_an_account_and_a_grant_that_ends(
    world: ProviderWorld, user: User, segment: str
) -> None:
    answer, attempt = await brought(world, user, segment)
    signed_in = await world.identity.accept(answer, attempt)
    assert signed_in.account.home_account_id == f"{user.oid}.{user.tenant_id}"
    assert signed_in.account.kind is (AccountKind.PERSONAL if user.personal else AccountKind.WORK)
    assert signed_in.grant.refresh_token is None
    assert signed_in.grant.access_token == answer.access_token
    assert signed_in.grant.scopes == ("Notes.Read",)
    assert abs(signed_in.grant.expires_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=30)


async def test_another_access_token_does_not_fit_the_id_token(world: ProviderWorld) -> None:
    """OpenID Connect Core §3.2.2.9: a token of another person can't be slipped in."""
    answer, attempt = await brought(world)
    with pytest.raises(InvalidIdToken, match=r"^at_hash$"):
        await world.identity.accept(replace(answer, access_token="another"), attempt)


async def test_tokens_of_another_attempt_are_refused(world: ProviderWorld) -> None:
    answer, _ = await brought(world)
    with pytest.raises(InvalidIdToken, match=r"^nonce$"):
        await world.identity.accept(answer, new_attempt(flow=Flow.TOKEN))


async def test_a_work_account_is_not_taken_where_a_personal_one_was_asked_for(world: ProviderWorld) -> None:
    answer, attempt = await brought(world)
    with pytest.raises(InvalidIdToken):
        await world.identity.accept(answer, replace(attempt, authority="consumers"))


@pytest.mark.parametrize("expires_in", ["", "soon", "-1", "9" * 400, "1e9"])
async def test_a_lifetime_that_can_not_be_read_is_the_usual_one(world: ProviderWorld, expires_in: str) -> None:
    answer, attempt = await brought(world)
    grant = (await world.identity.accept(replace(answer, expires_in=expires_in), attempt)).grant
    assert abs(grant.expires_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=30)


async def test_new_signing_keys_are_fetched_once_and_unknown_ones_seldom(world: ProviderWorld) -> None:
    """OpenID Connect Core §10.1.1: a rotation is followed; forged key ids don't become calls without end."""
    for _ in range(3):
        answer, attempt = await brought(world)
        await world.identity.accept(answer, attempt)
    assert key_calls(world) == 1
    forged = jwt.encode(world.claims(attempt), FORGER, algorithm="RS256", headers={"kid": "unheard of"})
    for _ in range(20):
        with pytest.raises(InvalidIdToken, match=r"^kid$"):
            await world.identity.accept(replace(answer, id_token=forged), attempt)
    assert key_calls(world) == 1


async def test_keys_that_can_not_be_fetched_are_an_outage(world: ProviderWorld) -> None:
    answer, attempt = await brought(world)
    for fault in (
        Fault(path="/discovery/", action="status", status=500, times=1),
        Fault(path="/discovery/", action="status", status=200, body='{"keys":7}', times=1),
        Fault(path="/discovery/", action="garbage", times=1),
        Fault(path="/discovery/", action="wrong_type", times=1),
        Fault(path="/discovery/", action="truncate", times=1),
        Fault(path="/discovery/", action="reset_before", times=2),
        Fault(path="/discovery/", action="hang", times=1),
    ):
        world.provider.faults.clear()
        world.provider.faults.add(fault)
        with pytest.raises(ProviderUnavailable):
            await world.identity.accept(answer, attempt)
    world.provider.faults.clear()
    await world.identity.accept(answer, attempt)


# Signatures, one by one ----------------------------------------------------------------------------------------


def jwk(key: rsa.RSAPrivateKey, **more: object) -> dict[str, object]:
    numbers = key.public_key().public_numbers()

    def number(value: int) -> str:
        return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8)).rstrip(b"=").decode()

    return {"kty": "RSA", "use": "sig", "kid": "one", "n": number(numbers.n), "e": number(numbers.e), **more}


ISSUER = f"https://login.example/{CONTOSO_TENANT}/v2.0"
SIGNER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CLAIMS = {"iss": ISSUER, "tid": CONTOSO_TENANT, "aud": CLIENT_ID}
PUBLIC_PEM = SIGNER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass
class Page:
    """The provider's page of keys, as a test sets it."""

    keys: list[object]
    url: str = ""
    fetched: int = 0

    async def show(self, _request: web.Request) -> web.Response:
        self.fetched += 1
        return web.json_response({"keys": self.keys})

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints(
            issuer="https://login.example/{tenantid}/v2.0",
            authorization="https://login.example/a",
            token="https://login.example/t",
            end_session=None,
            jwks=self.url,
        )


@pytest.fixture
async def page(listener: Listener) -> Page:
    page = Page([jwk(SIGNER)], listener.url())
    app = web.Application()
    app.router.add_get("/", page.show)
    await listener.serve(app)
    return page


@pytest.fixture
def keys(http: ClientSession, clock: ManualClock) -> SigningKeys:
    return SigningKeys(http, clock)


def signed(key: rsa.RSAPrivateKey = SIGNER, kid: object = "one", **more: object) -> str:
    return jwt.encode(CLAIMS | more, key, algorithm="RS256", headers={"kid": kid})


async def test_a_signature_by_a_published_key_is_taken(page: Page, keys: SigningKeys) -> None:
    assert (await keys.verified(signed(), page.endpoints))["tid"] == CONTOSO_TENANT


@pytest.mark.parametrize(
    ("token", "check"),
    [
        (signed(FORGER), "signature"),
        (signed(kid="two"), "kid"),
        (signed()[:-4] + "AAAA", "signature"),
        (unsigned(CLAIMS), "kid"),
        (jwt.encode(CLAIMS, "", algorithm="none", headers={"kid": "one"}), "alg"),
        (jwt.encode(CLAIMS, hashlib.sha256(PUBLIC_PEM).hexdigest(), algorithm="HS256", headers={"kid": "one"}), "alg"),
        (jwt.encode(CLAIMS, SIGNER, algorithm="RS512", headers={"kid": "one"}), "alg"),
        ("", "form"),
        ("x", "form"),
        ("a.b.c", "form"),
        ("é.é.é", "form"),
        ("\ud800.x.y", "form"),
        (signed() + "x" * 16_000, "alg"),
    ],
    ids=range(13),
)
async def test_anything_else_is_refused(page: Page, keys: SigningKeys, token: str, check: str) -> None:
    """RFC 8725 §3.1: one algorithm, whatever the token says."""
    with pytest.raises(InvalidIdToken, match=f"^{check}$"):
        await keys.verified(token, page.endpoints)


async def test_times_are_left_to_our_own_clock(page: Page, keys: SigningKeys) -> None:
    """They are checked with the other claims, by a clock that tests and the stack can move."""
    old = int(time.time()) - 10_000
    assert await keys.verified(signed(exp=old, nbf=old + 10**6), page.endpoints)


async def test_a_key_that_names_its_issuer_signs_for_that_one_only(page: Page, keys: SigningKeys) -> None:
    page.keys = [
        jwk(SIGNER, issuer="https://login.example/{tenantid}/v2.0"),
        jwk(FORGER, kid="two", issuer=f"https://login.example/{FABRIKAM_TENANT}/v2.0"),
    ]
    assert await keys.verified(signed(), page.endpoints)
    with pytest.raises(InvalidIdToken, match=r"^key issuer$"):
        await keys.verified(signed(FORGER, "two"), page.endpoints)


@pytest.mark.parametrize(
    "key", [7, None, {}, {"kty": "RSA"}, {"kty": "RSA", "kid": ["one"]}, {"kty": "oct", "kid": "one", "k": "AAAA"}]
)
async def test_what_is_no_rsa_key_is_passed_over(page: Page, keys: SigningKeys, key: object) -> None:
    page.keys = [key]
    with pytest.raises(InvalidIdToken, match=r"^kid$"):
        await keys.verified(signed(), page.endpoints)


async def test_a_broken_key_verifies_nothing(page: Page, keys: SigningKeys) -> None:
    page.keys = [{"kty": "RSA", "kid": "one", "n": "!", "e": 7}]
    with pytest.raises(InvalidIdToken, match=r"^signature$"):
        await keys.verified(signed(), page.endpoints)


async def test_an_unknown_key_is_looked_for_again_after_minutes(
    page: Page, keys: SigningKeys, clock: ManualClock
) -> None:
    await keys.verified(signed(), page.endpoints)
    page.keys.append(jwk(FORGER, kid="two"))
    with pytest.raises(InvalidIdToken, match=r"^kid$"):
        await keys.verified(signed(FORGER, "two"), page.endpoints)
    assert page.fetched == 1
    clock.advance(timedelta(minutes=6))
    assert await keys.verified(signed(FORGER, "two"), page.endpoints)
    assert page.fetched == 2


async def test_a_provider_that_names_no_keys_can_not_be_asked(page: Page, keys: SigningKeys) -> None:
    with pytest.raises(ProviderUnavailable):
        await keys.verified(signed(), replace(page.endpoints, jwks=None))

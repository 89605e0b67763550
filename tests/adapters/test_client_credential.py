"""How the app proves itself: secret, certificate, managed identity, each also from the operator's vault (R-01)."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

import jwt
import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from local.faults import Fault
from local.listen import Listener
from local.managed_identity import ManagedIdentity
from local.tls import LocalAuthority
from shared.adapters import workload
from shared.adapters.certificate import CertificateAssertion
from shared.adapters.client_credential import ClientCredential
from shared.adapters.clock import SystemClock
from shared.adapters.http import open_session
from shared.errors import Misconfigured, StoreUnavailable, Unavailable
from shared.settings import Settings
from tests.adapters.provider_world import CLIENT_ID, settings

ADDRESS = "https://vault.example/secrets/app-credential"
IDENTITY = "the-identity-client-id"
ENDPOINT = "https://login.example/common/oauth2/v2.0/token"


@dataclass
class Vault:
    """The operator's vault: what it holds, and what was asked."""

    value: str = "from the vault"
    asked: list[str] = field(default_factory=list)
    error: Exception | None = None

    async def read(self, address: str) -> str:
        self.asked.append(address)
        if self.error:
            raise self.error
        return self.value


@dataclass
class Identity:
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def token(self, scope: str, client_id: str) -> str:
        self.asked.append((scope, client_id))
        return f"assertion {len(self.asked)}"


def with_settings(**more: str) -> Settings:
    return settings("https://login.example", "https://app.example", **{"AUTH_CLIENT_SECRET": "", **more})


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *, password: bytes | None = None) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app.example")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return (private + certificate.public_bytes(Encoding.PEM)).decode()


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def rsa_pem() -> str:
    return pem_of(rsa_key())


def assertion_of(credential: object, endpoint: str = ENDPOINT) -> str:
    assert isinstance(credential, dict)
    make: Callable[[dict[str, str]], str] = credential["client_assertion"]
    return make({"client_id": CLIENT_ID, "token_endpoint": endpoint})


async def test_a_secret_is_given_as_it_is_without_any_look_up() -> None:
    vault, identity = Vault(), Identity()
    credential = ClientCredential(with_settings(AUTH_CLIENT_SECRET="the secret"), vault.read, identity.token)
    assert await credential.get("common") == "the secret"
    assert not credential.forget("the secret")
    assert (vault.asked, identity.asked) == ([], [])


async def test_a_secret_by_address_is_read_once_and_again_when_it_was_refused() -> None:
    vault = Vault()
    credential = ClientCredential(with_settings(AUTH_CLIENT_SECRET=ADDRESS), vault.read, Identity().token)
    assert [await credential.get(a) for a in ("common", "consumers", "t")] == ["from the vault"] * 3
    assert vault.asked == [ADDRESS]
    vault.value = "rotated"
    assert credential.forget(await credential.get("common"))
    assert await credential.get("common") == "rotated"
    assert len(vault.asked) == 2


async def test_many_that_are_refused_at_once_look_for_the_rotated_secret_once() -> None:
    """R-01: a rotation during a sweep must not become a read of the vault for each of its sessions."""
    vault = Vault()
    credential = ClientCredential(with_settings(AUTH_CLIENT_SECRET=ADDRESS), vault.read, Identity().token)
    old = await credential.get("common")
    vault.value = "rotated"

    async def refused() -> object:
        assert credential.forget(old)
        return await credential.get("common")

    assert set(await asyncio.gather(*(refused() for _ in range(50)))) == {"rotated"}
    assert await refused() == "rotated"
    assert len(vault.asked) == 2


async def test_a_vault_that_can_not_be_asked_is_asked_again_next_time() -> None:
    vault = Vault(error=StoreUnavailable("busy"))
    credential = ClientCredential(with_settings(AUTH_CLIENT_SECRET=ADDRESS), vault.read, Identity().token)
    with pytest.raises(StoreUnavailable):
        await credential.get("common")
    vault.error = None
    assert await credential.get("common") == "from the vault"


@pytest.mark.parametrize("by_address", [False, True])
async def test_a_certificate_signs_an_assertion_that_the_provider_can_verify(by_address: bool) -> None:
    """RFC 7523 §2.2, "Microsoft identity platform application authentication certificate credentials"."""
    vault = Vault(value=rsa_pem())
    given = ADDRESS if by_address else rsa_pem()
    credential = ClientCredential(with_settings(AUTH_CLIENT_CERTIFICATE=given), vault.read, Identity().token)
    assertion = assertion_of(await credential.get("common"))
    header = jwt.get_unverified_header(assertion)
    certificate = x509.load_pem_x509_certificate(rsa_pem().encode())
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).decode().rstrip("=")
    assert header == {"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}
    claims = jwt.decode(assertion, certificate.public_key(), algorithms=["PS256"], audience=ENDPOINT)  # type: ignore[arg-type]
    assert claims["iss"] == claims["sub"] == CLIENT_ID
    assert claims["jti"]
    assert 0 < claims["exp"] - claims["iat"] <= 600
    assert claims["nbf"] <= claims["iat"]


def test_an_assertion_is_kept_for_half_its_life_and_for_each_endpoint() -> None:
    with time_machine.travel(datetime(2026, 3, 2, 9, 0, tzinfo=UTC), tick=False) as traveller:
        make = CertificateAssertion.from_pem(rsa_pem(), CLIENT_ID)
        first = make({"token_endpoint": ENDPOINT})
        assert make({"token_endpoint": ENDPOINT}) == first
        other = make({"token_endpoint": "https://login.example/another/token"})
        assert jwt.decode(other, options={"verify_signature": False})["aud"] == "https://login.example/another/token"
        traveller.shift(timedelta(minutes=4))
        assert make({"token_endpoint": ENDPOINT}) == first
        traveller.shift(timedelta(minutes=2))
        second = make({"token_endpoint": ENDPOINT})
        assert second != first
        traveller.shift(timedelta(days=-1))
        third = make({"token_endpoint": ENDPOINT})
        claims = jwt.decode(third, options={"verify_signature": False})
        assert claims["iat"] <= datetime.now(UTC).timestamp() < claims["exp"]


def test_a_thousand_tenants_do_not_fill_the_memory() -> None:
    make = CertificateAssertion.from_pem(rsa_pem(), CLIENT_ID)
    make.made.update({f"https://login.example/{n}": (0.0, "x") for n in range(1001)})
    make({"token_endpoint": ENDPOINT})
    assert len(make.made) == 1


def test_a_certificate_may_be_pasted_on_one_line() -> None:
    assert CertificateAssertion.from_pem(rsa_pem().replace("\n", "\\n"), CLIENT_ID)({"token_endpoint": ENDPOINT})


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "no pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        rsa_pem().partition("-----BEGIN CERTIFICATE")[0],
        "-----BEGIN CERTIFICATE" + rsa_pem().partition("-----BEGIN CERTIFICATE")[2],
        pem_of(ec.generate_private_key(ec.SECP256R1())),
        pem_of(rsa_key(), password=b"a password"),
    ],
    ids=["empty", "text", "broken", "key alone", "certificate alone", "elliptic curve", "encrypted"],
)
async def test_an_unusable_certificate_is_named_without_being_shown(pem: str) -> None:
    """R-16; read again at the next call, since the operator may have put it right in the vault."""
    vault = Vault(value=pem)
    credential = ClientCredential(with_settings(AUTH_CLIENT_CERTIFICATE=ADDRESS), vault.read, Identity().token)
    for _ in range(2):
        with pytest.raises(Misconfigured, match="AUTH_CLIENT_CERTIFICATE") as refused:
            await credential.get("common")
        assert "-----BEGIN" not in str(refused.value)
    vault.value = rsa_pem()
    assert assertion_of(await credential.get("common"))


def test_a_private_key_shows_in_no_repr() -> None:
    assert "PRIVATE" not in repr(CertificateAssertion.from_pem(rsa_pem(), CLIENT_ID))


# The managed identity ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "authority", "by_identity"),
    [
        ({}, "common", True),
        ({}, "consumers", True),
        ({}, "a-tenant", True),
        ({"AUTH_CLIENT_SECRET": "the secret"}, "a-tenant", True),
        ({"AUTH_CLIENT_SECRET": "the secret"}, "organizations", True),
        ({"AUTH_CLIENT_SECRET": "the secret"}, "common", False),
        ({"AUTH_CLIENT_SECRET": "the secret"}, "consumers", False),
    ],
)
async def test_a_managed_identity_is_chosen_by_the_kind_of_account(
    other: dict[str, str], authority: str, by_identity: bool
) -> None:
    """Nobody has confirmed that the endpoint of personal accounts takes it: beside a secret it is not tried there."""
    identity = Identity()
    chosen = with_settings(AUTH_MANAGED_IDENTITY_CLIENT_ID=IDENTITY, **other)
    credential = await ClientCredential(chosen, Vault().read, identity.token).get(authority)
    if by_identity:
        assert assertion_of(credential) == "assertion 1"
        assert identity.asked == [("api://AzureADTokenExchange/.default", IDENTITY)]
    else:
        assert credential == "the secret"
        assert identity.asked == []


@pytest.mark.parametrize(
    ("host", "graph", "scope"),
    [
        ("https://login.microsoftonline.us", "https://graph.microsoft.us", "api://AzureADTokenExchangeUSGov/.default"),
        (
            "https://login.partner.microsoftonline.cn",
            "https://microsoftgraph.chinacloudapi.cn",
            "api://AzureADTokenExchangeChina/.default",
        ),
    ],
)
async def test_each_cloud_has_its_own_exchange(host: str, graph: str, scope: str) -> None:
    identity = Identity()
    chosen = settings(
        host,
        "https://app.example",
        AUTH_CLIENT_SECRET="",
        AUTH_MANAGED_IDENTITY_CLIENT_ID=IDENTITY,
        GRAPH_BASE_URL=graph,
    )
    await ClientCredential(chosen, Vault().read, identity.token).get("organizations")
    assert identity.asked == [(scope, IDENTITY)]


@pytest.fixture
async def listening() -> AsyncIterator[tuple[ManagedIdentity, dict[str, str]]]:
    """The platform's identity endpoint, and how the app is told of it."""
    identity, listener = ManagedIdentity(header="the header"), Listener()
    await listener.serve(identity.make_app())
    yield identity, {"IDENTITY_ENDPOINT": listener.url(), "IDENTITY_HEADER": "the header"}
    await listener.close()


@pytest.fixture
def endpoint(listening: tuple[ManagedIdentity, dict[str, str]]) -> ManagedIdentity:
    return listening[0]


@pytest.fixture(params=["ours", "azure-identity"])
def given(
    request: pytest.FixtureRequest, listening: tuple[ManagedIdentity, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Settings of an app whom the platform gives an identity; or none, and azure-identity finds one by itself."""
    if request.param == "ours":
        return listening[1]
    for name, value in listening[1].items():
        monkeypatch.setenv(name, value)
    return {}


async def test_the_identitys_token_is_for_the_exchange_and_kept(
    endpoint: ManagedIdentity, given: dict[str, str], authority: LocalAuthority
) -> None:
    async with open_session(str(authority.bundle), total_s=1) as http:
        token = workload.identity_token(with_settings(AUTH_CLIENT_SECRET="x", **given), http, SystemClock())
        first = await token("api://AzureADTokenExchange/.default", IDENTITY)
        assert await token("api://AzureADTokenExchange/.default", IDENTITY) == first
        assert endpoint.accepts(first, "api://AzureADTokenExchange")
        assert len(endpoint.faults.calls) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(action="status", status=500, times=None),
        Fault(action="status", status=429, times=None),
        Fault(action="garbage", times=None),
        Fault(action="wrong_type", times=None),
        Fault(action="truncate", times=None),
        Fault(action="reset_before", times=None),
        Fault(action="hang", times=None),
        Fault(action="status", status=200, body='{"access_token":"t","expires_on":"soon"}', times=None),
    ],
    ids=lambda fault: f"{fault.action} {fault.status}",
)
async def test_an_identity_that_can_not_be_asked_is_an_outage_within_the_limit(
    endpoint: ManagedIdentity,
    given: dict[str, str],
    authority: LocalAuthority,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
) -> None:
    """The SDK's own retries would go on for a minute while a person waits for the sign-in to end."""
    monkeypatch.setattr(workload, "_LIMIT_S", 0.5)
    endpoint.faults.add(fault)
    async with open_session(str(authority.bundle), total_s=10) as http:
        token = workload.identity_token(with_settings(AUTH_CLIENT_SECRET="x", **given), http, SystemClock())
        with pytest.raises(Unavailable, match="managed identity"):
            async with asyncio.timeout(5):
                await token("api://AzureADTokenExchange/.default", IDENTITY)


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_an_identity_that_is_not_assigned_is_the_operators_to_mend(
    endpoint: ManagedIdentity,
    given: dict[str, str],
    authority: LocalAuthority,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    endpoint.faults.add(Fault(action="status", status=status, body='{"message":"Identity not found"}', times=None))
    async with open_session(str(authority.bundle), total_s=1) as http:
        token = workload.identity_token(with_settings(AUTH_CLIENT_SECRET="x", **given), http, SystemClock())
        with pytest.raises(Misconfigured, match="AUTH_MANAGED_IDENTITY_CLIENT_ID"):
            await token("api://AzureADTokenExchange/.default", IDENTITY)
    assert "managed_identity_refused" in caplog.text

"""What the checks of vault, provider, Graph and public address make of every answer: one code each, in plain words."""

import ssl
from collections.abc import AsyncIterator, Iterable

import pytest
from aiohttp import ClientConnectorDNSError, ClientSession, web
from azure.core.exceptions import ServiceRequestError

from local.faults import Fault
from local.listen import Listener
from local.tls import LocalAuthority
from local.vault.access import ROLES
from shared.adapters.metadata import Metadata
from shared.adapters.provider_probe import ProviderProbe
from shared.adapters.reach import clock_ahead, why_not
from shared.adapters.vault_probe import VaultProbe
from shared.adapters.web_probe import WebProbe
from shared.errors import Misconfigured, ProviderUnavailable
from shared.findings import Finding, State
from tests.adapters.provider_world import CLIENT_ID, ProviderWorld, provider_world
from tests.contracts.subjects import vault_clients
from tests.doubles.clock import ManualClock

NORTH = "north"
BAD = '{"error": {"code": "BadParameter", "message": "no"}}'


def of(check: str, found: Iterable[Finding]) -> Finding:
    """The finding of that check; whatever it is, it says what to do about it."""
    (finding,) = [finding for finding in found if finding.check == check]
    assert finding.what
    assert bool(finding.cause) == bool(finding.mend) == (finding.state is not State.OK)
    return finding


# The vault -----------------------------------------------------------------------------------------------------


def refused(inner: str) -> str:
    return f'{{"error": {{"code": "Forbidden", "message": "m", "innererror": {{"code": "{inner}"}}}}}}'


VAULT = [
    (Fault(action="status", status=429, times=None), State.NOTE, "vault_throttled"),
    (Fault(action="status", status=503, times=None), State.BROKEN, "vault_down"),
    (Fault(action="status", status=404, body="{}", times=None), State.BROKEN, "not_a_vault"),
    (Fault(action="garbage", times=None), State.BROKEN, "not_a_vault"),
    (Fault(action="reset_before", times=None), State.BROKEN, "unreachable"),
    (Fault(action="truncate", times=None), State.BROKEN, "unreachable"),
    (Fault(action="status", status=403, body="<h1>no</h1>", times=None), State.BROKEN, "not_a_vault"),
    (Fault(method="PATCH", action="status", status=403, body="<h1>no</h1>", times=None), State.BROKEN, "not_a_vault"),
    (Fault(method="DELETE", action="status", status=503, times=None), State.BROKEN, "vault_down"),
    (Fault(method="PATCH", action="status", status=400, body=BAD, times=None), State.NOTE, "vault_unclear"),
    (
        Fault(
            path="^/secrets[?]",
            action="status",
            status=200,
            body='{"value": [{"id": "x", "attributes": {"recoveryLevel": "Recoverable"}}]}',
            times=None,
        ),
        State.NOTE,
        "vault_purge_protected",
    ),
    (Fault(path="nothing like it", action="reset_before"), State.OK, "ok"),
]


@pytest.mark.parametrize(("fault", "state", "code"), VAULT, ids=[f"{f.action}-{code}" for f, _, code in VAULT])
async def test_a_vaults_answer_is_told_from_every_other(
    authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch, fault: Fault, state: State, code: str
) -> None:
    async with vault_clients(authority, monkeypatch, [NORTH]) as (clients, vaults, _):
        vaults[NORTH].faults.add(fault)
        found = of("vault", await VaultProbe(clients[NORTH], of="north").look())
    assert (found.of, found.state, found.code) == ("north", state, code)


async def test_a_missing_role_names_what_it_would_allow_and_an_access_policy_its_own_mend(
    authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one secret comes of it, whatever the role."""
    async with vault_clients(authority, monkeypatch, [NORTH]) as (clients, vaults, _):
        vault, probe = vaults[NORTH], VaultProbe(clients[NORTH], of="")
        words = {}
        for role in ROLES:
            vault.access.role = role
            words[role] = of("vault", await probe.look()).what
        assert "may not write, delete and purge" in words["Key Vault Secrets User"]
        assert "may not read, write, delete and purge" in words["Key Vault Reader"]
        assert "may not list, read, write, delete and purge" in words[""]
        vault.access.role = "Key Vault Secrets Officer"
        vault.faults.add(Fault(method="DELETE", action="status", status=403, body=refused("AccessDenied"), times=None))
        found = of("vault", await probe.look())
        assert "Get, List, Set, Delete and Purge" in found.mend
        assert (vault.names(), vault.deleted_names(), vault.writes) == ([], [], 0)


async def test_a_vault_of_another_tenant_refuses_the_token(
    authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with vault_clients(authority, monkeypatch, [NORTH]) as (clients, vaults, _):
        challenge = {"WWW-Authenticate": 'Bearer authorization="https://x/t", resource="https://vault.azure.net"'}
        vaults[NORTH].faults.add(Fault(action="status", status=401, headers=challenge, body=BAD, times=None))
        assert of("vault", await VaultProbe(clients[NORTH], of="").look()).code == "vault_token_refused"


# The provider --------------------------------------------------------------------------------------------------


@pytest.fixture
async def world(authority: LocalAuthority) -> AsyncIterator[ProviderWorld]:
    async with provider_world(authority) as made:
        yield made


def probe(world: ProviderWorld, **settings: str) -> ProviderProbe:
    world.rebuilt(**settings)
    given = world.settings
    metadata = Metadata(world.http, given.authority_host, given.tenant, ManualClock())
    return ProviderProbe(given, world.http, metadata, world.endpoint)


METADATA = [
    (200, "{}", "not_a_provider"),
    (404, "<h1>no</h1>", "not_a_provider"),
    (400, '{"error": "invalid_tenant", "error_codes": [90002]}', "tenant_unknown"),
    (400, '{"error": "invalid_request", "error_codes": [900023]}', "tenant_unknown"),
    (400, '{"error": "invalid_request", "error_codes": "soon"}', "not_a_provider"),
    (302, "", "not_a_provider"),
    (429, "{}", "provider_down"),
    (503, "{}", "provider_down"),
]


@pytest.mark.parametrize(("status", "body", "code"), METADATA)
async def test_metadata_that_is_none_is_told_from_a_tenant_that_is_none(
    world: ProviderWorld, status: int, body: str, code: str
) -> None:
    checked = probe(world)
    world.provider.faults.add(Fault(path="openid-configuration", action="status", status=status, body=body, times=None))
    assert of("identity_provider", await checked.authority()).code == code


def error(name: str, *codes: int) -> str:
    return f'{{"error": "{name}", "error_codes": {list(codes)}}}'


APP = {"grant_type": "client_credentials"}
CREDENTIAL = [
    # what the provider says to the app as itself, and with nobody's token
    (error("invalid_client", 7000222), "", State.BROKEN, "client_secret_expired"),
    (error("invalid_client", 700027), "", State.BROKEN, "client_assertion_refused"),
    (error("invalid_client"), "", State.BROKEN, "client_credential_refused"),
    (error("unauthorized_client", 700016), "", State.OK, "ok"),
    (error("invalid_request", 50059), error("unauthorized_client", 700016), State.BROKEN, "app_unknown"),
    (error("invalid_request", 50059), error("invalid_grant", 9002313), State.NOTE, "credential_unproven"),
    (error("unsupported_grant_type"), error("invalid_client", 7000215), State.BROKEN, "client_secret_wrong"),
    (error("invalid_scope", 70011), error("<script>"), State.NOTE, "credential_unproven"),
    ('{"access_token": "t", "token_type": "Bearer"}', "", State.OK, "ok"),
]


@pytest.mark.parametrize(("as_app", "as_nobody", "state", "code"), CREDENTIAL)
async def test_the_credential_is_judged_by_what_is_said_of_it_alone(
    world: ProviderWorld, as_app: str, as_nobody: str, state: State, code: str
) -> None:
    """R-01: what the provider says of a grant that is nobody's says nothing of the credential."""
    world.provider.faults.add(Fault(path="/token$", form=APP, action="status", status=400, body=as_app, times=None))
    if as_nobody:
        world.answer_with(as_nobody, status=400)
    found = of("credential", await probe(world).credential())
    assert (found.state, found.code) == (state, code)
    assert "<" not in found.cause


async def test_a_credential_that_nobody_can_be_asked_about_is_no_wrong_one(world: ProviderWorld) -> None:
    world.answer_with("{}", status=503)
    with pytest.raises(ProviderUnavailable):
        await probe(world).credential()


async def test_a_certificate_that_can_not_be_read_is_said_before_anybody_is_asked(world: ProviderWorld) -> None:
    """R-01."""
    with pytest.raises(Misconfigured, match="AUTH_CLIENT_CERTIFICATE"):
        await probe(world, AUTH_CLIENT_SECRET="", AUTH_CLIENT_CERTIFICATE="-----BEGIN nonsense").credential()


PAGES = [
    ("<script>$Config={'sErrorCode':'50011','m':'AADSTS50011: The redirect URI'}</script>", "redirect_uri_unknown"),
    ("AADSTS700016: Application not found", "app_unknown"),
    ("<title>Sign in to your account</title>", "redirect_uri_unproven"),
    ("AADSTS90015: the request is too long", "redirect_uri_unproven"),
]


@pytest.mark.parametrize(("page", "code"), PAGES)
async def test_a_page_says_of_the_redirect_uri_what_its_code_says_and_no_more(
    world: ProviderWorld, page: str, code: str
) -> None:
    """R-04: a page that waits for a person is no fault."""
    world.provider.faults.add(Fault(path="/authorize", action="status", status=200, body=page, times=None))
    assert of("redirect_uri", await probe(world).redirect_uri()).code == code


async def test_a_registered_redirect_uri_is_answered_there(world: ProviderWorld) -> None:
    assert of("redirect_uri", await probe(world).redirect_uri()).state is State.OK
    elsewhere = probe(world, PUBLIC_BASE_URL="https://other.example")
    assert of("redirect_uri", await elsewhere.redirect_uri()).code == "redirect_uri_unknown"
    assert CLIENT_ID not in of("redirect_uri", await elsewhere.redirect_uri()).cause


# Graph and the public address ------------------------------------------------------------------------------------

ANSWERS = [
    ("graph", 401, "{}", "ok"),
    ("graph", 200, "{}", "not_graph"),
    ("graph", 404, "{}", "not_graph"),
    ("graph", 503, "{}", "graph_down"),
    ("public_address", 200, '{"status": "ok", "service": "onenote-auth"}', "ok"),
    ("public_address", 200, '{"status": "ok"}', "public_address_foreign"),
    ("public_address", 200, "[]", "public_address_foreign"),
    ("public_address", 200, "<h1>Your app is up and running</h1>", "public_address_foreign"),
    ("public_address", 404, "", "public_address_foreign"),
    ("public_address", 302, "", "public_address_foreign"),
]


@pytest.mark.parametrize(("check", "status", "body", "code"), ANSWERS)
async def test_what_answers_is_told_from_what_should(
    listener: Listener, http: ClientSession, check: str, status: int, body: str, code: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        return web.Response(status=status, text=body)

    app = web.Application()
    app.router.add_get("/{anywhere:.*}", answer)
    await listener.serve(app)
    checked = WebProbe(http, public_base_url=listener.url(), graph_base_url=listener.url())
    found = of(check, await (checked.graph() if check == "graph" else checked.public_address()))
    assert (found.code, found.state) == (code, State.OK if code == "ok" else State.BROKEN)


async def test_nobody_there_is_said_with_the_setting_to_look_at(http: ClientSession) -> None:
    checked = WebProbe(http, public_base_url="http://localhost:1", graph_base_url="https://localhost:1")
    assert "GRAPH_BASE_URL" in of("graph", await checked.graph()).mend
    assert "PUBLIC_BASE_URL" in of("public_address", await checked.public_address()).mend


# Why not ---------------------------------------------------------------------------------------------------------


def behind(error: BaseException) -> BaseException:
    """As the SDK wraps what aiohttp says."""
    outer = ServiceRequestError("text from outside")
    outer.__cause__ = error
    return outer


UNKNOWN = ClientConnectorDNSError.__new__(ClientConnectorDNSError)
WHY = [
    (UNKNOWN, "unknown_host"),
    (behind(UNKNOWN), "unknown_host"),
    (ssl.SSLCertVerificationError("a certificate"), "certificate_refused"),
    (TimeoutError(), "no_answer"),
    (behind(TimeoutError()), "no_answer"),
    (ConnectionRefusedError(), "unreachable"),
    (behind(ConnectionResetError()), "unreachable"),
]


@pytest.mark.parametrize(("error", "code"), WHY, ids=[f"{n}-{code}" for n, (_, code) in enumerate(WHY)])
def test_why_a_host_does_not_answer_is_told_by_kinds_of_errors(error: BaseException, code: str) -> None:
    reason = why_not(error, "host.example")
    assert reason.code == code
    assert "host.example" in reason.cause
    assert "outside" not in reason.cause


@pytest.mark.parametrize("date", [None, "", "soon", "Wed, 99 Nov 2026 09:00:00 GMT"])
def test_a_host_that_does_not_say_what_time_it_is_says_nothing_of_our_clock(date: str | None) -> None:
    assert clock_ahead(date, 0, 0) is None


def test_a_hosts_time_is_compared_with_the_middle_of_the_call() -> None:
    ahead = clock_ahead("Thu, 01 Jan 1970 00:01:00 GMT", 10, 20)
    assert ahead is not None
    assert ahead.total_seconds() == 45

"""The provider's metadata: few calls, a reserve, tenants derived (R-03)."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from aiohttp import ClientSession, web

from local.faults import Fault, Faults
from local.listen import Listener
from shared.adapters.metadata import Metadata
from shared.errors import Misconfigured, ProviderUnavailable
from shared.model import PERSONAL_TENANT
from tests.doubles.clock import ManualClock

TENANT = "3f0c6f5e-8c1d-4b6a-9a52-1f6f5d0a7c11"
DAY = timedelta(days=1)


@dataclass
class Provider:
    """Metadata as the platform publishes it; `changes` replaces fields, None takes one away."""

    url: str
    changes: dict[str, object] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)

    async def show(self, request: web.Request) -> web.Response:
        tenant = request.match_info["tenant"]
        if tenant == "unknown":
            return web.json_response({"error": "invalid_tenant"}, status=400)
        named = {"common": "{tenantid}", "organizations": "{tenantid}", "consumers": PERSONAL_TENANT}
        document: dict[str, object] = {
            "issuer": f"{self.url}/{named.get(tenant, tenant)}/v2.0",
            "authorization_endpoint": f"{self.url}/{tenant}/oauth2/v2.0/authorize",
            "token_endpoint": f"{self.url}/{tenant}/oauth2/v2.0/token",
            "end_session_endpoint": f"{self.url}/{tenant}/oauth2/v2.0/logout",
            "jwks_uri": f"{self.url}/{tenant}/discovery/v2.0/keys",
        } | self.changes
        return web.json_response({name: value for name, value in document.items() if value is not None})

    @property
    def calls(self) -> int:
        return len(self.faults.calls)


@pytest.fixture
async def provider(listener: Listener) -> Provider:
    provider = Provider(listener.url())
    app = web.Application(middlewares=[provider.faults.middleware])
    app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", provider.show)
    await listener.serve(app)
    return provider


def metadata(provider: Provider, http: ClientSession, clock: ManualClock, tenant: str = "common") -> Metadata:
    return Metadata(http, provider.url, tenant, clock)


@pytest.mark.parametrize("shared", ["common", "organizations", "consumers"])
async def test_the_shared_authorities_are_as_the_provider_says(
    provider: Provider, http: ClientSession, clock: ManualClock, shared: str
) -> None:
    found = await metadata(provider, http, clock).endpoints(shared)
    assert found.authorization == f"{provider.url}/{shared}/oauth2/v2.0/authorize"
    assert found.token == f"{provider.url}/{shared}/oauth2/v2.0/token"
    assert found.end_session == f"{provider.url}/{shared}/oauth2/v2.0/logout"
    assert found.jwks == f"{provider.url}/{shared}/discovery/v2.0/keys"
    assert found.issuer_of(TENANT) == f"{provider.url}/{PERSONAL_TENANT if shared == 'consumers' else TENANT}/v2.0"


@pytest.mark.parametrize(("own", "calls"), [("common", 1), ("organizations", 1), ("consumers", 1), (TENANT, 1)])
async def test_tenants_are_derived_from_one_call(
    provider: Provider, http: ClientSession, clock: ManualClock, own: str, calls: int
) -> None:
    found = metadata(provider, http, clock, own)
    for n in range(50):
        tenant = f"00000000-0000-0000-0000-{n:012d}"
        derived = await found.endpoints(tenant)
        assert derived.issuer == f"{provider.url}/{tenant}/v2.0"
        assert derived.token == f"{provider.url}/{tenant}/oauth2/v2.0/token"
        assert derived.end_session == f"{provider.url}/{tenant}/oauth2/v2.0/logout"
        assert derived.jwks == f"{provider.url}/{tenant}/discovery/v2.0/keys"
    assert provider.calls == calls


async def test_the_tenant_of_personal_accounts_is_consumers(
    provider: Provider, http: ClientSession, clock: ManualClock
) -> None:
    found = metadata(provider, http, clock)
    assert await found.endpoints(PERSONAL_TENANT) == await found.endpoints("consumers")
    assert provider.calls == 1


async def test_the_operators_own_tenant_is_asked_for_itself(
    provider: Provider, http: ClientSession, clock: ManualClock
) -> None:
    """It may be a domain name: only the provider knows the tenant id behind it."""
    provider.changes["issuer"] = f"{provider.url}/{TENANT}/v2.0"
    found = await metadata(provider, http, clock, "contoso.example").endpoints("contoso.example")
    assert found.issuer == f"{provider.url}/{TENANT}/v2.0"
    assert found.token == f"{provider.url}/contoso.example/oauth2/v2.0/token"


async def test_many_at_once_share_a_call_and_it_is_kept_for_a_day(
    provider: Provider, http: ClientSession, clock: ManualClock
) -> None:
    found = metadata(provider, http, clock)
    await asyncio.gather(*(found.endpoints("common") for _ in range(20)))
    clock.advance(0.9 * DAY)
    await found.endpoints("common")
    assert provider.calls == 1
    clock.advance(0.2 * DAY)
    await found.endpoints("common")
    assert provider.calls == 2
    clock.advance(-3 * DAY)
    await found.endpoints("common")
    assert provider.calls == 3


@pytest.mark.parametrize("status", [503, 429, 404, 403])
async def test_what_was_known_serves_through_an_outage(
    provider: Provider, http: ClientSession, clock: ManualClock, status: int
) -> None:
    found = metadata(provider, http, clock)
    known = await found.endpoints("common")
    clock.advance(2 * DAY)
    provider.faults.add(Fault(action="status", status=status, times=None))
    assert await found.endpoints("common") == known
    await found.endpoints("common")
    assert provider.calls == 2


async def test_an_unknown_tenant_is_the_operators_to_mend(
    provider: Provider, http: ClientSession, clock: ManualClock
) -> None:
    with pytest.raises(Misconfigured, match="knows no authority unknown: check AUTH_TENANT"):
        await metadata(provider, http, clock, "unknown").endpoints("unknown")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(action="status", status=429, times=None),
        Fault(action="status", status=500, times=None),
        Fault(action="status", status=302, headers={"Location": "https://elsewhere.example/"}, times=None),
        Fault(action="status", status=200, body="[]", times=None),
        Fault(action="status", status=200, body="{}", times=None),
        Fault(action="status", status=200, body="", times=None),
        Fault(action="garbage", times=None),
        Fault(action="wrong_type", times=None),
        Fault(action="truncate", times=None),
        Fault(action="reset_before", times=None),
        Fault(action="hang", times=None),
    ],
    ids=lambda fault: f"{fault.action} {fault.status} {fault.body}",
)
async def test_an_answer_that_is_no_metadata_is_an_outage_and_asked_for_again(
    provider: Provider, http: ClientSession, clock: ManualClock, fault: Fault
) -> None:
    found = metadata(provider, http, clock)
    provider.faults.add(fault)
    with pytest.raises(ProviderUnavailable):
        await found.endpoints("common")
    provider.faults.clear()
    assert await found.endpoints("common")


@pytest.mark.parametrize("name", ["issuer", "authorization_endpoint", "token_endpoint"])
@pytest.mark.parametrize("value", [None, 7, "", "javascript:alert(1)", "//elsewhere.example"])
async def test_metadata_without_usable_endpoints_is_not_used(
    provider: Provider, http: ClientSession, clock: ManualClock, name: str, value: object
) -> None:
    provider.changes[name] = value
    with pytest.raises(ProviderUnavailable, match="endpoints missing"):
        await metadata(provider, http, clock).endpoints("common")


async def test_sign_out_and_keys_may_be_missing(provider: Provider, http: ClientSession, clock: ManualClock) -> None:
    provider.changes |= {"end_session_endpoint": None, "jwks_uri": 7}
    found = metadata(provider, http, clock)
    for authority in ("common", TENANT):
        endpoints = await found.endpoints(authority)
        assert (endpoints.end_session, endpoints.jwks) == (None, None)

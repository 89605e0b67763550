"""Tokens of the app's managed identity: kept while they are good, asked for again in time, and patiently."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiohttp import ClientSession

from local import managed_identity
from local.faults import Fault
from local.listen import Listener
from shared.adapters.managed_identity import IdentityAnswerError, ManagedIdentity
from tests.doubles.clock import ManualClock

SCOPE = "https://vault.azure.net/.default"
LIFE_S = managed_identity.TOKEN_LIFETIME_S


@pytest.fixture
async def platform() -> AsyncIterator[tuple[managed_identity.ManagedIdentity, str]]:
    """The endpoint, and its address."""
    endpoint, listener = managed_identity.ManagedIdentity(header="the header"), Listener()
    await listener.serve(endpoint.make_app())
    yield endpoint, listener.url()
    await listener.close()


@pytest.fixture
def endpoint(platform: tuple[managed_identity.ManagedIdentity, str]) -> managed_identity.ManagedIdentity:
    return platform[0]


@pytest.fixture
def clock() -> ManualClock:
    """The endpoint goes by the machine's time."""
    return ManualClock(datetime.now(UTC), sleeping_advances=True)


@pytest.fixture
def identity(
    platform: tuple[managed_identity.ManagedIdentity, str], http: ClientSession, clock: ManualClock
) -> ManagedIdentity:
    return ManagedIdentity(http, clock, endpoint=platform[1], header="the header", client_id=None)


async def test_a_token_serves_everybody_for_half_of_its_life(
    endpoint: managed_identity.ManagedIdentity, identity: ManagedIdentity, clock: ManualClock
) -> None:
    """R-16: the vault opens with it."""
    first, *others = await asyncio.gather(*(identity.get_token(SCOPE) for _ in range(20)))
    assert endpoint.accepts(first.token)
    assert set(others) == {first}
    clock.advance(LIFE_S / 2 - 60)
    assert await identity.get_token(SCOPE) == first
    assert len(endpoint.faults.calls) == 1
    clock.advance(120)
    assert (await identity.get_token(SCOPE)).token != first.token


async def test_each_scope_has_a_token_of_its_own(
    endpoint: managed_identity.ManagedIdentity, identity: ManagedIdentity
) -> None:
    vault, exchange = [await identity.get_token(scope) for scope in (SCOPE, "api://AzureADTokenExchange/.default")]
    assert endpoint.accepts(vault.token)
    assert not endpoint.accepts(exchange.token)
    assert endpoint.accepts(exchange.token, "api://AzureADTokenExchange")


@pytest.mark.parametrize("fault", [Fault(action="status", status=500, times=2), Fault(action="reset_before", times=2)])
async def test_an_endpoint_that_is_not_ready_yet_is_asked_again(
    endpoint: managed_identity.ManagedIdentity, identity: ManagedIdentity, fault: Fault
) -> None:
    """R-15: right after an instance starts it may not be."""
    endpoint.faults.add(fault)
    assert endpoint.accepts((await identity.get_token(SCOPE)).token)
    assert len(endpoint.faults.calls) == 3


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refusal_is_final(
    endpoint: managed_identity.ManagedIdentity, identity: ManagedIdentity, status: int
) -> None:
    """R-15: the operator mends it, time does not."""
    endpoint.faults.add(Fault(action="status", status=status, times=None))
    with pytest.raises(IdentityAnswerError) as caught:
        await identity.get_token(SCOPE)
    assert caught.value.status_code == status
    assert len(endpoint.faults.calls) == 1


async def test_a_token_that_is_still_good_outlasts_an_outage_of_the_endpoint(
    endpoint: managed_identity.ManagedIdentity, identity: ManagedIdentity, clock: ManualClock
) -> None:
    """R-15: it is asked again every half minute; only a token that is nearly over is no longer given."""
    held = await identity.get_token(SCOPE)
    endpoint.faults.add(Fault(action="status", status=400, times=None))
    clock.advance(LIFE_S / 2 + 60)
    for calls in (2, 2, 3):
        assert await identity.get_token(SCOPE) == held
        assert len(endpoint.faults.calls) == calls
        clock.advance(16)
    clock.advance(LIFE_S / 2 - 300)
    with pytest.raises(IdentityAnswerError):
        await identity.get_token(SCOPE)


async def test_an_endpoint_that_hangs_costs_nothing_while_a_token_is_held(
    endpoint: managed_identity.ManagedIdentity, identity: ManagedIdentity, clock: ManualClock
) -> None:
    """R-15: whoever asks waits for it a moment, everybody else not at all."""
    held = await identity.get_token(SCOPE)
    endpoint.faults.add(Fault(action="hang", times=None))
    clock.advance(LIFE_S / 2 + 60)
    asking = asyncio.create_task(identity.get_token(SCOPE))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(1):
        assert set(await asyncio.gather(*(identity.get_token(SCOPE) for _ in range(20)))) == {held}
    async with asyncio.timeout(5):
        assert await asking == held
        asked = len(endpoint.faults.calls)
        assert await identity.get_token(SCOPE) == held
    assert len(endpoint.faults.calls) == asked


@pytest.mark.parametrize("back_s", [3_600, 10 * 86_400])
async def test_a_clock_that_is_set_back_does_not_keep_a_token_beyond_its_life(
    endpoint: managed_identity.ManagedIdentity, identity: ManagedIdentity, clock: ManualClock, back_s: float
) -> None:
    """R-15: an instance that began with a wrong clock would send the vault an expired token for days."""
    held = await identity.get_token(SCOPE)
    clock.advance(-back_s)
    assert (await identity.get_token(SCOPE)).token != held.token
    assert len(endpoint.faults.calls) == 2


@pytest.mark.parametrize("body", ['{"access_token":"","expires_on":"1"}', '{"expires_on":"1"}', "[]", "<html>"])
async def test_what_is_no_token_is_not_taken_for_one(
    endpoint: managed_identity.ManagedIdentity, identity: ManagedIdentity, body: str
) -> None:
    endpoint.faults.add(Fault(action="status", status=200, body=body, times=None))
    with pytest.raises((ValueError, KeyError, TypeError)):
        await identity.get_token(SCOPE)

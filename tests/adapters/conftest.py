"""Loopback services for the adapters under test, and the bundle's own outgoing connections to them."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession
from hypothesis import settings

from local.listen import Listener
from local.tls import LocalAuthority
from shared.adapters.http import open_session
from tests.doubles.clock import ManualClock

# A busy machine is slow, not wrong.
settings.register_profile("adapters", deadline=None)
settings.load_profile("adapters")


@pytest.fixture
async def listener(authority: LocalAuthority) -> AsyncIterator[Listener]:
    """An https port on loopback; the test says what is served there."""
    listener = Listener(tls=authority.context)
    yield listener
    await listener.close()


@pytest.fixture
async def http(authority: LocalAuthority) -> AsyncIterator[ClientSession]:
    """As the bundle opens its own connections, with a time limit for tests."""
    async with open_session(str(authority.bundle), total_s=1) as session:
        yield session


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()

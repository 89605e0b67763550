"""Loopback servers for the services under test: a throw-away authority, a port, a client that trusts it."""

import ssl
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, TCPConnector

from local.listen import Listener
from local.tls import LocalAuthority


@pytest.fixture
async def listener(authority: LocalAuthority) -> AsyncIterator[Listener]:
    """An https port on loopback; the test says what is served there."""
    listener = Listener(tls=authority.context)
    yield listener
    await listener.close()


@pytest.fixture
async def plain_listener() -> AsyncIterator[Listener]:
    """The same with http."""
    listener = Listener()
    yield listener
    await listener.close()


@pytest.fixture
async def http(authority: LocalAuthority) -> AsyncIterator[ClientSession]:
    """A client that trusts the throw-away authority and nobody else."""
    context = ssl.create_default_context(cafile=authority.bundle)
    async with ClientSession(connector=TCPConnector(ssl=context)) as session:
        yield session

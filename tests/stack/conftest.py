"""The whole stack in a process of its own, once for all tests here; seeded anew before each of them."""

from collections.abc import AsyncIterator, Iterator

import pytest

from local.browser import Browser
from local.control_client import ControlClient
from local.process import StackProcess
from tests.stacks import quiet_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[StackProcess]:
    with quiet_stack() as running:
        yield running


@pytest.fixture
async def control(stack: StackProcess) -> AsyncIterator[ControlClient]:
    async with ControlClient(stack.url) as client:
        await client.reset()
        yield client


@pytest.fixture
async def browser(stack: StackProcess, control: ControlClient) -> AsyncIterator[Browser]:
    """A person's browser on the freshly seeded stack."""
    async with Browser(stack.url) as fresh:
        yield fresh


@pytest.fixture
async def other_browser(stack: StackProcess, control: ControlClient) -> AsyncIterator[Browser]:
    """Somebody else's."""
    async with Browser(stack.url) as fresh:
        yield fresh

"""One stack for all attacks, with every switch on that opens a route; seeded anew for each person who signs in."""

from collections.abc import AsyncIterator, Iterator

import pytest

from local.browser import Browser
from local.control_client import ControlClient
from local.process import StackProcess
from tests.attacks.victim import Victim
from tests.attacks.wire import Wire
from tests.stacks import EVERY_ROUTE, quiet_stack

LISTED_ORIGIN = "http://localhost:5173"
"""A front end on another port: another origin, the same site, so that the session's cookie stays Lax."""


@pytest.fixture(scope="session")
def stack() -> Iterator[StackProcess]:
    with quiet_stack(**EVERY_ROUTE, FRONTEND_ORIGINS=LISTED_ORIGIN) as running:
        yield running


@pytest.fixture
async def control(stack: StackProcess) -> AsyncIterator[ControlClient]:
    async with ControlClient(stack.url) as client:
        yield client


@pytest.fixture
def wire(stack: StackProcess) -> Wire:
    return Wire(stack.url)


@pytest.fixture
async def victim(stack: StackProcess, control: ControlClient) -> AsyncIterator[Victim]:
    """A person who is signed in, and still is as they were when the test ends."""
    await control.reset()
    async with Browser(stack.url) as browser:
        signed_in = await Victim.sign_in(browser, control)
        yield signed_in
        await control.clear_faults()
        await signed_in.assert_untouched()


@pytest.fixture
async def browser(stack: StackProcess, control: ControlClient) -> AsyncIterator[Browser]:
    async with Browser(stack.url) as fresh:
        yield fresh


@pytest.fixture
async def attacker(stack: StackProcess) -> AsyncIterator[Browser]:
    """Somebody else's browser."""
    async with Browser(stack.url) as fresh:
        yield fresh

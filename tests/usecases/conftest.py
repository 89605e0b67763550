"""Use cases run in virtual time: latencies, back-offs and time boxes cost the suite nothing."""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping

import pytest

from tests.doubles.virtual_time import VirtualTimeLoop
from tests.usecases.world import World


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], AbstractEventLoop]]:
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
def world() -> World:
    return World()

"""Use cases run in virtual time: latencies, back-offs and time boxes cost the suite nothing."""

import random
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping

import pytest

from tests.doubles.virtual_time import VirtualTimeLoop
from tests.usecases.world import World

_SEED = random.SystemRandom().randrange(2**32)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], AbstractEventLoop]]:
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
def rng() -> random.Random:
    print(f"seed: {_SEED}")
    return random.Random(_SEED)


@pytest.fixture
def world() -> World:
    return World()

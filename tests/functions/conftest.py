"""The functions over doubles, in virtual time, called as the worker calls them."""

import random
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping

import pytest

from tests.doubles.virtual_time import VirtualTimeLoop
from tests.functions.bundle import Bundle

_SEED = random.SystemRandom().randrange(2**32)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], AbstractEventLoop]]:
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
def rng() -> random.Random:
    print(f"seed: {_SEED}")
    return random.Random(_SEED)


@pytest.fixture
def bundle() -> Bundle:
    return Bundle()

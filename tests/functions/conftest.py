"""The functions over doubles, in virtual time, called as the worker calls them."""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping

import pytest

from tests.doubles.virtual_time import VirtualTimeLoop
from tests.functions.bundle import Bundle


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], AbstractEventLoop]]:
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
def bundle() -> Bundle:
    return Bundle()

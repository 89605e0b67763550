"""One host with the test app for all tests here: a process can load one app only."""

from collections.abc import Iterator

import pytest

from tests.host.served import Served


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    with Served() as running:
        assert running.url, running.lines
        yield running

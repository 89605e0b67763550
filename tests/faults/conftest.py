"""The bundle's real parts and embedded services on one hurried loop: time limits pass in a moment."""

import asyncio
import logging
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from local.tls import LocalAuthority
from tests.doubles.hurried_time import HurriedLoop
from tests.faults.world import FEDERATION, World
from tests.faults.world import world as make_world


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], AbstractEventLoop]]:
    # Where the bundle is a process of its own, its time is the real one.
    alone = item.path.stem == "test_killed"
    return {"real": asyncio.SelectorEventLoop} if alone else {"hurried": HurriedLoop}


@pytest.fixture(autouse=True)
def platforms_log(caplog: pytest.LogCaptureFixture) -> None:
    """What the platform keeps by default."""
    caplog.set_level(logging.INFO)


@pytest.fixture
async def world(authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with make_world(authority, monkeypatch) as made:
        yield made


@pytest.fixture
async def federated_world(authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """The managed identity is the app's credential at the provider, too."""
    async with make_world(authority, monkeypatch, more=FEDERATION) as made:
        yield made

"""Tokens that the vault could not take: whatever is kept is written, whenever it comes."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import override

import pytest

from shared.errors import RecordTooNew, StoreUnavailable
from shared.model import Record, SessionRef, Stored
from shared.usecases.sessions import Sessions
from shared.usecases.unsaved import Unsaved
from tests.doubles.memory import MemoryStore
from tests.usecases.world import CACHE_S, POLICY, World


class _NewsAtTheEnd(MemoryStore):
    """Right after the first write the next tokens that could not be stored are there: before the writer is gone."""

    unsaved: Unsaved
    next: Stored | None

    @override
    async def replace(self, ref: SessionRef, record: Record) -> Stored:
        stored = await super().replace(ref, record)
        if later := self.next:
            self.next = None
            asyncio.get_running_loop().call_soon(self.unsaved.keep, later)
        return stored


def renewed(stored: Stored, seconds: int, token: str) -> Stored:
    record = stored.record
    later = record.refreshed_at + timedelta(seconds=seconds)
    grant = replace(record.grant, refresh_token=token)
    return replace(stored, record=replace(record, refreshed_at=later, grant=grant))


async def test_tokens_that_come_while_the_writer_ends_are_written_too(world: World) -> None:
    """R-11: between the last write and the end of its task lies a moment in which a renewal may give up storing."""
    store = _NewsAtTheEnd(world.clock, vaults=world.memory.vaults)
    session = await world.signed_in()
    stored = await store.create(session.ref, session.record)
    store.unsaved = Unsaved(store, Sessions(store, world.clock, POLICY, cache_s=CACHE_S), world.clock)
    store.next = renewed(stored, 20, "second")
    store.unsaved.keep(renewed(stored, 10, "first"))
    while store.unsaved.under_way:
        await asyncio.wait(list(store.unsaved.under_way))
    assert (await store.load(session.ref)).record.grant.refresh_token == "second"


async def test_what_a_newer_release_wrote_meanwhile_stays(world: World) -> None:
    """R-11: a release that is being rolled back gives its own tokens up, and ends trying."""
    session = await world.signed_in(lives_s=0)
    world.store.fail("replace", StoreUnavailable("HTTP 503"))
    await world.here.engine.usable(session.ref)
    world.memory.put_raw(session.ref, '{"v": 2}', {"v": "2"})
    await world.here.engine.settle(within_s=600)
    assert not world.here.engine._unsaved._kept
    with pytest.raises(RecordTooNew):
        await world.stored(session)


async def test_a_sign_out_while_the_writer_looks_stops_the_write(world: World) -> None:
    """R-12: also where the vault could not be told of the sign-out yet."""
    session = await world.signed_in(lives_s=0)
    world.store.fail("replace", StoreUnavailable("HTTP 503"))
    await world.here.engine.usable(session.ref)

    async def signed_out() -> None:
        world.here.sessions.end(session.ref)

    world.store.during["load"] = signed_out
    await world.here.engine.settle()
    assert await world.stored(session) == session

"""Tokens that the vault could not take: whatever is kept is written, whenever it comes."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import override

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

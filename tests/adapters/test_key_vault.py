"""What of the store shows only in Key Vault itself: indexes as secrets, their limits, their quotas (R-10, R-12)."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from local.faults import Fault
from local.tls import LocalAuthority
from shared.adapters.record_format import to_tags
from shared.adapters.vault_indexes import indexes_of
from shared.errors import StoreUnavailable
from shared.model import Entry, Listing, SessionRef, digest
from tests.contracts.subjects import LABELS, VaultSubject, vault_subject
from tests.doubles.identity import work_account
from tests.doubles.records import new_ref, record

NORTH, SOUTH = LABELS
ALEX = digest(work_account().home_account_id)
INDEX = f"a-{ALEX}"
MINUTES_2 = timedelta(minutes=2)


@pytest.fixture
async def subject(authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VaultSubject]:
    async with vault_subject(authority, monkeypatch) as subject:
        yield subject


async def repaired(subject: VaultSubject) -> int:
    return await subject.store.repair_indexes(NORTH, await subject.store.listing(NORTH), subject.now())


async def test_indexes_hold_names_and_neither_tokens_nor_people(subject: VaultSubject) -> None:
    """R-16."""
    ref = new_ref(NORTH)
    await subject.store.create(ref, record(subject.now()))
    vault = subject.vaults[NORTH]
    assert sorted(name[:2] for name in vault.names()) == ["a-", "f-", "s-"]
    for name in vault.names():
        if not name.startswith("s-"):
            assert vault.values(name) == [json.dumps([ref.name])]
    shown = str([(secret.name, secret.tags) for secret in vault.overview()])
    assert "contoso" not in shown
    assert "token" not in shown


async def test_a_sign_in_succeeds_when_its_index_can_not_be_written(
    subject: VaultSubject, caplog: pytest.LogCaptureFixture
) -> None:
    """The session is there; the timer makes the index good from its tags."""
    subject.vaults[NORTH].faults.add(Fault(path="/secrets/[af]-", action="status", status=503, times=None))
    ref = new_ref(NORTH)
    await subject.store.create(ref, record(subject.now()))
    assert "index_not_written" in caplog.text
    subject.vaults[NORTH].faults.clear()
    assert await subject.store.by_account(ALEX) == []
    subject.advance(MINUTES_2)
    assert await repaired(subject) == 2
    assert await subject.store.by_account(ALEX) == [ref]


async def test_a_session_that_can_not_be_written_is_no_session(subject: VaultSubject) -> None:
    subject.vaults[NORTH].faults.add(Fault(method="PUT", path="/secrets/s-", action="status", status=503, times=None))
    with pytest.raises(StoreUnavailable):
        await subject.store.create(new_ref(NORTH), record(subject.now()))
    assert subject.vaults[NORTH].names() == []


@pytest.mark.parametrize("value", ["", "not json", "{}", "7", '{"v": 1}'])
async def test_a_session_that_somebody_spoilt_can_not_be_read_and_ends_nothing(
    subject: VaultSubject, value: str
) -> None:
    """R-10: a 503, and never "signed out"; nor a fault of ours."""
    ref = new_ref(NORTH)
    created = await subject.store.create(ref, record(subject.now()))
    await subject.put_raw(ref, value, to_tags(created.record.marks))
    with pytest.raises(StoreUnavailable):
        await subject.store.load(ref)


@pytest.mark.parametrize("value", ["", "not json", "{}", "7", "null", '["a-1", 7, null, "../s-1", ["s-1"]]'])
async def test_an_index_that_somebody_spoilt_names_nobody_and_is_repaired(subject: VaultSubject, value: str) -> None:
    ref = new_ref(NORTH)
    await subject.store.create(ref, record(subject.now()))
    await subject.clients[NORTH].set_secret(INDEX, value)
    assert await subject.store.by_account(ALEX) == []
    subject.advance(MINUTES_2)
    assert await repaired(subject) == 1
    assert await subject.store.by_account(ALEX) == [ref]


async def test_an_index_never_outgrows_a_secret(subject: VaultSubject) -> None:
    """25 kB is the vault's limit: one account with very many sessions must not stop the repair of all others."""
    marks = record(subject.now()).marks
    other = replace(marks, account_hash=digest("another"), sid_hash=None)
    refs = [SessionRef(vault=NORTH, name=f"s-{n:064x}") for n in range(500)]
    entries = [Entry(ref=ref, version="", marks=replace(marks, sid_hash=None)) for ref in refs]
    entries.append(Entry(ref=new_ref(NORTH), version="", marks=other))
    made_up = Listing(
        entries=entries,
        secrets=501,
        doubtful=frozenset(index for entry in entries for index in indexes_of(entry.marks)),
    )
    assert await subject.store.repair_indexes(NORTH, made_up, subject.now()) == 2
    assert len(await subject.store.by_account(ALEX)) == 300
    assert len(await subject.store.by_account(digest("another"))) == 1
    await subject.store.create(new_ref(NORTH), record(subject.now()))
    assert len(await subject.store.by_account(ALEX)) == 300
    subject.advance(MINUTES_2)
    await subject.store.repair_indexes(NORTH, made_up, subject.now())
    subject.advance(MINUTES_2)
    assert await subject.store.repair_indexes(NORTH, made_up, subject.now()) == 0


async def test_secrets_of_others_are_left_alone(subject: VaultSubject) -> None:
    """The operator may keep the app's own credential in the same vault: revoke-all ends what `foreign` names."""
    client, vault = subject.clients[NORTH], subject.vaults[NORTH]
    await client.set_secret("app-credential", "the operator's")
    await client.set_secret("old-one", "the operator's")
    vault.store.delete("old-one")
    subject.advance(MINUTES_2)
    listing = await subject.store.listing(NORTH)
    assert (listing.entries, listing.secrets, listing.foreign) == ([], 1, frozenset())
    assert await subject.store.purge(NORTH, subject.now()) == 0
    assert await repaired(subject) == 0
    assert await subject.store.account_page(NORTH, None) == ([], None)
    assert vault.names() == ["app-credential"]
    assert vault.deleted_names() == ["old-one"]


async def test_a_deletion_that_does_not_show_yet_is_purged_by_the_next_run(subject: VaultSubject) -> None:
    """The real vault takes seconds; what it refuses meanwhile is no failure."""
    ref, vault = new_ref(NORTH), subject.vaults[NORTH]
    await subject.store.create(ref, record(subject.now()))
    await subject.store.delete(ref)
    subject.advance(MINUTES_2)
    conflict = '{"error":{"code":"Conflict","message":"Secret is currently being deleted."}}'
    fault = Fault(method="DELETE", path="/deletedsecrets/", action="status", status=409, body=conflict, times=1)
    vault.faults.add(fault)
    assert await subject.store.purge(NORTH, subject.now()) == 0
    assert await subject.store.purge(NORTH, subject.now()) == 1


async def test_signing_out_everywhere_is_not_quiet_about_a_vault_that_is_away(subject: VaultSubject) -> None:
    """R-12: sessions in it would be left, and nobody would know."""
    await subject.store.create(new_ref(NORTH), record(subject.now()))
    subject.vaults[SOUTH].faults.add(Fault(action="status", status=503, times=None))
    with pytest.raises(StoreUnavailable):
        await subject.store.by_account(ALEX)


async def test_sound_indexes_cost_no_read_beyond_the_listing(subject: VaultSubject) -> None:
    """R-11: one look at the vault serves the timer for everything, however old the indexes are."""
    for n in range(30):
        await subject.store.create(new_ref(NORTH), record(subject.now(), account=work_account(f"p{n}", sid=f"s{n}")))
    subject.advance(timedelta(days=4))
    before = subject.vaults[NORTH].reads
    assert await repaired(subject) == 0
    assert subject.vaults[NORTH].reads - before == 4  # 90 secrets, 25 a page


async def test_looking_for_an_unknown_sid_costs_one_read_a_vault(subject: VaultSubject) -> None:
    """R-12: anybody may call the front-channel address."""
    await subject.store.by_sid(digest("warm the connections up"))
    before = {label: vault.reads for label, vault in subject.vaults.items()}
    await subject.store.by_sid(digest("no such sid"))
    assert {label: vault.reads - before[label] for label, vault in subject.vaults.items()} == {NORTH: 1, SOUTH: 1}


async def test_a_great_many_repairs_leave_sign_ins_their_part_of_the_writes(subject: VaultSubject) -> None:
    """R-11: ten a second, when very many sessions end at once."""
    for n in range(13):
        await subject.store.create(new_ref(NORTH), record(subject.now(), account=work_account(f"p{n}", sid=None)))
    subject.advance(timedelta(minutes=2))
    listing = await subject.store.listing(NORTH)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await subject.store.repair_indexes(NORTH, listing, subject.now(), listing.entries) == 13
    assert loop.time() - began >= 1

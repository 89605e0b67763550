"""The session store's promises (shared/ports.py), held by the in-memory double and by Key Vault alike."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from local.tls import LocalAuthority
from shared.adapters import record_format
from shared.errors import BadRequest, RecordTooNew, SessionEnded, SessionUnknown
from shared.model import Entry, Flow, Health, PassNote, SessionRef, digest, whole_second
from tests.contracts.subjects import LABELS, MemorySubject, StoreSubject, VaultSubject, vault_subject
from tests.doubles.identity import personal_account, work_account
from tests.doubles.records import failing, new_ref, record

NORTH, SOUTH = LABELS
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ALEX = digest(work_account().home_account_id)
ALEX_SID = digest("sid-1")


class SessionStoreContract:
    """One suite for every `SessionStore`; a subclass says what `subject` is."""

    # Writing and reading -----------------------------------------------------------------------------------

    async def test_a_session_is_loaded_as_it_was_created(self, subject: StoreSubject) -> None:
        """R-10: tokens, account and marks survive the way into the store and back, work and personal."""
        for account in (work_account(), personal_account(sid=None)):
            ref, made = new_ref(NORTH), record(subject.now(), account=account)
            created = await subject.store.create(ref, made)
            loaded = await subject.store.load(ref)
            assert loaded == created
            assert loaded.record == made
            assert loaded.version

    async def test_a_token_flow_session_keeps_its_missing_refresh_token(self, subject: StoreSubject) -> None:
        """R-05."""
        ref, made = new_ref(NORTH), record(subject.now(), flow=Flow.TOKEN)
        await subject.store.create(ref, made)
        assert (await subject.store.load(ref)).record == made

    async def test_a_replacement_is_the_newest_and_another_version(self, subject: StoreSubject) -> None:
        ref = new_ref(SOUTH)
        first = await subject.store.create(ref, record(subject.now(), tokens="1"))
        second = await subject.store.replace(ref, record(subject.now(), tokens="2"))
        assert second.version != first.version
        assert await subject.store.load(ref) == second

    async def test_replacements_at_once_leave_one_of_them_whole(self, subject: StoreSubject) -> None:
        ref = new_ref(NORTH)
        await subject.store.create(ref, record(subject.now()))
        written = await asyncio.gather(
            *(subject.store.replace(ref, record(subject.now(), tokens=str(n))) for n in range(5))
        )
        assert await subject.store.load(ref) in written

    async def test_what_was_never_there_is_unknown(self, subject: StoreSubject) -> None:
        with pytest.raises(SessionUnknown):
            await subject.store.load(new_ref(NORTH))

    async def test_a_vault_that_is_not_configured_holds_nothing(self, subject: StoreSubject) -> None:
        """A cookie may name a vault that the operator has taken out of TOKEN_VAULT_URLS."""
        ref, some = new_ref("west"), record(subject.now())
        with pytest.raises(SessionUnknown):
            await subject.store.load(ref)
        with pytest.raises(SessionUnknown):
            await subject.store.replace(ref, some)
        with pytest.raises(SessionUnknown):
            await subject.store.annotate(ref, "", some.marks)
        await subject.store.delete(ref)

    async def test_the_vaults_are_named_in_the_operators_order(self, subject: StoreSubject) -> None:
        assert tuple(subject.store.vaults) == LABELS

    # Records of other releases -----------------------------------------------------------------------------

    async def test_a_record_of_a_newer_release_is_left_untouched(self, subject: StoreSubject) -> None:
        """A rolled-back release neither reads, nor lists, nor changes what the newer one wrote."""
        ref, known = new_ref(NORTH), new_ref(NORTH)
        await subject.store.create(known, record(subject.now()))
        value, tags = json.dumps({"v": 2, "shape": "unheard of"}), {"v": "2", "state": "ok"}
        await subject.put_raw(ref, value, tags)
        with pytest.raises(RecordTooNew):
            await subject.store.load(ref)
        listing = await subject.store.listing(NORTH)
        assert [entry.ref for entry in listing.entries] == [known]
        assert listing.foreign == {ref.name}
        subject.advance(2 * MINUTE)
        await subject.store.repair_indexes(NORTH, listing, subject.now())
        await subject.store.purge(NORTH, subject.now())
        assert value in subject.values()
        with pytest.raises(RecordTooNew):
            await subject.store.load(ref)

    async def test_a_newer_mark_on_an_older_value_is_too_new_as_well(self, subject: StoreSubject) -> None:
        ref, some = new_ref(NORTH), record(subject.now())
        tags = {**record_format.to_tags(some.marks), "v": "2"}
        await subject.put_raw(ref, record_format.to_value(some), tags)
        with pytest.raises(RecordTooNew):
            await subject.store.load(ref)
        assert await listed(subject, NORTH) == []

    # Marks -------------------------------------------------------------------------------------------------

    async def test_marks_change_without_a_new_version(self, subject: StoreSubject) -> None:
        ref = new_ref(NORTH)
        created = await subject.store.create(ref, record(subject.now()))
        marks = failing(created.record.marks)
        await subject.store.annotate(ref, created.version, marks)
        loaded = await subject.store.load(ref)
        assert loaded == replace(created, record=replace(created.record, marks=marks))

    async def test_marks_of_an_old_version_leave_the_newer_one_alone(self, subject: StoreSubject) -> None:
        """R-11: whoever lost the race may say what it likes about the version that it saw."""
        ref = new_ref(NORTH)
        old = await subject.store.create(ref, record(subject.now(), tokens="1"))
        newer = await subject.store.replace(ref, record(subject.now(), tokens="2"))
        dead = replace(old.record.marks, health=Health.REAUTH_REQUIRED, reason="grant_expired")
        await subject.store.annotate(ref, old.version, dead)
        assert await subject.store.load(ref) == newer
        assert [entry.marks for entry in await listed(subject, NORTH)] == [newer.record.marks]

    async def test_a_listings_version_can_be_marked(self, subject: StoreSubject) -> None:
        ref = new_ref(NORTH)
        created = await subject.store.create(ref, record(subject.now()))
        (entry,) = await listed(subject, NORTH)
        await subject.store.annotate(ref, entry.version, failing(created.record.marks))
        assert (await subject.store.load(ref)).record.marks == failing(created.record.marks)

    async def test_a_reason_is_taken_away_with_the_next_marks(self, subject: StoreSubject) -> None:
        ref = new_ref(NORTH)
        created = await subject.store.create(ref, record(subject.now()))
        claims = replace(failing(created.record.marks), claims='{"access_token":{"x":{}}}')
        await subject.store.annotate(ref, created.version, claims)
        assert (await subject.store.load(ref)).record.marks == claims
        await subject.store.annotate(ref, created.version, created.record.marks)
        assert (await subject.store.load(ref)).record.marks == created.record.marks

    async def test_what_is_not_there_can_not_be_marked(self, subject: StoreSubject) -> None:
        ref = new_ref(NORTH)
        created = await subject.store.create(ref, record(subject.now()))
        with pytest.raises(SessionUnknown):
            await subject.store.annotate(ref, "0" * 32, created.record.marks)
        with pytest.raises(SessionUnknown):
            await subject.store.annotate(new_ref(NORTH), created.version, created.record.marks)
        await subject.store.delete(ref)
        with pytest.raises(SessionUnknown):
            await subject.store.annotate(ref, created.version, created.record.marks)

    # The end -----------------------------------------------------------------------------------------------

    async def test_a_deleted_session_is_found_by_nobody(self, subject: StoreSubject) -> None:
        """R-12."""
        ref, other = new_ref(NORTH), new_ref(NORTH)
        await subject.store.create(ref, record(subject.now()))
        await subject.store.create(other, record(subject.now()))
        await subject.store.delete(ref)
        with pytest.raises(SessionUnknown):
            await subject.store.load(ref)
        assert [entry.ref for entry in await listed(subject, NORTH)] == [other]

    async def test_nothing_revives_a_deleted_session(self, subject: StoreSubject) -> None:
        """R-12: a renewal that was under way at the sign-out writes in vain."""
        ref = new_ref(NORTH)
        await subject.store.create(ref, record(subject.now()))
        await subject.store.delete(ref)
        for write in (subject.store.replace, subject.store.create):
            with pytest.raises(SessionEnded):
                await write(ref, record(subject.now(), tokens="2"))
            with pytest.raises(SessionUnknown):
                await subject.store.load(ref)
        assert not any("token-2" in value for value in subject.values())

    async def test_deleting_again_or_for_nothing_is_a_success(self, subject: StoreSubject) -> None:
        ref = new_ref(NORTH)
        await subject.store.create(ref, record(subject.now()))
        await subject.store.delete(ref)
        await subject.store.delete(ref)
        await subject.store.delete(new_ref(SOUTH))

    async def test_a_purge_removes_only_what_was_deleted_before(self, subject: StoreSubject) -> None:
        """R-12: tokens don't outlive the sign-out by the vault's ninety days; a write under way stays in vain."""
        early, late, living = new_ref(NORTH), new_ref(NORTH), new_ref(NORTH)
        for tokens, ref in (("early", early), ("late", late), ("living", living)):
            await subject.store.create(ref, record(subject.now(), tokens=tokens))
        await subject.store.delete(early)
        subject.advance(2 * MINUTE)
        await subject.store.delete(late)
        assert await subject.store.purge(NORTH, subject.now() - MINUTE) == 1
        assert not any("token-early" in value for value in subject.values())
        with pytest.raises(SessionEnded):
            await subject.store.replace(late, record(subject.now()))
        assert await subject.store.purge(SOUTH, subject.now()) == 0
        assert (await subject.store.load(living)).record.grant.access_token == "access-token-living"

    async def test_a_purge_reads_every_page(self, subject: StoreSubject) -> None:
        refs = await many(subject, NORTH, 60)
        await asyncio.gather(*map(subject.store.delete, refs))
        subject.advance(2 * MINUTE)
        assert await subject.store.purge(NORTH, subject.now() - MINUTE) == 60
        assert await subject.store.purge(NORTH, subject.now() - MINUTE) == 0

    # Listings ----------------------------------------------------------------------------------------------

    async def test_a_listing_counts_what_is_in_the_vault(self, subject: StoreSubject) -> None:
        """R-11: the next one is due the later, the more there is: here two sessions, two indexes and one more."""
        await many(subject, NORTH, 2)
        await subject.store.create(new_ref(NORTH), record(subject.now(), account=personal_account(sid=None)))
        assert (await subject.store.listing(NORTH)).secrets == 6

    @pytest.mark.parametrize("sessions", [0, 1, 26, 60])
    async def test_a_listing_names_every_session_of_its_vault_once(self, subject: StoreSubject, sessions: int) -> None:
        """Pages end at 25; indexes and the other vault's sessions are no sessions of this one."""
        refs = await many(subject, NORTH, sessions)
        await subject.store.create(new_ref(SOUTH), record(subject.now()))
        entries = await listed(subject, NORTH)
        assert sorted(entry.ref.name for entry in entries) == sorted(ref.name for ref in refs)
        assert all(entry.marks == record(subject.now()).marks for entry in entries)

    async def test_a_session_that_ends_while_the_vault_is_listed_hides_no_other(self, subject: StoreSubject) -> None:
        refs = sorted(await many(subject, NORTH, 60), key=lambda ref: ref.name)
        entries, _ = await asyncio.gather(listed(subject, NORTH), subject.store.delete(refs[0]))
        seen = sorted(entry.ref.name for entry in entries)
        assert seen in ([ref.name for ref in refs], [ref.name for ref in refs[1:]])

    async def test_accounts_come_page_by_page_each_once(self, subject: StoreSubject) -> None:
        """R-18."""
        accounts = [work_account(f"p{n}", sid=f"sid-of-{n}") for n in range(40)]
        for account in accounts:
            await subject.store.create(new_ref(NORTH), record(subject.now(), account=account))
        await subject.store.create(new_ref(SOUTH), record(subject.now(), account=work_account("elsewhere")))
        found, pages = await all_accounts(subject, NORTH)
        assert sorted(found) == sorted(digest(account.home_account_id) for account in accounts)
        assert pages >= 2

    @pytest.mark.parametrize(
        "page", ["https://[", "2", "after", "https://elsewhere.example/secrets?api-version=7.5", "{vault}"]
    )
    async def test_a_page_that_there_is_not_is_the_callers_mistake(self, subject: StoreSubject, page: str) -> None:
        await many(subject, NORTH, 30)
        _, following = await subject.store.account_page(NORTH, None)
        assert following
        broken = following.partition("?")[0] + "?api-version=7.5&$skiptoken=A" if page == "{vault}" else page
        with pytest.raises(BadRequest):
            await subject.store.account_page(NORTH, broken)

    # Indexes -----------------------------------------------------------------------------------------------

    async def test_a_session_is_found_by_account_and_by_sid_in_every_vault(self, subject: StoreSubject) -> None:
        """R-12: sign-out everywhere and the provider's front-channel sign-out find it."""
        north, south, other = new_ref(NORTH), new_ref(SOUTH), new_ref(NORTH)
        await subject.store.create(north, record(subject.now()))
        await subject.store.create(south, record(subject.now()))
        await subject.store.create(other, record(subject.now(), account=personal_account(sid=None)))
        assert list(await subject.store.by_account(ALEX)) == [north, south]
        assert list(await subject.store.by_sid(ALEX_SID)) == [north, south]
        assert list(await subject.store.by_account(digest(personal_account().home_account_id))) == [other]
        assert list(await subject.store.by_account(digest("nobody"))) == []
        assert list(await subject.store.by_sid(digest("nothing"))) == []

    async def test_sign_ins_at_once_are_all_found_after_a_repair(self, subject: StoreSubject) -> None:
        """An index has no compare-and-swap: what meets is lost until the timer puts it right."""
        refs = await many(subject, NORTH, 20)
        subject.advance(2 * MINUTE)
        await repaired(subject, NORTH)
        for found in (await subject.store.by_account(ALEX), await subject.store.by_sid(ALEX_SID)):
            assert sorted(ref.name for ref in found) == sorted(ref.name for ref in refs)

    async def test_a_repair_drops_what_has_ended_and_then_has_nothing_to_do(self, subject: StoreSubject) -> None:
        ended, living = new_ref(NORTH), new_ref(NORTH)
        await subject.store.create(ended, record(subject.now()))
        await subject.store.create(living, record(subject.now()))
        await subject.store.delete(ended)
        subject.advance(2 * MINUTE)
        assert await repaired(subject, NORTH) == 2
        assert list(await subject.store.by_account(ALEX)) == [living]
        subject.advance(2 * MINUTE)
        assert await repaired(subject, NORTH) == 0

    async def test_what_was_removed_since_the_listing_leaves_its_indexes(self, subject: StoreSubject) -> None:
        """R-11: the timer removes between its look at the vault and its repair."""
        over, living = new_ref(NORTH), new_ref(NORTH)
        for ref in (over, living):
            await subject.store.create(ref, record(subject.now()))
        subject.advance(2 * MINUTE)
        listing = await subject.store.listing(NORTH)
        removed = [entry for entry in listing.entries if entry.ref == over]
        await subject.store.delete(over)
        assert await subject.store.repair_indexes(NORTH, listing, subject.now(), removed) == 2
        assert list(await subject.store.by_account(ALEX)) == [living]
        assert list(await subject.store.by_sid(ALEX_SID)) == [living]

    async def test_an_index_written_since_the_listing_began_is_not_narrowed(self, subject: StoreSubject) -> None:
        """A sign-in during the timer's run is in the index and not in the listing."""
        await many(subject, NORTH, 3)
        subject.advance(5 * MINUTE)
        listed_at, listing = subject.now(), await subject.store.listing(NORTH)
        subject.advance(MINUTE)
        late = new_ref(NORTH)
        await subject.store.create(late, record(subject.now()))
        subject.advance(MINUTE)
        await subject.store.repair_indexes(NORTH, listing, listed_at)
        assert late in await subject.store.by_account(ALEX)
        assert late in await subject.store.by_sid(ALEX_SID)

    async def test_a_repair_keeps_what_a_newer_release_wrote(self, subject: StoreSubject) -> None:
        """R-12: after a rollback, signing out everywhere still ends the sessions that can't be read here."""
        newer, ended, living = new_ref(NORTH), new_ref(NORTH), new_ref(NORTH)
        for ref in (newer, ended, living):
            await subject.store.create(ref, record(subject.now()))
        await subject.put_raw(newer, json.dumps({"v": 2}), {"v": "2"})
        await subject.store.delete(ended)
        subject.advance(2 * MINUTE)
        assert await repaired(subject, NORTH) == 2
        assert set(await subject.store.by_account(ALEX)) == {newer, living}
        assert set(await subject.store.by_sid(ALEX_SID)) == {newer, living}
        subject.advance(2 * MINUTE)
        assert await repaired(subject, NORTH) == 0
        subject.advance(4 * DAY)
        assert await repaired(subject, NORTH) == 0
        await subject.store.delete(newer)
        assert await repaired(subject, NORTH) == 2
        assert list(await subject.store.by_account(ALEX)) == [living]

    async def test_the_note_of_the_last_pass_is_for_every_instance(self, subject: StoreSubject) -> None:
        """R-11: none at first, then the newest, for each vault by itself; it is no session and costs one write ever."""
        assert await subject.store.last_pass(NORTH) is None
        for secrets in (3, 3_000_000):
            note = PassNote(at=whole_second(subject.now()), secrets=secrets)
            await subject.store.note_pass(NORTH, note)
            assert await subject.store.last_pass(NORTH) == note
            subject.advance(timedelta(hours=1))
        assert await subject.store.last_pass(SOUTH) is None
        assert await listed(subject, NORTH) == []
        assert subject.store.throttled(NORTH) == 0

    async def test_an_empty_index_is_kept_for_days_then_removed(self, subject: StoreSubject) -> None:
        """Deleting it at once would make the same person's next sign-in meet a name in deletion."""
        ref = new_ref(NORTH)
        await subject.store.create(ref, record(subject.now()))
        await subject.store.delete(ref)
        subject.advance(2 * MINUTE)
        assert await repaired(subject, NORTH) == 2
        subject.advance(2 * DAY)
        assert await repaired(subject, NORTH) == 0
        assert (await all_accounts(subject, NORTH))[0] == [ALEX]
        subject.advance(2 * DAY)
        assert await repaired(subject, NORTH) == 2
        assert (await all_accounts(subject, NORTH))[0] == []
        assert list(await subject.store.by_account(ALEX)) == []

    async def test_a_sign_in_whose_index_is_in_deletion_succeeds_and_is_found_later(
        self, subject: StoreSubject
    ) -> None:
        gone = new_ref(NORTH)
        await subject.store.create(gone, record(subject.now()))
        await subject.store.delete(gone)
        for wait in (2 * MINUTE, 4 * DAY):
            subject.advance(wait)
            await repaired(subject, NORTH)
        back = new_ref(NORTH)
        await subject.store.create(back, record(subject.now()))
        assert (await subject.store.load(back)).ref == back
        subject.advance(2 * MINUTE)
        await repaired(subject, NORTH)
        await subject.store.purge(NORTH, subject.now() - MINUTE)
        subject.advance(5 * MINUTE)
        assert await repaired(subject, NORTH) == 2
        assert list(await subject.store.by_account(ALEX)) == [back]


class TestMemoryStore(SessionStoreContract):
    @pytest.fixture
    def subject(self) -> MemorySubject:
        return MemorySubject()


class TestKeyVaultStore(SessionStoreContract):
    @pytest.fixture
    async def subject(self, authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VaultSubject]:
        async with vault_subject(authority, monkeypatch) as subject:
            yield subject


async def many(subject: StoreSubject, vault: str, sessions: int) -> list[SessionRef]:
    """Sessions of one account that sign in at the same moment."""
    refs = [new_ref(vault) for _ in range(sessions)]
    await asyncio.gather(*(subject.store.create(ref, record(subject.now())) for ref in refs))
    return refs


async def listed(subject: StoreSubject, vault: str) -> list[Entry]:
    return list((await subject.store.listing(vault)).entries)


async def repaired(subject: StoreSubject, vault: str) -> int:
    return await subject.store.repair_indexes(vault, await subject.store.listing(vault), subject.now())


async def all_accounts(subject: StoreSubject, vault: str) -> tuple[list[str], int]:
    """Every page's accounts, and how many pages there were."""
    found: list[str] = []
    page, pages = None, 0
    while page or not pages:
        hashes, page = await subject.store.account_page(vault, page)
        found.extend(hashes)
        pages += 1
    return found, pages

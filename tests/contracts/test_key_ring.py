"""The key ring's promises (shared/ports.py), held by the in-memory double and by Key Vault alike."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from local.tls import LocalAuthority
from shared.errors import Misconfigured, StoreUnavailable
from tests.contracts.subjects import MemoryRingSubject, RingSubject, VaultRingSubject, ring_subject

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


class KeyRingContract:
    """One suite for every `KeyRing`; a subclass says what `subject` is."""

    async def test_the_first_call_makes_a_key_that_stays(self, subject: RingSubject) -> None:
        ring = subject.ring()
        key = await ring.newest()
        assert len(key.secret) == 32
        assert key.created_at == subject.now()
        assert await ring.newest() == key
        assert await subject.ring().newest() == key
        assert await subject.ring().by_id(key.id) == key

    async def test_instances_that_make_the_first_key_at_once_verify_each_others(self, subject: RingSubject) -> None:
        """Two instances that start at the same moment sign with keys that both know."""
        rings = [subject.ring(), subject.ring(), subject.ring()]
        keys = await asyncio.gather(*(ring.newest() for ring in rings))
        for ring in (*rings, subject.ring()):
            for key in keys:
                assert await ring.by_id(key.id) == key

    async def test_an_id_that_never_was_is_nobodys(self, subject: RingSubject) -> None:
        ring = subject.ring()
        for key_id in ("0" * 32, "", "not an id", "../secrets/s-1", "A" * 32):
            assert await ring.by_id(key_id) is None
        await ring.newest()
        assert await ring.by_id("0" * 32) is None

    async def test_rotation_makes_a_new_key_and_keeps_the_old_ones(self, subject: RingSubject) -> None:
        ring = subject.ring()
        old = await ring.newest()
        subject.advance(31 * DAY)
        assert await ring.rotate(older_than=subject.now() - 30 * DAY)
        new = await ring.newest()
        assert new != old
        assert new.created_at == subject.now()
        for other in (ring, subject.ring()):
            assert await other.newest() == new
            assert await other.by_id(old.id) == old

    async def test_a_young_key_is_not_rotated(self, subject: RingSubject) -> None:
        ring = subject.ring()
        assert not await ring.rotate(older_than=subject.now() - 30 * DAY)
        key = await ring.newest()
        subject.advance(29 * DAY)
        assert not await ring.rotate(older_than=subject.now() - 30 * DAY)
        assert await ring.newest() == key

    async def test_another_instance_signs_with_the_new_key_within_hours(self, subject: RingSubject) -> None:
        one, other = subject.ring(), subject.ring()
        await one.newest()
        await other.newest()
        subject.advance(31 * DAY)
        await one.rotate(older_than=subject.now() - 30 * DAY)
        subject.advance(timedelta(hours=2))
        assert await other.newest() == await one.newest()


class TestMemoryKeyRing(KeyRingContract):
    @pytest.fixture
    def subject(self) -> MemoryRingSubject:
        return MemoryRingSubject()


@pytest.fixture
async def vault_ring(authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VaultRingSubject]:
    async with ring_subject(authority, monkeypatch) as subject:
        yield subject


class TestKeyVaultKeyRing(KeyRingContract):
    @pytest.fixture
    def subject(self, vault_ring: VaultRingSubject) -> VaultRingSubject:
        return vault_ring

    async def test_a_known_key_costs_no_read(self, subject: VaultRingSubject) -> None:
        ring = subject.ring()
        key = await ring.newest()
        reads = key_reads(subject)
        for _ in range(5):
            assert await ring.newest() == key
            assert await ring.by_id(key.id) == key
        assert key_reads(subject) == reads

    async def test_an_unknown_id_costs_one_read_and_a_malformed_one_none(self, subject: VaultRingSubject) -> None:
        ring = subject.ring()
        await ring.newest()
        reads = key_reads(subject)
        await ring.by_id("1" * 32)
        assert key_reads(subject) == reads + 1
        await ring.by_id("not hex")
        assert key_reads(subject) == reads + 1

    async def test_forged_ids_do_not_become_reads_without_end(self, subject: VaultRingSubject) -> None:
        """Sixty a minute; what is known stays usable, and a minute later unknown ones are looked up again."""
        ring = subject.ring()
        key = await ring.newest()
        for n in range(60):
            await ring.by_id(f"{n:032x}")
        reads = key_reads(subject)
        with pytest.raises(StoreUnavailable) as refused:
            await ring.by_id("f" * 32)
        assert refused.value.retry_after_s
        assert key_reads(subject) == reads
        assert await ring.by_id(key.id) == key
        subject.advance(2 * MINUTE)
        assert await ring.by_id("f" * 32) is None

    async def test_an_instance_that_starts_under_a_flood_of_forged_ids_knows_the_key_that_signs(
        self, subject: VaultRingSubject
    ) -> None:
        """R-16: who is rightly signed in gets in; the flood still costs no more than its reads a minute."""
        key = await subject.ring().newest()
        ring = subject.ring()
        for n in range(60):
            await ring.by_id(f"{n:032x}")
        assert await ring.by_id(key.id) == key
        reads = key_reads(subject)
        for n in range(60, 80):
            with pytest.raises(StoreUnavailable):
                await ring.by_id(f"{n:032x}")
        assert key_reads(subject) == reads

    async def test_readers_of_one_unknown_key_share_a_read(self, subject: VaultRingSubject) -> None:
        key = await subject.ring().newest()
        ring, reads = subject.ring(), key_reads(subject)
        found = await asyncio.gather(*(ring.by_id(key.id) for _ in range(10)))
        assert found == [key] * 10
        assert key_reads(subject) == reads + 1

    async def test_a_ring_that_was_deleted_by_hand_is_the_operators_to_mend(self, subject: VaultRingSubject) -> None:
        """Every cookie would be void: the bundle does not decide that by itself."""
        await subject.ring().newest()
        subject.vault.store.delete("key-ring")
        with pytest.raises(Misconfigured, match="purge it to sign everybody out"):
            await subject.ring().newest()

    @pytest.mark.parametrize("value", ["", "short", "!" * 44])
    async def test_a_ring_that_somebody_else_wrote_is_not_used(self, subject: VaultRingSubject, value: str) -> None:
        await subject.client.set_secret("key-ring", value)
        with pytest.raises(Misconfigured, match="not what the bundle wrote"):
            await subject.ring().newest()

    async def test_key_material_shows_in_no_repr(self, subject: VaultRingSubject) -> None:
        key = await subject.ring().newest()
        assert "secret" not in repr(key)


def key_reads(subject: VaultRingSubject) -> int:
    return sum(
        call.method == "GET" and "key-ring" in call.path and call.status != 401 for call in subject.vault.faults.calls
    )

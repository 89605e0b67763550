"""Every check at once, each bounded, none able to break the rest; and the rules that need no call."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial

import pytest

from shared import findings
from shared.errors import Misconfigured, StoreUnavailable
from shared.findings import Finding, State
from shared.model import PassNote
from shared.usecases.doctor import KEEP_GENTLY_S, LIMIT_S, Check, Doctor, front_ends_check, key_ring_check, timer_check
from tests.usecases.world import World


class Script:
    """A check that finds what it is told to, or breaks; it counts how often it was asked."""

    def __init__(self, *found: Finding, error: Exception | None = None, takes_s: float = 0) -> None:
        self.found = found
        self.error = error
        self.takes_s = takes_s
        self.asked = 0

    async def __call__(self) -> Iterable[Finding]:
        self.asked += 1
        await asyncio.sleep(self.takes_s)
        if self.error:
            raise self.error
        return self.found


FINE = Finding(check="fine", what="All is well.")
WALL = Finding(check="vault", state=State.BROKEN, code="vault_firewall", what="No way in.", cause="c", mend="m")


def codes(found: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(finding.check, finding.code) for finding in found]


async def test_checks_run_at_once_and_show_in_their_order(world: World) -> None:
    started = asyncio.get_running_loop().time()
    checks = [Check(name=f"c{n}", look=Script(Finding(check=f"c{n}", what=""), takes_s=5 - n)) for n in range(5)]
    found = await Doctor(checks, world.clock).examine()
    assert [finding.check for finding in found] == ["c0", "c1", "c2", "c3", "c4"]
    assert asyncio.get_running_loop().time() - started < 6


BREAKS = [
    (Misconfigured(["Give it a role."]), 0.0, "misconfigured"),
    (StoreUnavailable("list sessions: HTTP 503"), 0.0, "store_unavailable"),
    (RuntimeError("a secret from outside"), 0.0, "internal_error"),
    (None, LIMIT_S + 60, "no_answer"),
]


@pytest.mark.parametrize(("error", "takes_s", "code"), BREAKS, ids=[code for *_, code in BREAKS])
async def test_a_check_that_breaks_or_hangs_is_a_finding_and_the_others_are_there(
    world: World, error: Exception | None, takes_s: float, code: str
) -> None:
    """R-16: what an exception says may hold anything, so only its kind is told."""
    checks = [
        Check(name="bad", look=Script(FINE, error=error, takes_s=takes_s)),
        Check(name="fine", look=Script(FINE)),
    ]
    started = asyncio.get_running_loop().time()
    found = await Doctor(checks, world.clock).examine()
    assert codes(found) == [("bad", code), ("fine", "ok")]
    assert found[0].state is State.BROKEN
    assert found[0].cause
    assert found[0].mend
    assert "secret" not in repr(found)
    assert asyncio.get_running_loop().time() - started < LIMIT_S + 1


async def test_what_rests_on_a_broken_check_is_not_checked_and_said_so(world: World) -> None:
    """One cause, one finding to mend."""
    ring, vault = Script(FINE), Script(WALL)
    checks = [Check(name="vault", look=vault), Check(name="key_ring", look=ring, after=("vault", ""))]
    found = await Doctor(checks, world.clock).examine()
    assert codes(found) == [("vault", "vault_firewall"), ("key_ring", "not_checked")]
    assert ring.asked == 0
    vault.found = (FINE,)
    await world.clock.sleep(60)
    assert codes(await Doctor(checks, world.clock).examine()) == [("fine", "ok"), ("fine", "ok")]


async def test_a_monitor_that_polls_does_not_multiply_calls(world: World) -> None:
    """Answers serve ten seconds; what shows in the provider's sign-in log five minutes, but half one while broken."""
    often, seldom, broken = Script(FINE), Script(FINE), Script(WALL)
    doctor = Doctor(
        [
            Check(name="fine", look=often),
            Check(name="credential", look=seldom, keep_s=KEEP_GENTLY_S),
            Check(name="vault", look=broken, keep_s=KEEP_GENTLY_S),
        ],
        world.clock,
    )
    await asyncio.gather(*(doctor.examine() for _ in range(20)))
    assert (often.asked, seldom.asked, broken.asked) == (1, 1, 1)
    for _ in range(30):
        await world.clock.sleep(11)
        await doctor.examine()
    assert (often.asked, seldom.asked, broken.asked) == (31, 2, 11)


async def test_the_timers_last_run_is_judged_by_its_age(world: World) -> None:
    doctor = Doctor(
        [Check(name="vault", look=Script(FINE)), timer_check(world.store, world.clock, "main", of="")], world.clock
    )
    assert [f.code for f in await doctor.examine()] == ["ok", "timer_never_ran"]
    await world.store.note_pass("main", PassNote(at=world.clock.now(), secrets=0))
    await world.clock.sleep(3600)
    assert [f.code for f in await doctor.examine()] == ["ok", "ok"]
    await world.clock.sleep(2 * 3600)
    late = (await doctor.examine())[1]
    assert (late.state, late.code) == (State.BROKEN, "timer_late")
    assert "180 min ago" in late.what


async def test_the_key_ring_is_looked_at_after_its_vault(world: World) -> None:
    checks = [Check(name="vault", look=Script(FINE)), key_ring_check(world.ring, of="")]
    assert codes(await Doctor(checks, world.clock).examine()) == [("fine", "ok"), ("key_ring", "ok")]


CLOCKS = [(0, "ok"), (59, "ok"), (61, "clock_drifts"), (-61, "clock_drifts"), (301, "clock_off"), (-4000, "clock_off")]


@pytest.mark.parametrize(("ahead_s", "code"), CLOCKS)
def test_a_clock_is_off_beyond_what_tokens_bear(ahead_s: int, code: str) -> None:
    found = findings.clock("login.example", timedelta(seconds=ahead_s))
    assert (found.code, found.of) == (code, "login.example")
    assert (found.state is State.BROKEN) == (code == "clock_off")
    if code != "ok":
        assert f"{abs(ahead_s)} s {'behind' if ahead_s > 0 else 'ahead of'}" in found.what


async def test_a_front_end_on_another_site_is_named_and_no_fault(world: World) -> None:
    """Browsers block cookies of another site; whether that matters the operator knows."""
    for elsewhere, state in (((), State.OK), (("https://app.other.example",), State.NOTE)):
        origins: Callable[[], Sequence[str]] = partial(tuple, elsewhere)
        (found,) = await Doctor([front_ends_check("https://notes.example", origins)], world.clock).examine()
        assert found.state is state
        assert all(origin in found.what for origin in elsewhere)

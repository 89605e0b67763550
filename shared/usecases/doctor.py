"""Owns how the surroundings are examined: every check at once, each bounded in time, none able to break the rest.

Knows no SDK and no HTTP: what a check does is the adapters' affair.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain

from shared import findings
from shared.errors import Misconfigured, Unavailable
from shared.findings import NOT_CHECKED, Finding, State, is_broken
from shared.ports import Clock, KeyRing, SessionStore

LIMIT_S = 10.0
"""For each check: longer than looking for the app's identity may take, so that the right one of the two is named."""

KEEP_S = 10.0
"""How long an answer serves, so that a monitor's polling is not multiplied."""

KEEP_GENTLY_S = 300.0
"""The same for what shows in the provider's sign-in log, where many alike can look like an attack."""

_BROKEN_KEPT_S = 30.0

type Look = Callable[[], Awaitable[Iterable[Finding]]]
type Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check. `of` tells checks of one name apart; `after` names another without which it makes no sense."""

    name: str
    of: str = ""
    look: Look
    after: Key | None = None
    keep_s: float = KEEP_S

    @property
    def key(self) -> Key:
        return self.name, self.of


class Doctor:
    """`await examine()` gives what all checks found, in their order."""

    def __init__(self, checks: Sequence[Check], clock: Clock) -> None:
        """A check stands behind the one that it comes after."""
        self._checks = checks
        self._clock = clock
        self._lock = asyncio.Lock()
        self._kept: dict[Key, tuple[datetime, tuple[Finding, ...]]] = {}

    async def examine(self) -> tuple[Finding, ...]:
        """Never raises: a check that does is a finding. Whoever asks meanwhile gets the same answers."""
        async with self._lock:
            tasks: dict[Key, asyncio.Task[tuple[Finding, ...]]] = {}
            async with asyncio.TaskGroup() as group:
                for check in self._checks:
                    first = tasks[check.after] if check.after else None
                    tasks[check.key] = group.create_task(self._run(check, first))
            return tuple(chain.from_iterable(task.result() for task in tasks.values()))

    async def _run(self, check: Check, first: "asyncio.Task[tuple[Finding, ...]] | None") -> tuple[Finding, ...]:
        if first is not None and check.after is not None and is_broken(await first, check.after[0]):
            what = f"Not checked: {' '.join(check.after).strip()} comes first."
            return (Finding(check=check.name, of=check.of, state=State.NOTE, code=NOT_CHECKED, what=what),)
        now = self._clock.now()
        at, kept = self._kept.get(check.key, (now, ()))
        keep_s = min(check.keep_s, _BROKEN_KEPT_S) if is_broken(kept) else check.keep_s
        if kept and abs(now - at) < timedelta(seconds=keep_s):
            return kept
        found = await _look(check)
        self._kept[check.key] = (now, found)
        return found


async def _look(check: Check) -> tuple[Finding, ...]:
    broken = Finding(check=check.name, of=check.of, state=State.BROKEN, what="This could not be checked.")
    try:
        async with asyncio.timeout(LIMIT_S):
            return tuple(await check.look())
    except TimeoutError:
        mend = "Is there a firewall, or an outage? Try again in a minute."
        return (replace(broken, code="no_answer", cause=f"There was no answer within {LIMIT_S:.0f} s.", mend=mend),)
    except Misconfigured as error:
        return (
            replace(
                broken, code=error.code, cause="Something it rests on is not set up.", mend=" ".join(error.findings)
            ),
        )
    except Unavailable as error:
        mend = "Wait, and look at the service's status page."
        return (replace(broken, code=error.code, cause=f"It can't be asked now: {error.what}.", mend=mend),)
    except Exception as error:
        # Whatever it is, the others' findings matter more; its text may hold what came from outside (R-16).
        cause = f"A fault of the check itself ({type(error).__name__})."
        return (replace(broken, code="internal_error", cause=cause, mend="Please report it."),)


def front_ends_check(public: str, elsewhere: Callable[[], Sequence[str]]) -> Check:
    async def look() -> Iterable[Finding]:
        return (findings.front_ends(public, elsewhere()),)

    return Check(name="front_ends", look=look)


def timer_check(store: SessionStore, clock: Clock, vault: str, *, of: str) -> Check:
    async def look() -> Iterable[Finding]:
        note = await store.last_pass(vault)
        return (findings.timer(of, clock.now() - note.at if note else None),)

    return Check(name="timer", of=of, look=look, after=("vault", of))


def key_ring_check(ring: KeyRing, *, of: str) -> Check:
    async def look() -> Iterable[Finding]:
        await ring.newest()
        return (Finding(check="key_ring", what="The keys that sign cookies are there."),)

    return Check(name="key_ring", look=look, after=("vault", of))

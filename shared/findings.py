"""Owns what a check of the surroundings can find, and the rules that need no call: clock and timer. Pure.

A finding names no token, secret or code: it goes to a terminal, and to whoever holds a function key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from shared.schedule import PASS_LATEST

NOT_CHECKED = "not_checked"
SERVICE = "onenote-auth"
"""What `/api/health` calls itself, so that a public address that leads elsewhere shows."""

CLOCK_LIMIT = timedelta(minutes=5)
"""Tokens are judged with this much patience, here and at Microsoft."""

CLOCK_DRIFTS = timedelta(minutes=1)

TIMER_LIMIT = 2 * PASS_LATEST


class State(StrEnum):
    OK = "ok"
    NOTE = "note"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found. `code` is a stable word for programs, the rest is for people, a sentence each.

    `of` tells checks of the same name apart: a vault's label, a host. `cause` and `mend` are empty where all is well.
    """

    check: str
    of: str = ""
    state: State = State.OK
    code: str = "ok"
    what: str
    cause: str = ""
    mend: str = ""


def is_broken(findings: Iterable[Finding], check: str | None = None) -> bool:
    """Whether something needs mending; of one check, if it is named."""
    return any(f.state is State.BROKEN and check in (None, f.check) for f in findings)


def clock(host: str, ahead: timedelta) -> Finding:
    """`ahead`: by how much `host` is ahead of this machine."""
    off = abs(ahead)
    if off < CLOCK_DRIFTS:
        return Finding(check="clock", of=host, what=f"The clock agrees with {host}, within a minute.")
    way = "behind" if ahead > timedelta() else "ahead of"
    broken = off >= CLOCK_LIMIT
    return Finding(
        check="clock",
        of=host,
        state=State.BROKEN if broken else State.NOTE,
        code="clock_off" if broken else "clock_drifts",
        what=f"This machine's clock is {off.total_seconds():.0f} s {way} that of {host}.",
        cause=f"Tokens that are off by more than {CLOCK_LIMIT.total_seconds():.0f} s are refused.",
        mend="Let the machine set its clock from the network (NTP).",
    )


def timer(vault: str, age: timedelta | None) -> Finding:
    """`age`: how long ago any instance has listed that vault whole and left nothing undone; None for never."""
    if age is None:
        return Finding(
            check="timer",
            of=vault,
            state=State.NOTE,
            code="timer_never_ran",
            what="The timer has not finished a run over this vault yet.",
            cause="That is so for the first minutes after a deployment; later it means that the timer does not run.",
            mend="Wait for REFRESH_SCHEDULE to come round. Still so then: is the app's storage account within reach?",
        )
    minutes = age.total_seconds() / 60
    if age < TIMER_LIMIT:
        return Finding(check="timer", of=vault, what=f"The timer's last whole run was {max(minutes, 0):.0f} min ago.")
    return Finding(
        check="timer",
        of=vault,
        state=State.BROKEN,
        code="timer_late",
        what=f"The timer's last whole run over this vault was {minutes:.0f} min ago; it should be every 90 at most.",
        cause="It does not run, REFRESH_SCHEDULE is too rare, or it can't do all that is due. Sessions die of it in time.",
        mend="Look for `sweep` in the log. None: check the app's storage account. Else do what its `causes` say.",
    )


def front_ends(public: str, elsewhere: Iterable[str]) -> Finding:
    """`elsewhere`: the front ends' origins that lie on another site than the public address."""
    names = ", ".join(elsewhere)
    if not names:
        return Finding(check="front_ends", what="No front end lies on another site than the public address.")
    return Finding(
        check="front_ends",
        state=State.NOTE,
        code="front_end_elsewhere",
        what=f"{names} and {public} are of different sites.",
        cause="Safari and Firefox, and Chrome where people choose so, keep the session cookie from another site's page.",
        mend="Serve both under one domain (a custom domain, or a linked backend).",
    )

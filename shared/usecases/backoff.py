"""Owns how long a session waits on this instance before the provider is asked for it again, and when all of a kind do.

The timer writes a back-off of its own into the marks, which every instance sees; this one is in memory only.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.errors import Misconfigured, ProviderUnavailable, Unavailable
from shared.model import AccountKind, SessionRef
from shared.ports import Clock

_FIRST_S = 1.0
_MOST_S = 60.0
_ASKED_MOST_S = 900.0
"""However long a peer asks to be left alone: a broken proxy's `Retry-After` of a day must not cost anybody a day."""

_MENDED_S = 10.0
"""However often the app was refused: who has mended it at three in the morning wants to see so."""

_REFUSED_MOST = 20
"""Times in a row that the app itself is refused before others wait without asking. Each kind of account may have a
credential of its own."""

_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wait:
    until: datetime
    whole_s: float
    error: Misconfigured | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    times: int
    at: datetime
    error: Misconfigured


class Backoff:
    """`failed` after a try, `check` before the next one, `forget` when one went well."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits: dict[SessionRef, _Wait] = {}
        self._refused: dict[AccountKind, _Refused] = {}

    def failed(self, ref: SessionRef, error: Unavailable) -> ProviderUnavailable:
        """Hold the next try back, each time for longer. What to raise, with the wait in seconds."""
        wait_s = self._hold(ref, min(error.retry_after_s or 0.0, _ASKED_MOST_S), _MOST_S, None)
        return ProviderUnavailable(error.what, retry_after_s=wait_s)

    def misconfigured(self, ref: SessionRef, kind: AccountKind, error: Misconfigured) -> Misconfigured:
        """The same where the app is refused: people who poll must not ask the provider on and on with a wrong secret."""
        self._hold(ref, 0.0, _MENDED_S, error)
        if error.everywhere:
            before = self._refused.get(kind)
            self._refused[kind] = _Refused(times=before.times + 1 if before else 1, at=self._clock.now(), error=error)
        return error

    def check(self, ref: SessionRef, kind: AccountKind) -> None:
        """Raises ProviderUnavailable, or Misconfigured with the last findings, while the session or its kind waits."""
        if wait := self._waits.get(ref):
            self._check_session(wait)
        if refused := self._refused.get(kind):
            self._check_kind(kind, refused)

    def _check_session(self, wait: _Wait) -> None:
        left_s = (wait.until - self._clock.now()).total_seconds()
        if not 0 < left_s <= wait.whole_s:  # a clock set back must not make the wait longer
            return
        if wait.error:
            raise Misconfigured(wait.error.findings, everywhere=wait.error.everywhere)
        raise ProviderUnavailable("backing off", retry_after_s=left_s)

    def _check_kind(self, kind: AccountKind, refused: _Refused) -> None:
        if refused.times < _REFUSED_MOST:
            return
        now = self._clock.now()
        if 0 <= (now - refused.at).total_seconds() < _MENDED_S:
            raise Misconfigured(refused.error.findings)
        # This one asks; the others wait for what it hears.
        self._refused[kind] = replace(refused, at=now)

    def forget(self, ref: SessionRef, kind: AccountKind) -> None:
        self._waits.pop(ref, None)
        self._refused.pop(kind, None)

    def _hold(self, ref: SessionRef, asked_s: float, most_s: float, error: Misconfigured | None) -> float:
        last = self._waits.get(ref)
        wait_s = max(asked_s, min(max(last.whole_s * 2 if last else 0.0, _FIRST_S), most_s))
        if len(self._waits) >= _KEPT:
            self._waits.pop(next(iter(self._waits)))
        until = self._clock.now() + timedelta(seconds=wait_s)
        self._waits[ref] = _Wait(until=until, whole_s=wait_s, error=error)
        return wait_s

"""Owns how long a session waits on this instance before the provider is asked for it again.

The timer writes a back-off of its own into the marks, which every instance sees; this one is in memory only.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import Misconfigured, ProviderUnavailable, Unavailable
from shared.model import SessionRef
from shared.ports import Clock

_FIRST_S = 1.0
_MOST_S = 60.0
_ASKED_MOST_S = 900.0
"""However long a peer asks to be left alone: a broken proxy's `Retry-After` of a day must not cost anybody a day."""

_MENDED_S = 10.0
"""However often the app was refused: who has mended it at three in the morning wants to see so."""

_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wait:
    until: datetime
    whole_s: float
    error: Misconfigured | None


class Backoff:
    """`failed` after a try, `check` before the next one, `forget` when one went well."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits: dict[SessionRef, _Wait] = {}

    def failed(self, ref: SessionRef, error: Unavailable) -> ProviderUnavailable:
        """Hold the next try back, each time for longer. What to raise, with the wait in seconds."""
        wait_s = self._hold(ref, min(error.retry_after_s or 0.0, _ASKED_MOST_S), _MOST_S, None)
        return ProviderUnavailable(error.what, retry_after_s=wait_s)

    def misconfigured(self, ref: SessionRef, error: Misconfigured) -> Misconfigured:
        """The same where the app is refused: people who poll must not ask the provider on and on with a wrong secret."""
        self._hold(ref, 0.0, _MENDED_S, error)
        return error

    def check(self, ref: SessionRef) -> None:
        """Raises ProviderUnavailable, or Misconfigured with the last findings, while the session waits."""
        wait = self._waits.get(ref)
        if wait is None:
            return
        left_s = (wait.until - self._clock.now()).total_seconds()
        if not 0 < left_s <= wait.whole_s:  # a clock set back must not make the wait longer
            return
        if wait.error:
            raise Misconfigured(wait.error.findings, everywhere=wait.error.everywhere)
        raise ProviderUnavailable("backing off", retry_after_s=left_s)

    def forget(self, ref: SessionRef) -> None:
        self._waits.pop(ref, None)

    def _hold(self, ref: SessionRef, asked_s: float, most_s: float, error: Misconfigured | None) -> float:
        last = self._waits.get(ref)
        wait_s = max(asked_s, min(max(last.whole_s * 2 if last else 0.0, _FIRST_S), most_s))
        if len(self._waits) >= _KEPT:
            self._waits.pop(next(iter(self._waits)))
        until = self._clock.now() + timedelta(seconds=wait_s)
        self._waits[ref] = _Wait(until=until, whole_s=wait_s, error=error)
        return wait_s

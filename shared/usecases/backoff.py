"""Owns how long a session waits on this instance before the provider is asked for it again.

The timer writes a back-off of its own into the marks, which every instance sees; this one is in memory only.
"""

from datetime import datetime, timedelta

from shared.errors import ProviderUnavailable, Unavailable
from shared.model import SessionRef
from shared.ports import Clock

_FIRST_S = 1.0
_MOST_S = 60.0
_ASKED_MOST_S = 900.0
"""However long a peer asks to be left alone: a broken proxy's `Retry-After` of a day must not cost anybody a day."""

_KEPT = 10_000


class Backoff:
    """`failed` after a try, `check` before the next one, `forget` when one went well."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits: dict[SessionRef, tuple[datetime, float]] = {}

    def failed(self, ref: SessionRef, error: Unavailable) -> ProviderUnavailable:
        """Hold the next try back, each time for longer. What to raise, with the wait in seconds."""
        _, last_s = self._waits.get(ref, (None, 0.0))
        asked_s = min(error.retry_after_s or 0.0, _ASKED_MOST_S)
        wait_s = max(asked_s, min(max(last_s * 2, _FIRST_S), _MOST_S))
        if len(self._waits) >= _KEPT:
            self._waits.pop(next(iter(self._waits)))
        self._waits[ref] = (self._clock.now() + timedelta(seconds=wait_s), wait_s)
        return ProviderUnavailable(error.what, retry_after_s=wait_s)

    def check(self, ref: SessionRef) -> None:
        """Raises ProviderUnavailable while the session waits."""
        until, wait_s = self._waits.get(ref, (None, 0.0))
        if until is None:
            return
        left_s = (until - self._clock.now()).total_seconds()
        if 0 < left_s <= wait_s:  # a clock set back must not make the wait longer
            raise ProviderUnavailable("backing off", retry_after_s=left_s)

    def forget(self, ref: SessionRef) -> None:
        self._waits.pop(ref, None)

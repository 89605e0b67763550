"""Owns the count of a vault's 429s, and the line that tells the operator of them."""

from collections import Counter
from datetime import datetime, timedelta

from shared import log
from shared.ports import Clock

_A_LINE_EVERY = timedelta(minutes=1)
"""A throttled vault answers hundreds a second; the log must not be throttled as well."""


class Throttling:
    """`counts` by vault label, since the process began: every 429, those that a retry mends included."""

    def __init__(self, clock: Clock) -> None:
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._told: dict[str, tuple[datetime, int]] = {}

    def hear(self, vault: str) -> None:
        """Count one; a line for the first, and then at most one a minute, with how many came since the last line."""
        self.counts[vault] += 1
        now = self._clock.now()
        at, told = self._told.get(vault, (now - _A_LINE_EVERY, 0))
        if abs(now - at) >= _A_LINE_EVERY:
            self._told[vault] = (now, self.counts[vault])
            log.warning("vault_throttled", vault=vault, times=self.counts[vault] - told)

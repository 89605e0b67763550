"""Owns what one run of the timer did, and the one line that the log gets of it."""

import logging
from collections import Counter
from dataclasses import dataclass, field

from shared import log

_CAUSES_MOST = 5


@dataclass(slots=True)
class Summary:
    """What one run did, counted while it runs; the fields are explained in `docs/operating.md`."""

    sessions: int = 0
    due: int = 0
    renewed: int = 0
    kept: int = 0
    dead: int = 0
    removed: int = 0
    purged: int = 0
    indexes_repaired: int = 0
    left_for_next_run: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    causes: list[str] = field(default_factory=list)
    in_vain: int = 0
    """Times in a row, up to now, that the provider gave no answer to go by. Not in the line."""

    def add_failure(self, code: str, cause: str) -> None:
        """Count it; `causes` tells the operator where to look, in a few words."""
        self.failed[code] += 1
        if cause not in self.causes and len(self.causes) < _CAUSES_MOST:
            self.causes.append(cause)

    def report(self, *, duration_s: float, past_due: bool) -> None:
        log.event(
            "sweep",
            level=logging.WARNING if self.failed else logging.INFO,
            sessions=self.sessions,
            due=self.due,
            renewed=self.renewed,
            kept=self.kept,
            dead=self.dead,
            removed=self.removed,
            purged=self.purged,
            indexes_repaired=self.indexes_repaired,
            left_for_next_run=self.left_for_next_run,
            failed=dict(self.failed),
            causes=self.causes,
            past_due=past_due,
            duration_s=round(duration_s, 3),
        )

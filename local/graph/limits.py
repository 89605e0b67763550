"""Owns how OneNote treats one person: the switches by which tests make it refuse.

Its real limits for one app and person are 120 calls a minute and five at once ("Microsoft Graph throttling limits").
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from local.graph import rules

_MINUTE_S = 60.0


@dataclass(slots=True, kw_only=True)
class Switches:
    """How OneNote treats one person from now on. `at_once_seen` is the most calls that were ever under way."""

    provisioning: int = 0  # so many calls are answered 30105
    notebook_limit: int | None = None  # a new notebook beyond is answered 507
    too_many_items: bool = False  # listings are answered 10008
    calls_per_minute: int | None = None
    calls_at_once: int | None = None
    claims_challenge: bool = False  # the next call is answered 401 insufficient_claims
    at_once_seen: int = 0
    _recent: deque[float] = field(default_factory=deque)
    _running: int = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        """A call under way. Raises OneNoteError 20166; what is refused does not count."""
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - _MINUTE_S:
            self._recent.popleft()
        if self.calls_per_minute is not None and len(self._recent) >= self.calls_per_minute:
            raise rules.too_many_requests()
        if self.calls_at_once is not None and self._running >= self.calls_at_once:
            raise rules.too_many_requests()
        self._recent.append(now)
        self._running += 1
        self.at_once_seen = max(self.at_once_seen, self._running)
        try:
            yield
        finally:
            self._running -= 1

"""Owns the stack's clock: the whole process's time, which can be moved ahead and back to the real one.

Everything in the process sees it, the bundle included; timeouts of the event loop run on the monotonic clock
and are not touched.
"""

import time

import time_machine


class MovableClock:
    """Real time plus an offset. One a process."""

    def __init__(self) -> None:
        self._travel: time_machine.travel | None = None
        self._traveller: time_machine.Traveller | None = None
        self.offset_s = 0.0

    def advance(self, seconds: float) -> None:
        """Move the clock by `seconds`; it goes on ticking from there. Negative goes back."""
        if self._traveller is None:
            self._travel = time_machine.travel(time.time() + seconds, tick=True)
            self._traveller = self._travel.start()
        else:
            self._traveller.shift(seconds)
        self.offset_s += seconds

    def reset(self) -> None:
        """Back to real time."""
        if self._travel is not None:
            self._travel.stop()
        self._travel = self._traveller = None
        self.offset_s = 0.0

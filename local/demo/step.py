"""Owns one step of a walk: what must hold is checked, then one line says what a person sees and what was checked."""


class StepFailed(Exception):
    """A step did not show what it must."""

    def __init__(self, step: str, expected: str, seen: object) -> None:
        super().__init__(f"{step}\n        expected: {expected}\n        seen:     {seen}")


class Step:
    """`check` as often as needed, then `done`, which prints the line. A step that checks nothing fails."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_done = False
        self._checked: list[str] = []

    def check(self, holds: bool, what: str, seen: object) -> None:
        """`what` must be so, in words that are printed once it is. Raises StepFailed with what was `seen` instead."""
        if not holds:
            raise StepFailed(self.name, what, seen)
        if what not in self._checked:
            self._checked.append(what)

    def done(self, sees: str) -> None:
        """Print `ok  name: sees [checked: …]`."""
        if not self._checked:
            raise StepFailed(self.name, "something that is checked", "nothing was")
        self.is_done = True
        print(f"ok  {self.name}: {sees} [checked: {'; '.join(self._checked)}]", flush=True)

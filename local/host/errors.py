"""Owns what can go wrong in the host itself, told to the person who starts it. Knows no HTTP."""


class HostError(Exception):
    """The app does not load or a name is unknown. The text is one plain sentence for the developer."""


class FunctionFailed(Exception):
    """A function raised. Only its name is said here: text and traceback are in the log."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the function {name} failed; the log says why")

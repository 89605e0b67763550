"""Owns how tests start an embedded stack: its timer runs when a test says so, and not on its own in between."""

from local.process import StackProcess

ONCE_A_YEAR = "0 0 0 1 1 *"

EVERY_ROUTE = {
    "AUTH_ALLOW_TOKEN_FLOW": "true",
    "AUTH_EXPOSE_ACCESS_TOKEN": "true",
    "AUTH_OPERATOR_TOKENS": "true",
}
"""The switches that open a route."""


def quiet_stack(*arguments: str, **settings: str) -> StackProcess:
    """Not started yet: it is a context manager."""
    return StackProcess(*arguments, settings={"REFRESH_SCHEDULE": ONCE_A_YEAR, **settings})

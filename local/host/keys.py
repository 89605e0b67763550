"""Owns the keys of the host: who may call what. Knows no HTTP.

As in Azure a function can't tell which key it was called with ("Azure Functions HTTP trigger", Access keys).
"""

import enum
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

MASTER_SETTING = "FUNCTIONS_MASTER_KEY"
FUNCTION_SETTING = "FUNCTIONS_KEY"


class AuthLevel(enum.Enum):
    """What a caller has to show. The values are those of the binding's `authLevel`, in lower case."""

    ANONYMOUS = "anonymous"
    FUNCTION = "function"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKeys:
    """The master key opens everything, the function key every function at level `function`."""

    master: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    function: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """`FUNCTIONS_MASTER_KEY` and `FUNCTIONS_KEY`; one that is missing or empty is made at random."""
        given = {"master": environment.get(MASTER_SETTING), "function": environment.get(FUNCTION_SETTING)}
        return cls(**{name: value for name, value in given.items() if value})

    def opens(self, level: AuthLevel, key: str | None) -> bool:
        """Whether `key` is enough for `level`."""
        if level is AuthLevel.ANONYMOUS:
            return True
        if key is None:
            return False
        if _same(key, self.master):
            return True
        return level is AuthLevel.FUNCTION and _same(key, self.function)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())

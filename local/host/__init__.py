"""Owns a small functions host: the real Python worker in this process, behind what the platform's host does.

Routing, keys, timers, and requests, answers and cookies on the wire behave as the real host was measured to. It
is for development and tests and is never deployed. `python -m local.host` serves an app on its own.
"""

from local.host.errors import FunctionFailed, HostError
from local.host.functions import Function
from local.host.host import FunctionsHost
from local.host.keys import AuthLevel, HostKeys
from local.host.runner import HostRunner
from local.host.timers import TimerState

__all__ = [
    "AuthLevel",
    "Function",
    "FunctionFailed",
    "FunctionsHost",
    "HostError",
    "HostKeys",
    "HostRunner",
    "TimerState",
]

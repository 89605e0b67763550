"""Owns what the host knows of a function: its trigger and settings, read from the worker's metadata.

The worker hands bindings on as the decorators wrote them; names in `%…%` are the host's to look up.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local.host import ncrontab
from local.host.errors import HostError
from local.host.keys import AuthLevel
from local.host.ncrontab import Schedule

HTTP = "httpTrigger"
TIMER = "timerTrigger"

_NAMED_SETTING = re.compile(r"%([^%]+)%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function. `route`, `methods` (None = all) and `auth_level` mean something for an HTTP trigger only,
    the last three for a timer only.
    """

    name: str
    id: str
    trigger: str
    argument: str  # the name of the trigger's parameter
    route: str = ""
    methods: frozenset[str] | None = None
    auth_level: AuthLevel = AuthLevel.FUNCTION
    schedule: Schedule | None = None
    run_on_startup: bool = False
    monitored: bool = True


def read_function(name: str, function_id: str, raw_bindings: Sequence[str], settings: Mapping[str, str]) -> Function:
    """A function from its bindings (JSON objects). Raises HostError."""
    bindings = [json.loads(_fill(raw, name, settings)) for raw in raw_bindings]
    trigger = next((one for one in bindings if str(one["type"]).endswith("Trigger")), None)
    kind = trigger["type"] if trigger is not None else "trigger of no kind"
    if trigger is None or kind not in (HTTP, TIMER):
        raise HostError(f"The function {name} has a {kind}: this host runs {HTTP} and {TIMER} only.")
    if kind == HTTP:
        methods = trigger.get("methods")
        return Function(
            name=name,
            id=function_id,
            trigger=kind,
            argument=trigger["name"],
            route=trigger.get("route") or name,
            methods=frozenset(method.upper() for method in methods) if methods else None,
            auth_level=AuthLevel(str(trigger.get("authLevel", "function")).lower()),
        )
    try:
        schedule = ncrontab.parse(trigger["schedule"])
    except ncrontab.BadSchedule as error:
        raise HostError(f"The schedule of the timer {name} is wrong: {error}.") from error
    return Function(
        name=name,
        id=function_id,
        trigger=kind,
        argument=trigger["name"],
        schedule=schedule,
        run_on_startup=bool(trigger.get("runOnStartup")),
        # "use_monitor … never for schedules that occur more than once every minute"
        monitored=bool(trigger.get("useMonitor", True)) and not schedule.many_a_minute,
    )


def _fill(raw: str, function: str, settings: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in settings:
            raise HostError(f"The function {function} names the setting {found[1]}, which is not set.")
        return json.dumps(settings[found[1]])[1:-1]

    return _NAMED_SETTING.sub(value, raw)

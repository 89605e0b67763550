"""Owns the fault matrix: what can go wrong with a call, at which step, and whose business that is then.

A case is a step of the bundle's work, a service that this step asks, and a trouble. What makes no sense stands in
SENSELESS with its reason; a test holds the product of all three against the cases and that table.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import pytest

from local.faults import Fault
from tests.faults.world import World

Service = Literal["vault", "provider", "graph", "identity"]

OUTSIDE = "words-that-came-from-outside"
"""In the body of every error answer: nothing of it may reach a log or a person (R-16)."""

RETRY_AFTER_S = 7
SLOW_S = 3
BACK_OFF_S = 600
"""Longer than any back-off after the few failures of one case."""


class Means(StrEnum):
    """What a trouble is for whoever asked."""

    NOTHING = "the answer comes late, and is right"
    WAIT = "it can't be asked now"
    REFUSED = "it refuses the app, which its operator must mend"


@dataclass(frozen=True, slots=True)
class Trouble:
    name: str
    means: Means
    fault: Mapping[str, Any] = field(default_factory=dict)
    status: int | None = None

    def __str__(self) -> str:
        return self.name


TROUBLES = (
    Trouble("refused", Means.WAIT),
    Trouble("reset_before", Means.WAIT, {"action": "reset_before"}),
    Trouble("reset_after", Means.WAIT, {"action": "reset_after"}),
    Trouble("hang", Means.WAIT, {"action": "hang"}),
    Trouble("slow", Means.NOTHING, {"action": "slow", "delay_s": SLOW_S}),
    Trouble("429", Means.WAIT, {"action": "status"}, 429),
    Trouble("429_retry_after", Means.WAIT, {"action": "status", "headers": {"Retry-After": str(RETRY_AFTER_S)}}, 429),
    Trouble("500", Means.WAIT, {"action": "status"}, 500),
    Trouble("503", Means.WAIT, {"action": "status"}, 503),
    Trouble("truncate", Means.WAIT, {"action": "truncate"}),
    Trouble("garbage", Means.WAIT, {"action": "garbage"}),
    Trouble("wrong_type", Means.WAIT, {"action": "wrong_type"}),
    Trouble("401", Means.REFUSED, {"action": "status"}, 401),
    Trouble("403", Means.REFUSED, {"action": "status"}, 403),
    Trouble("404_of_a_proxy", Means.WAIT, {"action": "status", "headers": {"Content-Type": "text/html"}}, 404),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call of a service within the bundle's work.

    `method` and `path` (a pattern) pick it. `first`: no call of that service comes before it, so its door can be shut
    from the beginning. `work`: it changes something there. `passes`: so many calls alike go through before.
    `says` is the code for "it can't be asked now" where it is not the service's usual one.
    """

    name: str
    service: Service
    method: str | None = None
    path: str = ""
    first: bool = True
    work: bool = False
    passes: int = 0
    says: str | None = None

    def __str__(self) -> str:
        return self.name.replace(" ", "_")


CODES = {
    "vault": "store_unavailable",
    "identity": "store_unavailable",
    "provider": "provider_unavailable",
    "graph": "graph_unavailable",
}

PURGE = "^/deletedsecrets/s-"

SENSELESS: dict[str, str] = {
    "truncate an answer without a body": "there is nothing to cut off",
    "reset_after a call that changes nothing": "whoever asked sees a reset, as with reset_before",
    "refused after the first call to a service that is asked once": "a door that shuts meanwhile is a reset",
    "404_of_a_proxy from Graph": "its answers are passed on as they are, whatever they are",
    "401 and 403 from Graph": "not about being reachable: what they mean is the pass-through's own tests' (R-10, R-15)",
}


def senseless(step: Step, trouble: Trouble) -> str | None:
    """The key of SENSELESS that says why this is no case."""
    if trouble.name == "reset_after" and not step.work:
        return "reset_after a call that changes nothing"
    if trouble.name == "refused" and not step.first and step.service in ("provider", "graph"):
        return "refused after the first call to a service that is asked once"
    if trouble.name == "truncate" and step.path == PURGE:
        return "truncate an answer without a body"
    if step.service == "graph" and trouble.name == "404_of_a_proxy":
        return "404_of_a_proxy from Graph"
    if step.service == "graph" and trouble.means is Means.REFUSED:
        return "401 and 403 from Graph"
    return None


def cases(steps: Iterable[Step]) -> Iterator[Any]:
    """Every step with every trouble that makes sense there, for `pytest.mark.parametrize`."""
    for step in steps:
        for trouble in TROUBLES:
            if senseless(step, trouble) is None:
                yield pytest.param(step, trouble, id=f"{step}-{trouble}")


def matrix(steps: Sequence[Step]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("step", "trouble"), list(cases(steps)))


def meaning(step: Step, trouble: Trouble) -> Means:
    """A bare 403 at the token endpoint is a firewall's; every other refusal is spoken in the service's own words."""
    if step.service == "provider" and step.method == "POST" and trouble.name == "403":
        return Means.WAIT
    # The metadata's absence is how the provider says that it knows no such tenant.
    if step.service == "provider" and step.method == "GET" and trouble.name == "404_of_a_proxy":
        return Means.REFUSED
    return trouble.means


def code_of(step: Step, trouble: Trouble) -> str | None:
    """The problem code that a person's answer carries; None where the trouble means nothing."""
    means = meaning(step, trouble)
    return {Means.NOTHING: None, Means.WAIT: step.says or CODES[step.service], Means.REFUSED: "misconfigured"}[means]


async def disturb(world: World, step: Step, trouble: Trouble) -> None:
    """From now on, until `world.mend`, this step meets that trouble."""
    if trouble.name == "refused":
        if step.first:
            await world.doors[step.service].shut()
        else:
            world.doors[step.service].shut_at(step.method, step.path, step.passes)
        return
    faults = world.faults(step.service)
    if step.passes:
        faults.add(Fault(method=step.method, path=step.path, action="slow", times=step.passes))
    fault = dict(trouble.fault)
    if trouble.status:
        fault |= {"status": trouble.status, "body": _body(step, trouble)}
    faults.add(Fault(method=step.method, path=step.path, times=None, **fault))


def _body(step: Step, trouble: Trouble) -> str:
    """As the service itself words it; OUTSIDE somewhere in it."""
    page = f"<h1>{OUTSIDE}</h1>"
    if trouble.name == "404_of_a_proxy":
        return page
    if step.service == "provider":
        if trouble.name == "401":
            said = {"error": "invalid_client", "error_codes": [7000215], "error_description": OUTSIDE}
            return json.dumps(said)
        return page
    if step.service == "identity":
        return json.dumps({"statusCode": trouble.status, "message": OUTSIDE})
    words = {401: "Unauthorized", 403: "Forbidden", 429: "Throttled"}
    return json.dumps({"error": {"code": words.get(trouble.status or 0, "InternalServerError"), "message": OUTSIDE}})

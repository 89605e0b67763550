"""The host as a part of another program: its Python interface, without the command."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.host.served import ONCE_A_YEAR, PROJECT


@pytest.fixture(scope="module")
def seen() -> Any:
    """What the embedding program saw, warnings being errors there too."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.host.embedding"],
        cwd=PROJECT,
        env={**os.environ, "TICK_SCHEDULE": ONCE_A_YEAR, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_functions_tell_trigger_route_methods_and_level(seen: Any) -> None:
    """As the app declares them; no list of methods = all."""
    assert seen["functions"]["echo"] == ["httpTrigger", "echo/{value}", ["GET", "POST"], "anonymous"]
    assert seen["functions"]["every_method"] == ["httpTrigger", "any", [], "anonymous"]
    assert seen["functions"]["guarded"][3] == "function"
    assert seen["functions"]["tick"][0] == "timerTrigger"
    assert "        echo: [GET,POST] /api/echo/{value}\n" in seen["routes"]


def test_the_worker_runs_without_grpc_and_protobuf(seen: Any) -> None:
    """It is the package that runs in Azure, in this process."""
    assert seen["modules"] == []


def test_own_routes_come_first_and_the_host_answers_the_rest(seen: Any) -> None:
    """A method that the program's own route does not take goes on to the host."""
    assert seen["GET /"] == [200, "the program's own page"]
    assert seen["POST /"] == [404, ""]
    assert seen["GET /api/guarded?code=f"][0] == 200


def test_a_timer_can_be_run_and_waited_for(seen: Any) -> None:
    """When `run_timer` returns, the function has ended."""
    assert seen["timer"] == ["tick", ONCE_A_YEAR, True, True]
    ticks = json.loads(seen["GET /api/memory"][1])["ticks"]
    assert [tick["past_due"] for tick in ticks] == [False]


def test_an_unknown_timer_and_a_failing_one_are_told_apart(seen: Any) -> None:
    """Neither passes for a run."""
    assert seen["nothing"] == "HostError: There is no timer nothing."
    assert seen["fail"] == "FunctionFailed: the function fail failed; the log says why"


def test_close_waits_for_what_runs(seen: Any) -> None:
    """And the answer still arrives."""
    assert seen["ended"] is True
    assert seen["slow"] == "x"

"""No answer outside the OpenAPI document, whatever is sent: requests made of the document by Schemathesis.

`ONENOTE_AUTH_FUZZ_EXAMPLES=200` makes that many requests an operation in place of a few, without a limit of time;
`ONENOTE_AUTH_FUZZ_SEED` chooses others. The seed is printed with a failure.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.browser import Browser
from local.browser.sign_in import WORK_USER, sign_in
from local.control_client import ControlClient
from local.process import PROJECT, StackProcess
from tests.stacks import EVERY_ROUTE, quiet_stack

EXAMPLES = os.environ.get("ONENOTE_AUTH_FUZZ_EXAMPLES", "")
SEED = os.environ.get("ONENOTE_AUTH_FUZZ_SEED", "20260101")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
ENDING = ("logout", "signOutEverywhere", "endAccount", "revokeAll")
"""Operations after which nobody is signed in any more."""

# Ten to twenty seconds each on an idle machine; the long mode takes as long as it takes.
pytestmark = pytest.mark.timeout(0 if EXAMPLES else 120)
type Statuses = Mapping[tuple[str, str], Counter[int]]


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Somebody who is signed in at a browser and holds a function key, too."""

    account: str
    cookie: str = field(repr=False)
    key: str = field(repr=False)

    @property
    def headers(self) -> tuple[str, ...]:
        """And no random ones in their place."""
        return (
            *("--header", f"Cookie: {self.cookie}", "--header", f"x-functions-key: {self.key}"),
            *("--generation-with-security-parameters", "false"),
        )


@pytest.fixture(scope="module")
def stack() -> Iterator[StackProcess]:
    """Every switch on that opens a route."""
    with quiet_stack(**EVERY_ROUTE) as running:
        yield running


@pytest.fixture
async def caller(stack: StackProcess) -> Caller:
    async with ControlClient(stack.url) as control, Browser(stack.url) as browser:
        await control.reset()
        await sign_in(browser, "work", WORK_USER, scope="Notes.ReadWrite")
        key = await control.function_key()
        listed = await browser.request("GET", "/api/ops/accounts", headers={"x-functions-key": key})
        cookie = browser.cookies.header(f"{stack.url}/api/graph", cross_site=False, safe_navigation=True)
    return Caller(account=listed.json()["accounts"][0]["home_account_id"], cookie=cookie, key=key)


async def fuzz(stack: StackProcess, caller: Caller, folder: Path, examples: int, *arguments: str) -> Statuses:
    """Send requests; every answer was checked. How often each path and method was answered with which status."""
    report = folder / "requests.har"
    command = (
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{stack.url}/api/openapi.json"),
        *("--seed", SEED, "--max-examples", EXAMPLES or str(examples), "--phases", "examples,coverage,fuzzing"),
        *("--checks", ",".join(CHECKS), "--continue-on-failure", "--max-redirects", "0"),
        *("--no-color", "--warnings", "off", "--generation-database", "none"),
        *("--report", "har", "--report-har-path", str(report), *arguments),
    )
    ran = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
            "FUZZ_ACCOUNT": caller.account,
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 0, f"seed {SEED}\n{ran.stdout}\n{ran.stderr}"
    statuses: dict[tuple[str, str], Counter[int]] = {}
    for entry in json.loads(report.read_text(encoding="utf-8"))["log"]["entries"]:
        sent, answer = entry["request"], entry["response"]
        counted = statuses.setdefault((sent["method"], urlsplit(sent["url"]).path), Counter())
        counted[answer["status"]] += 1
    return statuses


async def test_a_stranger_gets_no_answer_that_is_not_documented(
    stack: StackProcess, caller: Caller, tmp_path: Path
) -> None:
    """R-14, R-16: and none of our own making of 500 or more."""
    seen = await fuzz(stack, caller, tmp_path, 8, "--exclude-path-regex", "onenote/|batch")
    assert {200} == set(seen["GET", "/api/auth/session"])
    assert {400, 401} >= set(seen["GET", "/api/ops/accounts"])
    assert 302 in seen["GET", "/api/auth/login"]
    assert not [status for counted in seen.values() for status in counted if status >= 500]


async def test_a_person_with_every_right_gets_no_answer_that_is_not_documented(
    stack: StackProcess, caller: Caller, tmp_path: Path
) -> None:
    """R-09, R-18: signed in, with a function key; OneNote's own answers pass as they are."""
    left_out = [part for name in ENDING for part in ("--exclude-operation-id", name)]
    seen = await fuzz(stack, caller, tmp_path, 5, *caller.headers, *left_out)
    assert seen["GET", "/api/auth/sessions"][200]
    assert seen["POST", "/api/auth/token"][200]
    assert seen["POST", f"/api/ops/accounts/{caller.account}/token"][200]
    assert seen["GET", "/api/graph/v1.0/me/onenote/notebooks"][200]
    assert seen["POST", "/api/graph/v1.0/$batch"][200]
    assert not [status for counted in seen.values() for status in counted if status >= 500]


async def test_ending_sessions_gives_no_answer_that_is_not_documented(
    stack: StackProcess, caller: Caller, tmp_path: Path
) -> None:
    """R-12."""
    wanted = [part for name in ENDING for part in ("--include-operation-id", name)]
    seen = await fuzz(stack, caller, tmp_path, 5, *caller.headers, *wanted)
    assert seen["DELETE", "/api/auth/sessions"][401]
    assert seen["POST", "/api/ops/revoke-all"][200]

"""The example of a nightly job, run as its reader would run it, after every browser was closed."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.browser import Browser
from local.browser.sign_in import WORK_USER, sign_in
from local.control_client import ControlClient
from local.demo import token_strings
from local.process import PROJECT, StackProcess
from tests.stacks import quiet_stack

PAGES = "/api/graph/v1.0/me/onenote/pages"


@pytest.fixture(scope="module")
def stack() -> Iterator[StackProcess]:
    with quiet_stack(AUTH_OPERATOR_TOKENS="true") as running:
        yield running


async def run_job(
    stack: StackProcess, control: ControlClient, folder: Path, *, key: str | None = None
) -> tuple[int, str]:
    """Exit code and all that it prints."""
    authority = next(line.split()[-1] for line in stack.lines if line.startswith("certificates"))
    environ = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "SYSTEMROOT", "TEMP")},
        "APP_URL": stack.url,
        "FUNCTION_KEY": key or await control.function_key(),
        "GRAPH_URL": (await control.state())["services"]["graph"],
        "SSL_CERT_FILE": authority,
    }
    job = PROJECT / "examples" / "nightly_export.py"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        job,
        WORK_USER,
        folder,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def exported(folder: Path) -> list[str]:
    return [page.read_text(encoding="utf-8") for page in folder.iterdir()]


async def test_the_nightly_job_exports_what_changed_while_nobody_is_there(
    stack: StackProcess, control: ControlClient, tmp_path: Path
) -> None:
    """R-18, R-16: its token is renewed for it; then consent is taken back, and it says that the person must come."""
    async with Browser(stack.url) as browser:
        await sign_in(browser, "work", WORK_USER, scope="Notes.ReadWrite")
        headers = {"content-type": "text/html"}
        html = "<html><head><title>Written today</title></head><body><p>Remember.</p></body></html>"
        made = await browser.fetch(PAGES, method="POST", headers=headers, body=html)
        assert made.status == 201
    await control.advance(3 * 3600)  # the access token is over
    began = len(stack.lines)
    code, said = await run_job(stack, control, tmp_path)
    assert code == 0, said
    assert "Written today" in said
    assert "Diary is protected by a password" in said
    assert said.endswith("1 pages\n")
    assert ["Remember." in text for text in exported(tmp_path)] == [True]
    assert not [token for token in await token_strings(control) if token in said]

    assert stack.wait_for_line('"account_token"', after=began)
    calls = [json.loads(line[line.index("{") :]) for line in stack.lines[began:] if '"operator_call"' in line]
    assert [(call["action"], call["outcome"]) for call in calls] == [("list_accounts", "200"), ("account_token", "200")]
    assert len({call["key"] for call in calls}) == 1
    assert calls[1]["account"]

    await control.revoke(WORK_USER)
    await control.advance(3 * 3600)
    code, said = await run_job(stack, control, tmp_path)
    assert (code, "consent_revoked" in said) == (3, True), said


async def test_the_nightly_job_without_a_key_gets_nothing(
    stack: StackProcess, control: ControlClient, tmp_path: Path
) -> None:
    """R-18."""
    code, said = await run_job(stack, control, tmp_path, key="another")
    assert (code, said) == (1, f"401 Unauthorized: {stack.url}/api/ops/accounts\n")


async def test_the_nightly_job_says_in_one_line_that_nobody_answers(tmp_path: Path) -> None:
    """R-18: and without an address or a key how it is called; no traceback."""
    job = (sys.executable, str(PROJECT / "examples" / "nightly_export.py"), WORK_USER, str(tmp_path))
    for app, words in (("http://localhost:1", "Connection refused"), ("", "APP_URL=https://YOUR-HOST")):
        process = await asyncio.create_subprocess_exec(
            *job,
            env={**os.environ, "APP_URL": app, "FUNCTION_KEY": "k"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
        assert (process.returncode, words in said, "Traceback" in said) == (1, True, False), said

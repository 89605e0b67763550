"""The stack's command and its control API: what it takes, what it refuses, how it ends."""

import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest

from local.browser import Browser
from local.control_client import ControlClient
from local.process import PROJECT, StackProcess


async def test_changes_need_the_header_that_other_sites_cannot_send(browser: Browser) -> None:
    for method, path in (("POST", "timer"), ("POST", "clock"), ("POST", "reset"), ("DELETE", "faults")):
        assert (await browser.request(method, f"/_local/{path}")).status == 403


async def test_a_name_that_an_attacker_points_here_is_refused(stack: StackProcess) -> None:
    """DNS rebinding: the Host header must be a loopback name."""
    async with (
        aiohttp.ClientSession() as client,
        client.get(stack.url + "/_local/vaults?values=1", headers={"host": "evil.example"}) as answer,
    ):
        assert answer.status == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("clock", {}),
        ("clock", {"advance_s": "much"}),
        ("clock", {"advance_s": 1e12}),
        ("timer", {"name": "nobody"}),
        ("revoke", {}),
        ("behaviour", {"no_such": 1}),
        ("behaviour", {"__class__": 1}),
        ("onenote", {}),
        ("onenote", {"username": "ada@outlook.example", "_running": 1}),
        ("faults", {"service": "nobody", "action": "status"}),
        ("faults", {"service": "graph"}),
        ("faults", {"service": "graph", "action": "status", "colour": "red"}),
    ],
)
async def test_what_it_cannot_do_it_says(control: ControlClient, path: str, body: dict[str, object]) -> None:
    with pytest.raises(RuntimeError, match="answered 400"):
        await control._call("POST", path, body)


async def test_the_clock_moves_and_comes_back(control: ControlClient) -> None:
    before = datetime.fromisoformat((await control.state())["now"])
    await control.advance(3600)
    await control.advance(1800)
    state = await control.state()
    assert state["clock_offset_s"] == 5400
    assert (datetime.fromisoformat(state["now"]) - before).total_seconds() == pytest.approx(5400, abs=10)
    await control.reset()
    state = await control.state()
    assert (datetime.fromisoformat(state["now"]) - before).total_seconds() == pytest.approx(0, abs=10)


async def test_faults_come_and_go(browser: Browser, control: ControlClient) -> None:
    graph = (await control.state())["services"]["graph"]
    await control.fault("graph", "status", status=503, path="/v1.0/", times=None)

    async def status() -> int:
        async with aiohttp.request("GET", graph + "/v1.0/me/onenote/notebooks", ssl=False) as answer:
            return answer.status

    assert await status() == 503
    await control.clear_faults()
    assert await status() == 401
    assert [call["status"] for call in await control.calls("graph")] == [503, 401]


async def test_the_demo_page_is_served_with_a_strict_policy(browser: Browser) -> None:
    page = await browser.goto("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert (await browser.request("GET", "/nothing-here")).status == 404


def test_a_port_in_use_is_one_sentence_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "local.stack", "--port", str(port)],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr.strip() == (
        f"Port {port} is in use: end what listens there, or choose another one with --port N (0 picks a free one)."
    )


@pytest.mark.parametrize("arguments", [["--port", "x"], ["--port", "70000"], ["--set", "NAME"], ["--vaults", "0"]])
def test_arguments_that_make_no_sense_are_refused(arguments: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "local.stack", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM on Windows")
async def test_https_and_two_vaults_and_a_clean_end() -> None:
    """One stack more, for what the shared one has not; SIGTERM ends it with 0 and leaves nothing behind."""
    with StackProcess("--https", "--vaults", "2") as stack:
        assert stack.url.startswith("https://localhost:")
        async with aiohttp.request("GET", stack.url + "/_local/state", ssl=False) as answer:
            services = (await answer.json())["services"]
        assert {"vault", "vault2"} <= set(services)
        assert stack.lines.count(f"ready {stack.url}") == 1
        folder = next(Path(line.split()[-1]).parent for line in stack.lines if line.startswith("certificates"))
        assert folder.is_dir()
        assert stack.stop() == 0
        assert not folder.exists()
    with pytest.raises(aiohttp.ClientConnectionError):
        async with aiohttp.request("GET", stack.url + "/", ssl=False):
            pass

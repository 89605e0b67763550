"""The command `python -m local.host`: start, refusal to start, end. Each test has a process of its own."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.served import APP, FUNCTION_KEY, MASTER_KEY, ONCE_A_YEAR, PROJECT, Served, read_answer


def copy_app(folder: Path) -> Path:
    return shutil.copytree(APP, folder / "app", ignore=shutil.ignore_patterns("__pycache__"))


def refusal(*arguments: str, app: Path = APP, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code and output of a host that does not start."""
    with Served(*arguments, app=app, environment=environment) as served:
        assert not served.url
        return served.wait(), "\n".join(served.lines)


def test_it_prints_routes_and_then_one_line_when_it_is_ready(served: Served) -> None:
    """As Core Tools do; and no key."""
    text = "\n".join(served.lines)
    assert f"        echo: [GET,POST] {served.url}/api/echo/{{value}}\n" in text
    assert f"        every_method: {served.url}/api/any\n" in text
    assert "        tick: timerTrigger\n" in text
    assert [line for line in served.lines if line.startswith("ready ")] == [f"ready {served.url}"]
    assert MASTER_KEY not in text
    assert FUNCTION_KEY not in text


def test_keys_are_shown_when_asked_for_and_local_settings_fill_gaps(tmp_path: Path) -> None:
    """`Values` of local.settings.json count where the environment has nothing, as for Core Tools."""
    app = copy_app(tmp_path)
    values = {"TICK_SCHEDULE": ONCE_A_YEAR, "FUNCTIONS_KEY": "from-the-file", "FUNCTIONS_MASTER_KEY": "unused"}
    (app / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    empty = {"TICK_SCHEDULE": "", "FUNCTIONS_KEY": ""}
    with Served("--show-keys", app=app, environment=empty) as served:
        assert f"master key    {MASTER_KEY}" in served.lines
        assert "function key  from-the-file" in served.lines
        assert served.get("/api/guarded?code=from-the-file").status == 200


@pytest.mark.skipif(sys.platform == "win32", reason="a process there cannot be asked to end")
def test_a_signal_refuses_new_calls_and_lets_running_ones_finish(tmp_path: Path) -> None:
    """Connections at once; the function is not told, its answer arrives, exit code 0."""
    with Served() as served, served.connect() as busy, served.connect() as idle:
        idle.sendall(b"GET /api/memory HTTP/1.1\r\nHost: host.example\r\n\r\n")
        assert read_answer(idle).status == 200
        busy.sendall(b"GET /api/slow/last?seconds=0.5 HTTP/1.1\r\nHost: host.example\r\n\r\n")
        assert served.wait_until(lambda: "last" in served.memory()["begun"])
        served.process.terminate()
        assert idle.recv(1) == b""
        assert refuses(served)
        assert served.process.poll() is None
        assert read_answer(busy).body == b"last"
        assert served.wait() == 0


def refuses(served: Served) -> bool:
    try:
        served.connect().close()
    except ConnectionError:
        return True
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="a process there cannot be asked to end")
def test_a_function_that_does_not_end_does_not_keep_the_process() -> None:
    """A thread can't be stopped: after `--end-s` (10 seconds) the process ends all the same, exit code 0."""
    with Served("--end-s", "0.3") as served, served.connect() as connection:
        connection.sendall(b"GET /api/stuck HTTP/1.1\r\nHost: host.example\r\n\r\n")
        assert served.wait_until(lambda: "stuck" in served.memory()["begun"])
        served.process.terminate()
        assert served.wait() == 0
    assert any("1 function(s) did not end within 0.3 s" in line for line in served.lines)


OPENS = """
import aiohttp
KEPT = []

@app.route(route="opens", auth_level=func.AuthLevel.ANONYMOUS)
async def opens(req: func.HttpRequest) -> func.HttpResponse:
    KEPT.append(aiohttp.ClientSession())
    return func.HttpResponse("open")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a process there cannot be asked to end")
def test_connections_that_the_app_leaves_open_end_without_an_error(tmp_path: Path) -> None:
    """The platform never tells an app that it ends; whoever presses Ctrl-C must not read that something broke."""
    app = copy_app(tmp_path)
    with (app / "function_app.py").open("a") as source:
        source.write(OPENS)
    with Served(app=app) as served:
        assert served.get("/api/opens").body == b"open"
        served.process.terminate()
        assert served.wait() == 0
    assert not [line for line in served.lines if "ERROR" in line or "Unclosed" in line]


def test_a_port_in_use_is_one_plain_sentence() -> None:
    """Exit code 2, before anything is loaded."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "local.host", "--app", str(APP), "--port", str(port)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (f"Port {port} is in use: end what listens there, or choose another one with --port N.\n")


def test_settings_that_the_app_calls_wrong_are_listed() -> None:
    """Each of `startup_problems()` on a line of its own, exit code 2."""
    code, text = refusal(environment={"TEST_PROBLEMS": "AUTH_CLIENT_ID is missing.|KEEP is no number."})
    assert code == 2
    assert text.endswith("AUTH_CLIENT_ID is missing.\nKEEP is no number.")


def test_a_setting_that_a_binding_names_and_nobody_sets() -> None:
    """It fails indexing in Azure as well."""
    code, text = refusal(environment={"TICK_SCHEDULE": ""})
    assert (code, text.splitlines()[-1]) == (
        1,
        "The function tick names the setting TICK_SCHEDULE, which is not set.",
    )


def test_an_app_that_cannot_be_imported(tmp_path: Path) -> None:
    """The reason as the last line, the traceback above it."""
    app = copy_app(tmp_path)
    (app / "function_app.py").write_text("import nothing_of_that_name\n")
    code, text = refusal(app=app)
    assert code == 1
    assert "Traceback" in text
    assert "No module named 'nothing_of_that_name'" in text


@pytest.mark.parametrize("missing", ["function_app.py", "host.json"])
def test_a_folder_that_is_no_app(tmp_path: Path, missing: str) -> None:
    """What is missing, and where."""
    app = copy_app(tmp_path)
    (app / missing).unlink()
    assert refusal(app=app) == (1, f"There is no {missing} in {app}.")


def test_a_certificate_that_cannot_be_read(tmp_path: Path) -> None:
    """Exit code 2."""
    code, text = refusal("--tls-cert", str(tmp_path / "none.pem"))
    assert code == 2
    assert "none.pem cannot be used" in text


def test_a_missed_run_is_past_due_after_a_restart(tmp_path: Path) -> None:
    """The timer's state is kept where `--state-dir` says."""
    with Served("--state-dir", str(tmp_path)) as served:
        assert served.memory()["ticks"] == []
    kept = json.loads((tmp_path / "tick.json").read_text())
    kept["next"] = "2020-01-01T00:00:00+00:00"
    (tmp_path / "tick.json").write_text(json.dumps(kept))
    with Served("--state-dir", str(tmp_path)) as served:
        assert served.wait_until(lambda: bool(served.memory()["ticks"]))
        (tick,) = served.memory()["ticks"]
    assert tick["past_due"] is True
    assert tick["status"]["Next"] == "2020-01-01T00:00:00+00:00"
    assert json.loads((tmp_path / "tick.json").read_text())["next"] > "2026"

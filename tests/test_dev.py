"""`dev.py`: the command line, and what its commands run.

They run in a copy of it in which small stand-ins take the place of the stack and of the checkers (nothing to download).
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pathspec
import pytest

import dev
from tests.browser import NoBrowserError, find_browser
from tests.programs import posix, program

ROOT = Path(dev.__file__).parent


# ---------------------------------------------------------------- the command line


def test_help_names_every_command_with_examples(copy: "Copy") -> None:
    """`python3 dev.py --help` is enough to start with."""
    ran = copy.run("--help")
    assert ran.returncode == 0
    for command in ("start", "test", "demo", "serve", "doctor"):
        assert f"\n    {command} " in ran.stdout
        assert f"python3 dev.py {command}" in ran.stdout


def test_it_runs_where_a_programs_own_folder_is_kept_off_the_path(copy: "Copy") -> None:
    """PYTHONSAFEPATH is set on careful machines; half of dev.py lies in `local/setup`."""
    assert copy.run("--help", PYTHONSAFEPATH="1").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["begin"], "invalid choice: 'begin'"),
        ([], "run the embedded stack with its demo page"),
        (["start", "--port", "70710"], "'70710' is not a port, a number from 1 to 65535"),
        (["serve"], "--port"),
    ],
)
def test_a_wrong_command_line_is_refused_with_the_usage(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad input: exit code 2, as command lines have it."""
    with pytest.raises(SystemExit) as exit_:
        dev.parse(arguments)
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: dev.py")
    assert words in said


@pytest.mark.parametrize("arguments", [["-k", "refresh or sweep", "-x"], ["tests/test_dev.py", "-q"], []])
def test_what_follows_test_is_for_pytest(arguments: list[str]) -> None:
    """Options too."""
    assert dev.parse(["test", *arguments]).pytest == arguments
    assert dev.parse(["test", "--", *arguments]).pytest == arguments


# ---------------------------------------------------------------- the commands, in a copy with stand-ins

STAND_INS = {
    "local/__init__.py": "",
    "local/requirements.txt": "-r ../requirements.txt\n",
    "requirements.txt": "",
    "tests/__init__.py": "",
    "tests/requirements.txt": "-r ../local/requirements.txt\n",
    "local/stack.py": """
        import signal, sys
        if "--https" not in sys.argv:
            print("ready", *sys.argv[1:])
            sys.exit(7)
        awaited = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
        print("ready", *sys.argv[1:], flush=True)
        signal.sigwait(awaited)
        print("ended cleanly")
        """,
    "local/demo.py": "import sys; print('demo', *sys.argv[1:])",
    "local/doctor.py": "import sys; print('doctor', *sys.argv[1:]); sys.exit(1)",
    "local/host.py": "import os, sys; print('host', *sys.argv[1:], os.environ.get('PYTHONPATH'))",
    "tests/browser.py": """
        import os, sys
        print(os.environ.get("FOUND") or "none to be had")
        sys.exit("FOUND" not in os.environ)
        """,
    "ruff.py": "import sys; print('ruff says', sys.argv[1]); sys.exit(sys.argv[1] == 'check')",
    "mypy.py": "import os, signal; signal.pause() if os.environ.get('HANG') else None",
    "importlinter/__init__.py": "",
    "importlinter/cli.py": "def lint_imports_command(): pass",
    "pytest.py": """
        import os, sys
        told = [os.environ.get(name) for name in ("ONENOTE_AUTH_BROWSER", "ONENOTE_AUTH_NO_BROWSER")]
        print("told", *told)
        print("arguments", *sys.argv[1:])
        print("3 passed in 0.01s")
        """,
}


@dataclass(frozen=True)
class Copy:
    """A copy of dev.py among stand-ins, in a folder whose name has a space and letters beyond ASCII."""

    folder: Path

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.folder / "dev.py"), *arguments]

    def environ(self, **more: str) -> dict[str, str]:
        dropped = ("CI", "ONENOTE_AUTH_BROWSER", "ONENOTE_AUTH_NO_BROWSER")
        return {**{name: value for name, value in os.environ.items() if name not in dropped}, **more}

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """From a folder elsewhere, without a terminal and without input."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder.parent,
            env=self.environ(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )


def make_copy(folder: Path) -> Copy:
    own = (ROOT / "dev.py", *(ROOT / "local" / "setup").glob("*.py"))
    copied = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in own}
    for name, text in {**STAND_INS, **copied}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
    return Copy(folder)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """One without `.venv`."""
    return make_copy(tmp_path / "a clone é")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Started(Copy):
    """One after its first start on that port, and what that did."""

    port: int
    first: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Started:
    copy = make_copy(tmp_path_factory.mktemp("dev") / "a clone é")
    port = free_port()
    return Started(copy.folder, port, copy.run("start", "--port", str(port)))


def test_the_first_start_makes_the_environment_and_says_so_and_the_second_is_instant(
    started: Started,
) -> None:
    """One line a step, with its seconds; then nothing but what the stack prints."""
    making, pip, installing, ready = started.first.stdout.splitlines()
    assert making.startswith("Making .venv with Python 3.1")
    assert pip.startswith("Installing pip ... done, ")
    assert installing.startswith("Installing local/requirements.txt ... done, ")
    assert installing.endswith(" s")
    assert ready == f"ready --port {started.port}"
    assert started.first.returncode == 7, "the stack's exit code is dev.py's"
    assert started.run("start", "--port", str(started.port)).stdout == ready + "\n"


def test_packages_are_installed_again_only_when_a_requirements_file_changed(started: Started) -> None:
    """A pull that changes a pin must not leave the old package."""
    (started.folder / "requirements.txt").write_text("# changed\n", encoding="utf-8")
    assert started.run("demo", "--all").stdout.startswith("Installing local/requirements.txt ... done")
    again = started.run("demo", "--all")
    assert (again.returncode, again.stdout) == (0, "demo --all\n")


def test_serve_runs_the_host_and_keeps_a_foreign_pythonpath_out(started: Started) -> None:
    """`.venv` alone says which packages run."""
    ran = started.run("serve", "--port", str(started.port), PYTHONPATH="elsewhere")
    assert ran.stdout.splitlines()[-1] == f"host --app . --port {started.port} None"


def test_the_doctors_verdict_is_dev_pys_and_a_stack_has_a_usual_port(started: Started) -> None:
    """Scripts go by the exit code."""
    said = {"doctor": (), "doctor --local 7071": ("--local",), "doctor --local 7072": ("--local", "7072")}
    for last, arguments in said.items():
        ran = started.run("doctor", *arguments)
        assert (ran.stdout.splitlines()[-1], ran.returncode) == (last, 1)


def test_core_tools_that_are_missing_are_said_with_the_mend(copy: Copy, tmp_path: Path) -> None:
    """`serve --host func` without func on the PATH."""
    ran = copy.run("serve", "--port", str(free_port()), "--host", "func", PATH=str(tmp_path))
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [
        "dev.py: Azure Functions Core Tools are not on the PATH",
        "  mend: npm install -g azure-functions-core-tools@4, or leave out --host func",
    ]


@posix
def test_core_tools_run_with_the_environment_active(started: Started, tmp_path: Path) -> None:
    """func takes the Python of the active virtual environment."""
    program(tmp_path / "func", 'echo "$@" in "$VIRTUAL_ENV"')
    path = os.pathsep.join((str(tmp_path), os.environ["PATH"]))
    ran = started.run("serve", "--port", str(started.port), "--host", "func", PATH=path)
    assert ran.stdout.splitlines()[-1] == f"start --port {started.port} in {started.folder / '.venv'}"


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_stack_and_the_end_is_clean(started: Started, number: signal.Signals) -> None:
    """Ctrl-C, or a supervisor's SIGTERM: no traceback, the stack's own end."""
    command = started.command("start", "--https", "--port", str(started.port))
    with subprocess.Popen(command, env=started.environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == f"ready --port {started.port} --https\n".encode()
        running.send_signal(number)
        out, err = running.communicate(timeout=10)
    assert (running.returncode, out, err) == (0, b"ended cleanly\n", b"")


def test_start_hands_app_settings_to_the_stack(started: Started) -> None:
    """A front end under development lies on another origin."""
    origins = "FRONTEND_ORIGINS=http://localhost:5173"
    ran = started.run("start", "--port", str(started.port), "--set", origins, "--set", "AUTH_TENANT=common")
    assert ran.stdout == f"ready --port {started.port} --set={origins} --set=AUTH_TENANT=common\n"


@posix
def test_ctrl_c_in_the_middle_of_a_step_ends_it_without_a_traceback(started: Started) -> None:
    """A terminal sends it to the whole process group."""
    with subprocess.Popen(
        started.command("test"),
        env=started.environ(FOUND="/opt/browser", HANG="yes"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        printed = b""
        while not printed.endswith(b"\nmypy ..."):
            printed += running.stdout.read(1)
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=10)
    assert (running.returncode, out, err) == (130, b"", b"\nstopped\n")


def test_every_check_runs_even_after_one_failed_and_pytest_runs_last(started: Started) -> None:
    """The failure is shown, named once more below pytest's closing line, and is the exit code."""
    ran = started.run("test", FOUND="/opt/browser")
    steps = [line.partition(" ... ")[0] for line in ran.stdout.splitlines() if " ... " in line]
    assert steps[-4:] == ["ruff format --check .", "ruff check .", "mypy", "lint-imports"]
    assert "ruff says check" in ran.stdout
    assert "ruff says format" not in ran.stdout, "what passed is not shown"
    assert ran.stdout.splitlines()[-5:] == [
        "3 of 4 checks passed. Running pytest ...",
        "told /opt/browser None",
        "arguments --junitxml .local/junit.xml",
        "3 passed in 0.01s",
        "failed before pytest: ruff check .",
    ]
    assert ran.returncode == 1


def test_without_a_browser_its_tests_are_skipped_with_the_reason_except_in_ci(started: Started) -> None:
    """On a developer's machine a reason; with CI=true a failure."""
    ran = started.run("test", "-k", "web")
    assert ran.returncode == 0
    assert "The browser tests will be skipped: none to be had" in ran.stdout
    assert ran.stdout.splitlines()[-3:] == [
        "told None none to be had",
        "arguments -k web",
        "3 passed in 0.01s",
    ]
    in_ci = started.run("test", CI="true")
    assert in_ci.returncode == 1
    assert in_ci.stderr.startswith("dev.py: no browser to test with: none to be had\n  mend: ")


@pytest.mark.parametrize("damage", ["the project was moved", "its Python does not run"])
def test_an_environment_that_cannot_be_used_is_made_anew_and_that_is_said(
    started: Started, tmp_path: Path, damage: str
) -> None:
    """A moved folder leaves scripts that name the old one; a Python that was removed leaves dead links."""
    copy = make_copy(tmp_path / "clone")
    shutil.copytree(started.folder / ".venv", copy.folder / ".venv", symlinks=True)
    if damage == "its Python does not run":
        for python in (copy.folder / ".venv").glob("*/python*"):
            if python.is_file():
                python.unlink()
    ran = copy.run("demo")
    assert ran.stdout.startswith(f".venv cannot be used, {damage}: making it anew\nMaking .venv with Python 3.1")
    assert ran.stdout.endswith("demo\n")


def test_a_folder_that_cannot_hold_an_environment_is_said_in_one_sentence(copy: Copy) -> None:
    """No traceback, whatever the folder is like: here a file lies where `.venv` should be."""
    (copy.folder / ".venv").write_text("", encoding="utf-8")
    ran = copy.run("demo")
    assert ran.returncode == 1
    assert ran.stderr.startswith("dev.py: Preparing .venv failed")
    assert ran.stderr.endswith("\n  mend: remove .venv and run this again\n")
    assert "Traceback" not in ran.stderr


def test_a_port_in_use_is_said_before_anything_is_installed(copy: "Copy") -> None:
    """Bad input: one sentence, and a free port as the mend."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ran = copy.run("start", "--port", str(port))
    assert ran.returncode == 1
    assert ran.stdout == ""
    sentence, mend = ran.stderr.splitlines()
    assert sentence == f"dev.py: port {port} is in use by another program"
    assert mend.startswith("  mend: end what uses it, or choose another: --port ")
    assert int(mend.rpartition(" ")[2]) != port


# ---------------------------------------------------------------- browsers


@posix
def test_a_browser_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    """Ubuntu's chromium is a script that only says what to install; Playwright's own lies in its cache."""
    program(tmp_path / "bin/chromium", "echo 'please install the snap' >&2; exit 1")
    old = program(tmp_path / "cache/chromium-1180/chrome-linux/chrome", "echo Chromium 140")
    new = program(tmp_path / "cache/chromium-1200/chrome-linux64/chrome", "echo Chromium 150")
    environ = {"PATH": str(tmp_path / "bin"), "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "cache")}
    assert find_browser(environ, tmp_path) == new
    new.unlink()
    assert find_browser(environ, tmp_path) == old


@posix
def test_a_browser_that_was_named_is_taken_or_refused_but_never_replaced(tmp_path: Path) -> None:
    """ONENOTE_AUTH_BROWSER with a slip of the pen must not test another browser."""
    program(tmp_path / "bin/chromium", "echo Chromium 150")
    named = program(tmp_path / "edge", "echo Edge 150")
    environ = {"PATH": str(tmp_path / "bin"), "ONENOTE_AUTH_BROWSER": str(named)}
    assert find_browser(environ, tmp_path) == named
    named.unlink()
    with pytest.raises(NoBrowserError, match=r"ONENOTE_AUTH_BROWSER: .*edge does not exist"):
        find_browser(environ, tmp_path)


# ---------------------------------------------------------------- what is deployed


def test_nothing_but_the_bundle_is_deployed() -> None:
    """`.funcignore` leaves function_app.py, host.json, requirements.txt, shared/, the JavaScript client and the licence."""
    ignored = pathspec.GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text(encoding="utf-8").splitlines())
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    # Where git knows nothing (an archive of the sources), whatever lies here.
    there = [path for folder in (ROOT, ROOT / "web") for path in folder.iterdir() if path.name != "web"]
    names = listed.stdout.splitlines() or [path.relative_to(ROOT).as_posix() + "/" * path.is_dir() for path in there]
    kept = [name for name in names if not ignored.match_file(name)]
    deployed = {name if name.startswith("web/") else Path(name).parts[0] for name in kept}
    assert deployed <= {"function_app.py", "host.json", "requirements.txt", "shared", "web/client.js", "LICENSE"}
    assert {"requirements.txt", "shared"} <= deployed


def test_the_functions_load_from_what_is_deployed_alone(tmp_path: Path) -> None:
    """As the worker loads them; an import of anything that stays behind would turn every route into 404."""
    for part in ("function_app.py", "host.json", "requirements.txt"):
        shutil.copy(ROOT / part, tmp_path)
    shutil.copytree(ROOT / "shared", tmp_path / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "web").mkdir()
    shutil.copy(ROOT / "web" / "client.js", tmp_path / "web")
    load = f"""if True:
        import importlib, pkgutil, sys
        sys.path.insert(0, {str(tmp_path)!r})
        import function_app, shared
        for module in pkgutil.walk_packages(shared.__path__, "shared."):
            importlib.import_module(module.name)
        print(sorted(f.get_function_name() for f in function_app.app.get_functions()))
        print(sys.modules.keys() & {{"local", "tests", "dev"}})
    """
    ran = subprocess.run([sys.executable, "-I", "-c", load], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "'auth_login'" in ran.stdout, ran.stderr
    assert "'sweep'" in ran.stdout
    assert ran.stdout.endswith("set()\n")

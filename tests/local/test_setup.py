"""What runs before there is an environment: finding a Python, plain words for what goes wrong, requirements, ports.

What can be run is run for real: made-up Pythons are programs on a PATH.
"""

import ast
import json
import os
import socket
import sys
from pathlib import Path

import pytest

from local.setup import pythons
from local.setup.environment import requirement_hashes
from local.setup.places import ROOT
from local.setup.ports import port_fault
from local.setup.pythons import Python, candidates, find_python, probe, python_from_uv
from local.setup.troubles import explain
from tests.programs import posix, program


def python_program(path: Path, version: str, modules: tuple[str, ...] = ("venv", "ensurepip", "pip")) -> Path:
    """A program that answers `pythons.PROBE` as a Python of that version would."""
    answer = {"path": str(path), "version": version, "modules": modules, "free_threaded": False}
    return program(path, f"echo '{json.dumps(answer)}'")


def found_in(folder: Path, environ: dict[str, str]) -> tuple[Python | None, list[str]]:
    """What is found when only this folder's Pythons exist, not the machine's own."""
    commands = candidates(environ, folder / "home")
    return find_python(command for command in commands if command[0].startswith(str(folder)))


# ---------------------------------------------------------------- finding a Python


def test_the_running_python_is_described_as_it_is() -> None:
    """The probe runs in a real interpreter."""
    python = probe([sys.executable])
    assert python is not None
    assert python.version == ".".join(map(str, sys.version_info[:3]))
    assert {"venv", "ensurepip", "pip"} <= set(python.modules)


@posix
def test_a_wanted_python_is_found_behind_a_shim_that_does_not_run(tmp_path: Path) -> None:
    """A pyenv shim comes first on the PATH and knows no 3.13; the real one is two folders on."""
    program(tmp_path / "shims/python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    python_program(tmp_path / "old/python3", "3.11.7")
    wanted = python_program(tmp_path / "new/python3.13", "3.13.2")
    environ = {"PATH": os.pathsep.join(str(tmp_path / name) for name in ("shims", "old", "new"))}
    python, faults = found_in(tmp_path, environ)
    assert python is not None
    assert python.path == str(wanted)
    assert faults == []


@posix
@pytest.mark.parametrize(
    ("variable", "place"),
    [
        ("", "home/.pyenv/versions/3.13.4/bin/python"),
        ("PYENV_ROOT", "root/versions/3.14.1/bin/python"),
        ("", "home/.pyenv/pyenv-win/versions/3.13.4/python.exe"),
        ("", "home/.local/share/uv/python/cpython-3.14.0-linux-x86_64-gnu/bin/python3.14"),
        ("UV_PYTHON_INSTALL_DIR", "root/cpython-3.13.1-macos-aarch64-none/bin/python3.13"),
        ("LOCALAPPDATA", "root/Programs/Python/Python313/python.exe"),
        ("", "home/.local/bin/python3.13"),
    ],
)
def test_a_python_off_the_path_is_found(tmp_path: Path, variable: str, place: str) -> None:
    """pyenv, uv and the installers keep their Pythons in folders of their own."""
    version = "3.14.1" if "3.14" in place else "3.13.4"
    wanted = python_program(tmp_path / place, version)
    python, _ = found_in(tmp_path, {variable: str(tmp_path / "root")} if variable else {})
    assert python is not None
    assert python.path == str(wanted)


@posix
def test_pythons_of_no_use_are_named_with_the_reason(tmp_path: Path) -> None:
    """Debian ships Python without its venv module; 3.12 is too old."""
    bare = python_program(tmp_path / "python3.13", "3.13.0", modules=("venv",))
    old = python_program(tmp_path / "python3", "3.12.9")
    python, faults = found_in(tmp_path, {"PATH": str(tmp_path)})
    assert python is None
    assert faults == [
        f"Python 3.13.0 ({bare}) has no working venv module",
        f"Python 3.12.9 ({old}) is not 3.13 or 3.14",
    ]


@pytest.mark.parametrize(
    ("version", "free_threaded", "of_use"),
    [
        ("3.9.18", False, False),
        ("3.12.10", False, False),
        ("3.13.0", False, True),
        ("3.14.12", False, True),
        ("3.13.0", True, False),
        ("3.15.0", False, False),
    ],
)
def test_only_pythons_that_the_packages_are_published_for_are_taken(
    version: str, free_threaded: bool, of_use: bool
) -> None:
    """3.13 and 3.14 with their lock; nothing older, nothing newer."""
    assert (not Python("python", version, free_threaded=free_threaded).fault) is of_use


@posix
def test_a_python_that_uv_brings_lies_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine has none: nothing outside the project changes."""
    brought = python_program(tmp_path / "brought", "3.13.9")
    where = '"$UV_PYTHON_INSTALL_DIR"/cpython-3.13.9-linux-x86_64-gnu/bin'
    program(
        tmp_path / "bin/uv",
        f'[ "$*" = "python install 3.13" ] && mkdir -p {where} && cp "{brought}" {where}/python3.13',
    )
    monkeypatch.setattr(pythons, "UV_HOME", tmp_path / ".uv")
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path / "bin"), os.environ["PATH"])))
    assert python_from_uv().version == "3.13.9"
    assert [path.name for path in (tmp_path / ".uv/python").iterdir()] == ["cpython-3.13.9-linux-x86_64-gnu"]


# ---------------------------------------------------------------- what went wrong

REFUSED = "Failed to establish a new connection: [Errno 111] Connection refused"


@pytest.mark.parametrize(
    ("output", "cause", "mend"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", "disk is full", "free"),
        ("Error: [Errno 13] Permission denied: '/srv/app/.venv'", "cannot be written", "folder of your own"),
        ("[Errno 30] Read-only file system: '/srv/app/.venv'", "cannot be written", "folder of your own"),
        ("PermissionError: [WinError 5] Access is denied: 'python.exe'", "cannot be written", "uses .venv"),
        ("because ensurepip is not available. On Debian/Ubuntu systems", "venv module", "python3.13-venv"),
        ("/usr/bin/python3: No module named venv", "venv module", "python3.13-venv"),
        (
            f"WARNING: Retrying: {REFUSED}\nERROR: No matching distribution found for msal",
            "network",
            "HTTPS_PROXY",
        ),
        ("NameResolutionError: Failed to resolve 'index.example'", "network", "PIP_INDEX_URL"),
        ("error: Request failed\n  Caused by: dns error: failed to lookup", "network", "HTTPS_PROXY"),
        ("ProxyError('Cannot connect to proxy.', OSError('407 Proxy'))", "proxy refuses", "HTTPS_PROXY"),
        ("SSLError: [SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate", "certificate", "PIP_CERT"),
        ("ERROR: No matching distribution found for msal==1.39.0", "lacks a version", "mirror"),
        ("/usr/bin/python3: No module named pip", "no pip", "python3-pip"),
    ],
)
def test_a_failed_installation_gets_one_plain_sentence_and_the_mend(output: str, cause: str, mend: str) -> None:
    """pip's, venv's, uv's and the system's own words, each with what to do."""
    trouble = explain("Installing packages", output)
    assert trouble.sentence.startswith("Installing packages failed: ")
    assert cause in trouble.sentence
    assert mend in trouble.mend
    assert "\n" not in trouble.sentence + trouble.mend


def test_an_unknown_failure_shows_the_end_of_what_was_printed() -> None:
    """Nothing is hidden where nothing is understood."""
    trouble = explain("Installing packages", "\n".join(f"line {n}" for n in range(40)))
    assert "line 39" in trouble.sentence
    assert "line 20" not in trouble.sentence


# ---------------------------------------------------------------- requirements


def test_the_hash_of_requirements_follows_what_they_include(tmp_path: Path) -> None:
    """`.venv` is brought up to date when an included file changes, and only then."""
    inner, outer = tmp_path / "requirements.txt", tmp_path / "tests/requirements.txt"
    outer.parent.mkdir()
    inner.write_text("msal==1\n", encoding="utf-8")
    outer.write_text("-r ../requirements.txt\npytest==1\n", encoding="utf-8")
    before = requirement_hashes(outer)
    assert requirement_hashes(inner).items() <= before.items()
    assert requirement_hashes(outer) == before
    inner.write_text("msal==2\n", encoding="utf-8")
    after = requirement_hashes(outer)
    assert len(before.items() - after.items()) == 1


# ---------------------------------------------------------------- ports


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_port_that_something_listens_on_is_in_use(host: str) -> None:
    """On ::1 alone too: browsers ask it first for `localhost`."""
    try:
        listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with listener:
        port = listener.getsockname()[1]
        assert port_fault(port) == f"port {port} is in use by another program"
    assert port_fault(port) == ""


def test_dev_py_and_what_it_imports_is_python_39_and_the_standard_library() -> None:
    """`python3` may be older than the Python that the bundle needs."""
    for path in (ROOT / "dev.py", *(ROOT / "local" / "setup").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        others = {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names}
        assert {name.rpartition(".")[0] for name in others} <= {"local.setup"}, path

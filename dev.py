#!/usr/bin/env python3
"""The one command of the project: makes the environment that a part needs, then runs that part.

Standard library only, Python 3.9 or later on Linux, macOS and Windows: the bundle needs a newer Python than
`python3` is on many machines. A new command is one function and one entry in `make_parser`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # a "safe path" (PYTHONSAFEPATH) leaves it out

from local.setup.environment import ensure_environment
from local.setup.places import ROOT, VENV_PYTHON
from local.setup.ports import check_port
from local.setup.running import child_environment, hand_over, run_step, run_visibly
from local.setup.troubles import Trouble, explain


def start(arguments: argparse.Namespace) -> int:
    check_port(arguments.port)
    ensure_environment("local/requirements.txt")
    https = ["--https"] if arguments.https else []
    settings = [f"--set={setting}" for setting in arguments.set]
    return hand_over([VENV_PYTHON, "-m", "local.stack", "--port", str(arguments.port), *https, *settings])


def demo(arguments: argparse.Namespace) -> int:
    ensure_environment("local/requirements.txt")
    return hand_over([VENV_PYTHON, "-m", "local.demo", *(["--all"] if arguments.all else [])])


def bench(arguments: argparse.Namespace) -> int:
    ensure_environment("local/requirements.txt")
    quick = ["--quick"] if arguments.quick else []
    # Absolute, because the bench runs in the project and the caller need not.
    file = ["--json", os.path.abspath(arguments.json)] if arguments.json else []
    return hand_over([VENV_PYTHON, "-m", "local.bench", *quick, *file])


def doctor(arguments: argparse.Namespace) -> int:
    ensure_environment("requirements.txt")
    stack = ["--local", str(arguments.local)] if arguments.local else []
    return hand_over([VENV_PYTHON, "-m", "local.doctor", *stack])


def plan(arguments: argparse.Namespace) -> int:
    # With this Python and without .venv: a person who wants to see what would be made needs no network for it.
    keep = ["--keep"] if arguments.keep else []
    return hand_over([sys.executable, "-m", "local.plan", "--variant", arguments.variant, *keep])


def serve(arguments: argparse.Namespace) -> int:
    check_port(arguments.port)
    command = [VENV_PYTHON, "-m", "local.host", "--app", "."]
    if arguments.host == "func":
        func = shutil.which("func")
        if not func:
            install = "npm install -g azure-functions-core-tools@4"
            raise Trouble("Azure Functions Core Tools are not on the PATH", f"{install}, or leave out --host func")
        command = [func, "start"]
    ensure_environment("requirements.txt")
    return hand_over([*command, "--port", str(arguments.port)])


CHECKS = {
    "ruff format --check .": ["-m", "ruff", "format", "--check", "."],
    "ruff check .": ["-m", "ruff", "check", "."],
    "mypy": ["-m", "mypy"],
    "lint-imports": ["-c", "from importlinter.cli import lint_imports_command as main; main()"],
}


def test(arguments: argparse.Namespace) -> int:
    ensure_environment("tests/requirements.txt")
    browser = ensure_browser()
    if arguments.pytest:
        return run_visibly([VENV_PYTHON, "-m", "pytest", *arguments.pytest], **browser)
    failed = []
    for name, command in CHECKS.items():
        code, text = run_step(name, [VENV_PYTHON, *command])
        if code:
            failed.append(name)
            print(text)
    print(f"{len(CHECKS) - len(failed)} of {len(CHECKS)} checks passed. Running pytest ...")
    # .ci/run reads the report: no test may have been skipped.
    code = run_visibly([VENV_PYTHON, "-m", "pytest", "--junitxml", ".local/junit.xml"], **browser)
    if failed:  # once more, below pytest's closing line: nobody looks above it
        print(f"failed before pytest: {', '.join(failed)}")
    return code or int(bool(failed))


def ensure_browser() -> dict[str, str]:
    """What the tests are told: where the browser is, or why there is none (they skip what needs it)."""
    asked = subprocess.run(
        [VENV_PYTHON, "-m", "tests.browser"],
        cwd=ROOT,
        env=child_environment(),
        stdout=subprocess.PIPE,
        check=False,
    )
    answer = asked.stdout.decode("utf-8", "replace").strip() or "looking for a browser failed"
    if asked.returncode == 0:
        return {"ONENOTE_AUTH_BROWSER": answer}
    mend = "install Chromium, Chrome or Edge, or set ONENOTE_AUTH_BROWSER to its path"
    if os.environ.get("CI", "").lower() == "true":
        raise Trouble(f"no browser to test with: {answer}", mend)
    print(f"The browser tests will be skipped: {answer}\n  mend: {mend}")
    return {"ONENOTE_AUTH_NO_BROWSER": answer}


def port_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, a number from 1 to 65535")
    return int(text)


EXAMPLES = """\
examples:
  python3 dev.py start               the whole stack with its demo page; Ctrl-C ends it
  python3 dev.py start --https       the same behind TLS
  python3 dev.py demo                the main job without a browser, step by step
  python3 dev.py test                all checks and tests, as CI runs them
  python3 dev.py test -k refresh     pytest alone, with these arguments
  python3 dev.py bench --quick       the benchmarks in short, as a table
  python3 dev.py plan                what would be made in Azure, without Azure
  python3 dev.py serve --port 7071   the functions alone, on the settings of the environment
  python3 dev.py doctor              is all there that those settings name? What is not, and its mend
  python3 dev.py doctor --local      the same of the stack that `start` runs
"""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Runs onenote-auth on this machine. The first run makes .venv and fills it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    command = commands.add_parser("start", help="run the embedded stack with its demo page")
    command.add_argument("--port", type=port_number, default=7071, help="of the demo page (default: 7071)")
    command.add_argument("--https", action="store_true", help="TLS, with a throw-away certificate")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="an app setting, such as FRONTEND_ORIGINS"
    )
    command.set_defaults(run=start)

    command = commands.add_parser("test", help="run formatter, linter, type checker, import rules and tests")
    command.add_argument("pytest", nargs="*", metavar="ARGUMENT", help="for pytest, which then runs alone")
    command.set_defaults(run=test)

    command = commands.add_parser("demo", help="walk through the main job and check every step")
    command.add_argument("--all", action="store_true", help="every row of the requirements, failures too")
    command.set_defaults(run=demo)

    command = commands.add_parser("bench", help="measure everything beside its baselines, 5 minutes at most")
    command.add_argument("--quick", action="store_true", help="under a minute: fewer, shorter rounds")
    command.add_argument("--json", metavar="FILE", help="write every figure there")
    command.set_defaults(run=bench)

    command = commands.add_parser(
        "doctor",
        help="check the settings and all that they lead to",
        description="Checks the settings of the environment and of local.settings.json, and asks everything that they "
        "name. A line a finding, with cause and mend; exit code 1 if anything needs mending.",
        epilog="example:\n  AUTH_TENANT=common python3 dev.py doctor && echo well",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--local",
        type=port_number,
        nargs="?",
        const=7071,
        metavar="PORT",
        help="check the embedded stack that runs on this port (default: 7071) instead",
    )
    command.set_defaults(run=doctor)

    command = commands.add_parser("plan", help="list what the templates would make in Azure; reaches no network")
    command.add_argument("--variant", default="default", metavar="NAME", help="of infra/variants (default: default)")
    command.add_argument("--keep", action="store_true", help="write the snapshots of infra/variants anew instead")
    command.set_defaults(run=plan)

    command = commands.add_parser("serve", help="run the functions on the settings of the environment")
    command.add_argument("--port", type=port_number, required=True, help="where they listen")
    command.add_argument("--host", choices=["own", "func"], default="own", help="func: Core Tools")
    command.set_defaults(run=serve)
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    # What follows `test` is pytest's, options too: `--` keeps argparse off it.
    if argv[:1] == ["test"] and argv[1:2] not in (["--help"], ["-h"], ["--"]):
        argv = ["test", "--", *argv[1:]]
    parser = make_parser()
    if not argv:  # whoever does not know the commands sees them
        parser.print_help(sys.stderr)
        sys.exit(2)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # folders can have names that the console cannot show
    arguments = parse(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs for us is ended too
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except (Trouble, OSError) as error:
        trouble = error if isinstance(error, Trouble) else explain("Preparing .venv", str(error))
        sys.stdout.flush()
        print(f"dev.py: {trouble.sentence}\n  mend: {trouble.mend}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    if sys.version_info < (3, 9):
        sys.exit("dev.py: this Python is too old to run it\n  mend: run it with Python 3.9 or later")
    sys.exit(main(sys.argv[1:]))

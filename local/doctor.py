"""Owns the command `python -m local.doctor`: examines what the bundle needs, prints a line a finding.

On the settings of the environment and of local.settings.json, or with `--local PORT` on those of an embedded stack
that runs on this machine. Exit code 0 when nothing needs mending, 1 when something does, 2 where no stack answers.
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import aiohttp

from local.control_client import ControlClient
from local.host.app_files import read_local_settings
from local.host.errors import HostError
from shared.compose import Composition
from shared.errors import Misconfigured
from shared.findings import Finding, State, is_broken

PROJECT = Path(__file__).resolve().parent.parent


class NoStack(Exception):
    """No embedded stack answers there; the text is for people."""


async def examine(environ: Mapping[str, str]) -> tuple[Finding, ...]:
    """What all checks found; only the settings' own faults where they are wrong, for nothing works on those."""
    composition = Composition(environ)
    try:
        parts = await composition.parts()
    except Misconfigured as error:
        return tuple(
            Finding(
                check="settings",
                state=State.BROKEN,
                code="misconfigured",
                what="A setting is wrong.",
                cause=text,
                mend="In the environment or in local.settings.json; then ask again.",
            )
            for text in error.findings
        )
    try:
        return (Finding(check="settings", what="All settings are usable."), *await parts.doctor.examine())
    finally:
        await composition.close()


def line(finding: Finding) -> str:
    name = f"{finding.check} {finding.of}".strip()
    told = (f"{finding.state:<7} {name:<22} {finding.what}", finding.cause and f"Cause: {finding.cause}")
    return " ".join(filter(None, (*told, finding.mend and f"Mend: {finding.mend}")))


async def report(environ: Mapping[str, str], show: Callable[[str], object]) -> int:
    """Examine, and show a line a finding; the exit code."""
    findings = await examine(environ)
    for finding in findings:
        show(line(finding))
    broken = sum(finding.state is State.BROKEN for finding in findings)
    show(f"{broken} to mend" if broken else "nothing to mend")
    return int(is_broken(findings))


async def of_stack(port: int) -> tuple[dict[str, str], float]:
    """The settings of the stack that runs there, and by how many seconds its clock was moved. Raises NoStack."""
    for scheme in ("http", "https"):
        try:
            # Its certificate is a throw-away one, and the address is this machine's own.
            async with ControlClient(f"{scheme}://localhost:{port}", verify=False, limit_s=10) as stack:
                return await stack.settings(), (await stack.state())["clock_offset_s"]
        except (aiohttp.ClientError, TimeoutError, ValueError, RuntimeError):
            continue
    raise NoStack(
        f"No embedded stack answers on port {port}: start one with `python3 dev.py start`, or leave out --local."
    )


async def _run(port: int | None) -> int:
    if port is None:
        return await report({**read_local_settings(PROJECT), **os.environ}, print)
    settings, moved_s = await of_stack(port)
    code = await report(settings, print)
    if moved_s:
        print(f"The stack's clock was moved by {moved_s:.0f} s: what is said of clocks and the timer comes of that.")
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.doctor", description="What the bundle needs: is it there?")
    parser.add_argument("--local", type=int, metavar="PORT", help="the embedded stack that runs there")
    given = parser.parse_args(arguments)
    logging.disable()  # what would be logged is among the findings
    try:
        return asyncio.run(_run(given.local))
    except (NoStack, HostError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

"""Owns how these tests call the Bicep compiler: a module evaluated as it would be deployed, diagnostics counted."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local import plan
from tests.needs import without

ROOT = Path(__file__).resolve().parents[2]
_CONTEXT = {
    "--subscription-id": "00000000-0000-0000-0000-000000000001",
    "--tenant-id": "00000000-0000-0000-0000-000000000002",
    "--location": "westeurope",
}
_GROUP = ("--resource-group", "onenote-auth-test")


def compiler() -> Path:
    """The compiler of this machine. Skips the test where there is none, except in CI."""
    return Path(plan.compiler() or without(": ".join(plan.NO_COMPILER)))


def run(
    *arguments: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    command = [compiler(), *arguments]
    # Not compiled for a long run: a call takes two seconds, and a seventh less without that.
    environment = {**(os.environ if env is None else env), "DOTNET_TieredPGO": "0"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=50, check=False)


def evaluate(template: Path, parameters: dict[str, Any], *, in_a_group: bool = True) -> list[dict[str, Any]]:
    """The resources that a template would make, conditions and loops resolved. Writes beside it: give it a copy."""
    file = template.parent / "evaluated.bicepparam"
    lines = [f"param {name} = json('{json.dumps(value)}')" for name, value in parameters.items()]
    file.write_text("\n".join([f"using '{template.name}'", *lines]), encoding="utf-8")
    context = [part for name, value in _CONTEXT.items() for part in (name, value)]
    done = run("snapshot", file, "--mode", "overwrite", *context, *(_GROUP if in_a_group else ()))
    assert done.returncode == 0, done.stdout + done.stderr
    snapshot = json.loads(file.with_suffix(".snapshot.json").read_text(encoding="utf-8"))
    resources: list[dict[str, Any]] = snapshot["predictedResources"]
    return resources

"""Owns how the tests see the deployment: the variants as kept in the repository, which one test holds to the templates."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import Any

from local import plan
from tests.infra import bicep

INFRA = plan.INFRA
VARIANTS = list(plan.VARIANTS)

GUID = "11111111-1111-1111-1111-111111111111"
"""Stands for an id that only Azure knows."""


def kept(variant: str) -> dict[str, Any]:
    """The snapshot of a variant as the repository keeps it."""
    file = plan.VARIANTS[variant].with_suffix(".snapshot.json")
    snapshot: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return snapshot


def of_type(variant: str, kind: str) -> list[dict[str, Any]]:
    return [each for each in kept(variant)["predictedResources"] if each["type"] == kind]


def app_settings(snapshot: Mapping[str, Any]) -> dict[str, str]:
    """The function app's settings; what only Azure knows is still an expression."""
    (site,) = (each for each in snapshot["predictedResources"] if each["type"] == "Microsoft.Web/sites")
    return {each["name"]: each["value"] for each in site["properties"]["siteConfig"]["appSettings"]}


def strings(value: object) -> Iterator[str]:
    """Every text in a value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from (key, *strings(each))
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


@cache
def validations() -> Mapping[str, "Future[CompletedProcess[str]]"]:
    """What the compiler says to each kept snapshot. Two at a time: each keeps a core busy."""
    bicep.compiler()
    pool = ThreadPoolExecutor(2)

    def validate(parameters: Path) -> "CompletedProcess[str]":
        return bicep.run("snapshot", parameters, "--mode", "validate", *plan.CONTEXT)

    return {variant: pool.submit(validate, parameters) for variant, parameters in plan.VARIANTS.items()}


def without_deployment_settings() -> dict[str, str]:
    """This process's environment without anything that main.bicepparam reads."""
    read = re.findall(r"readEnvironmentVariable\('(\w+)'", (INFRA / "main.bicepparam").read_text(encoding="utf-8"))
    return {name: value for name, value in os.environ.items() if name not in read}


def with_environment(**environment: str) -> "tuple[CompletedProcess[str], dict[str, Any]]":
    """main.bicepparam evaluated as azd would, with these variables; the snapshot is empty where it is refused."""
    needed = {"AZURE_ENV_NAME": "example", "AZURE_LOCATION": "westeurope", "AUTH_CLIENT_ID": GUID}
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "infra"
        shutil.copytree(INFRA, copy)
        done = bicep.run(
            *("snapshot", copy / "main.bicepparam", "--mode", "overwrite", *plan.CONTEXT),
            env={**without_deployment_settings(), **needed, **environment},
        )
        if done.returncode:
            return done, {}
        return done, json.loads((copy / "main.snapshot.json").read_text(encoding="utf-8"))

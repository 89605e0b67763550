"""Owns the dry run of the deployment: what `infra/` would make in Azure, in words. Never reaches Azure, or any network.

The Bicep compiler evaluates a variant of `infra/variants` (`bicep snapshot`): modules unfolded, loops and conditions
resolved. `dev.py plan` runs this with the Python at hand, so it is standard library, Python 3.9 or later.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INFRA = Path(__file__).resolve().parents[1] / "infra"
VARIANTS = {file.stem: file for file in sorted((INFRA / "variants").glob("*.bicepparam"))}

# A subscription and a tenant that do not exist: names that are made of their ids differ in yours.
CONTEXT = (
    *("--subscription-id", "00000000-0000-0000-0000-000000000000"),
    *("--tenant-id", "99999999-9999-9999-9999-999999999999"),
    *("--location", "westeurope"),
)
NO_COMPILER = (
    "no Bicep compiler on the PATH, in ~/.azure/bin or in ~/.azd/bin",
    "az bicep install, or take it from https://github.com/Azure/bicep/releases",
)
_KEPT_IN = (".azure/bin", ".azd/bin")  # where az and azd put theirs, on no PATH

# What a type is called, and what it is for.
PURPOSES = {
    "Microsoft.Resources/resourceGroups": ("Resource group", "holds everything below; delete it to remove everything"),
    "Microsoft.ManagedIdentity/userAssignedIdentities": ("Managed identity", "what the app runs as"),
    "Microsoft.OperationalInsights/workspaces": ("Log Analytics workspace", "keeps logs for 30 days"),
    "Microsoft.Insights/components": ("Application Insights", "logs, requests and failures of the app"),
    "Microsoft.KeyVault/vaults": ("Key Vault", ""),  # by what it holds
    "Microsoft.Insights/diagnosticSettings": ("Audit log", "who did what in that vault goes to the workspace"),
    "Microsoft.Storage/storageAccounts": ("Storage account", "what the Functions host needs; no token lies there"),
    "Microsoft.Storage/storageAccounts/blobServices": ("Blob service", "of that account"),
    "Microsoft.Storage/storageAccounts/blobServices/containers": ("Container", "the deployed package"),
    "Microsoft.Web/serverfarms": ("Flex Consumption plan", "instances for the app, none while nobody calls"),
    "Microsoft.Web/sites": ("Function app", "this project: the sign-in, the sessions, the way to OneNote"),
    "Microsoft.Web/sites/hostNameBindings": ("Host name", "your own host name for the app"),
    "Microsoft.Web/sites/certificates": ("Certificate", "for that host name; Azure renews it"),
    "Microsoft.Web/staticSites": ("Static web app", "the front end"),
    "Microsoft.Web/staticSites/customDomains": ("Host name", "your own host name for the front end"),
    "Microsoft.Web/staticSites/linkedBackends": ("Linked backend", "/api of the front end leads to the app"),
    "Microsoft.Network/virtualNetworks": ("Virtual network", "between the app, the vaults and the storage"),
    "Microsoft.Network/privateDnsZones": ("Private DNS zone", "leads the usual names to the private endpoints"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": ("Link", "the network asks that zone for names"),
    "Microsoft.Network/privateEndpoints": ("Private endpoint", "the only way to that vault or storage service"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": ("DNS entry", "of that endpoint"),
    "Microsoft.Insights/scheduledQueryRules": ("Alert", ""),  # by its own description
    "Microsoft.Insights/workbooks": ("Workbook", "charts of sign-ins, sessions and the timer"),
}
HOLDS = {
    "tokens": "sessions with their tokens; a cache that a sign-in refills, so deleted ones can be purged",
    "operator secrets": "the app's own client secret or certificate; can't be purged before its time",
}
ROLES = {  # "Azure built-in roles", Microsoft Learn
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}
_ROLE = "Microsoft.Authorization/roleAssignments"


class NotEvaluated(Exception):
    """The compiler is missing or refuses the templates. `mend` may be empty: the sentence is then the compiler's."""

    def __init__(self, sentence: str, mend: str = "") -> None:
        super().__init__(sentence)
        self.mend = mend


@dataclass(frozen=True)
class Role:
    """What somebody may do on one resource."""

    who: str
    role: str
    scope: str
    """Resource id."""
    why: str


@dataclass(frozen=True)
class Resource:
    """One resource that would exist."""

    id: str
    type: str
    title: str
    name: str
    purpose: str
    roles: tuple[Role, ...] = field(default=())


def compiler() -> str | None:
    """The Bicep compiler of this machine."""
    folders = (os.environ.get("PATH", ""), *(str(Path.home() / folder) for folder in _KEPT_IN))
    return shutil.which("bicep", path=os.pathsep.join(folders))


def snapshot(parameters: Path, folder: Path) -> dict[str, Any]:
    """A parameters file evaluated in `folder`, a copy of `infra/` that may be written to. Raises NotEvaluated."""
    program = compiler()
    if not program:
        raise NotEvaluated(*NO_COMPILER)
    file = folder / parameters.relative_to(INFRA)
    command = [program, "snapshot", str(file), "--mode", "overwrite", *CONTEXT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (no shell, own paths)
    if done.returncode:
        raise NotEvaluated((done.stdout + done.stderr).strip().replace(str(folder), str(INFRA)))
    evaluated: dict[str, Any] = json.loads(file.with_suffix(".snapshot.json").read_text(encoding="utf-8"))
    return evaluated


def evaluate(variant: str) -> dict[str, Any]:
    """A variant as the compiler evaluates it now. Raises NotEvaluated."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "infra"
        shutil.copytree(INFRA, copy)
        return snapshot(VARIANTS[variant], copy)


def roles(evaluated: Mapping[str, Any]) -> list[Role]:
    """Every role assignment. ValueError where one is not on a single resource, by name."""
    return [_role(each) for each in evaluated["predictedResources"] if each["type"] == _ROLE]


def resources(evaluated: Mapping[str, Any]) -> list[Resource]:
    """Every other resource, with the roles on it. KeyError for a type that `PURPOSES` lacks."""
    given = roles(evaluated)
    return [
        Resource(
            id=each["id"],
            type=each["type"],
            title=PURPOSES[each["type"]][0],
            name=_name(each),
            purpose=_purpose(each),
            roles=tuple(role for role in given if role.scope == each["id"]),
        )
        for each in evaluated["predictedResources"]
        if each["type"] != _ROLE
    ]


def _name(resource: Mapping[str, Any]) -> str:
    """With its parent's, as many a child is called `default`; a log's parent is in its id alone."""
    log = re.search(r"/([^/]+)/providers/Microsoft\.Insights/diagnosticSettings/", resource["id"])
    return f"{log[1]}/{resource['name']}" if log else str(resource["name"])


def _purpose(resource: Mapping[str, Any]) -> str:
    if resource["type"] == "Microsoft.KeyVault/vaults":
        return HOLDS[str(resource["tags"]["holds"])]
    if resource["type"] == "Microsoft.Insights/scheduledQueryRules":
        return str(resource["properties"]["displayName"]).partition(": ")[2]
    if "sslState" in resource.get("properties", {}):
        return "the same, now with its certificate"
    return PURPOSES[str(resource["type"])][1]


def _role(assignment: Mapping[str, Any]) -> Role:
    properties = assignment["properties"]
    # The assignment's own id is known once the identity is; its scope is known before.
    scope = re.match(
        r"\[extensionResourceId\('([^']+)', |(/[^\[]+)/providers/Microsoft\.Authorization/", assignment["id"]
    )
    if not scope:
        raise ValueError(f"no single resource: {assignment['id']}")
    principal = properties["principalId"]
    app = re.fullmatch(r"\[reference\('[^']+/userAssignedIdentities/[^']+', '[^']+'\)\.principalId\]", principal)
    return Role(
        who="the app's identity" if app else f"who deploys ({principal})",
        role=ROLES[properties["roleDefinitionId"].rpartition("/")[2]],
        scope=scope[1] or scope[2],
        why=properties["description"],
    )


def lines(variant: str, evaluated: Mapping[str, Any]) -> Iterator[str]:
    """The list for a person."""
    listed = resources(evaluated)
    yield f"{variant}: {len(listed)} resources, {sum(len(each.roles) for each in listed)} roles. Nothing is made by this."
    for each in listed:
        yield f"{each.title}  {each.name}"
        yield f"    {each.purpose}"
        for role in each.roles:
            yield f"    {role.who}: {role.role}"
            yield f"        {role.why}"
    yield "There is no other role. Whoever owns the subscription can give more, which its activity log shows."
    yield "Names that end in the same 13 letters differ in your subscription: they are made of its id."


def keep() -> None:
    """Write the snapshots of all variants that the repository keeps. Raises NotEvaluated."""
    for parameters in VARIANTS.values():
        evaluated = snapshot(parameters, INFRA)
        # The compiler writes outputs in another order every time, which a review would have to read.
        evaluated["outputs"] = dict(sorted(evaluated["outputs"].items()))
        text = json.dumps(evaluated, indent=2, ensure_ascii=False)
        parameters.with_suffix(".snapshot.json").write_text(text + "\n", encoding="utf-8")
        print(f"wrote {parameters.with_suffix('.snapshot.json').relative_to(INFRA.parent)}")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="dev.py plan")
    parser.add_argument("--variant", choices=list(VARIANTS), default="default")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args(argv)
    try:
        if arguments.keep:
            keep()
        else:
            print("\n".join(lines(arguments.variant, evaluate(arguments.variant))))
    except NotEvaluated as error:
        print(f"dev.py: {error}" + (f"\n  mend: {error.mend}" if error.mend else ""), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Owns how the hooks call `az` and `azd`, and what they read of azd's environment. Standard library, Python 3.9."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Union

_PERSONAL_ONLY = ("consumers", "9188040d-6c67-4c5b-b112-36a304b66dad")

Value = Union[str, bool, list[str]]


class ToolFailed(Exception):
    """A program is missing, or ended with an error; the message is its own last words."""


def run(program: str, *arguments: str) -> str:
    """What it prints. Raises ToolFailed."""
    # The full path: on Windows `az` is a .cmd, which only its full name starts.
    found = shutil.which(program)
    if not found:
        raise ToolFailed(f"{program} is not installed")
    done = subprocess.run([found, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise ToolFailed("\n".join(words[-5:]) or f"{program} ended with {done.returncode}")
    return done.stdout


@dataclass(frozen=True)
class Deployment:
    """azd's environment, as far as the hooks need it. Empty where there is no value yet."""

    environment: str
    subscription: str
    location: str
    client_id: str
    made_here: bool
    tenant: str
    authority_host: str
    scopes: str
    token_flow: bool
    federated: bool
    stored: str
    redirect_uri: str
    logout_url: str
    identity_principal_id: str
    operator_vault: str
    azure_tenant: str
    private_network: bool

    @property
    def work(self) -> bool:
        """Whether work and school accounts may sign in: for those Microsoft takes a federated credential."""
        return self.tenant.lower() not in _PERSONAL_ONLY

    @property
    def public_cloud(self) -> bool:
        return self.authority_host in ("", "https://login.microsoftonline.com")


def read(environ: Mapping[str, str] = os.environ) -> Deployment:
    def text(name: str, default: str = "") -> str:
        return environ.get(name, "").strip() or default

    return Deployment(
        environment=text("AZURE_ENV_NAME"),
        subscription=text("AZURE_SUBSCRIPTION_ID"),
        location=text("AZURE_LOCATION"),
        client_id=text("AUTH_CLIENT_ID"),
        made_here=text("AUTH_REGISTRATION_MADE").lower() == "true",
        tenant=text("AUTH_TENANT", "organizations"),
        authority_host=text("AUTH_AUTHORITY_HOST").rstrip("/"),
        scopes=text("AUTH_SCOPES", "Notes.Read"),
        token_flow=text("AUTH_ALLOW_TOKEN_FLOW").lower() == "true",
        federated=text("AUTH_FEDERATED_CREDENTIAL", "true").lower() == "true",
        stored=text("AUTH_STORED_CREDENTIAL", "none"),
        redirect_uri=text("REDIRECT_URI"),
        logout_url=text("FRONTCHANNEL_LOGOUT_URL"),
        identity_principal_id=text("IDENTITY_PRINCIPAL_ID"),
        operator_vault=text("OPERATOR_VAULT_NAME"),
        azure_tenant=text("AZURE_TENANT_ID"),
        private_network=text("PRIVATE_NETWORKING").lower() == "true",
    )


def missing(**values: str) -> str:
    """The names that have no value yet, for a sentence; empty where all have one."""
    return ", ".join(name for name, value in values.items() if not value)


def deploy(deployment: Deployment, template: Path, parameters: Mapping[str, Value]) -> dict[str, str]:
    """Deploy `template` into the subscription; its outputs by name. Raises ToolFailed."""
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#"
    content = {
        "$schema": schema,
        "contentVersion": "1.0.0.0",
        "parameters": {name: {"value": value} for name, value in parameters.items()},
    }
    # A file, as no two shells agree on how a list is quoted. It holds no secret.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "parameters.json"
        file.write_text(json.dumps(content), encoding="utf-8")
        printed = run(
            "az",
            "deployment",
            "sub",
            "create",
            "--name",
            # Of the region, too: a deployment of this name in another region would be refused.
            f"onenote-auth-{deployment.location}-{deployment.environment}"[:64],
            "--subscription",
            deployment.subscription,
            "--location",
            deployment.location,
            "--template-file",
            str(template),
            "--parameters",
            f"@{file}",
            "--query",
            "properties.outputs",
            "--output",
            "json",
            "--only-show-errors",
        )
    try:
        return {name: str(output["value"]) for name, output in json.loads(printed).items()}
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ToolFailed("az answered something that is no list of outputs") from error

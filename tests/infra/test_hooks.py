"""The hooks around `azd provision`: every way they can end, with stand-ins for az and azd that write down their calls."""

import ast
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOOKS = ROOT / "infra" / "hooks"
CLIENT_ID = "12121212-3434-5656-7878-909090909090"
FIRST = {"AZURE_ENV_NAME": "dev", "AZURE_SUBSCRIPTION_ID": "subscription-1", "AZURE_LOCATION": "westeurope"}
MADE = FIRST | {
    "AUTH_CLIENT_ID": CLIENT_ID,
    "REDIRECT_URI": "https://host.example/api/auth/callback",
    "FRONTCHANNEL_LOGOUT_URL": "https://host.example/api/auth/frontchannel-logout",
    "IDENTITY_PRINCIPAL_ID": "principal-1",
    "AZURE_TENANT_ID": "tenant-1",
    "OPERATOR_VAULT_NAME": "onat-op-1",
}
OURS = MADE | {"AUTH_REGISTRATION_MADE": "true"}
OUTPUTS = json.dumps({"AUTH_CLIENT_ID": {"type": "String", "value": CLIENT_ID}})
REFUSED = "ERROR: {'code': 'Authorization_RequestDenied', 'message': 'Insufficient privileges'}"

# Writes its call down, with the parameters file's content instead of its name, and answers by its first words.
STAND_IN = """#!{python} -SE
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
call = [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]
files = [a[1:] for a in call if a.startswith("@")]
parameters = json.loads(pathlib.Path(files[0]).read_text())["parameters"] if files else {{}}
with (folder / "calls.jsonl").open("a") as out:
    out.write(json.dumps({{"call": call, "parameters": {{k: v["value"] for k, v in parameters.items()}}}}) + "\\n")
for words, (code, output, error) in json.loads((folder / "answers.json").read_text()).items():
    if " ".join(call).startswith(words):
        print(output)
        print(error, file=sys.stderr)
        sys.exit(code)
"""
Answer = tuple[int, str, str]


@dataclass(frozen=True)
class Ended:
    code: int
    said: str
    calls: list[list[str]]
    parameters: list[dict[str, Any]]

    def ran(self, *words: str) -> bool:
        return any(call[: len(words)] == list(words) for call in self.calls)


@dataclass(frozen=True)
class Stage:
    folder: Path

    def run(
        self, hook: str, environ: dict[str, str], answers: dict[str, Answer] | None = None, *, without: str = ""
    ) -> Ended:
        given = (answers or {}) | {"az deployment sub create": (0, OUTPUTS, "")}  # the first that fits
        (self.folder / "answers.json").write_text(json.dumps(given), encoding="utf-8")
        log = self.folder / "calls.jsonl"
        log.unlink(missing_ok=True)
        for program in ("az", "azd"):
            file = self.folder / program
            file.unlink(missing_ok=True)
            if program != without:
                file.write_text(STAND_IN.format(python=sys.executable), encoding="utf-8")
                file.chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-SEB", "-W", "error", HOOKS / hook],
            env={"PATH": str(self.folder), **environ},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.stderr == "", "a hook speaks in sentences, never in a traceback"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return Ended(
            done.returncode,
            done.stdout,
            [line["call"] for line in lines],
            [line["parameters"] for line in lines if line["parameters"]],
        )


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    if os.name == "nt":
        pytest.skip("the stand-ins are POSIX scripts; the hooks themselves are plain Python")
    return Stage(tmp_path)


# Before ------------------------------------------------------------------------------------------------------


def test_without_a_client_id_a_registration_is_made_and_remembered(stage: Stage) -> None:
    """R-01: still without addresses and identity, as there are none yet."""
    ended = stage.run("before_provision.py", FIRST)
    assert ended.code == 0
    assert ended.parameters == [
        {
            "environmentName": "dev",
            "signInTenant": "organizations",
            "permissions": ["Notes.Read"],
            "redirectUri": "",
            "logoutUrl": "",
            "identityPrincipalId": "",
            "allowTokenFlow": False,
        }
    ]
    assert ended.ran("azd", "env", "set", "AUTH_CLIENT_ID", CLIENT_ID)
    assert ended.ran("azd", "env", "set", "AUTH_REGISTRATION_MADE", "true")
    (deployed,) = [call for call in ended.calls if call[1] == "deployment"]
    assert deployed[deployed.index("--subscription") + 1] == "subscription-1"
    assert Path(deployed[deployed.index("--template-file") + 1]).samefile(
        ROOT / "infra" / "registration" / "main.bicep"
    )


def test_a_client_id_of_ones_own_is_left_alone(stage: Stage) -> None:
    ended = stage.run("before_provision.py", FIRST | {"AUTH_CLIENT_ID": CLIENT_ID})
    assert (ended.code, ended.calls) == (0, [])
    assert CLIENT_ID in ended.said


@pytest.mark.parametrize(
    ("scopes", "asked"),
    [
        ("notes.readwrite User.Read", ["Notes.ReadWrite", "User.Read"]),
        ("https://graph.microsoft.com/Notes.Create,openid", ["Notes.Create"]),
        ("office.onenote", ["Notes.Read"]),
    ],
)
def test_the_registration_asks_for_the_permissions_of_the_settings(stage: Stage, scopes: str, asked: list[str]) -> None:
    """R-08"""
    (parameters,) = stage.run("before_provision.py", FIRST | {"AUTH_SCOPES": scopes}).parameters
    assert parameters["permissions"] == asked


@pytest.mark.parametrize(
    ("environ", "answers", "without", "words"),
    [
        ({}, {"az deployment": (1, "", REFUSED)}, "", "Insufficient privileges"),
        ({}, {"az account": (1, "", "Please run 'az login' to setup account.")}, "", "az login"),
        ({}, {}, "az", "az is not installed"),
        ({"AUTH_AUTHORITY_HOST": "https://login.microsoftonline.us"}, {}, "", "public cloud only"),
        ({}, {"az deployment": (0, "no JSON", "")}, "", "no list of outputs"),
        ({}, {"az deployment": (0, "{}", "")}, "", "did not say its id"),
    ],
    ids=["no right", "not signed in", "no az", "another cloud", "not JSON", "no output"],
)
def test_where_it_cant_be_made_the_person_is_told_how_to_make_it(
    stage: Stage, environ: dict[str, str], answers: dict[str, Answer], without: str, words: str
) -> None:
    """And azd stops before it makes anything."""
    ended = stage.run("before_provision.py", FIRST | environ | {"AUTH_TENANT": "common"}, answers, without=without)
    assert ended.code == 1
    assert words in ended.said
    assert "any organizational directory and personal Microsoft accounts" in ended.said
    assert "openid, profile, offline_access, Notes.Read" in ended.said
    assert "sid, login_hint" in ended.said
    assert "azd env set AUTH_CLIENT_ID" in ended.said
    assert not ended.ran("azd")


@pytest.mark.parametrize("name", FIRST)
def test_what_azd_has_not_asked_yet_is_named(stage: Stage, name: str) -> None:
    ended = stage.run("before_provision.py", {key: value for key, value in FIRST.items() if key != name})
    assert (ended.code, ended.calls) == (1, [])
    assert name in ended.said


def test_an_id_that_azd_cant_remember_is_shown(stage: Stage) -> None:
    ended = stage.run("before_provision.py", FIRST, {"azd env set": (1, "", "no environment")})
    assert ended.code == 1
    assert CLIENT_ID in ended.said
    assert "no environment" in ended.said


# After -------------------------------------------------------------------------------------------------------


def test_a_registration_made_here_learns_addresses_and_identity(stage: Stage) -> None:
    """R-01: twice the same, as every provisioning runs it."""
    first, again = (stage.run("after_provision.py", OURS) for _ in range(2))
    assert first.code == 0
    (parameters,) = first.parameters
    assert parameters["redirectUri"] == MADE["REDIRECT_URI"]
    assert parameters["logoutUrl"] == MADE["FRONTCHANNEL_LOGOUT_URL"]
    assert parameters["identityPrincipalId"] == "principal-1"
    assert again.parameters == first.parameters
    assert "Left to do" not in first.said


def test_a_second_region_is_another_deployment_of_the_registration(stage: Stage) -> None:
    """Azure refuses one of the same name elsewhere (InvalidDeploymentLocation), so a moved environment would be stuck."""
    named = set()
    for region in ("westeurope", "northeurope"):
        (call,) = stage.run("after_provision.py", OURS | {"AZURE_LOCATION": region, "AZURE_ENV_NAME": "e" * 64}).calls
        name = call[call.index("--name") + 1]
        assert len(name) <= 64
        named.add(name)
    assert len(named) == 2


@pytest.mark.parametrize(
    "environ", [{"AUTH_TENANT": "consumers"}, {"AUTH_FEDERATED_CREDENTIAL": "false"}], ids=["personal only", "off"]
)
def test_no_identity_is_trusted_that_is_not_used(stage: Stage, environ: dict[str, str]) -> None:
    ended = stage.run("after_provision.py", OURS | environ)
    assert [parameters["identityPrincipalId"] for parameters in ended.parameters] == [""]
    assert "trusts" not in ended.said


def test_a_registration_of_somebody_elses_is_not_touched_and_the_values_are_told(stage: Stage) -> None:
    ended = stage.run("after_provision.py", MADE)
    assert (ended.code, ended.calls) == (0, [])
    for value in (
        CLIENT_ID,
        MADE["REDIRECT_URI"],
        MADE["FRONTCHANNEL_LOGOUT_URL"],
        "https://login.microsoftonline.com/tenant-1/v2.0",
        "principal-1",
        "api://AzureADTokenExchange",
    ):
        assert value in ended.said
    assert "Implicit grant" not in ended.said


def test_personal_accounts_only_are_told_of_no_federated_credential(stage: Stage) -> None:
    ended = stage.run("after_provision.py", MADE | {"AUTH_TENANT": "consumers", "AUTH_STORED_CREDENTIAL": "secret"})
    assert "Federated credentials" not in ended.said
    assert "the credential for everybody" in ended.said


def test_the_token_flow_is_among_what_is_left(stage: Stage) -> None:
    """R-05"""
    assert "Implicit grant" in stage.run("after_provision.py", MADE | {"AUTH_ALLOW_TOKEN_FLOW": "true"}).said


def test_a_right_that_was_lost_is_said_and_the_values_are_told(stage: Stage) -> None:
    ended = stage.run("after_provision.py", OURS, {"az deployment": (1, "", REFUSED)})
    assert ended.code == 1
    assert "Insufficient privileges" in ended.said
    assert MADE["REDIRECT_URI"] in ended.said
    assert "azd env set AUTH_REGISTRATION_MADE false" in ended.said


@pytest.mark.parametrize("stored", ["secret", "certificate"])
def test_a_credential_that_is_not_in_the_vault_yet_is_left_to_do(stage: Stage, stored: str) -> None:
    """R-16: the command puts it there without showing it, and the hook never reads it."""
    environ = OURS | {"AUTH_TENANT": "common", "AUTH_STORED_CREDENTIAL": stored}
    ended = stage.run("after_provision.py", environ, {"az keyvault": (0, "something-else", "")})
    assert ended.code == 0
    assert f"--vault-name onat-op-1 --name auth-client-{stored}" in ended.said
    assert f"--id {CLIENT_ID} --append" in ended.said
    assert "the credential for personal accounts" in ended.said
    assert "keyvault update" not in ended.said
    # Whether one may is asked before a credential is made: a registration for personal accounts holds two at most.
    assert ended.said.index("az keyvault secret list") < ended.said.index("az ad app credential reset")
    shut = stage.run(
        "after_provision.py", environ | {"PRIVATE_NETWORKING": "true"}, {"az keyvault": (1, "", "Forbidden")}
    )
    assert "keyvault update --name onat-op-1 --public-network-access Enabled" in shut.said
    assert "keyvault update --name onat-op-1 --public-network-access Disabled" in shut.said
    assert not ended.ran("az", "keyvault", "secret", "show")
    done = stage.run("after_provision.py", environ, {"az keyvault": (0, f"x\nauth-client-{stored}", "")})
    assert "Left to do" not in done.said
    unknown = stage.run("after_provision.py", environ, {"az keyvault": (1, "", "Forbidden by its firewall")})
    assert f"--name auth-client-{stored}" in unknown.said


@pytest.mark.parametrize("name", ["AUTH_CLIENT_ID", "REDIRECT_URI", "FRONTCHANNEL_LOGOUT_URL", "IDENTITY_PRINCIPAL_ID"])
def test_what_provisioning_did_not_give_is_named(stage: Stage, name: str) -> None:
    ended = stage.run("after_provision.py", {key: value for key, value in OURS.items() if key != name})
    assert (ended.code, ended.calls) == (1, [])
    assert name in ended.said


def test_nothing_but_the_temporary_parameters_is_written(stage: Stage) -> None:
    """R-16: and those hold no secret and are gone afterwards."""
    before = {file for file in HOOKS.rglob("*") if "__pycache__" not in file.parts}
    ended = stage.run("after_provision.py", OURS)
    (parameters,) = [part[1:] for call in ended.calls for part in call if part.startswith("@")]
    assert not Path(parameters).exists()
    assert {file for file in HOOKS.rglob("*") if "__pycache__" not in file.parts} == before


@pytest.mark.parametrize("file", sorted(HOOKS.glob("*.py")), ids=lambda file: file.name)
def test_the_hooks_run_on_the_python_that_people_have(file: Path) -> None:
    """3.9, and nothing that would have to be installed first."""
    tree = ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 9))
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imports |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {other.stem for other in HOOKS.glob("*.py")}
    assert {name.split(".")[0] for name in imports} - ours <= sys.stdlib_module_names

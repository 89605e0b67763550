"""The workflow keeps to its rules, and the document about delivery says what is true."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.scale import FUNCTION_DOLLARS_PER_GB_S, INSTANCE_GB, Counts, Habits, day

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / ".github" / "workflows" / "deploy.yml"
TEXT = FILE.read_text(encoding="utf-8")
# YAML 1.1 reads the key `on` as true.
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]
DEPLOY = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_it_has_only_keys_that_a_workflow_can_have() -> None:
    """ "Workflow syntax for GitHub Actions": a misspelt key would be refused at GitHub, or not heeded."""
    assert set(WORKFLOW) == {"name", True, "permissions", "jobs"}
    assert set(WORKFLOW[True]) == {"pull_request", "push", "workflow_dispatch"}
    known = {"runs-on", "timeout-minutes", "steps", "needs", "if", "environment", "concurrency", "permissions", "env"}
    assert all(set(job) <= known for job in JOBS.values())
    assert all(
        set(step) <= {"name", "uses", "with", "run"} and ("uses" in step) != ("run" in step) for _, step in STEPS
    )


def test_no_secret_is_stored_at_github() -> None:
    """R-16: sign-in is by OIDC, and only the job that deploys can ask for a token."""
    assert "secrets." not in TEXT
    assert WORKFLOW["permissions"] == {"contents": "read"}
    asking = [name for name, job in JOBS.items() if job.get("permissions", {}).get("id-token") == "write"]
    assert asking == ["deploy"]
    assert JOBS["deploy"]["permissions"] == {"contents": "read", "id-token": "write"}
    assert not {"password", "creds", "client-secret"} & {key for _, step in STEPS for key in step.get("with", {})}


def test_actions_are_pinned_to_a_commit_with_its_version_beside_it() -> None:
    uses = re.findall(r"uses: (.*)$", TEXT, re.MULTILINE)
    assert uses
    assert [line for line in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_what_a_pull_request_holds_runs_without_rights_and_never_deploys() -> None:
    deploy = JOBS["deploy"]
    assert deploy["needs"] == "check"
    assert deploy["if"] == "github.event_name != 'pull_request' && github.ref == 'refs/heads/main'"
    assert deploy["environment"] == {"name": "production"}
    assert deploy["concurrency"]["cancel-in-progress"] is False
    checkouts = [step for _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_no_text_from_outside_becomes_a_command() -> None:
    """An input or a variable reaches a shell through the environment, never by being pasted into the script."""
    assert [step for _, step in STEPS if "${{" in step.get("run", "")] == []


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose main has a commit tagged v1 and one after it, and whose branch `elsewhere` has one of its own."""
    folder = tmp_path_factory.mktemp("clone")
    script = """
        git init --quiet --initial-branch main
        one() { git -c user.name=t -c user.email=t@example.com commit --quiet --allow-empty --message "$1"; }
        one first && git tag v1 && one second
        git switch --quiet --create elsewhere v1 && one third && git switch --quiet main
    """
    subprocess.run(["bash", "-ec", script], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(
    ("ref", "deployed"),
    [
        ("main", "second"),
        ("v1", "first"),
        ("elsewhere", None),
        ("--help", None),
        ("no-such", None),
        ("v1; echo x", None),
    ],
)
def test_only_what_has_been_on_main_can_be_deployed(clone: Path, ref: str, deployed: str | None) -> None:
    """So a rollback can't bring in what nobody has reviewed."""
    (script,) = [step["run"] for _, step in STEPS if step.get("name") == "Only what has been on main"]
    subprocess.run(["git", "switch", "--quiet", "main"], cwd=clone, check=True)
    environment = {"PATH": os.environ["PATH"], "REF": ref}
    # As GitHub runs it ("Workflow syntax", shell: bash -e).
    done = subprocess.run(["bash", "-e", "-c", script], cwd=clone, env=environment, capture_output=True, check=False)
    there = subprocess.run(
        ["git", "log", "-1", "--format=%s"], cwd=clone, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert (done.returncode == 0, there) == ((True, deployed) if deployed else (False, "second"))


def test_every_job_ends_some_time_and_checks_as_people_do() -> None:
    assert all(job["timeout-minutes"] <= 60 for job in JOBS.values())
    assert any(step.get("run") == ".ci/run" for name, step in STEPS if name == "check")
    commands = [step["run"] for name, step in STEPS if name == "deploy" and "run" in step]
    assert [command.split("\n")[0].split(" --")[0] for command in commands[-3:-1]] == ["azd provision", "azd deploy"]


def test_the_document_names_every_variable_of_the_workflow() -> None:
    named = set(re.findall(r"vars\.(\w+)", TEXT))
    assert named == set(JOBS["deploy"]["env"]) - {"REF"}
    assert all(f"`{name}`" in DEPLOY for name in named)
    assert "subject" in DEPLOY
    assert ":environment:production" in DEPLOY


def cost(row: str) -> list[str]:
    return [cell.strip() for cell in re.findall(rf"^\| {row}[^|]*\|([^|]*)\|([^|]*)\|$", DEPLOY, re.MULTILINE)[0]]


def test_the_months_cost_about_what_the_model_says() -> None:
    """Functions and Key Vault; the other rows are assumptions and say so."""
    busy = day(10_000, Counts(), Habits())
    idle_gb_s = 30 * 288 * INSTANCE_GB  # a run every five minutes, a second each
    functions = [float(dollars) for dollars in cost("Functions")]
    about = 0.15
    assert functions == pytest.approx([idle_gb_s * FUNCTION_DOLLARS_PER_GB_S, 30 * busy.function_dollars], rel=about)
    assert float(cost("Key Vault")[1]) == pytest.approx(30 * busy.vault_dollars, rel=about)


def test_the_alerts_cost_is_of_so_many_rules() -> None:
    text = (ROOT / "infra" / "modules" / "alerts.bicep").read_text(encoding="utf-8")
    often, seldom = (len(re.findall(rf"^ +every: '{every}'$", text, re.MULTILINE)) for every in ("PT5M", "PT15M"))
    assert f"{often + seldom} rules" in DEPLOY
    assert cost("Alerts") == [f"{often * 1.5 + seldom * 0.5:.0f}"] * 2


def test_the_pipeline_can_give_the_roles_of_the_templates_and_no_other() -> None:
    """R-16: without the condition its identity could make itself owner of the subscription."""
    condition = (ROOT / "infra" / "delivery-roles.txt").read_text(encoding="utf-8")
    assert condition.count("ForAnyOfAnyValues:GuidEquals") == 2
    for allowed in re.findall(r"GuidEquals \{([^}]+)\}", condition):
        assert set(allowed.split(", ")) == set(ROLES)
    assert "--condition @infra/delivery-roles.txt" in DEPLOY


@pytest.mark.parametrize("hook", ["before_provision.py", "after_provision.py"])
def test_the_document_names_the_hooks(hook: str) -> None:
    assert (ROOT / "infra" / "hooks" / hook).exists()
    assert f"infra/hooks/{hook}" in DEPLOY


def test_what_has_not_been_run_is_said() -> None:
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \|$", DEPLOY.split("## What has been run against Azure")[1], re.MULTILINE
    )
    assert len(rows) > 5
    assert all(state.startswith("not yet") for step, state in rows if step not in ("step", "---"))


# "Azure built-in roles", Microsoft Learn.
ROLES = {
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}
PLACES = {
    "Microsoft.KeyVault/vaults/onat-op-": "the operator's vault",
    "Microsoft.KeyVault/vaults/onat-": "each token vault",
    "Microsoft.Storage/storageAccounts/": "its storage account",
    "Microsoft.Insights/components/": "its Application Insights component",
}


def test_the_document_lists_the_roles_that_would_be_given_and_no_other() -> None:
    """R-01, R-16: of the default deployment as it evaluates, all of them the app's."""
    snapshot = json.loads((ROOT / "infra" / "variants" / "default.snapshot.json").read_text(encoding="utf-8"))
    given = set()
    for resource in snapshot["predictedResources"]:
        if resource["type"] == "Microsoft.Authorization/roleAssignments":
            where = next(name for part, name in PLACES.items() if part in resource["id"].split(",")[0])
            given.add((ROLES[resource["properties"]["roleDefinitionId"].rsplit("/", 1)[-1]], where))
    rows = re.findall(r"^\| (the app|who deploys) \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", SECURITY, re.MULTILINE)
    assert {(role, where) for who, role, where in rows if who == "the app"} == given
    assert [(role, where) for who, role, where in rows if who == "who deploys"] == [
        ("Key Vault Secrets Officer", "the operator's vault")
    ]

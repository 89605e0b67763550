"""The templates compile without a word of complaint, are written as the formatter writes, and azure.yaml fits them."""

import json
import re
import shutil
from collections import defaultdict
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess

import jsonschema_rs
import pytest
import yaml

from local import plan
from tests.infra import bicep
from tests.infra.deployment import INFRA, VARIANTS, validations, with_environment, without_deployment_settings
from tests.test_docs import README, first_cells, section

ROOT = INFRA.parent
SOURCES = sorted([*INFRA.glob("*.bicep"), *(INFRA / "modules").glob("*.bicep")])
PARAMETERS = sorted([*INFRA.glob("*.bicepparam"), *(INFRA / "variants").glob("*.bicepparam")])


@cache
def built() -> "CompletedProcess[str]":
    return bicep.run("build", INFRA / "main.bicep", "--stdout")


def test_the_templates_compile_without_error_or_warning() -> None:
    """The linter is part of it, with recent API versions wanted."""
    assert (built().returncode, built().stderr) == (0, "")


def test_the_parameters_compile_without_error_or_warning() -> None:
    environment = {**without_deployment_settings(), "AZURE_ENV_NAME": "example", "AZURE_LOCATION": "westeurope"}
    done = bicep.run("lint", INFRA / "main.bicepparam", env=environment)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_linter_wants_recent_api_versions() -> None:
    """As a warning, which fails these tests: an error would keep people from deploying this release two years from now."""
    rules = json.loads((INFRA / "bicepconfig.json").read_text(encoding="utf-8"))["analyzers"]["core"]["rules"]
    assert rules["use-recent-api-versions"] == {"level": "warning"}
    silenced = [
        line for file in SOURCES for line in file.read_text(encoding="utf-8").splitlines() if "#disable" in line
    ]
    assert sorted(line.split()[1] for line in silenced) == [
        "BCP037",  # properties of the service that its types lack
        "BCP037",
        "no-hardcoded-env-urls",
        "no-hardcoded-env-urls",
        "use-recent-api-versions",  # audit logs: the newest that is no preview is ten years old
    ]


def test_the_templates_are_formatted(tmp_path: Path) -> None:
    copy = tmp_path / "infra"
    shutil.copytree(INFRA, copy)
    for pattern in ("./**/*.bicep", "./**/*.bicepparam"):
        done = bicep.run("format", "--pattern", pattern, cwd=copy)
        assert done.returncode == 0, done.stderr
    changed = [
        file.relative_to(INFRA)
        for file in [*SOURCES, *PARAMETERS]
        if (copy / file.relative_to(INFRA)).read_bytes() != file.read_bytes()
    ]
    assert changed == [], "run bicep format on them"


def test_each_type_has_one_api_version_in_all_templates() -> None:
    versions: dict[str, set[str]] = defaultdict(set)
    for file in SOURCES:
        for kind, version in re.findall(r"'(Microsoft\.[\w./]+)@([\w-]+)'", file.read_text(encoding="utf-8")):
            # A child has its parent's version, except under Microsoft.Insights, where each type has its own.
            versions["/".join(kind.split("/")[:2])].add(version)
    assert len(versions) > 10
    assert {kind: found for kind, found in versions.items() if len(found) > 1} == {}


def test_every_parameter_and_output_is_described() -> None:
    template = json.loads(built().stdout)
    bare = [
        f"{section}.{name}"
        for section in ("parameters", "outputs")
        for name, value in template[section].items()
        if not value.get("metadata", {}).get("description")
    ]
    assert bare == []
    for file in SOURCES:
        text = file.read_text(encoding="utf-8")
        declared = re.findall(r"^(.*)\n(?:@\w+\([^\n]*\)\n)*(?:param|output) (\w+)", text, re.MULTILINE)
        assert len(re.findall(r"^@description", text, re.MULTILINE)) >= len(declared), file.name


def test_modules_say_what_they_make_in_their_first_line() -> None:
    assert [file.name for file in SOURCES if not file.read_text(encoding="utf-8").startswith("// ")] == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_kept_snapshot_of_a_variant_is_what_the_templates_make(variant: str) -> None:
    """So a review sees what a change of the templates does, and the other tests can read the kept ones."""
    done = validations()[variant].result()
    assert done.returncode == 0, f"run python3 dev.py plan --keep, and look at what changed:\n{done.stdout[:4000]}"


def test_azd_deploys_by_default_what_the_default_variant_shows() -> None:
    """main.bicepparam repeats the defaults of main.bicep, because variables of the environment need one."""
    done, snapshot = with_environment()
    assert done.returncode == 0, done.stderr
    default = json.loads(plan.VARIANTS["default"].with_suffix(".snapshot.json").read_text(encoding="utf-8"))
    assert snapshot["predictedResources"] == default["predictedResources"]
    assert snapshot["outputs"] == default["outputs"]


def test_the_readme_names_every_variable_of_azd_and_no_other() -> None:
    read = re.findall(r"readEnvironmentVariable\('(\w+)'", (INFRA / "main.bicepparam").read_text(encoding="utf-8"))
    settings = first_cells(section(README, "Settings"))
    assert first_cells(section(README, "Deployment settings")) == set(read) - settings


# ---------------------------------------------------------------- azure.yaml

AZURE_YAML = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((Path(__file__).parent / "azure.yaml.schema.json").read_text(encoding="utf-8"))


def test_azure_yaml_fits_its_schema() -> None:
    assert [error.message for error in jsonschema_rs.validator_for(SCHEMA).iter_errors(AZURE_YAML)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Onenote Auth"},
        {"hooks": {"beforeprovision": {"shell": "sh", "run": "true"}}},
        {"hooks": {"preprovision": {"shell": "bash", "run": "true"}}},
        {"hooks": {"preprovision": {"shell": "sh"}}},
        {"services": {"api": {"project": "."}}},
        {"service": {}},
    ],
)
def test_the_schema_finds_what_is_wrong(wrong: dict[str, object]) -> None:
    assert not jsonschema_rs.validator_for(SCHEMA).is_valid({**AZURE_YAML, **wrong})


def test_azure_yaml_names_what_is_there() -> None:
    infra, service = AZURE_YAML["infra"], AZURE_YAML["services"]["api"]
    assert (ROOT / infra["path"] / f"{infra['module']}.bicep").is_file()
    assert (ROOT / service["project"] / "function_app.py").is_file()
    assert (service["host"], service["language"]) == ("function", "python")


def test_azd_finds_the_function_app_by_its_tag() -> None:
    for variant in VARIANTS:
        snapshot = json.loads(plan.VARIANTS[variant].with_suffix(".snapshot.json").read_text(encoding="utf-8"))
        tagged = [
            r["type"] for r in snapshot["predictedResources"] if r.get("tags", {}).get("azd-service-name") == "api"
        ]
        assert tagged == ["Microsoft.Web/sites"]

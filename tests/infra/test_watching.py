"""Alerts and workbook speak of what the code really writes to its log, and every alert has its page in the runbook."""

import ast
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from shared.errors import BundleError
from tests.doubles.identity import work_account
from tests.infra.bicep import evaluate
from tests.usecases.test_sweep import due_sessions
from tests.usecases.world import World

ROOT = Path(__file__).resolve().parents[2]
QUERIES = ROOT / "infra" / "queries"
MODULES = ROOT / "infra" / "modules"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
WORKBOOK = json.loads((MODULES / "workbook.json").read_text(encoding="utf-8"))
COMMON = {
    "namePrefix": "onenote-auth-test",
    "location": "westeurope",
    "tags": {"azd-env-name": "test"},
    "applicationInsightsId": "/subscriptions/s/components/insights",
    "workspaceId": "/subscriptions/s/workspaces/logs",
}


def emitted() -> dict[str, set[str]]:
    """Every log event of the code, with the fields that it may carry."""
    events: dict[str, set[str]] = {}
    for file in (ROOT / "shared").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            owner, first = node.func.value, node.args[0]
            if isinstance(owner, ast.Name) and owner.id == "log" and isinstance(first, ast.Constant):
                events.setdefault(str(first.value), set()).update(k.arg for k in node.keywords if k.arg)
    return {event: fields - {"level"} for event, fields in events.items()}


def literals(query: str, what: str) -> set[str]:
    """The texts that `what` is compared with."""
    compared = re.findall(rf"{what}\s*(?:==|in)\s*(\([^)]*\)|\"[^\"]*\")", query)
    return {text for group in compared for text in re.findall(r'"([^"]*)"', group)}


def events_of(query: str) -> set[str]:
    return literals(query, r"(?:tostring\(line\.event\)|\bevent)")


def error_codes(kind: type[BundleError]) -> set[str]:
    return {kind.code}.union(*(error_codes(child) for child in kind.__subclasses__()))


def test_no_line_of_the_log_is_left_to_chance() -> None:
    """By default the host drops lines above 20 a second: an operator's use of a token, or an alert's single line."""
    logging = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["logging"]
    assert "Trace" in logging["applicationInsights"]["samplingSettings"]["excludedTypes"].split(";")
    assert logging["logLevel"]["Function"] == "Information"  # what the app writes of itself, and the operators' log


def queries() -> dict[str, str]:
    alerts = {file.stem: file.read_text(encoding="utf-8") for file in sorted(QUERIES.glob("*.kql"))}
    charts = {f"workbook: {item['name']}": item["content"]["query"] for item in WORKBOOK["items"] if item["type"] == 3}
    return alerts | charts


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the modules and of what they load."""
    copy = tmp_path_factory.mktemp("infra")
    for folder in (MODULES, QUERIES):
        shutil.copytree(folder, copy / folder.name)
    return copy / MODULES.name


@pytest.fixture(scope="module")
def alerts(modules: Path) -> dict[str, dict[str, Any]]:
    """The rules as they would be made, by short name."""
    resources = evaluate(modules / "alerts.bicep", COMMON | {"actionGroupIds": ["/subscriptions/s/groups/night"]})
    prefix = f"{COMMON['namePrefix']}-"
    return {resource["name"].removeprefix(prefix): resource["properties"] for resource in resources}


@pytest.mark.parametrize("name", queries())
def test_a_query_names_only_what_the_code_logs(name: str) -> None:
    """Each event, each field of its line and each error code in it."""
    query, known = queries()[name], emitted()
    named = events_of(query)
    assert named <= set(known)
    fields = set(re.findall(r"\bline\.(\w+)", query)) - {"event"}
    assert fields <= {field for event in named for field in known[event]}
    assert literals(query, r"tostring\(line\.code\)") <= error_codes(BundleError)
    assert ("parse_json" in query) == bool(named), "a query of the log reads our lines, any other does not"


@pytest.mark.parametrize("name", queries())
def test_a_query_reads_a_line_that_the_platform_has_put_words_before(name: str) -> None:
    query = queries()[name]
    for pattern in re.findall(r"parse_json\((.*)\)", query):
        inner = re.fullmatch(r'extract\(@"(.*)", 0, message\)', pattern)
        assert inner
        found = re.search(inner.group(1), 'Executed: {"event": "sweep", "failed": {"store_unavailable": 1}}')
        assert found
        assert json.loads(found[0]) == {"event": "sweep", "failed": {"store_unavailable": 1}}


async def test_the_lines_that_alerts_compute_with_carry_numbers(caplog: pytest.LogCaptureFixture) -> None:
    """R-11: from a real run over the doubles, one session renewed and one refused."""
    world = World()
    caplog.set_level("INFO", logger="onenote_auth")
    await due_sessions(world, 2)
    world.identity.revoke(work_account("p0"))
    await world.here.sweep.run()
    lines = {line["event"]: line for line in (json.loads(record.getMessage()) for record in caplog.records)}
    assert emitted()["sweep"] == set(lines["sweep"]) - {"event"}
    assert emitted()["grant_refused"] == set(lines["grant_refused"]) - {"event"}
    computed = {
        field
        for query in queries().values()
        if events_of(query) == {"sweep"}
        for field in re.findall(r"to(?:long|double)\(line\.(\w+)\)", query)
    }
    assert {"left_for_next_run", "duration_s"} <= computed
    assert all(isinstance(lines["sweep"][field], int | float) for field in computed)


def test_every_alert_has_its_query_its_page_and_somebody_who_is_told(alerts: dict[str, dict[str, Any]]) -> None:
    pages = dict(re.findall(r"^## ([a-z-]+)\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
    assert set(alerts) == set(pages) == {file.stem for file in QUERIES.glob("*.kql")}
    for name, rule in alerts.items():
        (criterion,) = rule["criteria"]["allOf"]
        assert criterion["query"] == (QUERIES / f"{name}.kql").read_text(encoding="utf-8")
        assert rule["actions"]["actionGroups"] == ["/subscriptions/s/groups/night"]
        assert rule["actions"]["customProperties"]["runbook"] == f"docs/runbook.md#{name}"
        assert f"docs/runbook.md#{name}" in rule["description"]
        assert all(f"**{part}.**" in pages[name] for part in ("Means", "Look at", "Mend")) or "| mend |" in pages[name]
        assert all(f"`{event}`" in RUNBOOK for event in events_of(criterion["query"]))


def test_a_missed_sweep_is_the_one_alert_on_silence(alerts: dict[str, dict[str, Any]]) -> None:
    """R-11: three runs of the default schedule without a line."""
    silent = [name for name, rule in alerts.items() if rule["criteria"]["allOf"][0]["operator"] == "LessThan"]
    assert silent == ["sweep-missed"]
    assert alerts["sweep-missed"]["windowSize"] == "PT15M"


def test_an_alert_over_the_workspace_is_asked_there(alerts: dict[str, dict[str, Any]]) -> None:
    for rule in alerts.values():
        ours = "AzureDiagnostics" not in rule["criteria"]["allOf"][0]["query"]
        assert rule["scopes"] == [COMMON["applicationInsightsId"] if ours else COMMON["workspaceId"]]


def test_the_workbook_asks_the_component_and_the_workspace_it_was_given(modules: Path) -> None:
    (workbook,) = evaluate(modules / "workbook.bicep", COMMON)
    content = json.loads(workbook["properties"]["serializedData"])
    asked = {tuple(item["content"]["crossComponentResources"]) for item in content["items"] if item["type"] == 3}
    assert asked == {(COMMON["applicationInsightsId"],), (COMMON["workspaceId"],)}
    titles = [item["content"]["json"] for item in content["items"] if item["type"] == 1]
    assert {"## Sign-ins", "## Health of sessions", "## The timer", "## Requests"} <= set(titles)

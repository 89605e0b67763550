"""The documents name what there is: every setting, route and log event, and no other."""

import ast
import json
import re
from pathlib import Path

import pytest

from local.host.keys import FUNCTION_SETTING, MASTER_SETTING
from shared.settings import read_settings
from tests.functions.document import operations

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def first_cells(markdown: str) -> set[str]:
    """What stands between backticks in the first cell of a table's rows."""
    cells = re.findall(r"^\| ([^|]*`[^|]*) \|", markdown, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def section(markdown: str, title: str) -> str:
    return re.split(r"^## ", markdown.split(f"## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def constants(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def test_the_readme_names_every_setting_and_no_other() -> None:
    read = {text for text in constants(ROOT / "shared" / "settings.py") if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", text)}
    set_by_azure = {"IDENTITY_ENDPOINT", "IDENTITY_HEADER"}
    assert first_cells(section(README, "Settings")) == read - set_by_azure
    assert all(name in README for name in set_by_azure)


def test_the_readme_says_how_keys_are_set_where_azure_gives_none() -> None:
    """R-18: without them nobody on a laptop can call the operator's routes or start the timer by hand."""
    laptop = README.split("### 3a.", 1)[1].split("### 3b.", 1)[0]
    assert all(f"${name}" in laptop for name in (FUNCTION_SETTING, MASTER_SETTING))
    assert "/admin/functions/sweep" in laptop


def test_the_readme_names_every_route_with_its_methods_and_no_other() -> None:
    rows = re.findall(r"^\| `(/api/\S+)` \| ([A-Z, ]+) \|", section(README, "Routes"), re.MULTILINE)
    written = {(path, method.lower()) for path, methods in rows for method in methods.split(", ")}
    assert written == {(path, method) for path, method, _ in operations() if method != "options"}


def test_operating_names_every_log_event_and_no_other() -> None:
    logged: set[str] = set()
    for file in (ROOT / "shared").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner, first = node.func.value, node.args[0] if node.args else None
            if isinstance(owner, ast.Name) and owner.id == "log" and isinstance(first, ast.Constant):
                logged.add(str(first.value))
    assert first_cells(section(OPERATING, "Log events")) == logged


def test_operating_names_every_field_of_the_sweeps_line() -> None:
    tree = ast.parse((ROOT / "shared" / "usecases" / "summary.py").read_text(encoding="utf-8"))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
    fields = next(
        {keyword.arg for keyword in call.keywords} - {"level"}  # how loud it is, no field of the line
        for call in calls
        if isinstance(call.args[0], ast.Constant) and call.args[0].value == "sweep"
    )
    assert first_cells(section(OPERATING, "The sweep's line")) == fields


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_the_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_example_of_local_settings_is_complete() -> None:
    values = json.loads((ROOT / "local.settings.json.example").read_text(encoding="utf-8"))["Values"]
    assert all(isinstance(value, str) for value in values.values())
    assert read_settings(values).redirect_uri == "http://localhost:7071/api/auth/callback"
    known = constants(ROOT / "shared" / "settings.py") | {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}
    assert set(values) <= known

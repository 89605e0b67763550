"""`dev.py plan` shows a person without a subscription what would be made, and needs nothing but the compiler."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from local import plan
from tests.infra import bicep
from tests.infra.deployment import VARIANTS, kept

ROOT = plan.INFRA.parent


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_list_says_of_every_resource_what_it_is_for_and_who_may_do_what(variant: str) -> None:
    listed = plan.resources(kept(variant))
    assert all(each.title and each.purpose and each.name for each in listed)
    # Every role stands at a resource of the list.
    assert sum(len(each.roles) for each in listed) == len(plan.roles(kept(variant)))
    text = "\n".join(plan.lines(variant, kept(variant)))
    for each in listed:
        assert f"{each.title}  {each.name}\n    {each.purpose}" in text
    assert "    the app's identity: Key Vault Secrets Officer\n        The app keeps sessions here" in text
    assert len({(each.title, each.name, each.purpose) for each in listed}) == len(listed), (
        "each can be told from the others"
    )
    assert max(map(len, text.splitlines())) <= 100
    assert "[" not in text, "an expression of the compiler is no word for a person"


def test_a_role_wider_than_one_resource_is_no_plan() -> None:
    wide = {
        "type": "Microsoft.Authorization/roleAssignments",
        "id": "[guid('group')]",
        "properties": {"principalId": "p", "principalType": "User", "roleDefinitionId": "r", "description": ""},
    }
    with pytest.raises(ValueError, match="no single resource"):
        plan.roles({"predictedResources": [wide]})


def test_the_command_prints_the_list_as_the_compiler_evaluates_it_now() -> None:
    bicep.compiler()
    ran = subprocess.run(
        [sys.executable, ROOT / "dev.py", "plan", "--variant", "static-web-app"],
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.rstrip("\n").splitlines() == list(plan.lines("static-web-app", kept("static-web-app")))


def test_without_a_compiler_it_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad input: nothing on the PATH, nor where az and azd keep theirs."""
    for name in ("PATH", "HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    assert plan.main([]) == 1
    assert capsys.readouterr().err == (
        "dev.py: no Bicep compiler on the PATH, in ~/.azure/bin or in ~/.azd/bin\n"
        "  mend: az bicep install, or take it from https://github.com/Azure/bicep/releases\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_the_compiler_is_found_where_az_puts_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`az bicep install` adds nothing to the PATH."""
    stand_in = tmp_path / ".azure" / "bin" / "bicep"
    stand_in.parent.mkdir(parents=True)
    stand_in.write_text("#!/bin/sh\necho the one of az; exit 1\n", encoding="utf-8")
    stand_in.chmod(0o755)
    for name in ("PATH", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert plan.main([]) == 1
    assert "the one of az" in capsys.readouterr().err


def test_a_variant_that_there_is_not_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        plan.main(["--variant", "cheap"])
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert all(variant in said for variant in VARIANTS)


def test_it_runs_on_python_39_and_imports_nothing_but_the_standard_library() -> None:
    """So it needs no `.venv`, and no network to make one."""
    tree = ast.parse((ROOT / "local" / "plan.py").read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names

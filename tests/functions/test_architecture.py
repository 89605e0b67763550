"""The tree says the architecture, and this keeps it true: functions → use cases → ports ← adapters."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import shared

ROOT = Path(shared.__path__[0]).parent
SDKS = ("msal", "azure.keyvault", "azure.identity", "azure.core")
COMPOSED = {"__init__", "compose", "log", "parts", "settings"}
PURE = sorted(path.stem for path in (ROOT / "shared").glob("*.py") if path.stem not in COMPOSED)


def sources(*places: str) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def imported_by(*places: str) -> set[str]:
    """Full names of everything that the files import, wherever in the file, with `from a import b` as `a.b` too."""
    names: set[str] = set()
    for path in sources(*places):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import"
                names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def beneath(names: set[str], *packages: str) -> set[str]:
    return {n for n in names if any(n == p or n.startswith(p + ".") for p in packages)}


def test_imports_are_seen() -> None:
    """The other tests are worth something only if this one sees them."""
    assert {"msal", "shared.ports.Clock"} <= imported_by("shared/adapters")
    assert beneath({"azure.core.x", "azurecore"}, "azure.core") == {"azure.core.x"}


def test_use_cases_know_no_sdk_no_http_and_no_environment() -> None:
    """They run against doubles alone."""
    foreign = beneath(imported_by("shared/usecases"), "msal", "azure", "aiohttp", "os", "http", "jwt", "yarl")
    assert foreign == set()
    assert beneath(imported_by("shared/usecases"), "shared.adapters", "shared.functions", "shared.settings") == set()


@pytest.mark.parametrize("name", PURE)
def test_rules_and_values_do_no_input_or_output(name: str) -> None:
    """Decisions are tested by table."""
    names = imported_by(f"shared/{name}.py")
    assert beneath(names, "azure", "msal", "aiohttp", "os", "asyncio", "shared.adapters", "shared.functions") == set()
    assert beneath(names, "shared.usecases", "shared.settings") == set()


def test_functions_know_no_vault_and_no_identity_sdk() -> None:
    """HTTP functions speak to use cases."""
    assert beneath(imported_by("shared/functions"), *SDKS, "aiohttp", "shared.adapters", "shared.compose") == set()


def test_only_adapters_and_the_composition_import_the_sdks() -> None:
    """One file a technology."""
    for path in sources("shared", "function_app.py"):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith("shared/adapters/") or name == "shared/compose.py":
            continue
        assert beneath(imported_by(name), *SDKS) == set(), name


def test_adapters_know_neither_functions_nor_use_cases() -> None:
    """They keep the ports' promises and decide nothing."""
    assert beneath(imported_by("shared/adapters"), "shared.functions", "shared.usecases", "azure.functions") == set()


def test_the_composition_loads_the_heavy_sdks_when_they_are_needed_and_not_at_import() -> None:
    """An import that takes long, or fails, would turn every route into 404 in Azure."""
    tree = ast.parse((ROOT / "shared/compose.py").read_text(encoding="utf-8"))
    at_top = {n.module or "" for n in tree.body if isinstance(n, ast.ImportFrom)}
    assert beneath(at_top, *SDKS, "shared.adapters") == set()


def test_only_the_settings_read_the_environment() -> None:
    """Read once, checked together."""
    readers: set[str] = set()
    for path in sources("shared", "function_app.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"):
                name = node.value.id if isinstance(node.value, ast.Name) else ""
                # `reader.environ` and `self.environ` are the settings' own.
                if name == "os":
                    readers.add(path.relative_to(ROOT).as_posix())
            if isinstance(node, ast.ImportFrom) and node.module == "os":
                assert not {a.name for a in node.names} & {"environ", "getenv"}, path
    assert readers == {"shared/settings.py"}


def test_the_product_knows_nothing_of_its_stack_and_its_tests() -> None:
    """The same code runs in Azure."""
    assert beneath(imported_by("shared", "function_app.py"), "local", "tests", "dev") == set()


def test_nothing_blocks_the_event_loop() -> None:
    """No synchronous HTTP client, no sleep that stops everybody."""
    assert beneath(imported_by("shared"), "requests", "urllib.request", "http.client", "time.sleep") == set()
    for path in sources("shared"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "time":
                assert node.attr != "sleep", path


def test_every_module_says_what_it_owns() -> None:
    """And none has grown out of one idea."""
    for path in sources("shared", "function_app.py"):
        text = path.read_text(encoding="utf-8")
        if text:
            assert ast.get_docstring(ast.parse(text)), path
            assert len(text.splitlines()) <= 400, path

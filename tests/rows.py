"""Owns which tests prove which row of `docs/requirements.md`: a test names its rows in its docstring.

`python -m tests.rows` writes the document's numbers and lists anew. The behaviours are written by hand.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "requirements.md"
GENERATED = "<!-- From here on written by `python -m tests.rows`. -->"
NOT_YET = re.compile(r"not yet: `([^`]+)`")

Proofs = Mapping[str, Mapping[str, list[str]]]
"""Row, file (relative to the project), names of test functions in the order of the file."""

_ROW = re.compile(r"\bR-\d{2}\b")
_LINE = re.compile(r"^\| (R-\d{2}) \| (.+?) \|([^|]*)\|$", re.MULTILINE)


@cache
def proofs() -> Proofs:
    """What the docstrings of all test functions name."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in _tests(ast.parse(file.read_text(encoding="utf-8"))):
            for row in sorted(set(_ROW.findall(ast.get_docstring(node) or ""))):
                found[row][file.relative_to(ROOT).as_posix()].append(node.name)
    return found


def named_rows() -> set[str]:
    """Every row that any file of the tests mentions."""
    files = (ROOT / "tests").rglob("*.py")
    return {row for file in files for row in _ROW.findall(file.read_text(encoding="utf-8"))}


def behaviours(document: str) -> dict[str, str]:
    """What is built for each row, as the table says."""
    return {row: behaviour for row, behaviour, _ in _LINE.findall(document.partition(GENERATED)[0])}


def listed(document: str) -> Proofs:
    """The lists below the table, read back."""
    found: dict[str, dict[str, list[str]]] = {}
    row = file = ""
    for line in document.partition(GENERATED)[2].splitlines():
        if line.startswith("## "):
            row = line.removeprefix("## ")
            found[row] = {}
        elif match := re.fullmatch(r"- `(\S+)`", line):
            file = match[1]
            found[row][file] = []
        elif line.startswith("  - "):
            found[row][file].append(_name(line.removeprefix("  - ")))
    return found


def written(document: str, proofs: Proofs) -> str:
    """The document with its numbers and lists as they must be."""

    def line(match: re.Match[str]) -> str:
        count = sum(map(len, proofs.get(match[1], {}).values()))
        return f"| {match[1]} | {match[2]} | {f'[{count}](#{match[1].lower()})' if count else 'none'} |"

    head = _LINE.sub(line, document.partition(GENERATED)[0])
    return head + "\n".join([GENERATED, *_lists(behaviours(document), proofs)]) + "\n"


def _lists(rows: Mapping[str, str], proofs: Proofs) -> Iterator[str]:
    for row in rows:
        if row not in proofs:
            continue
        yield f"\n## {row}\n"
        for file, names in proofs[row].items():
            yield f"- `{file}`"
            yield from (f"  - {_sentence(name)}" for name in names)


def _tests(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def _sentence(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")


def _name(sentence: str) -> str:
    return "test_" + sentence.replace(" ", "_")


def main() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(written(document, proofs()), encoding="utf-8")


if __name__ == "__main__":
    main()

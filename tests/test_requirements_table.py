"""`docs/requirements.md` says of each row what is built and which tests prove it, and says nothing that is not so."""

import pytest

from tests import rows

TABLE = rows.DOCUMENT.read_text(encoding="utf-8")
ROWS = [f"R-{number:02}" for number in range(1, 19)]


def test_the_table_has_every_row_once_and_in_order() -> None:
    assert list(rows.behaviours(TABLE)) == ROWS


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_tests_or_says_that_it_is_not_built_yet(row: str) -> None:
    behaviour = rows.behaviours(TABLE)[row]
    if row not in rows.proofs():
        assert behaviour.startswith("not yet: `"), f"{row} has no test: write one, or say what is missing"


@pytest.mark.parametrize("row", ROWS)
def test_what_a_row_calls_not_built_yet_is_not_there(row: str) -> None:
    there = [path for path in rows.NOT_YET.findall(rows.behaviours(TABLE)[row]) if (rows.ROOT / path).exists()]
    assert there == [], f"{row}: built meanwhile; write what it does"


def test_every_test_listed_exists_and_names_its_row() -> None:
    found = rows.proofs()
    wrong = [
        f"{row}: {file}::{name}"
        for row, files in rows.listed(TABLE).items()
        for file, names in files.items()
        for name in names
        if name not in found.get(row, {}).get(file, [])
    ]
    assert wrong == [], "renamed, moved or gone: run python -m tests.rows"


def test_every_row_with_tests_lists_some() -> None:
    lists = rows.listed(TABLE)
    assert [row for row in rows.proofs() if not lists.get(row)] == [], "run python -m tests.rows"


def test_the_tests_name_no_row_that_there_is_not() -> None:
    assert rows.named_rows() <= set(ROWS)


def test_what_is_written_is_read_back_the_same() -> None:
    found = rows.proofs()
    again = rows.listed(rows.written(TABLE, found))
    assert again == found
    assert rows.written(rows.written(TABLE, found), found) == rows.written(TABLE, found)

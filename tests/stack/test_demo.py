"""The demo itself: it walks every row, and a step that does not show what it must ends it with exit code 1."""

import subprocess
import sys

import pytest

from local.demo.run import run
from local.demo.visit import Visit, Walk
from local.demo.walks import MAIN_JOB, ROWS, WALKS
from local.process import PROJECT


@pytest.mark.timeout(180)
def test_every_row_is_walked_and_every_step_checked() -> None:
    """R-01 to R-18, on the embedded stack, failures included."""
    ended = subprocess.run(
        [sys.executable, "-m", "local.demo", "--all"],
        cwd=PROJECT,
        capture_output=True,
        encoding="utf-8",
        timeout=170,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    table = ended.stdout.partition("\nRow ")[2]
    for number in range(1, 19):
        assert f"\nR-{number:02}  " in table
    lines = ended.stdout.partition("\nRow ")[0].splitlines()
    steps = [line for line in lines if line.startswith("ok  ") and not line.startswith("ok  stack: ")]
    assert len(steps) > len(WALKS)
    assert [line for line in steps if "[checked: " not in line] == []
    for walk in WALKS:
        assert f"\n{walk.name} ({', '.join(walk.rows)})\n" in ended.stdout


def test_the_rows_are_those_of_the_requirements() -> None:
    assert list(ROWS) == [f"R-{number:02}" for number in range(1, 19)]
    assert [walk.name for walk in MAIN_JOB] == [walk.name for walk in WALKS[: len(MAIN_JOB)]]
    assert {row for walk in WALKS for row in walk.rows} == set(ROWS)


async def _wrong(visit: Visit) -> None:
    step = visit.step("look for a tenth notebook")
    session = await visit.session()
    step.check(session["signed_in"], "somebody signed in", session)


async def _breaks(visit: Visit) -> None:
    visit.step("look for a key that is not there")
    (await visit.session())["no_such_key"]


async def _unchecked(visit: Visit) -> None:
    visit.step("look at nothing").done("nothing")


async def _unfinished(visit: Visit) -> None:
    visit.step("begin something").check(True, "begun", None)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (_wrong, "somebody signed in"),
        (_breaks, "no_such_key"),
        (_unchecked, "something that is checked"),
        (_unfinished, "every step ended"),
    ],
)
def test_a_step_that_is_not_as_it_must_be_ends_it_with_1(
    steps: object, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The next walk is not begun, and what was expected is said."""
    walks = (Walk("Something wrong", ("R-01",), steps), Walk("Never begun", ("R-02",), steps))  # type: ignore[arg-type]
    assert run(walks) == 1
    printed = capfd.readouterr()
    assert "FAILED" in printed.err
    assert said in printed.err
    assert "Never begun" not in printed.out


def test_a_row_that_nothing_walks_ends_it_with_1(capfd: pytest.CaptureFixture[str]) -> None:
    async def fine(visit: Visit) -> None:
        step = visit.step("look")
        step.check((await visit.session())["signed_in"] is False, "nobody signed in", None)
        step.done("the sign-in button")

    assert run((Walk("One row", ("R-01",), fine),), rows={"R-01": "walked", "R-02": "forgotten"}) == 1
    assert "R-02 was not" in capfd.readouterr().err

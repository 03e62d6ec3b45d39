"""The table of `make chaos`: what it adds up, and that it ends badly whenever anything was not as it must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.chaos import FAULTS, PARTS, ROOT, Outcome, Part, run

if TYPE_CHECKING:
    from pathlib import Path

TEST = """
from tests.support.figures import counting

def test_something():
    with counting("something") as figures:
        figures.tries, figures.{fault} = 3, {count}
        assert not figures.faults
"""


def handed_in(fault: str = "lost", count: int = 0) -> str:
    return f'{{"what": "kills", "seconds": 1.5, "tries": 4, "{fault}": {count}}}'


def test_figures_of_one_row_add_up() -> None:
    outcome = Outcome()
    outcome.add([handed_in(), handed_in(), '{"what": "cuts", "seconds": 1, "tries": 1}'])
    assert outcome.is_clean
    header, kills, cuts, _, everything = outcome.table().splitlines()
    assert header.split() == ["what", "tries", *FAULTS, "seconds"]
    assert kills.split() == ["kills", "8", "0", "0", "0", "0", "0", "3"]
    assert cuts.split()[:2] == ["cuts", "1"]
    assert everything.split()[:2] == ["all", "9"]


@pytest.mark.parametrize("fault", FAULTS)
def test_any_figure_that_is_not_zero_is_no_success(fault: str) -> None:
    outcome = Outcome()
    outcome.add([handed_in(), handed_in(fault, 1)])
    assert not outcome.is_clean
    assert "1" in outcome.table().splitlines()[1].split()


def test_nothing_tried_is_no_success() -> None:
    assert not Outcome().is_clean


@pytest.mark.parametrize(("count", "says"), [(0, None), (2, "FAILED (pytest ended with 1, 1 figures)")])
def test_a_part_is_run_and_counted(tmp_path: Path, count: int, says: str | None) -> None:
    (tmp_path / "test_part.py").write_text(TEST.format(fault="duplicated", count=count))
    outcome = run([Part((str(tmp_path / "test_part.py"),))], minutes=5, workers=0)
    assert outcome.rows["something"]["tries"] == 3
    assert outcome.is_clean is (says is None)
    assert (says or "") in outcome.table()


def test_what_hands_in_nothing_or_is_not_begun_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "test_part.py").write_text("def test_something():\n    pass\n")
    part = Part((str(tmp_path / "test_part.py"),))
    assert "FAILED (pytest ended with 0, 0 figures)" in run([part], minutes=5, workers=0).table()
    assert "NOT RUN, the time was up" in run([part], minutes=0, workers=0).table()


def test_a_part_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "test_part.py").write_text("import time\n\ndef test_something():\n    time.sleep(600)\n")
    assert "NOT FINISHED" in run([Part((str(tmp_path / "test_part.py"),))], minutes=0.1, workers=0).table()


def test_every_part_names_tests_that_exist_and_count() -> None:
    for test in (test for part in PARTS for test in part.tests):
        text = (ROOT / test).read_text()
        assert "counting(" in text
    for part in PARTS:
        text = "".join((ROOT / test).read_text() for test in part.tests)
        assert all(number in text for number in part.numbers)

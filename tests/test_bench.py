"""`make bench` at tiny sizes: it measures what it says, and what it compares gives one answer. No figure is judged."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench.measure import Figure, Try, in_child, ratio, table
from include.settings import PROJECT_ROOT


def test_the_parts_work_and_write_their_figures(tmp_path):
    words = [sys.executable, "-m", "bench", "--quick", "--json", str(tmp_path / "bench.json")]
    done = subprocess.run(words, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "bench.json").read_text())["figures"]
    assert [figure["name"].split()[0] for figure in figures] == [
        *["difference"] * 2,
        "memory",
        *["on-call"] * 2,
        "memory",
        *["rendering"] * 2,
        "memory",
        "warehouse",
        "whole",
        "memory",
        "import",
        "500",
        *["API"] * 3,
        "memory",
    ]
    assert all(figure["value"] > 0 for figure in figures)
    assert done.stdout.splitlines()[1].startswith("difference of 0.03 million records")


def tries(*seconds: float) -> list[Try]:
    return [Try(each, 1.0, None) for each in seconds]


def test_a_ratio_is_the_median_of_the_rounds_and_tells_its_spread():
    figure = ratio("x", tries(2, 3, 10), tries(1, 1, 1), limit=2.5)
    assert (figure.value, figure.spread, figure.reached) == (3, (2, 10), False)
    faster = ratio("x", tries(1, 1, 1), tries(2, 3, 10), limit=2.5, at_least=True)
    assert (faster.value, faster.reached) == (3, True)
    assert "MISSED" in table([figure])
    assert "MISSED" not in table([faster, Figure("y", 1, "s")])


def test_memory_is_what_the_try_itself_takes():
    before = in_child(lambda: 0).megabytes
    assert in_child(lambda: len(bytearray(50 * 2**20))).megabytes - before > 40
    with pytest.raises(RuntimeError, match="failed"):
        in_child(lambda: 1 // 0)

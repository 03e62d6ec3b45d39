"""`make bench` at tiny sizes: it measures what it says, and what it compares gives one answer. No figure is judged.

The page is judged: from given figures it is the same text and the same picture every time, and it hides nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from bench import page, results, scaling
from bench.__main__ import main, parts
from bench.measure import Figure, Try, in_child, ratio, table
from bench.results import Part
from bench.words import PARTS
from include.settings import PROJECT_ROOT

MACHINE = {"CPU": "A | B", "Cores": "2", "Python": "3.11.7"}
SVG = "{http://www.w3.org/2000/svg}"


def test_the_parts_work_and_write_their_figures(tmp_path):
    words = [sys.executable, "-m", "bench", "--quick", "--json", str(tmp_path / "bench.json")]
    done = subprocess.run(words, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    measured = results.load(tmp_path / "bench.json")
    assert {name: [figure.name.split()[0] for figure in part.figures] for name, part in measured.items()} == {
        "scaling": ["extract:", "validate:", "transform,", "transform,", "delta:", "warehouse"],
        "delta": ["difference", "difference", "memory"],
        "on_call": ["on-call", "on-call", "memory", "rendering", "rendering", "memory"],
        "warehouse": ["warehouse", "whole", "memory"],
        "import": ["import"],
        "pushes": ["500"],
        "api": ["API", "API", "API", "memory"],
    }
    figures = [figure for part in measured.values() for figure in part.figures]
    assert all(figure.value > 0 and figure.limit is None for figure in figures)
    assert done.stdout.splitlines()[1].startswith("extract: 10 times the slots, 10,000 of them")
    for line in page.curves(measured["scaling"].figures).values():
        assert [rows for rows, _ in line] == [1000, 10_000]


def tries(*seconds: float) -> list[Try]:
    return [Try(each, 1.0, None) for each in seconds]


def test_a_ratio_is_the_median_of_the_rounds_and_tells_its_spread():
    figure = ratio("x", tries(2, 3, 10), tries(1, 1, 1), limit=2.5)
    assert (figure.value, figure.spread, figure.reached) == (3, (2, 10), False)
    faster = ratio("x", tries(1, 1, 1), tries(2, 3, 10), limit=2.5, at_least=True)
    assert (faster.value, faster.reached) == (3, True)
    assert "MISSED" in table([figure])
    assert "MISSED" not in table([faster, Figure("y", 1, "s")])


def test_what_ten_times_the_rows_cost_is_compared_within_one_round():
    fewer, more = (100_000, tries(1, 2, 4)), (1_000_000, tries(9, 20, 48))
    figure = scaling.compare("extract", fewer, more)
    assert (figure.value, figure.spread, figure.reached) == (10, (9, 12), True)
    assert (figure.beside["seconds"], figure.beside["seconds_before"]) == (20, 2)
    once = scaling.compare("extract", more, (10_000_000, tries(576)))
    assert (once.value, once.reached) == (12, False)  # with the last round's 48 s


def test_memory_is_what_the_try_itself_takes():
    before = in_child(lambda: 0).megabytes
    assert in_child(lambda: len(bytearray(50 * 2**20))).megabytes - before > 40
    with pytest.raises(RuntimeError, match="failed"):
        in_child(lambda: 1 // 0)


def growth(step: str, value: float, rows: int, seconds: float, seconds_before: float) -> Figure:
    beside = {"step": step, "rows": rows, "seconds": seconds, "rows_before": rows // 10}
    beside |= {"seconds_before": seconds_before, "megabytes": rows // 900}
    return Figure(f"{step}: 10 times the slots", value, "x", 11, spread=(value - 1, value + 1), beside=beside)


def part(*figures: Figure, busy: tuple[float, float] = (1, 2)) -> Part:
    return Part("2026-03-05T17:00:00+00:00", MACHINE, 61.4, busy, figures)


MEASURED = {
    "scaling": part(
        growth("extract", 7, 100_000, 0.7, 0.1),
        growth("extract", 9.5, 1_000_000, 6.65, 0.7),
        growth("delta", 2, 100_000, 0.1, 0.05),
        growth("delta", 12.5, 1_000_000, 1.25, 0.1),
        busy=(55, 3),
    ),
    "api": part(
        Figure("pages | rate", 0.7, "x", 0.6, at_least=True, spread=(0.5, 0.9), beside={"ours_per_s": 142}),
        Figure("memory", 60, "MB", 50),
        Figure("share", 91.5, "%", 90, at_least=True),
        Figure("start", 16.25, "s"),
    ),
    "runs": part(
        Figure(
            "workday",
            1.91,
            "s",
            beside={
                **dict.fromkeys(("extract", "validate", "transform"), 0.25),
                "deliver": 1.16,
                "rows": 41729,
                "state": "delivered",
                "first": 118.4,
            },
        ),
    ),
}


def sections(text: str) -> dict[str, str]:
    """The page's sections by their titles; what comes before the first under ''."""
    found = {}
    for section in ("## \n" + text.partition("\n\n")[2]).split("## ")[1:]:
        title, _, rest = section.partition("\n")
        found[title] = rest.strip()
    return found


def test_the_page_is_exactly_what_was_measured():
    found = sections(page.text(MEASURED))
    assert list(found) == ["", "The machine", *(words.title for words in PARTS.values())]
    assert found[""].partition("**5 of 7")[2] == (
        " limits are kept.** Not kept:\n\n"
        "* delta: 10 times the slots: 12.5×, limit ≤ 11×\n"  # noqa: RUF001
        "* memory: 60 MB, limit ≤ 50 MB\n\n"
        "Not measured: `delta`, `on_call`, `warehouse`, `import`, `pushes`, `many`, `idle`, `calendars`, `whole`."
    )
    assert found["The machine"] == ("|  |  |\n| --- | --- |\n| CPU | A \\| B |\n| Cores | 2 |\n| Python | 3.11.7 |")
    assert found["Cost against rows"].partition("\n\n")[2] == (
        "Measured 2026-03-05 17:00 UTC, in 61 s. **Others used the machine**: 55 % of its cores before, 3 % after.\n\n"
        "![Seconds against slots](performance.svg)\n\n"
        "| step | s at 10,000 | s at 100,000 | s at 1,000,000 "
        "| 10,000 → 100,000 (limit 11×) | 100,000 → 1,000,000 (limit 11×) |\n"  # noqa: RUF001
        "| --- | --- | --- | --- | --- | --- |\n"
        "| extract | 0.1 | 0.7 | 6.65 | 7× (6 to 8) kept | 9.5× (8.5 to 10.5) kept |\n"  # noqa: RUF001
        "| delta | 0.05 | 0.1 | 1.25 | 2× (1 to 3) kept | 12.5× (11.5 to 13.5) **MISSED** |\n\n"  # noqa: RUF001
        "10,000,000 slots were not measured (`python -m bench scaling --large` does): a step took up to 1,111 MB of "
        "memory for 1,000,000, and takes as many times as much for as many times the slots."
    )
    assert found["The API"].partition("\n\n")[2] == (
        "Measured 2026-03-05 17:00 UTC, in 61 s. Others used 1 % of its cores before, 2 % after.\n\n"
        "| figure | value | limit | spread |  | beside it |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| pages \\| rate | 0.7× | ≥ 0.6× | 0.5 to 0.9 | kept | ours per s 142 |\n"  # noqa: RUF001
        "| memory | 60 MB | ≤ 50 MB |  | **MISSED** |  |\n"
        "| share | 91.5 % | ≥ 90 % |  | kept |  |\n"
        "| start | 16.25 s |  |  |  |  |"
    )
    assert found["The whole run of each Dag"].partition("\n\n")[2].partition("\n\n")[2] == (
        "| feed | rows | extract | validate | transform | deliver | all four | state | first run |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| workday | 41,729 | 0.25 | 0.25 | 0.25 | 1.16 | 1.91 | delivered | 118 |"
    )
    assert found["Import"] == (
        "An exchange folder into an empty store.\n\n**Not measured** on this machine: `python -m bench import`."
    )


def test_every_table_of_the_page_is_whole():
    cells = [line.replace("\\|", "").count("|") for line in page.text(MEASURED).splitlines()]
    for before, now in pairwise(cells):
        assert not (before and now) or before == now


def test_a_part_of_another_machine_says_so():
    elsewhere = replace(MEASURED["api"], machine=MACHINE | {"Cores": "64"}, measured_at="2026-03-04T17:00:00+00:00")
    found = sections(page.text(MEASURED | {"api": elsewhere}))
    assert "On another machine: CPU A | B; Cores 64; Python 3.11.7." in found["The API"]
    assert "another machine" not in found["Cost against rows"]


def test_the_picture_has_words_and_is_the_same_every_time(tmp_path):
    written = page.write_page(MEASURED, tmp_path)
    picture = (tmp_path / "performance.svg").read_text("utf-8")
    page.write_page(MEASURED, tmp_path)
    assert (tmp_path / "performance.svg").read_text("utf-8") == picture
    assert written.read_text("utf-8") == page.text(MEASURED)

    root = ET.fromstring(picture)  # noqa: S314 - our own
    named = {child.get("id"): child.text or "" for child in root}
    assert root.get("role") == "img"
    title, description = (named[name] for name in (root.get("aria-labelledby") or "").split())
    assert title == "Seconds against slots"
    assert description == (
        "On two logarithmic scales, the seconds of each step against the number of slots. "
        "extract: 0.1 s at 10,000, 0.7 s at 100,000, 6.65 s at 1,000,000; "
        "delta: 0.05 s at 10,000, 0.1 s at 100,000, 1.25 s at 1,000,000."
    )
    texts = [(element.text or "").strip() for element in root.iter(f"{SVG}text")]
    assert {"10,000", "100,000", "1,000,000", "extract", "delta", "in step with the rows"} <= set(texts)
    assert "date" not in picture.lower()


def test_whatever_is_ink_or_paper_changes_in_the_dark(tmp_path):
    """Every fill and stroke is a line's own colour, faint on either, or named in the rules for dark pages."""
    page.write_page(MEASURED, tmp_path)
    picture = (tmp_path / "performance.svg").read_text("utf-8")
    rules, _, drawn = picture.partition("</style>")
    used = set(re.findall(r"(fill|stroke): (#[0-9a-f]{6})", drawn))
    changed = set(re.findall(r'\[style\*="(fill|stroke): (#[0-9a-f]{6})"\]', rules))

    def brightness(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for what, colour in used - changed:
        for paper in ("#ffffff", "#0d1117"):
            low, high = sorted((brightness(colour), brightness(paper)))
            assert (high + 0.05) / (low + 0.05) >= 3, (what, colour, paper)


def test_without_a_count_of_rows_there_is_no_picture(tmp_path):
    page.write_page(MEASURED, tmp_path)
    page.write_page({"api": MEASURED["api"]}, tmp_path)
    assert not (tmp_path / "performance.svg").exists()
    assert "performance.svg" not in (tmp_path / "performance.md").read_text("utf-8")
    assert "**Not measured** on this machine: `python -m bench scaling`." in page.text({})


def test_measuring_one_part_leaves_the_others_their_figures(tmp_path):
    file = tmp_path / "bench.json"
    results.save(MEASURED, file)
    assert results.load(file) == MEASURED
    assert main(["delta", "--quick", "--json", str(file), "--docs", str(tmp_path / "docs")]) == 0
    measured = results.load(file)
    assert measured.pop("delta").measured_at > MEASURED["api"].measured_at
    assert measured == MEASURED
    assert not (tmp_path / "docs").exists()

    (tmp_path / "docs").mkdir()
    assert main(["page", "--json", str(file), "--docs", str(tmp_path / "docs")]) == 0
    assert "difference of 0.03 million records" in (tmp_path / "docs" / "performance.md").read_text("utf-8")


def test_the_page_has_words_for_every_part():
    assert list(PARTS) == list(parts(quick=False))


def test_a_part_that_does_not_exist_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["speed"])
    assert "there is no part 'speed'" in capsys.readouterr().err


def test_a_file_of_another_form_counts_as_nothing_measured(tmp_path):
    (tmp_path / "bench.json").write_text('{"measured_at": "2026-01-01", "figures": []}')
    assert results.load(tmp_path / "bench.json") == {}

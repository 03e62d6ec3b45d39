"""Which row of the table holds on which day."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.mappings.frozen import thaw
from include.mappings.loader import load_feed
from include.mappings.lookup import match
from include.mappings.schemas.epic_on_call_finder import EpicOnCallRow

if TYPE_CHECKING:
    from include.mappings.schema import FeedMapping
    from tests.mappings.conftest import Folder

HEADER = "assignment_id,ignore,valid_from,valid_to,epic_team_id,role\n"


def matched(mapping: FeedMapping, *pairs: tuple[str, str]) -> list[tuple[int | None, str | None]]:
    frame = pd.DataFrame(
        [(assignment, date.fromisoformat(day)) for assignment, day in pairs], columns=["assignment_id", "slot_date"]
    )
    found = match(mapping, frame)
    assert list(found.columns) == ["assignment_id", "slot_date", "row", "reason"]
    return [
        (None if pd.isna(row) else int(row), None if pd.isna(reason) else reason)
        for row, reason in zip(found["row"], found["reason"], strict=True)
    ]


def test_validity_includes_both_its_days(folder: Folder) -> None:
    folder.epic(
        csv=HEADER
        + "1,,,2026-02-28,T,Old\n"
        + "1,,2026-03-01,2026-03-31,T,New\n"
        + "2,,2026-03-01,2026-03-01,T,OneDay\n"
        + "3,,2026-03-01,,T,Open\n"
    )
    mapping = load_feed(folder.path, "epic")
    assert matched(
        mapping,
        ("1", "2026-02-28"),
        ("1", "2026-03-01"),
        ("1", "2026-03-31"),
        ("1", "2026-04-01"),
        ("2", "2026-02-28"),
        ("2", "2026-03-01"),
        ("2", "2026-03-02"),
        ("3", "2026-02-28"),
        ("3", "9999-12-31"),
        ("1", "0001-01-01"),
    ) == [
        (0, None),
        (1, None),
        (1, None),
        (None, "assignment_unmapped"),
        (None, "assignment_unmapped"),
        (2, None),
        (None, "assignment_unmapped"),
        (None, "assignment_unmapped"),
        (3, None),
        (0, None),
    ]


def test_each_reason(folder: Folder) -> None:
    folder.epic(csv=HEADER + "1,true,,,,\n2,,,,T,\n3,,,,T,R\n")
    mapping = load_feed(folder.path, "epic")
    day = "2026-03-01"
    assert matched(mapping, ("4", day), ("3", day), ("2", day), ("1", day), ("03", day)) == [
        (None, "assignment_unmapped"),
        (2, None),
        (1, "mapping_incomplete"),
        (0, "assignment_ignored"),
        (None, "assignment_unmapped"),
    ]


def test_an_empty_table_maps_nothing_and_no_pairs_need_no_rows(folder: Folder) -> None:
    mapping = load_feed(folder.epic(csv=HEADER).path, "epic")
    assert matched(mapping, ("1", "2026-03-01")) == [(None, "assignment_unmapped")]
    assert matched(mapping) == []


def test_one_assignment_may_have_several_targets() -> None:
    rows = tuple(EpicOnCallRow(assignment_id="1", epic_team_id=team, role="R") for team in "AB")
    assert matched(replace(_BASE, table=rows), ("2", "2026-03-01"), ("1", "2026-03-01")) == [
        (None, "assignment_unmapped"),
        (0, None),
        (1, None),
    ]


@pytest.mark.parametrize("kind", ["object", "datetime64[s]", "datetime64[ns]", "date32[pyarrow]"])
def test_dates_of_every_kind(folder: Folder, kind: str) -> None:
    mapping = load_feed(folder.epic(csv=HEADER + "1,,2026-03-01,2026-03-01,T,R\n").path, "epic")
    pairs = pd.DataFrame({"assignment_id": ["1", "1"], "slot_date": [date(2026, 3, 1), date(2026, 3, 2)]})
    pairs["slot_date"] = pairs["slot_date"].astype(kind)
    found = match(mapping, pairs)
    assert found["reason"].isna().tolist() == [True, False]
    assert found["slot_date"].dtype == pairs["slot_date"].dtype


near = st.dates(date(2026, 1, 1), date(2026, 1, 12))


@given(
    st.lists(st.builds(EpicOnCallRow, assignment_id=st.sampled_from("12"), valid_from=st.none() | near, valid_to=near)),
    st.lists(st.tuples(st.sampled_from("123"), near), unique=True),
)
def test_matching_equals_looking_at_each_row(rows: list[EpicOnCallRow], pairs: list[tuple[str, date]]) -> None:
    found = match(replace(_BASE, table=tuple(rows)), pd.DataFrame(pairs, columns=["assignment_id", "slot_date"]))
    expected = []
    for assignment, day in pairs:
        valid = [
            place
            for place, row in enumerate(rows)
            if row.assignment_id == assignment
            and (row.valid_from is None or row.valid_from <= day)
            and (row.valid_to is None or day <= row.valid_to)
        ]
        expected += [(assignment, day, place) for place in valid] or [(assignment, day, None)]
    answer = [
        (assignment, day, None if pd.isna(row) else int(row))
        for assignment, day, row in zip(found["assignment_id"], found["slot_date"], found["row"], strict=True)
    ]
    assert answer == expected


def test_a_hundred_thousand_pairs(folder: Folder) -> None:
    table = "".join(f"{number},,,,T,R\n" for number in range(1000))
    mapping = load_feed(folder.epic(csv=HEADER + table).path, "epic")
    first = date(2026, 1, 1)
    pairs = pd.DataFrame(
        [(str(number), first + timedelta(days=day)) for number in range(1000) for day in range(100)],
        columns=["assignment_id", "slot_date"],
    )
    began = time.monotonic()
    found = match(mapping, pairs)
    sys.stdout.write(f"100,000 pairs matched in {time.monotonic() - began:.2f} s\n")
    assert len(found) == 100_000
    assert found["row"].tolist() == [number for number in range(1000) for _ in range(100)]


_BASE = thaw(
    b'{"destination":{},"environment":"production","feed":"epic","form":1,"integration":"epic_on_call_finder",'
    b'"layout":null,"limits":{},"lists":{},"personnel_id":"custom1","personnel_id_pattern":null,'
    b'"personnel_id_roster":null,"recipients":{},"schedule":"* * * * *","settings":{},"side_tables":{},'
    b'"status":"default-unconfirmed","table":[],"time_zone":null,"window":null}'
)

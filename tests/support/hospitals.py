"""Random small hospitals for property tests: every awkward case of the catalog is likely in a handful of slots."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from include.mappings.loader import load_feed
from include.mappings.schemas import schema_for
from tests.support.mapping_cases import ASSIGNMENTS, mapping_cases

if TYPE_CHECKING:
    from pathlib import Path

    from include.mappings.schema import FeedMapping

Row = dict[str, Any]

ZONES = ("America/New_York", "America/Chicago", "America/Phoenix")
#: IDs with a fault, or perhaps shared by several people; most people have a good one of their own.
AWKWARD_IDS = (None, "200", "200", "0200", "bad id", "999")
TEXTS = (None, "In clinic.", "two\nlines", "=1+1", 'a "quoted", text', "Zoë", "a|b", "back\\slash")


@dataclass(frozen=True, slots=True)
class Hospital:
    """Rows for :func:`tests.support.extracts.extract_of`."""

    slots: list[Row]
    people: list[Row]
    assignments: list[Row]


def mapping_of(slug: str, folder: Path) -> FeedMapping:
    """The integration's mapping that belongs to these hospitals. 999 is not on the roster."""
    cases, schema = mapping_cases(slug), schema_for(slug)
    good = "".join(f"{100 + number}\n" for number in range(8))
    (folder / "roster.csv").write_text(f"personnel_id\n{good}200\n0200\nbad id\n")
    ids = "personnel_id: custom1\npersonnel_id_pattern: '[0-9]+'\npersonnel_id_roster: roster.csv\n"
    yaml = f"integration: {slug}\n{ids if schema.delivers_people else ''}{cases.hospital_yaml}"
    tables = {f"{slug}.csv": cases.hospital_table} if schema.table else {}
    for name, text in ({f"{slug}.yaml": yaml} | tables | cases.files).items():
        (folder / name).write_text(text)
    return load_feed(folder, slug)


@st.composite
def hospitals(draw: st.DrawFn) -> Hospital:
    """Up to eight people and twelve slots around the night of 8 March 2026."""
    people = [
        {
            "emp_id": f"P{number}",
            "display_name": f"Person {number}",
            "personnel_id": draw(st.sampled_from((*[f"{100 + number}"] * 8, *AWKWARD_IDS))),
            "is_placeholder": draw(st.sampled_from(["false"] * 4 + ["true"])),
            "active": draw(st.sampled_from(["true"] * 6 + ["false"])),
            "pager": draw(st.sampled_from([None, "555-0100"])),
        }
        for number in range(draw(st.integers(1, 8)))
    ]
    assignments = [
        {
            "assignment_id": name,
            "time_zone": draw(st.sampled_from(ZONES)),
            "information": draw(st.sampled_from(TEXTS)),
            "call_order": draw(st.sampled_from([None, "1"])),
        }
        for name in ASSIGNMENTS
    ]
    ids = draw(st.lists(st.text("01aZ|\\é", min_size=1, max_size=3), unique=True, max_size=12))
    return Hospital([_slot(draw, slot_id, people) for slot_id in ids], people, assignments)


def _slot(draw: st.DrawFn, slot_id: str, people: list[Row]) -> Row:
    day = draw(st.dates(dt.date(2026, 3, 6), dt.date(2026, 3, 16)))
    start = dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(hours=draw(st.integers(0, 30)))
    return {
        "slot_id": slot_id,
        "assignment_id": draw(st.sampled_from(["MAPPED"] * 5 + list(ASSIGNMENTS))),
        "emp_id": draw(st.sampled_from([*[person["emp_id"] for person in people] * 2, None])),
        "slot_date": day.isoformat(),
        "start_utc": start.isoformat(),
        "stop_utc": (start + dt.timedelta(hours=draw(st.sampled_from([0, 1, 12, 24, 60])))).isoformat(),
        "note": draw(st.sampled_from(TEXTS)),
        "call_order": draw(st.sampled_from([None, "2"])),
        "is_pending": draw(st.sampled_from(["false"] * 8 + ["true"])),
    }

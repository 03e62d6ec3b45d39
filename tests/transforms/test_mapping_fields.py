"""Each mapping field that the catalog names changes exactly the cells that it is about: change one, look at all.

A field that is ignored, and a field that leaks into another cell, both fail here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from include.expectations import rules
from include.frames import Span, Verdict
from include.mappings.loader import load_feed
from include.mappings.schemas import schema_for
from tests.support.extracts import extract_of
from tests.support.transforms import transform_of

if TYPE_CHECKING:
    from pathlib import Path

    from include.frames import SlotExtract
    from include.mappings.schema import FeedMapping

Cells = dict[str, Any]
EPIC, KRONOS = "epic_on_call_finder", "kronos_workforce_dimensions"

#: The mapping row that is changed, field by field.
ROWS = {
    EPIC: {
        "epic_team_id": "4711",
        "team_name": "Cardiology",
        "role": "First Call",
        "note_prefix": "Page first.",
        "team_comment": "Cath lab: dial 5000",
        "call_order": "1",
        "include_assignment_information": "false",
    },
    KRONOS: {
        "work_rule_transfer": "Night rule",
        "pay_code_edit": "",
        "segment_type": "Regular",
        "open_shift": "false",
        "business_structure": "Campus/ED/Physician",
        "cost_center_transfer": "CC-1",
        "labor_categories": "Grant 7|Teaching",
        "comment": "Night shift",
    },
}

#: (slug, field, its other value) and the cells that must follow, all others staying as they are.
CHANGES = [
    (EPIC, "epic_team_id", "4712", {"epic_team_id": "4712"}),
    (EPIC, "team_name", "Heart", {"team_name": "Heart"}),
    (EPIC, "team_name", "", {"team_name": None}),
    (EPIC, "role", "Second Call", {"role": "Second Call"}),
    (EPIC, "note_prefix", "Call.", {"notes": "Call. In clinic."}),
    (EPIC, "note_prefix", "", {"notes": "In clinic."}),
    (EPIC, "team_comment", "", {"team_comment": None}),
    (EPIC, "call_order", "2", {"call_order": 2}),
    (EPIC, "call_order", "", {"call_order": 7}),
    (EPIC, "include_assignment_information", "true", {"notes": "Page first. In clinic. Wards 3 to 9"}),
    (KRONOS, "work_rule_transfer", "Day rule", {"work_rule_transfer": "Day rule"}),
    (KRONOS, "work_rule_transfer", "", {"work_rule_transfer": None}),
    (KRONOS, "pay_code_edit", "PTO", {"pay_code": "PTO", "pay_code_amount": 8.0}),
    (KRONOS, "segment_type", "Transfer", {"segment_type": "Transfer"}),
    (KRONOS, "segment_type", "Break", {"segment_type": "Break"}),
    (KRONOS, "segment_type", "Required", {}),
    (KRONOS, "open_shift", "true", {"open_shift": True}),
    (KRONOS, "business_structure", "Campus/ICU", {"business_structure": "Campus/ICU"}),
    (KRONOS, "cost_center_transfer", "0042", {"cost_center_transfer": "0042"}),
    (KRONOS, "labor_categories", "Grant 8", {"labor_categories": "Grant 8"}),
    (KRONOS, "comment", "Day shift", {"comment": "Day shift"}),
]

#: (slug, what the YAML adds) and the cells that must follow.
SETTINGS = [
    (EPIC, "settings: {notes_max_length: 11}", {"notes": "Page first."}),
    (EPIC, "time_zone: America/Denver", {"start": "2026-03-02 06:00:00", "stop": "2026-03-02 14:00:00"}),
    (EPIC, "personnel_id_pattern: '[0-9]+'", {}),
    (KRONOS, "settings: {labor_categories_delimiter: ';'}", {"labor_categories": "Grant 7;Teaching"}),
    (KRONOS, "settings: {segment_words: {Regular: REG}}", {"segment_type": "REG"}),
    (KRONOS, "time_zone: America/Denver", {"start": "2026-03-02 06:00:00", "stop": "2026-03-02 14:00:00"}),
]


@pytest.mark.parametrize(("slug", "field", "value", "expected"), CHANGES)
def test_a_field_changes_its_cells_and_no_others(
    slug: str, field: str, value: str, expected: Cells, tmp_path: Path
) -> None:
    before = record(slug, load(tmp_path / "before", slug, ROWS[slug]))
    after = record(slug, load(tmp_path / "after", slug, ROWS[slug] | {field: value}))
    assert difference(before, after) == expected


@pytest.mark.parametrize(("slug", "yaml", "expected"), SETTINGS)
def test_a_setting_changes_its_cells_and_no_others(slug: str, yaml: str, expected: Cells, tmp_path: Path) -> None:
    before = record(slug, load(tmp_path / "before", slug, ROWS[slug]))
    after = record(slug, load(tmp_path / "after", slug, ROWS[slug], yaml))
    assert difference(before, after) == expected


def test_every_column_of_the_tables_is_tried() -> None:
    for slug, row in ROWS.items():
        table = schema_for(slug).table
        assert table is not None
        own = set(table.model_fields) - {"assignment_id", "ignore", "valid_from", "valid_to"}
        assert own == set(row) == {field for at, field, *_ in CHANGES if at == slug}


@pytest.mark.parametrize(
    ("slug", "field"),
    [(EPIC, "epic_team_id"), (EPIC, "role"), (KRONOS, "segment_type"), (KRONOS, "comment")],
)
def test_a_required_field_that_is_empty_rejects_the_slot_and_is_named(slug: str, field: str, tmp_path: Path) -> None:
    result = transformed(slug, load(tmp_path, slug, ROWS[slug] | {field: ""}))
    assert result.decisions.iloc[0].tolist() == ["S1", "rejected", "mapping_incomplete", field]
    assert len(result.records) == 0


@pytest.mark.parametrize("slug", [EPIC, KRONOS])
def test_ignoring_the_assignment_excludes_its_slots(slug: str, tmp_path: Path) -> None:
    result = transformed(slug, load(tmp_path, slug, ROWS[slug] | {"ignore": "true"}))
    assert result.decisions["reason"].tolist() == ["assignment_ignored"]


def load(folder: Path, slug: str, row: dict[str, str], yaml: str = "") -> FeedMapping:
    folder.mkdir(exist_ok=True)
    (folder / f"{slug}.yaml").write_text(f"integration: {slug}\npersonnel_id: custom1\n{yaml}\n")
    cells = {"assignment_id": "A1"} | row
    (folder / f"{slug}.csv").write_text(f"{','.join(cells)}\n{','.join(cells.values())}\n")
    return load_feed(folder, slug)


def extract(slug: str) -> SlotExtract:
    slot = {
        "slot_id": "S1",
        "assignment_id": "A1",
        "emp_id": "P1",
        "slot_date": "2026-03-02",
        "start_local": "2026-03-02T07:00:00",
        "stop_local": "2026-03-02T15:00:00",
        "note": "In clinic.",
        "call_order": "7",
    }
    return extract_of(
        [slot],
        [{"emp_id": "P1", "display_name": "Adams, Ada", "personnel_id": "100"}],
        [{"assignment_id": "A1", "time_zone": "America/Chicago", "information": "Wards 3 to 9", "call_order": "9"}],
        Span("published"),
    )


def transformed(slug: str, mapping: FeedMapping) -> Any:
    found = extract(slug)
    judged = rules.judge(found, mapping)
    return transform_of(slug)(found, mapping, Verdict(judged.faults, judged.mapped))


def record(slug: str, mapping: FeedMapping) -> Cells:
    records = transformed(slug, mapping).records
    assert len(records) == 1
    plain = records.drop(columns=["key", "start_utc", "stop_utc"]).astype(object)
    return dict(plain.where(plain.notna(), None).iloc[0].items())


def difference(before: Cells, after: Cells) -> Cells:
    changed = {name: after[name] for name in before if before[name] != after[name]}
    return {name: str(value) if name in {"start", "stop"} else value for name, value in changed.items()}

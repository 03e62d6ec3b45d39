"""Each field and setting of a mapping changes exactly the cells that it is about: change one, look at all.

A field that is ignored, and a field that leaks into another cell, both fail here. The cases are each integration's own
(``tests/golden/<slug>/mapping.py``); that none is forgotten is derived from its schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from include.expectations import rules
from include.frames import Verdict
from include.integration import Sftp
from include.mappings.changes import ChangeSettings
from include.mappings.loader import load_feed
from include.mappings.schema import AssignmentRow
from include.mappings.schemas import schema_for
from include.plan.windows import span_of
from tests.support.declarations import declared, slot_integrations
from tests.support.extracts import AS_OF, EVERY_SLOT, extract_of
from tests.support.mapping_cases import FieldCase, SettingCase, mapping_cases

if TYPE_CHECKING:
    from pathlib import Path

    from include.frames import Transformed
    from include.mappings.schema import FeedMapping
    from tests.support.mapping_cases import Cells

SLUGS = slot_integrations()

SLOT = {
    "slot_id": "S1",
    "assignment_id": "A1",
    "emp_id": "P1",
    "slot_date": "2026-03-02",
    "start_local": "2026-03-02T07:00:00",
    "stop_local": "2026-03-02T15:00:00",
    "note": "In clinic.",
    "location": "Tower 3",
    "call_order": "7",
}
PERSON = {"emp_id": "P1", "display_name": "Adams, Ada", "personnel_id": "100"}
ASSIGNMENT = {
    "assignment_id": "A1",
    "time_zone": "America/Chicago",
    "information": "Wards 3 to 9",
    "call_order": "9",
    "pay_group": "east",
}


@pytest.mark.parametrize(("slug", "case"), [(slug, case) for slug in SLUGS for case in mapping_cases(slug).fields])
def test_a_field_changes_its_cells_and_no_others(slug: str, case: FieldCase, tmp_path: Path) -> None:
    after = loaded(tmp_path / "after", slug, mapping_cases(slug).row | {case.field: case.value})
    assert difference(record(unchanged(tmp_path, slug), case.person), record(after, case.person)) == case.cells


@pytest.mark.parametrize(("slug", "cell"), [(slug, cell) for slug in SLUGS for cell in mapping_cases(slug).left_out])
def test_a_field_can_leave_a_slot_out(slug: str, cell: tuple[str, str], tmp_path: Path) -> None:
    cases = mapping_cases(slug)
    assert len(transformed(unchanged(tmp_path, slug)).records) == 1
    result = transformed(loaded(tmp_path / "after", slug, cases.row | dict([cell])))
    assert result.decisions["reason"].tolist() == [cases.left_out[cell]]


@pytest.mark.parametrize(("slug", "case"), [(slug, case) for slug in SLUGS for case in mapping_cases(slug).settings])
def test_a_setting_changes_its_cells_and_no_others(slug: str, case: SettingCase, tmp_path: Path) -> None:
    row = mapping_cases(slug).row | case.row
    after = loaded(tmp_path / "after", slug, row, case.yaml, case.files)
    if isinstance(case.expected, str):
        assert transformed(after).decisions["reason"].tolist() == [case.expected]
    else:
        before = loaded(tmp_path / "before", slug, row)
        assert difference(record(before), record(after)) == case.expected


@pytest.mark.parametrize("slug", SLUGS)
def test_every_column_and_every_setting_has_a_case_in_which_it_changes_something(slug: str) -> None:
    schema, cases = schema_for(slug), mapping_cases(slug)
    columns = set(schema.table.model_fields) - set(AssignmentRow.model_fields) if schema.table else set()
    assert set(cases.row) == columns
    assert {case.field for case in cases.fields if case.cells} | {column for column, _ in cases.left_out} == columns
    settings = (set(schema.settings.model_fields) | set(schema.side_tables)) - set(schema.layout_settings)
    settings -= set(schema.destination_settings)  # tests/destinations tries these
    destination = declared(slug).destination
    if isinstance(destination, Sftp) and destination.companion:
        settings.remove(destination.companion.name_setting)  # tests/delivery/test_backup.py
    if issubclass(schema.settings, ChangeSettings):
        settings -= set(ChangeSettings.model_fields)  # tests/render/test_changes.py tries these, for all of them
    assert {case.key for case in cases.settings if case.expected} >= settings


@pytest.mark.parametrize(("slug", "field"), [(slug, field) for slug in SLUGS for field in schema_for(slug).required])
def test_a_required_field_that_is_empty_rejects_the_slot_and_is_named(slug: str, field: str, tmp_path: Path) -> None:
    result = transformed(loaded(tmp_path / "after", slug, mapping_cases(slug).row | {field: ""}))
    assert result.decisions.iloc[0].tolist()[:4] == ["S1", "rejected", "mapping_incomplete", field]
    assert len(result.records) == 0


@pytest.mark.parametrize("slug", [slug for slug in SLUGS if schema_for(slug).table is not None])
def test_ignoring_the_assignment_excludes_its_slots(slug: str, tmp_path: Path) -> None:
    result = transformed(loaded(tmp_path / "after", slug, mapping_cases(slug).row | {"ignore": "true"}))
    assert result.decisions["reason"].tolist() == ["assignment_ignored"]


def unchanged(folder: Path, slug: str) -> FeedMapping:
    return loaded(folder / "before", slug, mapping_cases(slug).row)


def loaded(
    folder: Path, slug: str, row: dict[str, str], yaml: str = "", files: dict[str, str] | None = None
) -> FeedMapping:
    folder.mkdir()
    schema = schema_for(slug)
    cells = {"assignment_id": "A1"} | row
    table = {f"{slug}.csv": f"{','.join(cells)}\n{','.join(cells.values())}\n"} if schema.table else {}
    known_by = "personnel_id: custom1\n" if schema.delivers_people else ""
    head = {f"{slug}.yaml": f"integration: {slug}\n{known_by}{yaml}\n"}
    written = head | table | mapping_cases(slug).files | (files or {})
    for name, text in written.items():
        (folder / name).write_text(text)
    return load_feed(folder, slug)


def transformed(mapping: FeedMapping, person: dict[str, str] | None = None) -> Transformed:
    integration = declared(mapping.integration)
    span = span_of(integration.source, mapping, AS_OF, "America/Chicago")
    slot = SLOT | {"period_first_day": "2026-03-01", "period_last_day": "2026-03-14"}
    found = extract_of([slot], [PERSON | (person or {})], [ASSIGNMENT], span, [EVERY_SLOT])
    judged = rules.judge(found, mapping)
    return integration.transform(found, mapping, Verdict(judged.faults, judged.mapped))


def record(mapping: FeedMapping, person: dict[str, str] | None = None) -> Cells:
    records = transformed(mapping, person).records
    assert len(records) == 1
    plain = records.drop(columns=["key", "start_utc", "stop_utc"]).astype(object)
    return dict(plain.where(plain.notna(), None).iloc[0].items())


def difference(before: Cells, after: Cells) -> Cells:
    changed: dict[str, Any] = {name: after[name] for name in before if before[name] != after[name]}
    return {name: str(value) if name in {"start", "stop"} else value for name, value in changed.items()}

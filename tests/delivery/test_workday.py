"""Workday, all four steps: two files of one snapshot, and what a mapping may say about the second one."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from include.errors import DeliveryHeld
from include.mappings.loader import check_all
from include.run.explain import explain_slot

if TYPE_CHECKING:
    from tests.support.world import World

WORKDAY = "workday"
BLOCKS, OFF = "workday_time_blocks.csv", "workday_time_off.csv"
TABLE = "assignment_id,integration_type,integration_category\n" + "".join(
    f"{department}-{kind},{'Time Off' if kind == 'off' else 'Time Block'},{kind.upper()}\n"
    for department in ("card", "surg")
    for kind in ("call", "day", "off")
)


@pytest.fixture
def workday(world: World) -> World:
    """The small hospital, with a feed of Workday; only cardiology has a position."""
    write(world)
    return world


def write(world: World, more: str = "") -> None:
    yaml = f"integration: {WORKDAY}\npersonnel_id: custom2\n"
    yaml += "limits: {rejected_percent: 100, deletes_percent: 100, updates_percent: 100}\n"
    positions = "emp_id,department_id,assignment_id,position_id\n,card,,P-1\n"
    world.add_feed(WORKDAY, f"{yaml}{more}\n", csv=TABLE, positions=positions)


def rows(world: World, name: str) -> list[dict[str, str]]:
    with (world.partner / WORKDAY / name).open(newline="") as file:
        return list(csv.DictReader(file))


def slots(world: World, kind: str) -> set[str]:
    with world.store() as store:
        found = store.execute(
            "SELECT slot_id FROM schedules JOIN personnel USING (emp_id) WHERE NOT is_pending AND NOT is_placeholder"
            f" AND assignment_id LIKE 'card-%%' AND (assignment_id LIKE '%%-off') = {kind == OFF}"
        )
        return {row[0] for row in found.fetchall()}


def test_work_and_time_off_are_two_files_of_the_same_moment(workday: World) -> None:
    receipt = workday.run(WORKDAY)
    for name in (BLOCKS, OFF):
        assert {row["SourceSlotID"] for row in rows(workday, name)} == slots(workday, name) != set()
    assert receipt.counts.delivered == len(slots(workday, BLOCKS) | slots(workday, OFF))
    assert len(receipt.sent.files) == 2
    assert "time_entry_code" in rows(workday, BLOCKS)[0]
    assert {row["time_off_code"] for row in rows(workday, OFF)} == {"OFF"}
    nights = [row for row in rows(workday, OFF) if float(row["quantity"]) < 8]
    assert nights, "a slot over midnight is two records"


def test_ids_of_records_stay_while_slot_worker_and_day_do(workday: World) -> None:
    workday.run(WORKDAY)
    before = {row["SourceSlotID"]: row["time_block_id"] for row in rows(workday, BLOCKS)}
    assert len({*before.values()}) == len(before)
    moved, given = sorted(before)[:2]
    with workday.store() as store:
        store.execute("UPDATE schedules SET note = 'moved', stop_utc = NULL, stop_local = stop_local + '1 h'::interval"
                      " WHERE slot_id = %s", [moved])  # fmt: skip
        store.execute(
            "UPDATE schedules SET emp_id = (SELECT min(emp_id) FROM personnel WHERE emp_id <> schedules.emp_id)"
            " WHERE slot_id = %s",
            [given],
        )
    workday.run(WORKDAY)
    after = {row["SourceSlotID"]: row["time_block_id"] for row in rows(workday, BLOCKS)}
    assert {slot_id for slot_id in before if after[slot_id] != before[slot_id]} == {given}


def test_a_slot_without_a_position_says_which_table_to_mend(workday: World) -> None:
    workday.run(WORKDAY)
    with workday.store() as store:
        [(slot_id,)] = store.execute(
            "SELECT min(slot_id) FROM schedules JOIN personnel USING (emp_id) WHERE assignment_id LIKE 'surg-%'"
            " AND NOT is_pending AND NOT is_placeholder"
        ).fetchall()
    explained = explain_slot(workday.services, WORKDAY, slot_id)
    assert (explained.outcome, explained.reason) == ("rejected", "position_missing")
    assert "workday.positions.csv" in explained.detail


def test_the_second_file_has_the_name_and_the_columns_that_the_mapping_gives_it(workday: World) -> None:
    write(workday, "settings: {time_off: {file_name: 'off_{date}.csv', columns: [{header: Who, field: worker_id}]}}")
    workday.run(WORKDAY)
    assert list(rows(workday, "off_20260305.csv")[0]) == ["Who"]
    assert "time_block_id" in rows(workday, BLOCKS)[0]


def test_another_look_of_the_second_file_waits_for_approval_as_that_of_the_first_does(workday: World) -> None:
    workday.run(WORKDAY)
    before = rows(workday, OFF)
    write(workday, "settings: {time_off: {columns: [{header: Who, field: worker_id}]}}")
    with pytest.raises(DeliveryHeld, match="look different"):
        workday.run(WORKDAY)
    assert rows(workday, OFF) == before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("settings: {time_off: {file_name: workday_time_blocks.csv}}", "is the name of another file"),
        ("settings: {time_off: {file_name: 'a/b.csv'}}", "contains a separator"),
        ("settings: {time_off: {columns: [{header: A, field: worker}]}}", "unknown field 'worker'"),
        ("settings: {time_off: {columns: [{header: A, field: date}, {header: A, field: unit}]}}", "stands 2 times"),
        ("settings: {time_off: {columns: [{header: A, field: date, format: HH}]}}", "format of 'A' is wrong"),
        ("settings: {time_off_unit: Weeks}", "time_off_unit"),
    ],
)
def test_what_a_mapping_may_not_say_is_told_where_it_stands(workday: World, more: str, said: str) -> None:
    write(workday, more)
    faults = [str(fault) for found in check_all(workday.services.settings.mappings) for fault in found.faults]
    assert any(said in fault for fault in faults), faults
    assert all(fault.startswith("workday.yaml:5: ") for fault in faults), faults


def test_two_rows_for_the_same_position_are_a_fault(workday: World) -> None:
    file = workday.services.settings.mappings / f"{WORKDAY}.positions.csv"
    file.write_text(file.read_text() + "P1,,,P-2\n,card,,P-3\n")
    [fault] = [fault for found in check_all(workday.services.settings.mappings) for fault in found.faults]
    assert str(fault) == ("workday.positions.csv:4 [emp_id]: line 2 has the same emp_id, department_id, assignment_id")

"""The schedule backup, all four steps: both files are one moment's, come back into a store, and are never lost."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from include.cron import missed_twice
from include.errors import DeliveryHeld
from include.mappings.loader import check_all, load_feed
from include.mappings.schemas.schedule_backup import OLDEST
from include.schedule.files import FILES
from include.schedule.importing import import_files

if TYPE_CHECKING:
    from tests.support.world import World

BACKUP = "schedule_backup"
SHOWN = "slot_id, period_id, assignment_id, emp_id, slot_date, start_local, stop_local, start_utc, stop_utc, note,"
COLUMNS = f"{SHOWN} location, call_order, is_pending, work_units"
# Four local days from the 5th of March: the small hospital has slots on each of them.
IN_WINDOW = """
    is_pending IS FALSE AND start_local < '2026-03-09' AND stop_local > '2026-03-05' AND start_local < stop_local
"""


@pytest.fixture
def backup(world: World) -> World:
    """The small hospital, with a feed of backups."""
    write(world)
    return world


def write(world: World, more: str = "") -> None:
    world.add_feed(BACKUP, f"integration: {BACKUP}\n{more}\n")


def stored(world: World) -> list[Any]:
    with world.store() as store:
        return store.execute(f"SELECT {COLUMNS} FROM schedules WHERE {IN_WINDOW} ORDER BY slot_id").fetchall()


def files(world: World) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (world.partner / BACKUP).iterdir()}


def sent(world: World) -> list[dict[str, str]]:
    with (world.partner / BACKUP / "schedules.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def people_in_workbook(world: World) -> list[str]:
    book = openpyxl.load_workbook(world.partner / BACKUP / "schedule_backup.xlsx")
    return [row[2].value for name in book.sheetnames[1:] for row in book[name].iter_rows(min_row=4)]


def test_both_files_hold_every_slot_of_four_days_open_ones_too(backup: World) -> None:
    receipt = backup.run(BACKUP)
    expected = stored(backup)
    assert expected
    assert [row["slot_id"] for row in sent(backup)] == [row[0] for row in expected]
    assert list(sent(backup)[0]) == list(next(file for file in FILES if file.table == "schedules").column_names)
    assert any(row["emp_id"] == "" for row in sent(backup))
    assert receipt.counts.delivered == len(expected)
    assert len(receipt.sent.files) == 2
    names = people_in_workbook(backup)
    assert (len(names), names.count("OPEN")) == (len(expected), sum(row[3] is None for row in expected))


def test_a_store_that_lost_slots_gets_them_back_and_loses_nothing(backup: World) -> None:
    backup.run(BACKUP)
    before = stored(backup)
    with backup.store() as store:
        store.execute(f"DELETE FROM schedules WHERE {IN_WINDOW} AND assignment_id LIKE 'card%'")
        store.execute(f"UPDATE schedules SET note = 'damaged', emp_id = NULL WHERE {IN_WINDOW}")
        [(others,)] = store.execute(f"SELECT count(*) FROM schedules WHERE NOT ({IN_WINDOW})").fetchall()
    assert stored(backup) != before
    import_files(backup.schedule_dsn, backup.partner / BACKUP, mode="merge", user="test")
    assert stored(backup) == before
    with backup.store() as store:
        assert store.execute(f"SELECT count(*) FROM schedules WHERE NOT ({IN_WINDOW})").fetchall() == [(others,)]


def test_only_the_lack_of_any_slot_holds_it_and_then_the_last_good_files_stay(backup: World) -> None:
    backup.run(BACKUP)
    with backup.store() as store:  # far more than any other feed would let pass
        store.execute(
            f"DELETE FROM schedules WHERE slot_id NOT IN (SELECT min(slot_id) FROM schedules WHERE {IN_WINDOW})"
        )
        store.execute("UPDATE schedules SET note = 'all are changed'")
    assert backup.run(BACKUP).state == "delivered"
    assert [row["note"] for row in sent(backup)] == ["all are changed"]
    good = files(backup)
    with backup.store() as store:
        store.execute("UPDATE schedule_periods SET published_at = NULL")
    with pytest.raises(DeliveryHeld):
        backup.run(BACKUP)
    assert files(backup) == good
    with backup.store() as store:
        store.execute("UPDATE schedule_periods SET published_at = '2026-02-01'")
    assert backup.run(BACKUP).state == "delivered"


def test_nothing_is_held_although_every_slot_but_one_is_wrong(backup: World) -> None:
    with backup.store() as store:
        store.execute(
            f"UPDATE schedules SET stop_utc = start_utc, stop_local = start_local WHERE {IN_WINDOW} AND slot_id <>"
            f" (SELECT min(slot_id) FROM schedules WHERE {IN_WINDOW})"
        )
    receipt = backup.run(BACKUP)
    assert (receipt.counts.delivered, receipt.counts.rejected > 2) == (1, True)


def test_a_backup_is_sent_again_although_nothing_changed(backup: World) -> None:
    """Whoever looks at the folder sees by the files' age that they are current."""
    backup.run(BACKUP)
    before = (backup.partner / BACKUP / "schedules.csv").stat()
    assert backup.run(BACKUP).state == "delivered"
    after = (backup.partner / BACKUP / "schedules.csv").stat()
    assert (after.st_ino, after.st_mtime_ns) != (before.st_ino, before.st_mtime_ns)


def test_the_workbook_has_the_name_that_the_mapping_gives_it(backup: World) -> None:
    write(backup, "settings: {workbook_name: 'downtime_{date}.xlsx'}")
    backup.run(BACKUP)
    assert sorted(files(backup)) == ["downtime_20260305.xlsx", "schedules.csv"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("settings: {workbook_name: backup.csv}", "must end in .xlsx"),
        ("settings: {workbook_name: ../backup.xlsx}", "contains a separator"),
        ("settings: {workbook_name: 'a_{period}.xlsx'}", "unknown part"),
        ("layout: {columns: [{header: Slot, field: source_slot_id}]}", "'layout' is not used"),
        ("personnel_id: custom1", "'personnel_id' is not used"),
    ],
)
def test_what_a_mapping_of_backups_may_not_say(backup: World, more: str, said: str) -> None:
    write(backup, more)
    faults = [str(fault) for found in check_all(backup.services.settings.mappings) for fault in found.faults]
    assert [said in fault for fault in faults] == [True]


def test_an_interval_that_breaks_the_promise_draws_a_warning(backup: World) -> None:
    for schedule, warned in (("*/10 * * * *", False), ("*/15 * * * *", True)):
        write(backup, f"schedule: '{schedule}'\nrecipients: {{customer_it: [it@example.org]}}")
        assert load_feed(backup.services.settings.mappings, BACKUP).schedule == schedule
        [found] = [found for found in check_all(backup.services.settings.mappings) if found.feed == BACKUP]
        assert ["older than 10 minutes" in str(warning) for warning in found.warnings] == [True] * warned


@pytest.mark.parametrize("night", ["2026-03-08T06:00:00+00:00", "2026-11-01T05:00:00+00:00"])
def test_the_watch_tells_when_the_files_are_older_than_ten_minutes_also_in_the_nights_of_clock_changes(
    backup: World, night: str
) -> None:
    schedule = load_feed(backup.services.settings.mappings, BACKUP).schedule
    for five_minutes in range(36):
        delivered = datetime.fromisoformat(night) + timedelta(minutes=5 * five_minutes, seconds=3)
        due = missed_twice(schedule, "America/New_York", delivered)
        assert due is not None
        assert due - delivered <= OLDEST

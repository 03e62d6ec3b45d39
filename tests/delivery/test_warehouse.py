"""The warehouse zip, from the store to the partner's folder: whole, of one moment, guarded, and loadable by others."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import frictionless
import pandas as pd
import psycopg
import pytest

from include.errors import CallboardError, ConfigurationError, DataRejected, DeliveryHeld, DestinationUnavailable
from include.ledger import deliveries
from include.run.deliver import deliver
from include.run.explain import explain_slot
from include.run.extract import extract
from include.run.failure import failed
from include.run.order import Order
from include.run.validate import validate
from include.schedule.files import FILES
from include.schedule.importing import import_files
from include.sources.tables import StoredTables, tables_at_one_moment
from tests.support.commands import as_json, callboard
from tests.support.world import EPIC, World, build_world, integration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from include.run.handed import Receipt

WAREHOUSE = "enterprise_data_warehouse"
ZIP = f"{WAREHOUSE}_20260305.zip"
AWKWARD = 'erste Zeile\r\nzweite "Zeile", =1+1; \\N \\. Ünal 🙂\t'

#: What has been published so far. A column may be added behind those of its file, and a file behind these; whatever is
#: changed otherwise breaks somebody's load.
PUBLISHED = {
    "departments.csv": "department_id name time_zone facility group kronos_department_id coid active modified_at",
    "personnel.csv": "emp_id display_name last_name first_name personnel_type unique_id custom1 custom2 custom3 "
    "custom4 npi email cell_phone pager phone home_coid away_coid is_placeholder active modified_at",
    "personnel_ids.csv": "emp_id system value modified_at",
    "memberships.csv": "emp_id department_id is_primary modified_at",
    "assignments.csv": "assignment_id department_id name compact_name assignment_type information default_start "
    "default_stop call_order active modified_at",
    "schedule_periods.csv": "period_id department_id name start_date end_date published_at modified_at",
    "schedules.csv": "slot_id period_id assignment_id emp_id slot_date start_local stop_local start_utc stop_utc note "
    "location call_order is_pending work_units modified_at",
    "requests.csv": "request_id emp_id assignment_id request_type start_date end_date status note submitted_at "
    "decided_at modified_at",
    "view_settings.csv": "view_id name owner_emp_id settings modified_at",
    "tallies.csv": "tally_id name assignment_type assignment_id unit period modified_at",
    "change_logs.csv": "change_id changed_at changed_by entity entity_id action old new",
}


@pytest.fixture
def world(database, partner_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A small hospital with something awkward in every table, and a warehouse."""
    monkeypatch.setenv("CALLBOARD_NOW", "2026-03-05T12:00:00-05:00")
    folder = tmp_path / f"warehouse-{tmp_path.name}"
    folder.mkdir()
    world = build_world(database, partner_server, folder, slots=40)
    place = partner_server.root / folder.name / WAREHOUSE
    place.mkdir()
    (world.services.settings.mappings / f"{WAREHOUSE}.yaml").write_text(
        f"integration: {WAREHOUSE}\ndestination: {{folder: {partner_server.base}/{folder.name}/{WAREHOUSE}}}\n"
    )
    sql(world, "UPDATE personnel SET display_name = %s, custom1 = '0042', email = '' WHERE emp_id = 'E01'", AWKWARD)
    sql(world, "UPDATE schedules SET note = %s, work_units = 1.5, call_order = 0 WHERE slot_id = 'S001'", AWKWARD)
    sql(world, "INSERT INTO personnel_ids (emp_id, system, value) VALUES ('E01', 'epic', '007')")
    sql(world, "INSERT INTO memberships (emp_id, department_id, is_primary) VALUES ('E01', 'card', true)")
    sql(
        world,
        "INSERT INTO requests (request_id, emp_id, request_type, start_date, end_date, status, note, submitted_at)"
        " VALUES ('R1', 'E01', 'Time Off', '2026-03-08', '2026-03-09', 'pending', %s, '2026-03-01 06:30:00.25Z')",
        AWKWARD,
    )
    sql(
        world,
        "INSERT INTO view_settings (view_id, name, settings) VALUES ('V1', 'Mine', %s)",
        json.dumps({"columns": ["note", AWKWARD]}),
    )
    sql(world, "INSERT INTO tallies (tally_id, name, unit, period) VALUES ('T1', 'Nights', 'hours', 'month')")
    sql(
        world, "UPDATE assignments SET default_start = '07:00', default_stop = '19:30' WHERE assignment_id = 'card-day'"
    )
    return world


def sql(world: World, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with world.store() as store:
        cursor = store.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


def delivered(world: World) -> zipfile.ZipFile:
    return zipfile.ZipFile(world.partner / WAREHOUSE / ZIP)


def rows(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read(name).decode("utf-8"), newline="")))


def tried(world: World, order: Order | None = None) -> CallboardError | Receipt:
    """One run as Airflow has it: an error is written down."""
    which = integration(WAREHOUSE)
    decided = world.decide(WAREHOUSE)
    try:
        return deliver(which, decided, world.services, order)
    except CallboardError as error:
        failed(which, WAREHOUSE, decided.extracted.claim.run_id, error, world.services, decided)
        return error


def summary(world: World) -> dict[str, Any]:
    found = json.loads(world.services.settings.summary_file.read_text())
    row: dict[str, Any] = next(each for each in found if each["feed"] == WAREHOUSE)
    return row


def test_columns_are_only_ever_added():
    published = {file.file_name: [column.name for column in file.published_columns] for file in FILES}
    assert list(published)[: len(PUBLISHED)] == list(PUBLISHED)
    for name, columns in PUBLISHED.items():
        assert published[name][: len(columns.split())] == columns.split(), name


def test_the_zip_holds_every_table_and_says_what_is_in_it(world):
    receipt = world.run(WAREHOUSE)
    total = sum(sql(world, f"SELECT count(*) FROM {file.table}")[0][0] for file in FILES)
    assert (receipt.state, receipt.counts.extracted, receipt.counts.delivered) == ("delivered", total, total)
    assert (summary(world)["extracted"], summary(world)["delivered"]) == (total, total)
    with delivered(world) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [*PUBLISHED, "datapackage.json", "manifest.json"]
        manifest = json.loads(archive.read("manifest.json"))
        assert (manifest["schema_version"], manifest["as_of"]) == ("1.0", "2026-03-05T17:00:00Z")
        for told in manifest["files"]:
            content = archive.read(told["name"])
            assert (told["bytes"], told["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
            if told["name"] in PUBLISHED:
                [(count,)] = sql(world, f"SELECT count(*) FROM {told['name'].removesuffix('.csv')}")
                assert told["rows"] == count == len(rows(archive, told["name"])) > 0
                assert content.decode().splitlines()[0].split(",") == PUBLISHED[told["name"]].split()


def test_values_arrive_as_they_are(world):
    world.run(WAREHOUSE)
    with delivered(world) as archive:
        [person] = [row for row in rows(archive, "personnel.csv") if row["emp_id"] == "E01"]
        assert (person["display_name"], person["custom1"], person["email"]) == (AWKWARD, "0042", "")
        assert (person["is_placeholder"], person["active"]) == ("false", "true")
        [slot] = [row for row in rows(archive, "schedules.csv") if row["slot_id"] == "S001"]
        [(start_local, start_utc)] = sql(
            world,
            """SELECT to_char(start_local, 'YYYY-MM-DD"T"HH24:MI:SS'),
                to_char(start_utc AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            FROM schedules WHERE slot_id = 'S001'""",
        )
        assert (slot["start_local"], slot["start_utc"]) == (start_local, start_utc)
        assert (slot["note"], slot["call_order"], slot["work_units"]) == (AWKWARD, "0", "1.5")
        [request] = rows(archive, "requests.csv")
        assert (request["submitted_at"], request["start_date"]) == ("2026-03-01T06:30:00.25Z", "2026-03-08")
        assert (request["decided_at"], request["assignment_id"]) == ("", "")
        [assignment] = [row for row in rows(archive, "assignments.csv") if row["assignment_id"] == "card-day"]
        assert (assignment["default_start"], assignment["default_stop"]) == ("07:00", "19:30")
        assert json.loads(rows(archive, "view_settings.csv")[0]["settings"])["columns"][1] == AWKWARD
        assert {row["period_id"] for row in rows(archive, "schedule_periods.csv")} >= {"card-next"}  # drafts too


def test_all_tables_come_from_one_moment(world, monkeypatch):
    """Whatever is committed while the first table is being read is in none of them."""
    original: Callable[..., Any] = StoredTables.csv

    def csv_while_others_write(self: StoredTables, file: Any) -> Any:
        yield from original(self, file)
        if file.table == "departments":
            sql(world, "INSERT INTO departments (department_id, name, time_zone) VALUES ('new', 'New', 'UTC')")
            sql(world, "INSERT INTO memberships (emp_id, department_id) VALUES ('E02', 'new')")
            sql(world, "DELETE FROM schedules WHERE slot_id = 'S002'")

    monkeypatch.setattr(StoredTables, "csv", csv_while_others_write)
    receipt = world.run(WAREHOUSE)
    assert receipt.state == "delivered"
    with delivered(world) as archive:
        assert "new" not in archive.read("memberships.csv").decode()
        assert "S002" in {row["slot_id"] for row in rows(archive, "schedules.csv")}
        assert {row["department_id"] for row in rows(archive, "memberships.csv")} <= {
            row["department_id"] for row in rows(archive, "departments.csv")
        }


def test_a_restored_store_gives_the_same_tables(world, module_database, tmp_path):
    world.run(WAREHOUSE)
    first = {name: delivered(world).read(name) for name in PUBLISHED}
    copy = tmp_path / "copy.zip"
    copy.write_bytes((world.partner / WAREHOUSE / ZIP).read_bytes())
    import_files(module_database.schedule_dsn, copy, mode="restore", user="test")
    with tables_at_one_moment(module_database.schedule_dsn) as tables:
        second = {file.file_name: b"".join(tables.csv(file)) for file in FILES}
    assert second == first


def test_nobody_needs_more_memory_than_a_piece(world):
    sql(world, "UPDATE schedules SET note = repeat('x', 60000)")
    schedules = next(file for file in FILES if file.table == "schedules")
    with tables_at_one_moment(world.schedule_dsn) as tables:
        pieces = [len(piece) for piece in tables.csv(schedules)]
    assert sum(pieces) > 40 * 60_000
    assert max(pieces) < 256 * 1024 + 70_000


def test_a_reference_that_leads_nowhere_is_told_by_file_and_nothing_is_sent(world, database):
    world.run(WAREHOUSE)
    before = (world.partner / WAREHOUSE / ZIP).read_bytes()
    with psycopg.connect(database.admin_dsn) as store:
        store.execute("SET session_replication_role = replica")  # as a restore by hand does
        store.execute("DELETE FROM schedule.personnel WHERE emp_id = 'E02'")
    extracted = extract(integration(WAREHOUSE), WAREHOUSE, world.run_id(), world.services)
    with pytest.raises(DataRejected, match=r"every reference leads to a row.*schedules\.csv") as refused:
        validate(extracted, world.services)
    assert not refused.value.retryable
    assert (world.partner / WAREHOUSE / ZIP).read_bytes() == before


def test_tables_that_shrank_are_held_and_the_mail_says_which(world):
    world.run(WAREHOUSE)
    before = (world.partner / WAREHOUSE / ZIP).read_bytes()
    sql(world, "DELETE FROM schedules WHERE slot_id < 'S030'")
    held = tried(world)
    assert isinstance(held, DeliveryHeld)
    assert [guard["guard"] for guard in held.facts["guards"]] == ["deletes_percent"]
    assert held.facts["causes"] == [
        {"cause": "table_shrank", "count": 30, "detail": "schedules.csv has 10 rows; it had 40."}
    ]
    assert (world.partner / WAREHOUSE / ZIP).read_bytes() == before
    row = summary(world)
    assert (row["state"], row["delivered"], row["pending"]) == ("held", 0, row["extracted"])

    approved = tried(world, Order(approve="everything", by="amy"))
    assert not isinstance(approved, CallboardError)
    with delivered(world) as archive:
        assert len(rows(archive, "schedules.csv")) == 10


def test_a_table_that_would_be_empty_is_held_however_small_it_is(world):
    world.run(WAREHOUSE)
    sql(world, "DELETE FROM tallies")
    held = tried(world)
    assert isinstance(held, DeliveryHeld)
    assert [guard["guard"] for guard in held.facts["guards"]] == ["to_zero"]


def test_a_growing_history_is_no_reason_to_hold(world):
    world.run(WAREHOUSE)
    sql(world, "UPDATE schedules SET location = 'elsewhere'")
    assert world.run(WAREHOUSE).state == "delivered"
    sql(world, "DELETE FROM change_logs WHERE change_id > 1")
    assert world.run(WAREHOUSE).state == "delivered"


def test_sent_again_it_is_the_same_and_a_new_baseline_is_a_new_zip(world):
    world.run(WAREHOUSE)
    before = (world.partner / WAREHOUSE / ZIP).read_bytes()
    (world.partner / WAREHOUSE / ZIP).unlink()
    sql(world, "UPDATE departments SET facility = 'Other'")
    world.run(WAREHOUSE, order=Order(resend=True))
    assert (world.partner / WAREHOUSE / ZIP).read_bytes() == before
    sql(world, "DELETE FROM schedules")  # held otherwise
    assert world.run(WAREHOUSE, order=Order(rebaseline=True)).state == "delivered"
    with delivered(world) as archive:
        assert rows(archive, "schedules.csv") == []


def test_a_dry_run_counts_and_sends_nothing(world):
    world.run(WAREHOUSE)
    before = (world.partner / WAREHOUSE / ZIP).read_bytes()
    sql(world, "DELETE FROM schedules WHERE slot_id < 'S003'")
    receipt = world.run(WAREHOUSE, order=Order(dry_run=True))
    assert (receipt.state, receipt.sent.deletes) == ("dry_run", 3)
    assert (world.partner / WAREHOUSE / ZIP).read_bytes() == before


def test_a_partner_that_is_not_there_leaves_every_row_pending(world, monkeypatch):
    original = world.services.connections
    nowhere = replace(world.services, connections=lambda name: replace(original(name), port=1))
    which = integration(WAREHOUSE)
    decided = world.decide(WAREHOUSE)
    with pytest.raises(DestinationUnavailable) as error:
        deliver(which, decided, nowhere)
    failed(which, WAREHOUSE, decided.extracted.claim.run_id, error.value, world.services, decided)
    row = summary(world)
    assert (row["state"], row["delivered"], row["pending"]) == ("failed", 0, row["extracted"])
    assert world.run(WAREHOUSE).state == "delivered"


def test_explain_says_that_nothing_is_decided_about_a_slot(world):
    world.run(WAREHOUSE)
    with pytest.raises(ConfigurationError, match="delivers whole tables"):
        explain_slot(world.services, WAREHOUSE, "S001")
    world.run(EPIC)
    assert explain_slot(world.services, EPIC, "S001") is not None


def test_the_ledger_keeps_what_was_counted(world):
    world.run(WAREHOUSE)
    with world.services.ledger_reading() as connection:
        [delivery] = deliveries.history(connection, WAREHOUSE, 5)
        [checks] = [row[0] for row in connection.exec_driver_sql("SELECT checks FROM ledger.run").fetchall()]
    assert (delivery.updates, delivery.deletes) == (0, 0)
    assert delivery.adds > 40
    assert {check["name"] for check in checks} == {
        "every table is there",
        "as many rows as the store has",
        "every reference leads to a row",
    }
    assert all(check["success"] for check in checks)


# Others read it without a hand's turn.


def test_pandas_reads_every_table_and_ids_stay_text(world):
    world.run(WAREHOUSE)
    with delivered(world) as archive:
        for name, columns in PUBLISHED.items():
            with archive.open(name) as file:
                frame = pd.read_csv(file, dtype=str)
            assert list(frame.columns) == columns.split()
        with archive.open("personnel.csv") as file:
            people = pd.read_csv(file, dtype=str).set_index("emp_id")
    assert people.loc["E01", "custom1"] == "0042"
    assert people.loc["E01", "display_name"] == AWKWARD


def test_duckdb_reads_every_table_by_its_description(world, tmp_path):
    world.run(WAREHOUSE)
    with delivered(world) as archive:
        archive.extractall(tmp_path)
        described = json.loads(archive.read("datapackage.json"))
    with duckdb.connect() as db:
        for resource in described["resources"]:
            types = {field["name"]: "VARCHAR" for field in resource["schema"]["fields"] if field["type"] == "string"}
            found = db.read_csv(str(tmp_path / resource["path"]), dtype=types)
            assert found.columns == PUBLISHED[resource["path"]].split()
        notes = db.read_csv(str(tmp_path / "schedules.csv")).filter("slot_id = 'S001'").project("note").fetchall()
    assert notes == [(AWKWARD,)]


def test_frictionless_finds_nothing_wrong_with_it(world, tmp_path):
    world.run(WAREHOUSE)
    with delivered(world) as archive:
        archive.extractall(tmp_path)
    report = frictionless.validate(str(tmp_path / "datapackage.json"))
    assert report.valid, report.flatten(["title", "fieldName", "type", "note"])
    assert sum(task.stats["rows"] for task in report.tasks) > 40
    # and it would find something: a person who is nowhere, a number that is none
    (tmp_path / "tallies.csv").write_text((tmp_path / "tallies.csv").read_text().replace(",hours,", ",days,"))
    assert not frictionless.validate(str(tmp_path / "datapackage.json")).valid


def test_what_is_held_can_be_looked_at_before_it_is_approved(world, monkeypatch):
    world.run(WAREHOUSE)
    sql(world, "DELETE FROM tallies")
    tried(world)
    shown = as_json(callboard(world, monkeypatch, "approve", WAREHOUSE, "--show", "--json"))
    assert (shown["state"], shown["plan"]) == ("held", [])
    assert "the partner would be left with nothing" in shown["error"]

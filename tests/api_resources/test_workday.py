"""Workday's endpoints: what is committed is in the very next pull, in the columns of the file, and nothing is lost."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from include.api.workday import kept
from include.api.workday.records import columns_of, records_of
from include.clock import business_now
from include.expectations.runner import verdict
from include.integration import Slots
from include.mappings.loader import load_feed
from include.mappings.schemas.workday import SCHEMA
from include.plan.snapshot import write_snapshot
from include.plan.windows import span_of
from include.render.csv import render_csv
from include.render.parts import records_where
from include.settings import PROJECT_ROOT
from include.sources.store import extract_slots, load_extract
from include.transforms.workday import time_entries
from tests.support.extracts import read_case

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api_resources.conftest import Api

BLOCKS, OFFS = "workday/time-blocks", "workday/time-offs"
GOLDEN = sorted(path.parent for path in (PROJECT_ROOT / "tests" / "golden" / "workday").glob("*/slots.csv"))
YAML = "integration: workday\npersonnel_id: custom1\nwindow: {past_days: 31, future_days: 366}\n"
TABLE = (
    "assignment_id,integration_type,integration_category\n"
    "card-call,Time Block,CALL\nsurg-call,Time Block,CALL\ncard-off,Time Off,VACATION\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mappings, with one feed."""
    (tmp_path / "workday.yaml").write_text(YAML)
    (tmp_path / "workday.csv").write_text(TABLE)
    (tmp_path / "workday.positions.csv").write_text(
        "emp_id,department_id,assignment_id,position_id\n,card,,P1\n,surg,,P2\n"
    )
    monkeypatch.setenv("CALLBOARD_MAPPINGS", str(tmp_path))
    return tmp_path


@pytest.fixture
def workday(api: Api, folder: Path) -> Api:
    return api


def slots_of(page: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["SourceSlotID"], row["status"]) for row in page["data"]]


def test_a_change_is_in_the_very_next_pull_and_what_is_gone_is_marked(workday: Api) -> None:
    workday.add_slot("S1")
    workday.add_slot("S2", emp_id="E2")
    workday.add_slot("S3", "card-draft")
    first = workday.page(BLOCKS)
    assert slots_of(first) == [("S1", "active"), ("S2", "active")]
    assert first["next"] is None
    row = first["data"][0]
    assert (row["worker_id"], row["quantity"], row["time_entry_code"], row["position_id"]) == ("001", 8.0, "CALL", "P1")
    assert row["in_date_time"] == "2026-03-10T08:00:00-04:00"

    def since(cursor: str) -> dict[str, Any]:
        return workday.page(BLOCKS, cursor=cursor)

    assert since(first["cursor"])["data"] == []
    workday.edit("UPDATE schedules SET stop_local = stop_local + interval '1 hour' WHERE slot_id = 'S1'")
    changed = since(first["cursor"])
    assert slots_of(changed) == [("S1", "active")]
    assert changed["data"][0]["time_block_id"] == row["time_block_id"]
    workday.edit("UPDATE schedule_periods SET published_at = now() WHERE period_id = 'card-draft'")  # not by this clock
    assert since(changed["cursor"])["data"] == []
    workday.edit("UPDATE schedule_periods SET published_at = '2026-02-02 00:00Z' WHERE period_id = 'card-draft'")
    assert slots_of(since(changed["cursor"])) == [("S3", "active")]
    workday.edit("DELETE FROM schedules WHERE slot_id = 'S2'")
    workday.edit("UPDATE schedule_periods SET published_at = NULL WHERE period_id = 'card-draft'")
    assert slots_of(since(first["cursor"])) == [("S1", "active"), ("S2", "deleted"), ("S3", "deleted")]
    assert slots_of(workday.page(BLOCKS)) == [("S1", "active")], "who begins anew hears of what is there"
    workday.add_slot("S2", emp_id="E2")
    assert slots_of(since(changed["cursor"]))[-1] == ("S2", "active")


def test_a_period_that_the_clock_publishes_is_there_at_once(workday: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    workday.add_slot("S1", "surg-later", emp_id="E3")
    first = workday.page(BLOCKS)
    assert first["data"] == []
    monkeypatch.setenv("CALLBOARD_NOW", "2026-03-19T23:59:59Z")
    assert workday.page(BLOCKS, cursor=first["cursor"])["data"] == []
    monkeypatch.setenv("CALLBOARD_NOW", "2026-03-20T00:00:00Z")
    assert slots_of(workday.page(BLOCKS, cursor=first["cursor"])) == [("S1", "active")]


def test_what_leaves_the_window_expires_without_a_word(workday: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    workday.add_slot("S1")
    workday.add_slot("S2", slot_date="2026-03-11", start_local="2026-03-11T08:00", stop_local="2026-03-11T16:00")
    first = workday.page(BLOCKS)
    monkeypatch.setenv("CALLBOARD_NOW", "2026-04-11T12:00:00Z")  # 31 days after the first
    workday.edit("DELETE FROM schedules WHERE slot_id = 'S2'")
    assert slots_of(workday.page(BLOCKS, cursor=first["cursor"])) == [("S2", "deleted")]
    assert workday.page(BLOCKS)["data"] == []


def test_a_time_off_is_a_record_for_each_day_and_pages_come_in_one_order(workday: Api) -> None:
    workday.add_slot("S1", assignment_id="card-off", start_local="2026-03-10T20:00", stop_local="2026-03-13T08:00")
    everything = workday.page(OFFS)
    assert [(row["date"], row["quantity"]) for row in everything["data"]] == [
        ("2026-03-10", 4.0), ("2026-03-11", 24.0), ("2026-03-12", 24.0), ("2026-03-13", 8.0),
    ]  # fmt: skip
    rows, _ = workday.pull(OFFS, limit=1)
    assert rows == everything["data"]
    assert workday.page(BLOCKS)["data"] == []


def test_what_is_deleted_while_pages_are_turned_is_told_at_their_end(workday: Api) -> None:
    for number in range(4):
        workday.add_slot(f"S{number}")
    page = workday.page(BLOCKS, limit=2)
    workday.edit("DELETE FROM schedules WHERE slot_id IN ('S0', 'S3')")
    later = workday.http.get(page["next"]).json()
    seen = slots_of(later)
    while later["next"]:
        later = workday.http.get(later["next"]).json()
        seen += slots_of(later)
    assert seen == [("S2", "active"), ("S0", "deleted"), ("S3", "deleted")]


def test_updated_since_takes_the_time_that_the_last_pull_told(workday: Api) -> None:
    workday.add_slot("S1")
    first = workday.page(BLOCKS)
    assert workday.page(BLOCKS, updated_since=first["updated_until"])["data"] == []
    workday.edit("DELETE FROM schedules WHERE slot_id = 'S1'")
    assert slots_of(workday.page(BLOCKS, updated_since=first["updated_until"])) == [("S1", "deleted")]
    assert slots_of(workday.page(BLOCKS, updated_since="2026-01-01T00:00:00Z")) == [("S1", "deleted")]
    assert workday.get(BLOCKS, updated_since="2026-01-01T00:00:00").status_code == 400


def test_a_cursor_goes_on_where_it_was_when_the_deleted_are_not_forgotten(workday: Api) -> None:
    workday.add_slot("S1")
    first = workday.page(BLOCKS)
    workday.edit("DELETE FROM schedules WHERE slot_id = 'S1'")
    second = workday.page(BLOCKS, cursor=first["cursor"])
    with psycopg.connect(workday.database.api_dsn) as connection:
        connection.execute("UPDATE workday_records SET changed_at = now() - interval '91 days'")
    workday.add_slot("S2")
    third = workday.page(BLOCKS, cursor=second["cursor"])
    assert slots_of(third) == [("S2", "active")]
    answer = workday.get(BLOCKS, cursor=first["cursor"])
    assert answer.status_code == 410
    assert answer.json()["type"] == "urn:callboard:problem:pull-everything"


def test_a_caller_sees_the_records_of_its_departments(workday: Api) -> None:
    workday.add_slot("S1")
    workday.add_slot("S2", "surg-now", emp_id="E3")
    workday.departments = frozenset({"surg"})
    page = workday.page(BLOCKS)
    assert slots_of(page) == [("S2", "active")]
    workday.departments = None
    assert workday.get(BLOCKS, cursor=page["cursor"]).status_code == 400, "who sees more must begin anew"
    assert len(workday.page(BLOCKS)["data"]) == 2


def test_twenty_pulls_at_once_make_the_records_once(workday: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    workday.add_slot("S1")
    workday.page(BLOCKS)
    workday.add_slot("S2")
    made = []
    monkeypatch.setattr(kept, "_PATIENCE", 60)
    real = kept.make_records
    monkeypatch.setattr(kept, "make_records", lambda *given: made.append(1) or real(*given))
    with ThreadPoolExecutor(20) as pool:
        pages = list(pool.map(lambda _: workday.page(BLOCKS), range(20)))
    assert all(slots_of(page) == [("S1", "active"), ("S2", "active")] for page in pages)
    assert len(made) == 1
    workday.edit("INSERT INTO requests (request_id, emp_id, request_type, start_date, end_date, status)"
                 " VALUES ('R1', 'E1', 'Swap', '2026-03-01', '2026-03-01', 'pending')")  # fmt: skip
    workday.page(BLOCKS)
    assert len(made) == 1, "nothing that the feed reads has changed"


@pytest.mark.parametrize("where", ["this process", "another one"])
def test_whoever_waits_too_long_for_the_records_is_asked_to_come_again(
    workday: Api, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(kept, "_PATIENCE", 1)
    workday.add_slot("S1")
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(workday.database.api_dsn) as other,
        ExitStack() as held,
    ):
        if where == "this process":
            held.enter_context(kept._in_process)
        else:
            other.execute("SELECT pg_advisory_xact_lock(hashtext('callboard.workday.workday'))")
        answer = pool.submit(workday.get, BLOCKS).result(timeout=15)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:callboard:problem:not-ready")
    assert int(answer.headers["retry-after"]) > 0
    assert slots_of(workday.page(BLOCKS)) == [("S1", "active")]


def test_nothing_tells_a_caller_when_other_departments_changed(workday: Api) -> None:
    workday.add_slot("S1")
    workday.departments = frozenset({"card"})
    first = workday.get(BLOCKS)
    for number in range(3):
        workday.add_slot(f"other-{number}", "surg-now", emp_id="E3")
        again = workday.get(BLOCKS)
        assert again.json()["updated_until"] == first.json()["updated_until"] == first.json()["data"][0]["updated_at"]
        assert again.headers["etag"] == first.headers["etag"]
        assert len(again.json()["cursor"]) == len(first.json()["cursor"])
    with psycopg.connect(workday.database.api_dsn) as connection:
        connection.execute("UPDATE workday_records SET changed_at = changed_at - interval '100 days'")
    quiet = workday.page(BLOCKS)["updated_until"]
    assert datetime.fromisoformat(quiet) > datetime.now(UTC) - timedelta(days=1, minutes=5), "else it is 410 some day"
    assert workday.page(BLOCKS, updated_since=quiet)["data"] == []


def test_whoever_keeps_pages_gets_a_new_cursor_when_the_old_one_has_ended(workday: Api) -> None:
    workday.add_slot("S1")
    workday.add_slot("S2", emp_id="E2")
    workday.edit("DELETE FROM schedules WHERE slot_id = 'S2'")
    workday.add_slot("S3", emp_id="E2")
    workday.page(BLOCKS)
    workday.edit("DELETE FROM schedules WHERE slot_id = 'S3'")
    kept_page = workday.get(BLOCKS, limit=1)
    with psycopg.connect(workday.database.api_dsn) as connection:
        connection.execute("UPDATE workday_records SET changed_at = now() - interval '91 days' WHERE deleted")
    workday.add_slot("S4", assignment_id="card-off")  # the time blocks stay as they are
    again = workday.get(BLOCKS, {"If-None-Match": kept_page.headers["etag"]}, limit=1)
    assert again.status_code == 200, "what was deleted is forgotten meanwhile"


def test_a_wrong_mapping_is_told_with_its_faults_and_mended_at_once(workday: Api, folder: Path) -> None:
    workday.add_slot("S1")
    workday.page(BLOCKS)
    (folder / "workday.csv").write_text(TABLE.replace("Time Block,CALL\n", "Sabbatical,CALL\n", 1))
    answer = workday.get(BLOCKS)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["faults"] == ["workday.csv:2 [integration_type]: must be Time Block or Time Off"]
    (folder / "workday.csv").write_text(TABLE.replace("CALL", "ONCALL"))
    assert [row["time_entry_code"] for row in workday.page(BLOCKS)["data"]] == ["ONCALL"]
    (folder / "workday.yaml").write_text(YAML + "departments: [card, nowhere]\n")
    assert "nowhere" in workday.get(OFFS).json()["detail"]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda path: path.name)
def test_the_records_are_those_of_the_golden_files(case: Path, tmp_path: Path) -> None:
    extract, mapping = read_case(case, "workday")
    records = records_of(extract, mapping, tmp_path)
    columns = columns_of(mapping)
    for kind, name in (("Time Block", "expected.csv"), ("Time Off", "expected.2.csv")):
        [header, *rows] = csv.reader(io.StringIO((case / name).read_text("utf-8"), newline=""))
        assert [header for header, _ in columns[kind]] == header
        assert [[cell or "" for cell in record.cells] for record in records if record.type == kind] == rows


def test_csv_is_the_file_with_two_more_columns(workday: Api, tmp_path: Path) -> None:
    workday.add_slot("S1", note='with "quotes", and\nlines')
    workday.add_slot("S2", "surg-now", emp_id="E3", start_local="2026-03-08T00:30", slot_date="2026-03-08")
    workday.add_slot("S3", assignment_id="card-off")
    mapping = load_feed(tmp_path, "workday")
    now = business_now()
    span = span_of(Slots("window"), mapping, now, "UTC")
    found = extract_slots(
        workday.database.schedule_dsn, tmp_path, personnel_id="custom1", departments=None, span=span, now=now
    )
    extract = load_extract(found.slots, found.people, found.assignments, span=span, as_of=now)
    snapshot = tmp_path / "snapshot.parquet"
    result = time_entries(extract, mapping, verdict(extract, mapping))
    write_snapshot(result.records, SCHEMA.record, snapshot)
    for path, part in zip((BLOCKS, OFFS), SCHEMA.parts(mapping), strict=True):
        chosen, file = tmp_path / "part.parquet", tmp_path / "file.csv"
        records_where(snapshot, part.field, part.value, chosen)
        assert render_csv(chosen, SCHEMA.record, part.layout, file).rows > 0
        answer = workday.get(path, format="csv")
        shortened = [line.rsplit(",", 2) for line in answer.text.split("\r\n")[:-1]]
        assert [rest for _, *rest in shortened[:1]] == [["status", "updated_at"]]
        assert {status for _, status, _ in shortened[1:]} == {"active"}
        assert "".join(f"{line}\r\n" for line, *_ in shortened).encode() == file.read_bytes()
        assert answer.headers["callboard-cursor"]


def test_a_server_of_the_api_never_imports_great_expectations(workday: Api) -> None:
    workday.add_slot("S1")
    program = f"""
import sys
from include.api.workday.kept import bring_up_to_date
from include.api.workday.mapping import current_mapping
import include.api.app
assert bring_up_to_date({workday.database.api_dsn!r}, current_mapping())
heavy = {{"great_expectations", "airflow", "paramiko"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert slots_of(workday.page(BLOCKS)) == [("S1", "active")], "another process finds them done"

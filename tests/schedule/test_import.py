"""What an import does to the store: everything or nothing, and only what differs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.effects import observed_by
from include.errors import ConfigurationError, ImportRejected, SourceNotReady
from include.schedule.applying import Counts
from include.schedule.files import BY_TABLE, FILES
from include.schedule.importing import import_files
from tests.support.exchange import SMALL_HOSPITAL, exported, query, store_content, write_files, write_rows

if TYPE_CHECKING:
    from tests.conftest import Database


@pytest.fixture
def filled(database: Database, tmp_path: Path) -> Database:
    """A store that holds the small hospital."""
    load(database, write_files(tmp_path, dict(SMALL_HOSPITAL)))
    return database


def load(database: Database, folder: Path, mode: str = "replace") -> dict[str, Counts]:
    return import_files(database.schedule_dsn, folder, mode=mode, user="tester").files  # type: ignore[arg-type]


def test_everything_of_the_files_is_in_the_store(filled: Database) -> None:
    (slot,) = query(filled.schedule_dsn, "SELECT * FROM schedule.schedules WHERE slot_id = 'S2'")
    names = [row[0] for row in query(filled.schedule_dsn, _COLUMNS.format("schedules"))]
    assert dict(zip(names, slot, strict=True)) | {"modified_at": None} == {
        "slot_id": "S2",
        "period_id": "P1",
        "assignment_id": "A1",
        "department_id": "ED",
        "emp_id": None,
        "slot_date": datetime(2026, 3, 2).date(),  # noqa: DTZ001
        "start_local": datetime(2026, 3, 2, 19),  # noqa: DTZ001
        "stop_local": datetime(2026, 3, 3, 7),  # noqa: DTZ001
        "start_utc": datetime(2026, 3, 3, 1, tzinfo=UTC),
        "stop_utc": datetime(2026, 3, 3, 13, tzinfo=UTC),
        "note": "night",
        "location": None,
        "call_order": None,
        "is_pending": False,
        "work_units": None,
        "modified_at": None,
    }
    assert query(filled.schedule_dsn, "SELECT emp_id, custom1, active FROM schedule.personnel ORDER BY 1") == [
        ("007", "0001.10", True),
        ("008", None, True),
    ]
    assert query(filled.schedule_dsn, "SELECT settings FROM schedule.view_settings") == [({"a": [1, 2]},)]


_COLUMNS = (
    "SELECT column_name FROM information_schema.columns"
    " WHERE table_schema = 'schedule' AND table_name = '{}' ORDER BY ordinal_position"
)


def test_the_specification_and_the_tables_have_the_same_columns(database: Database) -> None:
    for file in FILES:
        stored = [row[0] for row in query(database.schedule_dsn, _COLUMNS.format(file.table))]
        assert stored[: len(file.columns)] == list(file.column_names)
        nullable = query(
            database.schedule_dsn, _COLUMNS.format(file.table).replace("ORDER", "AND is_nullable='YES' ORDER")
        )
        assert [name for (name,) in nullable] == [column.name for column in file.columns if column.nullable]


def test_the_user_is_in_the_change_log(filled: Database) -> None:
    assert query(filled.schedule_dsn, "SELECT DISTINCT changed_by, action FROM schedule.change_logs") == [
        ("tester", "insert")
    ]


@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_the_same_files_again_change_nothing_and_log_nothing(mode: str, filled: Database, tmp_path: Path) -> None:
    before = store_content(filled.schedule_dsn)
    done = load(filled, write_files(tmp_path, dict(SMALL_HOSPITAL)), mode)
    assert {(one.added, one.updated, one.removed) for one in done.values()} == {(0, 0, 0)}
    assert done["schedules.csv"].unchanged == 3
    assert store_content(filled.schedule_dsn) == before


def test_what_the_store_exports_changes_nothing_either(filled: Database, tmp_path: Path) -> None:
    """The warehouse's files hold the change log and ``modified_at``: an import ignores both."""
    before = store_content(filled.schedule_dsn)
    load(filled, exported(filled.schedule_dsn, tmp_path / "export"))
    assert store_content(filled.schedule_dsn) == before


def test_later_columns_of_the_warehouse_are_ignored(filled: Database, tmp_path: Path) -> None:
    text = "tally_id,name,unit,period,modified_at,colour\nT1,Calls,slots,month,whenever,red\n"
    assert load(filled, write_files(tmp_path, {"tallies": text})) == {"tallies.csv": Counts(0, 0, 0, 1)}


def test_replace_adds_updates_and_removes_through_change_capture(filled: Database, tmp_path: Path) -> None:
    header, first, second, _ = SMALL_HOSPITAL["schedules"].splitlines(keepends=True)
    text = header + first.replace("S1", "S9") + second.replace("night", "changed")
    last = query(filled.schedule_dsn, "SELECT max(change_id) FROM schedule.change_logs")[0][0]
    assert load(filled, write_files(tmp_path, {"schedules": text})) == {"schedules.csv": Counts(1, 1, 2, 0)}
    logged = query(
        filled.schedule_dsn,
        f"SELECT entity, entity_id, action FROM schedule.change_logs WHERE change_id > {last} ORDER BY entity_id",
    )
    assert logged == [
        ("schedules", "S1", "delete"),
        ("schedules", "S2", "update"),
        ("schedules", "S3", "delete"),
        ("schedules", "S9", "insert"),
    ]
    assert query(filled.schedule_dsn, "SELECT count(*) FROM schedule.personnel") == [(2,)]  # no file, no change


def test_merge_removes_nothing_and_leaves_columns_alone_that_are_not_there(filled: Database, tmp_path: Path) -> None:
    text = "emp_id,display_name,personnel_type\n007,New Name,MD\n009,Cy Three,MD\n"
    assert load(filled, write_files(tmp_path, {"personnel": text}), "merge") == {"personnel.csv": Counts(1, 1, 0, 0)}
    assert query(
        filled.schedule_dsn, "SELECT emp_id, display_name, custom1, active FROM schedule.personnel ORDER BY 1"
    ) == [
        ("007", "New Name", "0001.10", True),
        ("008", "Bo Two", None, True),
        ("009", "Cy Three", None, True),
    ]


def test_a_merge_may_refer_to_the_files_and_to_the_store(filled: Database, tmp_path: Path) -> None:
    texts = {
        "personnel": "emp_id,display_name,personnel_type\n009,Cy Three,MD\n",
        "memberships": "emp_id,department_id\n009,ED\n008,ED\n",
    }
    assert load(filled, write_files(tmp_path, dict(texts)), "merge")["memberships.csv"] == Counts(2, 0, 0, 0)


def test_replace_empties_columns_that_are_not_there(filled: Database, tmp_path: Path) -> None:
    text = "emp_id,display_name,personnel_type\n007,Ada One,MD\n008,Bo Two,DO\n"
    load(filled, write_files(tmp_path, {"personnel": text}))
    assert query(filled.schedule_dsn, "SELECT custom1, active FROM schedule.personnel") == [(None, True)] * 2


def test_a_header_alone_empties_the_table(filled: Database, tmp_path: Path) -> None:
    text = SMALL_HOSPITAL["schedules"].splitlines()[0]
    assert load(filled, write_files(tmp_path, {"schedules": text})) == {"schedules.csv": Counts(0, 0, 3, 0)}


def test_a_department_moves_to_another_zone_with_its_slots(filled: Database, tmp_path: Path) -> None:
    texts = {name: SMALL_HOSPITAL[name] for name in ("departments", "schedules")}
    texts["departments"] = texts["departments"].replace("Chicago", "Denver")
    texts["schedules"] = texts["schedules"].replace("2026-03-03T01:00:00Z,2026-03-03T13:00:00Z", ",")
    done = load(filled, write_files(tmp_path, texts))
    assert done["schedules.csv"] == Counts(0, 2, 0, 1)
    assert query(filled.schedule_dsn, "SELECT start_utc FROM schedule.schedules ORDER BY slot_id")[0] == (
        datetime(2026, 3, 2, 14, tzinfo=UTC),
    )
    updates = "SELECT count(*) FROM schedule.change_logs WHERE entity = 'schedules' AND action = 'update'"
    assert query(filled.schedule_dsn, updates) == [(2,)]  # each once


def test_both_clock_changes_import_when_they_are_unambiguous(filled: Database, tmp_path: Path) -> None:
    header = SMALL_HOSPITAL["schedules"].splitlines(keepends=True)[0]
    slots = (
        "S1,P1,A1,007,2026-03-07,2026-03-07T19:00,2026-03-08T07:00,,,\n"
        "S2,P1,A1,007,2026-10-31,2026-10-31T19:00,2026-11-01T07:00,,,\n"
        "S3,P1,A1,007,2026-11-01,2026-11-01T01:30,2026-11-01T01:15,2026-11-01T06:30:00Z,2026-11-01T07:15:00Z,\n"
    )
    load(filled, write_files(tmp_path, {"schedules": header + slots.replace("S3", "S9")}))
    hours = "SELECT extract(epoch FROM stop_utc - start_utc)::int / 60 FROM schedule.schedules ORDER BY slot_id"
    assert query(filled.schedule_dsn, hours) == [(11 * 60,), (13 * 60,), (45,)]


def test_restore_brings_back_everything_and_logs_nothing(filled: Database, tmp_path: Path) -> None:
    load(filled, write_files(tmp_path, {"tallies": SMALL_HOSPITAL["tallies"].replace("Calls", "Shifts")}))
    before = store_content(filled.schedule_dsn)
    folder = exported(filled.schedule_dsn, tmp_path / "export")
    with psycopg.connect(filled.admin_dsn) as connection:  # an empty store again
        connection.execute("SET session_replication_role = replica")
        for file in FILES:
            connection.execute(f"DELETE FROM schedule.{file.table}")
        connection.execute("ALTER TABLE schedule.change_logs ALTER change_id RESTART WITH 1")
    load(filled, folder, "restore")
    after = store_content(filled.schedule_dsn)
    xid = -1  # of the log's rows: which transaction brought them, for readers; not part of the file
    assert [row[:xid] for row in after.pop("change_logs")] == [row[:xid] for row in before.pop("change_logs")]
    assert after == before
    load(filled, write_files(tmp_path, {"tallies": SMALL_HOSPITAL["tallies"]}))  # capture goes on, ids too
    assert query(filled.schedule_dsn, "SELECT action FROM schedule.change_logs ORDER BY change_id DESC LIMIT 1") == [
        ("update",)
    ]


def test_a_fault_in_the_last_file_leaves_the_store_as_it_was(filled: Database, tmp_path: Path) -> None:
    before = store_content(filled.schedule_dsn)
    texts = {name: text.replace("Year", "Changed") for name, text in SMALL_HOSPITAL.items()}
    texts["tallies"] = texts["tallies"].replace("month", "decade")
    with pytest.raises(ImportRejected):
        load(filled, write_files(tmp_path, texts))
    assert store_content(filled.schedule_dsn) == before


def test_a_fault_that_only_the_store_knows_loads_nothing_and_tells_no_value(filled: Database, tmp_path: Path) -> None:
    with psycopg.connect(filled.schedule_dsn) as connection:
        connection.execute("ALTER TABLE schedule.tallies ADD CONSTRAINT house_rule CHECK (name <> 'Secret')")
    before = store_content(filled.schedule_dsn)
    texts = {name: SMALL_HOSPITAL[name] for name in ("personnel", "tallies")}
    texts["personnel"] = texts["personnel"].replace("Ada", "Eva")
    texts["tallies"] = texts["tallies"].replace("Calls", "Secret")
    with pytest.raises(ImportRejected) as caught:
        load(filled, write_files(tmp_path, texts))
    assert [str(fault) for fault in caught.value.faults] == ["tallies.csv: was refused by the store (house_rule)"]
    assert store_content(filled.schedule_dsn) == before


_KILLED_IMPORT = """
import os, signal, sys
from pathlib import Path
from include.effects import observed_by
from include.schedule.importing import import_files

def kill(name, moment):
    if (name, moment) == ("schedule.commit", sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

with observed_by(kill):
    import_files(sys.argv[1], Path(sys.argv[2]), mode="replace", user="tester")
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_the_commit_the_import_is_whole_or_absent(moment: str, filled: Database, tmp_path: Path) -> None:
    changed = write_files(tmp_path, {name: text.replace("Year", "Changed") for name, text in SMALL_HOSPITAL.items()})
    before = store_content(filled.schedule_dsn)
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED_IMPORT, filled.schedule_dsn, str(changed), moment],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert killed.returncode == -9
    names = query(filled.schedule_dsn, "SELECT DISTINCT name FROM schedule.schedule_periods")
    assert names == [("Year",) if moment == "before" else ("Changed",)]
    assert (store_content(filled.schedule_dsn) == before) is (moment == "before")
    done = load(filled, changed)  # again, as an operator would
    assert done["schedule_periods.csv"].updated == (2 if moment == "before" else 0)


def test_the_commit_is_the_one_effect(filled: Database, tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    with observed_by(lambda name, moment: seen.append((name, moment))):
        load(filled, write_files(tmp_path, {"tallies": SMALL_HOSPITAL["tallies"]}))
    assert seen == [("schedule.commit", "before"), ("schedule.commit", "after")]


def test_a_zip_with_one_folder_is_as_good_as_a_directory(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "hospital.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export/manifest.json", "{}")
        archive.writestr("__MACOSX/export/._departments.csv", "junk")
        for table, text in SMALL_HOSPITAL.items():
            archive.writestr(f"export/{table}.csv", text)
    assert load(database, path)["schedules.csv"] == Counts(3, 0, 0, 0)


def test_an_absent_database_is_said_so(tmp_path: Path) -> None:
    folder = write_files(tmp_path, dict(SMALL_HOSPITAL))
    with pytest.raises(SourceNotReady):
        import_files("postgresql://nobody@127.0.0.1:1/none", folder, mode="replace", user="tester")


def test_a_database_without_the_store_is_said_so(filled: Database, tmp_path: Path) -> None:
    with psycopg.connect(filled.schedule_dsn) as connection:
        connection.execute("DROP TABLE schedule.tallies")
    with pytest.raises(ConfigurationError, match="no schedule store"):
        load(filled, write_files(tmp_path, dict(SMALL_HOSPITAL)))


def test_history_alone_is_nothing_to_import(filled: Database, tmp_path: Path) -> None:
    before = store_content(filled.schedule_dsn)
    assert load(filled, write_files(tmp_path, {"change_logs": "change_id\n1\n"})) == {}
    assert store_content(filled.schedule_dsn) == before


# --- whatever people write arrives as it is -------------------------------------------------------------------------

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40
) | st.sampled_from(
    [
        "=1+1",
        "007",
        "\\N",
        "\\.",
        "\\.\n\\.",
        '"',
        '""',
        ",",
        "\r\n",
        "\t",
        "\ufeff",
        "null",
        "NULL",
        " ",
        "{}",
        "\\",
        "é\u0301🏥",
    ]
)
ROWS = st.dictionaries(TEXT, st.tuples(TEXT, TEXT, st.none() | TEXT, st.none() | TEXT), max_size=8)


@given(people=ROWS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_text_arrives_as_it_was_written(
    people: dict[str, tuple[str | None, ...]], database: Database, tmp_path: Path
) -> None:
    columns = ("emp_id", "display_name", "personnel_type", "custom1", "email")
    folder = tmp_path / f"given-{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    write_rows(folder / "personnel.csv", columns, [(key, *(v or "" for v in row)) for key, row in people.items()])
    load(database, folder)
    stored = query(database.schedule_dsn, f"SELECT {', '.join(columns)} FROM schedule.personnel")
    assert {row[0]: row[1:] for row in stored} == people
    assert BY_TABLE["personnel"].key == ("emp_id",)
    logged = query(database.schedule_dsn, "SELECT count(*) FROM schedule.change_logs")
    load(database, exported(database.schedule_dsn, folder / "again"))
    assert query(database.schedule_dsn, "SELECT count(*) FROM schedule.change_logs") == logged

"""Every fault of an import, told with file, line and column, never with a value, and nothing loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from include.errors import ImportRejected
from include.schedule.importing import import_files
from tests.support.exchange import SMALL_HOSPITAL, store_content, write_files

if TYPE_CHECKING:
    from pathlib import Path

    from include.errors import Fault
    from tests.conftest import Database

Place = tuple[str, int | None, str | None]


@dataclass(frozen=True)
class Case:
    """Replacements of text in the files of the small hospital, and where faults must then be found."""

    name: str
    changes: tuple[tuple[str, str | bytes, str | bytes], ...]
    expected: tuple[tuple[Place, str], ...]  # (file, line, column), part of the message


def fault(table: str, line: int | None, column: str | None, message: str) -> tuple[Place, str]:
    return (f"{table}.csv", line, column), message


def case(name: str, table: str, old: str | bytes, new: str | bytes, *expected: tuple[Place, str]) -> Case:
    return Case(name, ((table, old, new),), expected)


S1 = "S1,P1,A1,007,2026-03-02,2026-03-02T07:00:00,2026-03-02T19:00:00,,,\n"


def slot(*, start: str, stop: str, utc: str = ",", day: str = "2026-03-02", assignment: str = "P1,A1") -> str:
    return f"S1,{assignment},007,{day},{start},{stop},{utc},\n"


CASES = [
    # header
    case(
        "missing column",
        "departments",
        ",time_zone",
        ",zone",
        fault("departments", 1, "zone", "did you mean time_zone"),
        fault("departments", 1, "time_zone", "missing"),
    ),
    case(
        "unknown column",
        "personnel",
        "custom1\n",
        "custom1,emial\n",
        fault("personnel", 1, "emial", "did you mean email"),
        fault("personnel", 2, None, "4 fields, the header has 5"),
        fault("personnel", 3, None, "4 fields"),
    ),
    case(
        "column twice",
        "tallies",
        "unit,period",
        "unit,unit",
        fault("tallies", 1, "unit", "twice"),
        fault("tallies", 1, "period", "missing"),
    ),
    case(
        "no header", "memberships", "emp_id,department_id,is_primary\n", "", fault("memberships", 1, None, "no header")
    ),
    # What others refer to: they are judged with the mended file.
    case(
        "no byte of a parent", "departments", SMALL_HOSPITAL["departments"], "", fault("departments", 1, None, "empty")
    ),
    case(
        "a parent without its key",
        "departments",
        "department_id,",
        "departmnt_id,",
        fault("departments", 1, "departmnt_id", "did you mean department_id"),
        fault("departments", 1, "department_id", "missing"),
    ),
    case("no byte", "tallies", SMALL_HOSPITAL["tallies"], "", fault("tallies", 1, None, "empty")),
    # form
    case("too few fields", "personnel", "008,Bo Two,DO,", "008,Bo Two", fault("personnel", 3, None, "2 fields")),
    case("too many fields", "personnel", "008,Bo Two,DO,", "008,Bo, Two,DO,", fault("personnel", 3, None, "5 fields")),
    case(
        "quote never closed",
        "personnel",
        "007,Ada One",
        '007,"Ada One',
        fault("personnel", 2, None, "unbalanced quote"),
    ),
    case(
        "quote within a field",
        "personnel",
        "008,Bo Two",
        '008,Bo "Two',
        fault("personnel", 3, None, "unbalanced quote"),
    ),
    case(
        "text after a quote", "personnel", "008,Bo Two", '008,"Bo" Two', fault("personnel", 3, None, "unbalanced quote")
    ),
    case("carriage return", "personnel", "Ada One", "Ada\rOne", fault("personnel", 2, None, "carriage return")),
    case("NUL", "personnel", "Bo Two", "Bo\0Two", fault("personnel", 3, "display_name", "NUL")),
    case("broken UTF-8", "personnel", b"Bo Two", b"Bo \xff\xfeTwo", fault("personnel", 3, "display_name", "UTF-8")),
    case(
        "UTF-16",
        "tallies",
        SMALL_HOSPITAL["tallies"].encode(),
        SMALL_HOSPITAL["tallies"].encode("utf-16"),
        fault("tallies", 1, None, "UTF-8"),
    ),
    case("long text", "personnel", "Bo Two", "B" * 70_000, fault("personnel", 3, "display_name", "longer than 65536")),
    case("long ID", "personnel", "0001.10", "0" * 256, fault("personnel", 2, "custom1", "longer than 255")),
    case("field beyond all limits", "personnel", "Bo Two", "B" * 2_000_000, fault("personnel", 3, None, "too long")),
    # types
    case("boolean", "memberships", "true", "yes", fault("memberships", 2, "is_primary", "neither true nor false")),
    case("date", "requests", "2026-04-01", "01/04/2026", fault("requests", 2, "start_date", "not a date")),
    case("date that is none", "requests", "2026-04-01", "2026-02-30", fault("requests", 2, "start_date", "calendar")),
    case("date of another age", "requests", "2026-04-02", "9999-12-31", fault("requests", 2, "end_date", "years")),
    case("time of day", "assignments", "07:00", "24:00", fault("assignments", 2, "default_start", "time of the day")),
    case("zone", "departments", "America/Chicago", "Central", fault("departments", 2, "time_zone", "IANA")),
    case("JSON", "view_settings", "[1, 2]", "[1, 2", fault("view_settings", 2, "settings", "JSON")),
    case(
        "JSON that PostgreSQL cannot hold",
        "view_settings",
        "[1, 2]",
        '""\\u0000""',
        fault("view_settings", 2, "settings", "NUL"),
    ),
    case(
        "JSON nested too deeply",
        "view_settings",
        "[1, 2]",
        "[" * 50_000 + "]" * 50_000,
        fault("view_settings", 2, "settings", "JSON"),
    ),
    case("no number in JSON", "view_settings", "[1, 2]", "NaN", fault("view_settings", 2, "settings", "JSON")),
    case("closed set", "tallies", "slots", "minutes", fault("tallies", 2, "unit", "none of: slots, hours, work_units")),
    case(
        "instant",
        "schedule_periods",
        "2026-01-01T00:00:00Z",
        "soon",
        fault("schedule_periods", 2, "published_at", "not a"),
    ),
    case(
        "local time with offset",
        "schedules",
        "2026-03-02T07:00:00,2026-03-02T19:00:00,,,\nS2",
        "2026-03-02T07:00:00Z,2026-03-02T19:00:00,,,\nS2",
        fault("schedules", 2, "start_local", "without zone"),
    ),
    case("required empty", "departments", "OR,Surgery", "OR,", fault("departments", 3, "name", "required")),
    # references and keys
    case("unknown person", "memberships", "008,OR", "009,OR", fault("memberships", 3, "emp_id", "personnel.csv")),
    case("unknown person of a slot", "schedules", "A2,008", "A2,8", fault("schedules", 4, "emp_id", "personnel.csv")),
    case("unknown period", "schedules", "S3,P2", "S3,P9", fault("schedules", 4, "period_id", "schedule_periods.csv")),
    case(
        "unknown assignment", "schedules", "S3,P2,A2", "S3,P2,A9", fault("schedules", 4, "assignment_id", "assignments")
    ),
    case("unknown owner", "view_settings", ",007,", ",7,", fault("view_settings", 2, "owner_emp_id", "personnel.csv")),
    case("duplicate key", "schedules", "S3,", "S1,", fault("schedules", 4, "slot_id", "key of line 2 again")),
    case("duplicate key of two parts", "memberships", "008,OR", "007,ED", fault("memberships", 3, "emp_id", "line 2")),
    # slots
    case(
        "period of another department", "schedules", "S3,P2", "S3,P1", fault("schedules", 4, "period_id", "department")
    ),
    case(
        "day outside the period",
        "schedules",
        S1,
        slot(day="2027-01-01", start="2026-03-02T07:00", stop="2026-03-02T19:00"),
        fault("schedules", 2, "slot_date", "outside"),
    ),
    case(
        "skipped local time",
        "schedules",
        S1,
        slot(start="2026-03-08T02:30:00", stop="2026-03-08T07:00:00"),
        fault("schedules", 2, "start_local", "does not exist"),
    ),
    case(
        "skipped local time, with UTC",
        "schedules",
        S1,
        slot(start="2026-03-08T02:30:00", stop="2026-03-08T07:00:00", utc="2026-03-08T08:30:00Z,"),
        fault("schedules", 2, "start_local", "does not exist"),
    ),
    case(
        "ambiguous local time",
        "schedules",
        S1,
        slot(start="2026-10-31T19:00:00", stop="2026-11-01T01:30:00"),
        fault("schedules", 2, "stop_local", "fill stop_utc"),
    ),
    case(
        "disagreeing UTC",
        "schedules",
        S1,
        slot(start="2026-03-02T07:00:00", stop="2026-03-02T19:00:00", utc="2026-03-02T13:00:00Z,2026-03-02T19:00:00Z"),
        fault("schedules", 2, "stop_utc", "disagrees with stop_local"),
    ),
    case(
        "stop before start",
        "schedules",
        S1,
        slot(start="2026-03-02T07:00:00", stop="2026-03-02T06:00:00"),
        fault("schedules", 2, "stop_local", "before the start"),
    ),
    case(
        "period ends before it starts",
        "schedule_periods",
        "P2,OR,Year,2026-01-01,2026-12-31",
        "P2,OR,Y,2026-12-31,2026-01-01",
        fault("schedule_periods", 3, "end_date", "before start_date"),
    ),
    case(
        "request ends before it starts",
        "requests",
        "2026-04-02",
        "2026-03-31",
        fault("requests", 2, "end_date", "before"),
    ),
]


@pytest.mark.parametrize("example", CASES, ids=lambda example: example.name)
def test_fault(example: Case, database: Database, tmp_path: Path) -> None:
    texts: dict[str, str | bytes] = dict(SMALL_HOSPITAL)
    for table, old, new in example.changes:
        before = texts[table]
        if isinstance(old, bytes) and isinstance(before, str):
            before = before.encode()
        texts[table] = before.replace(old, new, 1)  # type: ignore[arg-type]
        assert texts[table] != before
    found = rejected(database, write_files(tmp_path, texts))
    places = [(one.file, one.line, one.column) for one in found]
    assert places == [place for place, _ in example.expected]
    for one, (_, message) in zip(found, example.expected, strict=True):
        assert message in one.message
    assert not any(store_content(database.schedule_dsn).values())


def rejected(database: Database, folder: Path, mode: str = "replace") -> list[Fault]:
    with pytest.raises(ImportRejected) as caught:
        import_files(database.schedule_dsn, folder, mode=mode, user="tester")  # type: ignore[arg-type]
    return list(caught.value.faults)


def test_all_faults_are_told_at_once_in_order_and_without_values(database: Database, tmp_path: Path) -> None:
    texts = dict(SMALL_HOSPITAL)
    texts["personnel"] = "emp_id,display_name,personnel_type,active\n1,Secret Name,MD,secretly\n,Other Secret,MD,true\n"
    texts["schedules"] += "S9,P9,A1,secret-id,secret-day,2026-03-02T07:00,secret-time,,,\n"
    found = rejected(database, write_files(tmp_path, texts))
    assert [(one.file, one.line, one.column) for one in found] == [
        ("personnel.csv", 2, "active"),
        ("personnel.csv", 3, "emp_id"),
        ("personnel_ids.csv", 2, "emp_id"),
        ("memberships.csv", 2, "emp_id"),
        ("memberships.csv", 3, "emp_id"),
        ("schedules.csv", 2, "emp_id"),
        ("schedules.csv", 4, "emp_id"),
        ("schedules.csv", 5, "period_id"),
        ("schedules.csv", 5, "emp_id"),
        ("schedules.csv", 5, "slot_date"),
        ("schedules.csv", 5, "stop_local"),
        ("requests.csv", 2, "emp_id"),
        ("view_settings.csv", 2, "owner_emp_id"),
    ]
    assert "ecret" not in " ".join(str(one) for one in found)


def test_lines_are_physical_lines_where_a_record_starts(database: Database, tmp_path: Path) -> None:
    texts: dict[str, str | bytes] = dict(SMALL_HOSPITAL)
    texts["personnel"] = (
        "\ufeffemp_id,display_name,personnel_type,active\r\n"
        '007,"Ada\r\n""One""\nof\r\nmany lines",MD,true\r\n'
        "\r\n"
        "008,Bo\u2028Two,DO,perhaps\r\n"
        '010,"two\nlines",DO,never'
    ).encode()
    found = rejected(database, write_files(tmp_path, texts))
    assert [(one.line, one.column) for one in found] == [(7, "active"), (8, "active")]


def test_what_follows_an_open_quote_is_still_judged(database: Database, tmp_path: Path) -> None:
    texts = dict(SMALL_HOSPITAL)
    texts["departments"] = 'department_id,name,time_zone,active\nED,"Open,America/Chicago,\nOR,x,Nowhere,\nXX,y,UTC,2\n'
    found = rejected(database, write_files(tmp_path, {"departments": texts["departments"]}))
    assert [(one.line, one.column) for one in found] == [(2, None), (3, "time_zone"), (4, "active")]


def test_a_million_faults_are_counted_not_kept(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.schedule.faults.KEPT_PER_FILE", 10)
    rows = "".join(f"D{number},x,Nowhere\n" for number in range(25))
    found = rejected(database, write_files(tmp_path, {"departments": "department_id,name,time_zone\n" + rows}))
    assert len(found) == 11
    assert found[-1].message == "has 15 more faults that are not listed"


# --- against what the store holds -------------------------------------------------------------------------------------

STORE_CASES = [
    (
        "person still needed",
        "replace",
        {"personnel": "emp_id,display_name,personnel_type\n007,Ada,MD\n"},
        [("personnel.csv", None, "emp_id"), ("personnel.csv", None, "emp_id")],
    ),
    (
        "unknown in the store too",
        "replace",
        {"memberships": "emp_id,department_id\n007,NO\n"},
        [("memberships.csv", 2, "department_id")],
    ),
    (
        "slot of another department",
        "merge",
        {
            "schedules": "slot_id,period_id,assignment_id,slot_date,start_local,stop_local\n"
            "S1,P2,A2,2026-03-02,2026-03-02T07:00,2026-03-02T19:00\n"
        },
        [("schedules.csv", 2, "slot_id")],
    ),
    (
        "assignment moves away from its slots",
        "merge",
        {"assignments": "assignment_id,department_id,name,assignment_type\nA1,OR,x,Call\n"},
        [("assignments.csv", 2, "department_id")],
    ),
    (
        "period moves away from its slots",
        "merge",
        {"schedule_periods": "period_id,department_id,name,start_date,end_date\nP1,OR,x,2026-01-01,2026-12-31\n"},
        [("schedule_periods.csv", 2, "department_id")],
    ),
    (
        "period shrinks past its slots",
        "merge",
        {"schedule_periods": "period_id,department_id,name,start_date,end_date\nP1,ED,x,2026-03-03,2026-12-31\n"},
        [("schedule_periods.csv", 2, "start_date")],
    ),
    (
        "slots do not fit a new zone",
        "merge",
        {"departments": "department_id,name,time_zone\nED,Emergency,Europe/Paris\n"},
        [("departments.csv", 2, "time_zone")],
    ),
]


@pytest.mark.parametrize(("name", "mode", "texts", "expected"), STORE_CASES, ids=[one[0] for one in STORE_CASES])
def test_fault_against_the_store(
    name: str, mode: str, texts: dict[str, str], expected: list[Place], database: Database, tmp_path: Path
) -> None:
    first = dict(SMALL_HOSPITAL)
    # A slot at a time that Paris skips on 2026-03-29 and Chicago does not.
    first["schedules"] += "S4,P1,A1,,2026-03-29,2026-03-29T02:30,2026-03-29T09:00,,,\n"
    import_files(database.schedule_dsn, write_files(tmp_path, first), mode="replace", user="tester")
    before = store_content(database.schedule_dsn)
    found = rejected(database, write_files(tmp_path, dict(texts)), mode)
    assert [(one.file, one.line, one.column) for one in found][: len(expected)] == expected
    assert store_content(database.schedule_dsn) == before


def test_restore_needs_an_empty_store(database: Database, tmp_path: Path) -> None:
    folder = write_files(tmp_path, dict(SMALL_HOSPITAL))
    import_files(database.schedule_dsn, folder, mode="replace", user="tester")
    (found,) = rejected(database, folder, "restore")
    assert "not empty" in found.message

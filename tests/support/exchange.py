"""A small hospital as exchange files, and what tests do with it."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import psycopg

from include.schedule.files import BY_TABLE, FILES

if TYPE_CHECKING:
    from pathlib import Path

SMALL_HOSPITAL: dict[str, str] = {
    "departments": "department_id,name,time_zone\nED,Emergency,America/Chicago\nOR,Surgery,America/New_York\n",
    "personnel": "emp_id,display_name,personnel_type,custom1\n007,Ada One,MD,0001.10\n008,Bo Two,DO,\n",
    "personnel_ids": "emp_id,system,value\n007,spok,0042\n",
    "memberships": "emp_id,department_id,is_primary\n007,ED,true\n008,OR,\n",
    "assignments": "assignment_id,department_id,name,assignment_type,default_start\n"
    "A1,ED,ED Call,Call,07:00\nA2,OR,OR Call,Call,\n",
    "schedule_periods": "period_id,department_id,name,start_date,end_date,published_at\n"
    "P1,ED,Year,2026-01-01,2026-12-31,2026-01-01T00:00:00Z\nP2,OR,Year,2026-01-01,2026-12-31,\n",
    "schedules": "slot_id,period_id,assignment_id,emp_id,slot_date,start_local,stop_local,start_utc,stop_utc,note\n"
    "S1,P1,A1,007,2026-03-02,2026-03-02T07:00:00,2026-03-02T19:00:00,,,\n"
    "S2,P1,A1,,2026-03-02,2026-03-02 19:00,2026-03-03 07:00,2026-03-03T01:00:00Z,2026-03-03T13:00:00Z,night\n"
    "S3,P2,A2,008,2026-03-02,2026-03-02T07:00:00,2026-03-02T19:00:00,2026-03-02T07:00:00-05:00,,\n",
    "requests": "request_id,emp_id,request_type,start_date,end_date,status\n"
    "R1,007,Time Off,2026-04-01,2026-04-02,pending\n",
    "view_settings": 'view_id,name,owner_emp_id,settings\nV1,Mine,007,"{""a"": [1, 2]}"\n',
    "tallies": "tally_id,name,unit,period\nT1,Calls,slots,month\n",
}


def write_files(folder: Path, texts: dict[str, str | bytes]) -> Path:
    """Write tables as files into a new folder below ``folder``."""
    target = folder / f"import-{len(list(folder.iterdir()))}"
    target.mkdir()
    for table, text in texts.items():
        data = text if isinstance(text, bytes) else text.encode("utf-8")
        (target / f"{table}.csv").write_bytes(data)
    return target


def write_rows(path: Path, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)


def store_content(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    """Read every table, change log and times of change included, in the order of their keys."""
    with psycopg.connect(dsn) as connection:
        return {
            file.table: connection.execute(
                f"SELECT * FROM schedule.{file.table} ORDER BY {', '.join(file.key)}"
            ).fetchall()
            for file in FILES
        }


def exported(dsn: str, folder: Path) -> Path:
    """Write the whole store as exchange files, with ``modified_at``, as a warehouse zip would hold them."""
    folder.mkdir()
    with psycopg.connect(dsn, options="-c timezone=UTC") as connection:
        for file in FILES:
            # Plain COPY writes booleans as t and f; the files say true and false.
            chosen = [f'"{one.name}"{"::text" if one.type == "boolean" else ""}' for one in file.columns]
            if file.table != "change_logs":
                chosen.append("modified_at")
            quoted = ", ".join(chosen)
            query = f"COPY (SELECT {quoted} FROM schedule.{file.table}) TO STDOUT (FORMAT csv, HEADER)"
            with connection.cursor().copy(query) as copy, (folder / file.file_name).open("wb") as stream:
                for block in copy:
                    stream.write(block)
    return folder


def query(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(statement).fetchall()


def column_names(table: str) -> tuple[str, ...]:
    return BY_TABLE[table].column_names

"""A schedule store filled with plain SQL, as any other program would: three departments in three zones."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg

ZONES = {"ny": "America/New_York", "la": "America/Los_Angeles", "berlin": "Europe/Berlin"}


def fill(dsn: str) -> None:
    """Departments, one assignment ``<department>-call`` and the published year 2026 each, two people."""
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO departments (department_id, name, time_zone) VALUES (%s, %s, %s)",
            [(department, department.title(), zone) for department, zone in ZONES.items()],
        )
        cursor.executemany(
            "INSERT INTO assignments VALUES (%s, %s, 'On call', 'OC', 'Call', 'Ask the desk', NULL, NULL, 2)",
            [(f"{department}-call", department) for department in ZONES],
        )
        cursor.executemany(
            "INSERT INTO schedule_periods VALUES (%s, %s, '2026', '2026-01-01', '2026-12-31', '2025-12-01 00:00Z')",
            [(f"{department}-2026", department) for department in ZONES],
        )
        cursor.executemany(
            "INSERT INTO personnel (emp_id, display_name, personnel_type, custom1) VALUES (%s, %s, 'MD', %s)",
            [("007", "Bond, J", "0042"), ("008", "Other, O", "0043")],
        )


def add_slot(dsn: str, slot_id: str, department: str, **values: Any) -> None:
    """Insert one slot of ``<department>-call``, held by 007 unless said otherwise, dated on its local start."""
    row = {
        "slot_id": slot_id,
        "period_id": f"{department}-2026",
        "assignment_id": f"{department}-call",
        "emp_id": "007",
        "slot_date": str(values.get("start_local", ""))[:10],
    } | values
    columns, places = ", ".join(row), ", ".join(["%s"] * len(row))
    with psycopg.connect(dsn) as connection:
        connection.execute(f"INSERT INTO schedules ({columns}) VALUES ({places})", list(row.values()))


def query(dsn: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement in a transaction of its own; its rows, if it has any."""
    # Closed also when the commit is refused, which psycopg's own block does not do.
    with closing(psycopg.connect(dsn)) as connection, connection.transaction():
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []

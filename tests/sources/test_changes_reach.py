"""Whatever changes what a feed's extract reads wakes the feed: column by column, of every table that an extract reads.

The lists in ``sources/changes.py`` say which columns matter. This asks the extract itself: a column that it begins to
read, and that is missing there, fails here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import BigInteger, Boolean, Date, DateTime, Numeric, Text, Time

from include.frames import Span
from include.schedule.tables import metadata
from include.sources.changes import look
from include.sources.store import extract_slots, load_extract
from tests.sources.test_changes import BY_SYSTEM, MAPPING, NOW, TODAY
from tests.support.store import add_slot, fill, query

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Column

#: The row of each table that the feed's slot of today depends on.
ROWS = {
    "departments": "department_id = 'ny'",
    "personnel": "emp_id = '007'",
    "personnel_ids": "emp_id = '007' AND system = 'epic'",
    "memberships": "emp_id = '007'",
    "assignments": "assignment_id = 'ny-call'",
    "schedule_periods": "period_id = 'ny-2026'",
    "schedules": "slot_id = 'S-ny'",
    "requests": "request_id = 'R'",
    "view_settings": "view_id = 'V'",
    "tallies": "tally_id = 'T'",
}
#: What is left out: kept by triggers, or bound to other tables; slots that move are in test_changes.py.
BOUND = {"modified_at", "department_id", "period_id", "assignment_id", "owner_emp_id", "settings"} | {
    "emp_id", "unit", "period", "time_zone", "slot_date", "start_local", "start_utc", "stop_utc", "system",
}  # fmt: skip
KINDS = {
    Text: "coalesce({0}, '') || 'x'",
    Boolean: "NOT {0}",
    BigInteger: "coalesce({0}, 0) + 1",
    Numeric: "coalesce({0}, 0) + 1",
    Date: "{0} + 1",
    Time: "'03:00'",
    DateTime: "coalesce({0}, '2026-01-01') + interval '1 hour'",
}
SAID = {"start_date": "date '2026-01-02'", "stop_local": "stop_local + interval '1 hour'", "published_at": "NULL"}


def _cases() -> list[Any]:
    tables = {table.name: table for table in metadata.tables.values()}
    return [
        pytest.param(name, column.name, id=f"{name}.{column.name}")
        for name in ROWS
        for column in tables[name].columns
        if not column.primary_key and column.name not in BOUND
    ]


def _other_value(column: Column[Any]) -> str:
    quoted = f'"{column.name}"'
    return SAID.get(column.name) or next(
        text.format(quoted) for kind, text in KINDS.items() if isinstance(column.type, kind)
    )


@pytest.fixture
def dsn(module_database, monkeypatch):
    """One slot of today, and a row of every table beside it."""
    monkeypatch.setenv("CALLBOARD_NOW", NOW)
    dsn: str = module_database.schedule_dsn
    if not query(dsn, "SELECT 1 FROM departments"):
        fill(dsn)
        add_slot(dsn, "S-ny", "ny", **TODAY)
        with psycopg.connect(dsn) as store:
            store.execute("""
                INSERT INTO personnel_ids (emp_id, system, value) VALUES ('007', 'epic', '1');
                INSERT INTO memberships (emp_id, department_id) VALUES ('007', 'ny');
                INSERT INTO requests (request_id, emp_id, request_type, start_date, end_date, status)
                    VALUES ('R', '007', 'Swap', '2026-01-01', '2026-06-01', 'pending');
                INSERT INTO view_settings (view_id, name) VALUES ('V', 'V');
                INSERT INTO tallies (tally_id, name, unit, period) VALUES ('T', 'T', 'hours', 'month');
            """)
    return dsn


def extracted(dsn: str, folder: Path, personnel_id: str) -> list[str]:
    """What the feed reads of the store now."""
    window, moment = MAPPING.window, datetime.fromisoformat(NOW)
    assert window is not None
    span = Span("window", moment.date(), moment.date(), past_days=window.past_days, future_days=window.future_days)
    found = extract_slots(dsn, folder, personnel_id=personnel_id, departments=None, span=span, now=moment)
    loaded = load_extract(found.slots, found.people, found.assignments, span=span, as_of=moment)
    return [frame.to_json(date_format="iso") for frame in (loaded.slots, loaded.people, loaded.assignments)]


@pytest.mark.parametrize(("table", "name"), _cases())
def test_a_column_that_an_extract_reads_wakes_the_feed(dsn, tmp_path, table, name):
    column = metadata.tables[f"schedule.{table}"].columns[name]
    kinds = [MAPPING, BY_SYSTEM, *(replace(MAPPING, feed=kind, personnel_id=kind) for kind in ("unique_id", "custom4"))]
    before = [extracted(dsn, tmp_path, mapping.personnel_id) for mapping in kinds]
    mark = look(dsn, []).seen
    old = query(dsn, f'SELECT "{name}" FROM {table} WHERE {ROWS[table]}')[0][0]
    with psycopg.connect(dsn) as store:
        store.execute(f'UPDATE {table} SET "{name}" = {_other_value(column)} WHERE {ROWS[table]}')
    try:
        after = [extracted(dsn, tmp_path, mapping.personnel_id) for mapping in kinds]
        concerned = look(dsn, [(mapping, mark) for mapping in kinds])
        assert concerned.changes > 0
        differ = {mapping.feed for mapping, then, now in zip(kinds, before, after, strict=True) if then != now}
        assert differ <= concerned.concerned
    finally:
        query(dsn, f'UPDATE {table} SET "{name}" = %s WHERE {ROWS[table]}', old)

"""Every change of every table is on record and wakes whoever listens; what changes nothing leaves no trace."""

from __future__ import annotations

import psycopg
import pytest

from include.database import transaction
from include.schedule.files import BY_TABLE
from tests.support.store import add_slot, fill, query

VALUES = {
    "departments": "('k', 'N', 'UTC')",
    "personnel": "('k', 'N', 'L', 'F', 'MD')",
    "personnel_ids": "('007', 'spok', '00012')",
    "memberships": "('007', 'ny', true)",
    "assignments": "('k', 'ny', 'N', 'n', 'Call')",
    "schedule_periods": "('k', 'ny', 'N', '2026-01-01', '2026-01-31')",
    "schedules": "('k', 'ny-2026', 'ny-call', NULL, '2026-01-05', '2026-01-05T07:00', '2026-01-05T19:00')",
    "requests": "('k', '007', NULL, 'Time Off', '2026-01-01', '2026-01-02', 'pending')",
    "view_settings": """('k', 'N', '007', '{"a": 1}')""",
    "tallies": "('k', 'N', NULL, NULL, 'hours', 'week')",
}
ENTITY_ID = {"personnel_ids": "007/spok", "memberships": "007/ny"}
# What a person could change in each table.
CHANGE = {
    "personnel_ids": ("value", "'00013'"),
    "memberships": ("is_primary", "false"),
    "schedules": ("note", "'Ask the desk'"),
    "requests": ("status", "'approved'"),
    "view_settings": ("settings", """'{"a": 2}'"""),
}


@pytest.fixture
def store(database):
    fill(database.schedule_dsn)
    query(database.schedule_dsn, "DELETE FROM change_logs")
    return database.schedule_dsn


def log(store: str, columns: str = "action, entity, entity_id") -> list[tuple[object, ...]]:
    return query(store, f"SELECT {columns} FROM change_logs ORDER BY change_id")


def test_every_table_is_covered():
    assert set(VALUES) == set(BY_TABLE) - {"change_logs"}


@pytest.mark.parametrize("table", VALUES)
def test_insert_update_delete(store, table):
    entity_id = ENTITY_ID.get(table, "k")
    key = " || '/' || ".join(BY_TABLE[table].key)
    this = f"WHERE {key} = '{entity_id}'"
    column, value = CHANGE.get(table, ("name", "'Other'") if table != "personnel" else ("display_name", "'Other'"))

    query(store, f"INSERT INTO {table} VALUES {VALUES[table]}")
    query(store, f"UPDATE {table} SET {column} = {column} {this}")  # changes nothing
    query(store, f"UPDATE {table} SET {column} = {value} {this}")
    query(store, f"DELETE FROM {table} {this}")
    query(store, f"DELETE FROM {table} {this}")  # finds nothing

    assert log(store) == [(action, table, entity_id) for action in ("insert", "update", "delete")]
    (_, inserted), (before, after), (deleted, _) = log(store, "old, new")
    assert inserted == before
    assert after == deleted
    assert {name for name in after if after[name] != before[name]} == {column, "modified_at"}
    assert log(store, "old IS NULL, new IS NULL") == [(True, False), (False, False), (False, True)]


def test_modified_at_is_kept_by_the_store(store):
    [(first,)] = query(
        store, "UPDATE personnel SET modified_at = '2001-01-01Z' WHERE emp_id = '007' RETURNING modified_at"
    )
    assert first.year > 2020
    assert log(store) == []
    [(second,)] = query(store, "UPDATE personnel SET pager = '1' WHERE emp_id = '007' RETURNING modified_at")
    assert second > first
    [(third,)] = query(store, "UPDATE personnel SET pager = '1' WHERE emp_id = '007' RETURNING modified_at")
    assert third == second


def test_a_changed_key_is_a_delete_and_an_insert(store):
    query(store, "INSERT INTO personnel VALUES ('a', 'A', 'L', 'F', 'MD'), ('b', 'B', 'L', 'F', 'MD')")
    query(store, "DELETE FROM change_logs")
    query(store, "UPDATE personnel SET emp_id = emp_id || '2' WHERE emp_id IN ('a')")
    assert sorted(log(store)) == [("delete", "personnel", "a"), ("insert", "personnel", "a2")]


def test_one_statement_records_each_of_its_rows(store):
    query(store, "UPDATE personnel SET pager = CASE WHEN emp_id = '007' THEN '1' END")
    assert log(store) == [("update", "personnel", "007")]
    query(
        store,
        "INSERT INTO personnel VALUES ('007', 'B', 'L', 'F', 'MD'), ('009', 'N', 'L', 'F', 'MD')"
        " ON CONFLICT (emp_id) DO UPDATE SET display_name = excluded.display_name",
    )
    assert sorted(log(store)[1:]) == [("insert", "personnel", "009"), ("update", "personnel", "007")]


def test_copy_is_a_writer_too(store):
    columns = "emp_id, display_name, personnel_type"
    with psycopg.connect(store) as connection, connection.cursor().copy(f"COPY personnel ({columns}) FROM STDIN") as to:
        to.write("0009\tN\tMD\n")
    assert log(store) == [("insert", "personnel", "0009")]


def test_who_changed_it(store, database):
    from sqlalchemy import text

    with transaction(store, user="maria") as connection:
        connection.execute(text("UPDATE personnel SET pager = '1' WHERE emp_id = '007'"))
    with transaction(store) as connection:  # the same pooled session: the user was the transaction's
        connection.execute(text("UPDATE personnel SET pager = '2' WHERE emp_id = '007'"))
    query(database.admin_dsn, "UPDATE schedule.personnel SET pager = '3' WHERE emp_id = '007'")

    assert log(store, "changed_by") == [("maria",), ("callboard_schedule",), ("postgres",)]


def test_a_writer_needs_no_right_on_the_log(store, database):
    query(database.admin_dsn, "GRANT SELECT, UPDATE ON schedule.personnel TO callboard_ledger")
    query(database.ledger_dsn, "UPDATE schedule.personnel SET pager = '1' WHERE emp_id = '007'")
    assert log(store, "changed_by, entity_id") == [("callboard_ledger", "007")]


def test_times_in_the_log_are_utc_whatever_the_writers_zone(store):
    with psycopg.connect(store, options="-c timezone=Asia/Kolkata") as connection:
        connection.execute("UPDATE schedule_periods SET published_at = '2026-01-01 05:30' WHERE period_id = 'ny-2026'")
    [(new,)] = log(store, "new")
    assert new["published_at"] == "2026-01-01T00:00:00+00:00"


def test_truncate_is_refused(store):
    for table in VALUES:
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="Use DELETE"):
            query(store, f"TRUNCATE {table} CASCADE")


def test_a_rolled_back_writer_leaves_and_wakes_nothing(store):
    with psycopg.connect(store, autocommit=True) as listener, psycopg.connect(store) as writer:
        listener.execute("LISTEN callboard_changes")
        writer.execute("UPDATE personnel SET pager = '1'")
        writer.rollback()
        assert list(listener.notifies(timeout=0.2)) == []
    assert log(store) == []
    assert query(store, "SELECT pager FROM personnel WHERE pager IS NOT NULL") == []


def test_a_commit_wakes_once_and_a_change_of_nothing_does_not(store):
    with psycopg.connect(store, autocommit=True) as listener, psycopg.connect(store) as writer:
        listener.execute("LISTEN callboard_changes")
        writer.execute("UPDATE personnel SET pager = '1'")
        writer.execute("UPDATE departments SET facility = 'Main'")
        writer.commit()
        assert len(list(listener.notifies(timeout=5, stop_after=1))) == 1
        writer.execute("UPDATE personnel SET pager = '1'")
        writer.commit()
        assert list(listener.notifies(timeout=0.2)) == []


def test_a_lower_number_that_commits_later_is_found_by_its_transaction(store):
    """What a watcher relies on: a snapshot knows which transactions it has not seen, a number does not."""
    with psycopg.connect(store) as slow, psycopg.connect(store) as fast:
        slow.execute("UPDATE personnel SET pager = '1' WHERE emp_id = '007'")
        fast.execute("UPDATE personnel SET pager = '1' WHERE emp_id = '008'")
        fast.commit()
        [(highest, snapshot)] = query(store, "SELECT max(change_id), pg_current_snapshot()::text FROM change_logs")
        slow.commit()
    unseen = "SELECT entity_id, change_id FROM change_logs WHERE NOT pg_visible_in_snapshot(xid, %s::pg_snapshot)"
    [(entity_id, change_id)] = query(store, unseen, snapshot)
    assert entity_id == "007"
    assert change_id < highest


def test_slots_are_recorded_with_their_department(store):
    add_slot(store, "S1", "ny", start_local="2026-01-05T07:00", stop_local="2026-01-05T19:00")
    [(new,)] = log(store, "new")
    assert new["department_id"] == "ny"
    assert new["start_utc"] == "2026-01-05T12:00:00+00:00"

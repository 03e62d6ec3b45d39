"""Whom a change of the store concerns: every table, old and new values; and that no change is skipped, however late."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from include.mappings.frozen import thaw
from include.sources.changes import look, writer_of
from tests.support.store import add_slot, fill, query

FEED = "epic"
NOW = "2026-06-01T12:00:00Z"
MAPPING = thaw(
    b'{"destination":{},"environment":"production","feed":"epic","form":1,"integration":"epic_on_call_finder",'
    b'"layout":null,"limits":{},"lists":{},"personnel_id":"custom1","personnel_id_pattern":null,'
    b'"personnel_id_roster":null,"recipients":{},"schedule":"* * * * *","settings":{},"side_tables":{},'
    b'"status":"default-unconfirmed","table":[{"assignment_id":"ny-call"},{"assignment_id":"la-call"},'
    b'{"assignment_id":"berlin-call","ignore":true}],"time_zone":null,"window":{"past_days":1,"future_days":14}}'
)
BY_SYSTEM = replace(MAPPING, feed="by_system", personnel_id="ids.epic")
TODAY = {"start_local": "2026-06-01T07:00", "stop_local": "2026-06-01T19:00"}


@pytest.fixture
def dsn(database, monkeypatch):
    """A store with a slot of each department today, one long past, and one of a draft period."""
    monkeypatch.setenv("CALLBOARD_NOW", NOW)
    fill(database.schedule_dsn)
    for department in ("ny", "la", "berlin"):
        add_slot(database.schedule_dsn, f"S-{department}", department, **TODAY)
    add_slot(database.schedule_dsn, "S-past", "ny", start_local="2026-03-01T07:00", stop_local="2026-03-01T19:00")
    add_slot(database.schedule_dsn, "S-future", "ny", start_local="2026-09-01T07:00", stop_local="2026-09-01T19:00")
    query(
        database.schedule_dsn,
        "INSERT INTO schedule_periods VALUES ('draft', 'ny', 'Draft', '2026-01-01', '2026-12-31', NULL)",
    )
    add_slot(database.schedule_dsn, "S-draft", "ny", period_id="draft", **TODAY)
    query(
        database.schedule_dsn, "INSERT INTO personnel (emp_id, display_name, personnel_type) VALUES ('009', 'N', 'MD')"
    )
    return database.schedule_dsn


def seen_now(dsn: str) -> str:
    """A mark before which everything is done with."""
    return look(dsn, []).seen


def woken(dsn: str, *statements: str, mapping: Any = MAPPING, user: str | None = None) -> bool:
    """Whether the feed is concerned by what these statements change, in one transaction."""
    mark = seen_now(dsn)
    with psycopg.connect(dsn) as store:
        if user:
            store.execute("SELECT set_config('callboard.user', %s, true)", [user])
        for statement in statements:
            store.execute(statement)
    return mapping.feed in look(dsn, [(mapping, mark)]).concerned


CONCERNED = [
    # A slot of the feed, and whatever of it changes.
    "UPDATE schedules SET note = 'Call the desk' WHERE slot_id = 'S-ny'",
    "UPDATE schedules SET emp_id = '008' WHERE slot_id = 'S-la'",
    "UPDATE schedules SET emp_id = NULL WHERE slot_id = 'S-ny'",
    "UPDATE schedules SET is_pending = true WHERE slot_id = 'S-ny'",
    "DELETE FROM schedules WHERE slot_id = 'S-ny'",
    (
        "INSERT INTO schedules (slot_id, period_id, assignment_id, slot_date, start_local, stop_local)"
        " VALUES ('NEW', 'ny-2026', 'ny-call', '2026-06-02', '2026-06-02T07:00', '2026-06-02T19:00')"
    ),
    # It was the feed's, or becomes it.
    (
        "UPDATE schedules SET start_local = '2026-09-02T07:00', stop_local = '2026-09-02T19:00',"
        " slot_date = '2026-09-02', start_utc = NULL, stop_utc = NULL WHERE slot_id = 'S-ny'"
    ),
    (
        "UPDATE schedules SET start_local = '2026-06-03T07:00', stop_local = '2026-06-03T19:00',"
        " slot_date = '2026-06-03', start_utc = NULL, stop_utc = NULL WHERE slot_id = 'S-future'"
    ),
    "UPDATE schedules SET assignment_id = 'ny-other' WHERE slot_id = 'S-ny'",
    "UPDATE schedules SET period_id = 'draft' WHERE slot_id = 'S-ny'",
    "UPDATE schedules SET period_id = 'ny-2026' WHERE slot_id = 'S-draft'",
    # Somebody who holds one, or whose ID is no longer theirs alone.
    "UPDATE personnel SET pager = '555-0100' WHERE emp_id = '007'",
    "UPDATE personnel SET display_name = 'Bond, James' WHERE emp_id = '007'",
    "UPDATE personnel SET custom1 = '0044' WHERE emp_id = '007'",
    "UPDATE personnel SET custom1 = '0042' WHERE emp_id = '009'",
    "INSERT INTO personnel (emp_id, display_name, personnel_type, custom1) VALUES ('X', 'X', 'MD', '0042')",
    "UPDATE personnel SET active = false WHERE emp_id = '008'",
    # What it is called, and whose it is.
    "UPDATE assignments SET information = 'Ask the other desk' WHERE assignment_id = 'ny-call'",
    "UPDATE departments SET name = 'New York' WHERE department_id = 'ny'",
    "UPDATE departments SET time_zone = 'America/Chicago' WHERE department_id = 'ny'",
    # A period is published, or no longer.
    "UPDATE schedule_periods SET published_at = NULL WHERE period_id = 'ny-2026'",
    "UPDATE schedule_periods SET published_at = '2026-05-01 00:00Z' WHERE period_id = 'draft'",
]
NOT_CONCERNED = [
    "UPDATE schedules SET note = 'x' WHERE slot_id = 'S-past'",
    "UPDATE schedules SET note = 'x' WHERE slot_id = 'S-future'",
    "UPDATE schedules SET note = 'x' WHERE slot_id = 'S-draft'",
    "UPDATE schedules SET note = 'x' WHERE slot_id = 'S-berlin'",  # its assignment is ignored
    "DELETE FROM schedules WHERE slot_id = 'S-past'",
    "UPDATE personnel SET pager = '555-0100' WHERE emp_id = '008'",  # holds nothing
    "UPDATE personnel SET npi = '1' WHERE emp_id = '007'",
    "UPDATE personnel SET custom2 = '1' WHERE emp_id = '007'",
    "UPDATE personnel SET active = false WHERE emp_id = '009'",  # has no ID that another could have
    "INSERT INTO personnel_ids (emp_id, system, value) VALUES ('007', 'epic', '1')",
    "INSERT INTO memberships (emp_id, department_id) VALUES ('007', 'ny')",
    (
        "INSERT INTO requests (request_id, emp_id, request_type, start_date, end_date, status)"
        " VALUES ('R', '007', 'Swap', '2026-06-01', '2026-06-01', 'pending')"
    ),
    "INSERT INTO tallies (tally_id, name, unit, period) VALUES ('T', 'T', 'hours', 'month')",
    "INSERT INTO view_settings (view_id, name) VALUES ('V', 'V')",
    "UPDATE assignments SET information = 'x' WHERE assignment_id = 'berlin-call'",
    "UPDATE schedule_periods SET name = 'x' WHERE period_id = 'ny-2026'",
    "UPDATE departments SET active = false WHERE department_id = 'ny'",
    "UPDATE schedules SET note = note WHERE slot_id = 'S-ny'",  # nothing changed
]


@pytest.fixture(autouse=True)
def _another_assignment(dsn):
    query(dsn, "INSERT INTO assignments (assignment_id, department_id, name, assignment_type) VALUES"
               " ('ny-other', 'ny', 'Other', 'Call')")  # fmt: skip


@pytest.mark.parametrize("statement", CONCERNED)
def test_what_matters_to_the_feed_wakes_it(dsn, statement):
    assert woken(dsn, statement)


@pytest.mark.parametrize("statement", NOT_CONCERNED)
def test_what_does_not_matter_lets_it_sleep(dsn, statement):
    assert not woken(dsn, statement)


def test_ids_of_another_kind_are_looked_for_where_they_are(dsn):
    new = "INSERT INTO personnel_ids (emp_id, system, value) VALUES ('007', '{}', '1')"
    assert woken(dsn, new.format("epic"), mapping=BY_SYSTEM)
    assert not woken(dsn, new.format("kronos"), mapping=BY_SYSTEM)
    assert woken(dsn, "DELETE FROM personnel_ids WHERE system = 'epic'", mapping=BY_SYSTEM)
    assert not woken(dsn, "UPDATE personnel SET custom1 = '9' WHERE emp_id = '007'", mapping=BY_SYSTEM)


def test_a_feed_of_some_departments_is_not_concerned_by_others(dsn):
    limited = replace(MAPPING, departments=frozenset({"la"}))
    for department, expected in (("ny", False), ("la", True)):
        assert (
            woken(dsn, f"UPDATE schedules SET note = 'a' WHERE slot_id = 'S-{department}'", mapping=limited) is expected
        )
        rename = f"UPDATE departments SET name = 'a' WHERE department_id = '{department}'"
        assert woken(dsn, rename, mapping=limited) is expected


def test_what_a_feeds_own_run_writes_does_not_wake_it_and_does_wake_others(dsn):
    change = "UPDATE schedules SET note = '{}' WHERE slot_id = 'S-ny'"
    assert not woken(dsn, change.format("a"), user=writer_of(FEED))
    assert woken(dsn, change.format("b"), user=writer_of("another"))


def test_a_change_that_is_committed_later_than_a_younger_one_is_not_skipped(dsn):
    """A mark that were a number would be beyond it."""
    mark = seen_now(dsn)
    with psycopg.connect(dsn) as late, psycopg.connect(dsn) as early:
        late.execute("UPDATE schedules SET note = 'late' WHERE slot_id = 'S-ny'")  # has the lower number
        early.execute("UPDATE schedules SET note = 'early' WHERE slot_id = 'S-past'")
        early.commit()
        first = look(dsn, [(MAPPING, mark)])
        assert (first.concerned, first.changes) == (frozenset(), 1)
        late.commit()
    second = look(dsn, [(MAPPING, first.seen)])
    assert (second.concerned, second.changes) == ({FEED}, 1)
    assert look(dsn, [(MAPPING, second.seen)]).changes == 0


def test_what_is_rolled_back_was_never_there(dsn):
    mark = seen_now(dsn)
    with psycopg.connect(dsn) as store:
        store.execute("UPDATE schedules SET note = 'x' WHERE slot_id = 'S-ny'")
        store.rollback()
    assert look(dsn, [(MAPPING, mark)]).changes == 0


def test_feeds_are_judged_from_their_own_marks_at_one_moment(dsn):
    change = "UPDATE schedules SET note = '{}' WHERE slot_id = 'S-ny'"
    old = seen_now(dsn)
    query(dsn, change.format("a"))
    new = seen_now(dsn)
    other, unmarked = replace(MAPPING, feed="other"), replace(MAPPING, feed="unmarked")
    found = look(dsn, [(MAPPING, new), (other, old), (unmarked, None)])
    assert (found.concerned, found.changes) == ({"other"}, 1)
    query(dsn, "UPDATE personnel SET pager = '1' WHERE emp_id = '007'")  # who holds a slot is found after a break, too
    found = look(dsn, [(other, old), (MAPPING, new)])
    assert found.concerned == {"other", FEED}
    assert look(dsn, [(MAPPING, found.seen), (other, found.seen)]).changes == 0


def test_it_reads_no_further_than_it_must(dsn):
    mark = seen_now(dsn)
    for number in range(50):
        query(dsn, f"UPDATE schedules SET note = '{number}' WHERE slot_id = 'S-ny'")
    assert look(dsn, [(MAPPING, mark)]).changes < 50
    assert look(dsn, []).concerned == frozenset()


#: No date of Python's goes so far.
FAR_AWAY = """{
    "period_id": "ny-2026", "assignment_id": "ny-call", "department_id": "ny",
    "start_utc": "12000-01-01T00:00:00+00:00", "stop_utc": "12000-01-02T00:00:00+00:00"
}"""


def test_a_colleague_who_is_active_again_may_carry_the_same_id(dsn):
    """Then it is nobody's; the ID is in a table of its own, and its row did not change."""
    query(dsn, "INSERT INTO personnel_ids (emp_id, system, value) VALUES ('007', 'epic', '1'), ('009', 'epic', '1')")
    for active in (False, True):
        assert woken(dsn, f"UPDATE personnel SET active = {active} WHERE emp_id = '009'", mapping=BY_SYSTEM)


@pytest.mark.parametrize(
    ("entity", "new"),
    [
        ("schedules", '{"period_id": "ny-2026", "assignment_id": "ny-call"}'),
        ("schedules", FAR_AWAY),
        ("personnel", "[1]"),
        ("departments", '"?"'),
    ],
)
def test_a_change_that_nobody_understands_wakes_the_feed(dsn, entity, new):
    """A history that was restored says what it says; and a waker that stops at a row would stop there for ever."""
    assert woken(
        dsn, f"INSERT INTO change_logs (entity, entity_id, action, new) VALUES ('{entity}', 'X', 'insert', '{new}')"
    )


def test_a_change_log_of_another_database_server_wakes_nobody_for_ever(dsn):
    """A restored backup: its transactions have numbers that this server has yet to reach."""
    query(
        dsn,
        "INSERT INTO change_logs (entity, entity_id, action, old, new, xid) SELECT 'schedules', 'S-ny', 'update',"
        " to_jsonb(s), to_jsonb(s), '900000000' FROM schedules AS s WHERE slot_id = 'S-ny'",
    )
    found = look(dsn, [(MAPPING, seen_now(dsn))])
    assert (found.concerned, found.changes) == (frozenset(), 0)

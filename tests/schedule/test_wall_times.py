"""Local and UTC times of slots agree, whoever writes them with whatever program."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.errors import CheckViolation, ForeignKeyViolation, InvalidParameterValue

from tests.support.store import ZONES, add_slot, fill, query

# (department, local time that is skipped, local time that comes twice, its two instants)
NIGHTS = [
    ("ny", "2026-03-08T02:30", "2026-11-01T01:30", ("2026-11-01T05:30Z", "2026-11-01T06:30Z")),
    ("la", "2026-03-08T02:30", "2026-11-01T01:30", ("2026-11-01T08:30Z", "2026-11-01T09:30Z")),
    ("berlin", "2026-03-29T02:30", "2026-10-25T02:30", ("2026-10-25T00:30Z", "2026-10-25T01:30Z")),
]


@pytest.fixture
def store(database):
    fill(database.schedule_dsn)
    return database.schedule_dsn


def times(store: str, slot_id: str) -> tuple[str, str, str, str]:
    [row] = query(
        store,
        "SELECT start_local, stop_local, start_utc AT TIME ZONE 'UTC', stop_utc AT TIME ZONE 'UTC'"
        " FROM schedules WHERE slot_id = %s",
        slot_id,
    )
    return tuple(f"{moment:%m-%dT%H:%M}" for moment in row)


@pytest.mark.parametrize(("department", "skipped", "twice", "instants"), NIGHTS)
def test_the_nights_of_the_changing_clocks(store, department, skipped, twice, instants):
    day = {"slot_date": twice[:10]}
    with pytest.raises(CheckViolation, match="does not exist"):
        add_slot(store, "S1", department, start_local=skipped, stop_local=f"{skipped[:10]}T12:00")
    with pytest.raises(CheckViolation, match="ambiguous"):
        add_slot(store, "S1", department, start_local=twice, stop_local=f"{twice[:10]}T12:00")
    with pytest.raises(CheckViolation, match="ambiguous"):
        add_slot(store, "S1", department, start_local=f"{twice[:10]}T00:10", stop_local=twice)

    for number, instant in enumerate(instants):  # both are right: the writer says which
        add_slot(
            store, f"S{number}", department, start_local=twice, start_utc=instant, stop_local=f"{twice[:10]}T12:00"
        )
        assert query(store, "SELECT start_utc = %s FROM schedules WHERE slot_id = %s", instant, f"S{number}") == [
            (True,)
        ]

    add_slot(store, "zero", department, **day, start_utc=instants[0], stop_utc=instants[1])
    start_local, stop_local, *_ = times(store, "zero")
    assert start_local == stop_local  # an hour of work between two equal wall times
    with pytest.raises(CheckViolation, match="slot_stops_after_it_starts"):
        add_slot(store, "back", department, **day, start_utc=instants[1], stop_utc=instants[0])


def test_both_given_must_agree(store):
    agree = {"start_local": "2026-01-05T07:00", "stop_local": "2026-01-05T19:00", "stop_utc": "2026-01-06T00:00Z"}
    add_slot(store, "S1", "ny", **agree, start_utc="2026-01-05T12:00Z")
    with pytest.raises(CheckViolation, match="disagree"):
        add_slot(store, "S2", "ny", **agree, start_utc="2026-01-05T12:01Z")
    with pytest.raises(CheckViolation, match="disagree"):
        add_slot(store, "S2", "ny", **agree | {"stop_utc": "2026-01-06T01:00Z"})


def test_what_a_writer_changes_alone_moves_the_other(store):
    add_slot(store, "S1", "ny", start_local="2026-01-05T07:00", stop_local="2026-01-05T19:00")
    assert times(store, "S1") == ("01-05T07:00", "01-05T19:00", "01-05T12:00", "01-06T00:00")

    query(store, "UPDATE schedules SET stop_local = '2026-01-05T20:00'")
    assert times(store, "S1") == ("01-05T07:00", "01-05T20:00", "01-05T12:00", "01-06T01:00")

    query(store, "UPDATE schedules SET start_utc = '2026-01-05T13:00Z'")
    assert times(store, "S1") == ("01-05T08:00", "01-05T20:00", "01-05T13:00", "01-06T01:00")

    with pytest.raises(CheckViolation, match="disagree"):
        query(store, "UPDATE schedules SET start_utc = '2026-01-05T14:00Z', start_local = '2026-01-05T08:30'")
    with pytest.raises(CheckViolation, match="does not exist"):
        query(store, "UPDATE schedules SET stop_local = '2026-03-08T02:30'")
    with pytest.raises(CheckViolation, match="slot_stops_after_it_starts"):
        query(store, "UPDATE schedules SET stop_local = '2026-01-05T07:59'")


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    zone=st.sampled_from([*ZONES.values(), "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns"]),
    minutes=st.lists(st.integers(0, 525_599), min_size=20, max_size=20),
    night=st.sampled_from(["03-08", "03-29", "04-05", "10-04", "10-25", "11-01"]),
)
def test_instants_are_those_of_zoneinfo(database, zone, minutes, night):
    """Every wall time is one instant, none or two; the store and Python agree on which."""
    around = datetime.fromisoformat(f"2026-{night}T00:00")
    moments = [datetime.fromisoformat("2026-01-01") + timedelta(minutes=minute) for minute in minutes]
    moments += [around + timedelta(minutes=minute) for minute in range(0, 240, 15)]
    with psycopg.connect(database.schedule_dsn, autocommit=True) as connection:
        for wall in moments:
            candidates = {wall.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)}
            real = {at for at in candidates if at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wall}
            try:
                row = connection.execute("SELECT instant_of(%s, %s)", [wall, zone]).fetchone()
            except CheckViolation as error:
                assert len(real) != 1, wall
                assert ("ambiguous" in str(error)) is (len(real) == 2)
            else:
                assert {row[0]} == real


def test_a_departments_new_zone_keeps_the_wall_clock(store):
    add_slot(store, "S1", "ny", start_local="2026-01-05T07:00", stop_local="2026-01-05T19:00")
    add_slot(store, "S2", "la", start_local="2026-01-05T07:00", stop_local="2026-01-05T19:00")

    query(store, "UPDATE departments SET time_zone = 'America/Denver' WHERE department_id = 'ny'")

    assert times(store, "S1") == ("01-05T07:00", "01-05T19:00", "01-05T14:00", "01-06T02:00")
    assert times(store, "S2")[2] == "01-05T15:00"
    assert query(store, "SELECT action FROM change_logs WHERE entity_id = 'S1' ORDER BY change_id") == [
        ("insert",),
        ("update",),
    ]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "EST5EDT4,M3", "FOO+3", "posixrules", "", "-05:00"])
def test_only_iana_zones(store, zone):
    with pytest.raises((CheckViolation, InvalidParameterValue)):
        query(store, "INSERT INTO departments (department_id, name, time_zone) VALUES ('x', 'X', %s)", zone)
    with pytest.raises((CheckViolation, InvalidParameterValue)):
        query(store, "UPDATE departments SET time_zone = %s WHERE department_id = 'ny'", zone)
    assert query(store, "SELECT count(*) FROM departments WHERE time_zone = %s", zone) == [(0,)]


def test_a_slot_belongs_to_its_assignments_department_for_good(store):
    add_slot(store, "S1", "ny", start_local="2026-01-05T07:00", stop_local="2026-01-05T19:00", department_id="la")
    assert query(store, "SELECT department_id FROM schedules") == [("ny",)]

    with pytest.raises(CheckViolation, match="keeps its department"):
        query(store, "UPDATE schedules SET assignment_id = 'la-call', period_id = 'la-2026'")
    with pytest.raises(ForeignKeyViolation, match="slot_and_period_of_one_department"):
        query(store, "UPDATE schedules SET period_id = 'la-2026'")
    with pytest.raises(ForeignKeyViolation):
        query(store, "UPDATE assignments SET department_id = 'la' WHERE assignment_id = 'ny-call'")
    with pytest.raises(ForeignKeyViolation, match="assignment does not exist"):
        query(store, "UPDATE schedules SET assignment_id = 'nowhere'")
    with pytest.raises(ForeignKeyViolation):
        query(store, "DELETE FROM personnel WHERE emp_id = '007'")


def test_a_slot_lies_within_its_period(store):
    with pytest.raises(CheckViolation, match="outside the schedule period"):
        add_slot(store, "S1", "ny", start_local="2027-01-01T07:00", stop_local="2027-01-01T19:00")
    add_slot(store, "S1", "ny", start_local="2026-12-31T07:00", stop_local="2027-01-02T19:00")

    with pytest.raises(CheckViolation, match="leave out some of its slots"):
        query(store, "UPDATE schedule_periods SET end_date = '2026-12-30' WHERE period_id = 'ny-2026'")
    with psycopg.connect(store) as connection:  # one transaction may pass through a wrong state
        connection.execute("UPDATE schedule_periods SET end_date = '2026-12-30' WHERE period_id = 'ny-2026'")
        connection.execute("UPDATE schedules SET slot_date = '2026-12-30'")


def test_a_period_cannot_shrink_behind_a_writers_back(store):
    """A slot that is not committed yet counts: the other writer waits for it and is refused."""
    with psycopg.connect(store) as writer, psycopg.connect(store, autocommit=True) as other:
        writer.execute(
            "INSERT INTO schedules (slot_id, period_id, assignment_id, slot_date, start_local, stop_local)"
            " VALUES ('S1', 'ny-2026', 'ny-call', '2026-12-31', '2026-12-31T07:00', '2026-12-31T19:00')"
        )
        other.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("UPDATE schedule_periods SET end_date = '2026-12-30' WHERE period_id = 'ny-2026'")


def test_a_slot_far_outside_our_age_is_refused(store):
    with pytest.raises(CheckViolation, match="slot_of_this_age"):
        add_slot(store, "S1", "ny", slot_date="2026-01-05", start_local="2026-01-05T07:00", stop_utc="infinity")


def test_a_second_is_not_lost(store):
    stop = "2026-01-05T19:00:01"
    add_slot(store, "S1", "ny", start_local="2026-01-05T07:00", stop_local=stop)
    [(found,)] = query(store, "SELECT stop_utc - start_utc FROM schedules")
    assert found == timedelta(hours=12, seconds=1)

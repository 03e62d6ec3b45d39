"""What is known about slots that were not extracted."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from include.sources.facts import SlotFacts, locate_slot, slots_of_person
from tests.support.store import add_slot, fill, query


@pytest.fixture
def dsn(database, monkeypatch):
    monkeypatch.setenv("CALLBOARD_NOW", "2026-06-01T12:00Z")
    fill(database.schedule_dsn)
    add_slot(database.schedule_dsn, "S1", "ny", start_local="2026-05-31T19:00", stop_local="2026-06-01T07:00")
    return database.schedule_dsn


LIVE = SlotFacts(
    slot_id="S1",
    deleted=False,
    published=True,
    department_id="ny",
    slot_date=date(2026, 5, 31),
    start_utc=datetime(2026, 5, 31, 23, tzinfo=UTC),
    stop_utc=datetime(2026, 6, 1, 11, tzinfo=UTC),
)


def test_a_live_slot(dsn):
    assert locate_slot(dsn, "S1") == LIVE
    assert locate_slot(dsn, "never") is None


@pytest.mark.parametrize("published_at", [None, "2026-06-01T12:00:01Z"])
def test_a_draft(dsn, published_at):
    query(dsn, "UPDATE schedule_periods SET published_at = %s", published_at)
    facts = locate_slot(dsn, "S1")
    assert facts is not None
    assert (facts.published, facts.deleted) == (False, False)


def test_a_deleted_slot_is_known_by_the_change_log(dsn):
    query(dsn, "UPDATE schedules SET stop_local = '2026-06-01T08:00'")
    query(dsn, "DELETE FROM schedules")
    facts = locate_slot(dsn, "S1")
    assert facts is not None
    assert (facts.deleted, facts.published, facts.slot_date) == (True, False, date(2026, 5, 31))
    assert facts.stop_utc == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert [found.slot_id for found in slots_of_person(dsn, "007", date(2026, 6, 1))] == ["S1"]

    add_slot(dsn, "S1", "ny", start_local="2026-05-31T19:00", stop_local="2026-06-01T07:00")
    assert locate_slot(dsn, "S1") == LIVE
    assert slots_of_person(dsn, "007", date(2026, 6, 1)) == [LIVE]


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2026-05-30", []), ("2026-05-31", ["S1"]), ("2026-06-01", ["S1", "S2"]), ("2026-06-02", ["S3"])],
)
def test_a_persons_day_is_what_touches_it_or_is_dated_on_it(dsn, day, expected):
    add_slot(dsn, "S2", "la", start_local="2026-06-01T19:00", stop_local="2026-06-02T00:00")
    add_slot(dsn, "S3", "ny", slot_date="2026-06-02", start_local="2026-06-03T01:00", stop_local="2026-06-03T07:00")
    add_slot(dsn, "S4", "ny", start_local="2026-06-01T19:00", stop_local="2026-06-02T07:00", emp_id="008")
    assert [facts.slot_id for facts in slots_of_person(dsn, "007", date.fromisoformat(day))] == expected

"""What is known about slots that were not extracted."""

from __future__ import annotations

from dataclasses import replace
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
    changed_at=datetime.max.replace(tzinfo=UTC),  # compared apart: it is real time
)


def without_change(facts: SlotFacts | None) -> SlotFacts:
    assert facts is not None
    return replace(facts, changed_at=LIVE.changed_at)


def test_a_live_slot(dsn):
    assert without_change(locate_slot(dsn, "S1")) == LIVE
    assert locate_slot(dsn, "never") is None


def test_a_change_of_a_slot_or_of_its_period_is_a_change_and_a_removal_is_the_last(dsn):
    seen = [locate_slot(dsn, "S1")]
    for statement in (
        "UPDATE schedules SET note = 'door 3'",
        "UPDATE schedule_periods SET published_at = published_at - interval '1 day'",
        "DELETE FROM schedules",
    ):
        query(dsn, statement)
        seen.append(locate_slot(dsn, "S1"))
    times = [facts.changed_at for facts in seen if facts is not None]
    assert len(times) == 4
    assert times == sorted(set(times))


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
    assert without_change(locate_slot(dsn, "S1")) == LIVE
    assert [without_change(facts) for facts in slots_of_person(dsn, "007", date(2026, 6, 1))] == [LIVE]


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2026-05-30", []), ("2026-05-31", ["S1"]), ("2026-06-01", ["S1", "S2"]), ("2026-06-02", ["S3"])],
)
def test_a_persons_day_is_what_touches_it_or_is_dated_on_it(dsn, day, expected):
    add_slot(dsn, "S2", "la", start_local="2026-06-01T19:00", stop_local="2026-06-02T00:00")
    add_slot(dsn, "S3", "ny", slot_date="2026-06-02", start_local="2026-06-03T01:00", stop_local="2026-06-03T07:00")
    add_slot(dsn, "S4", "ny", start_local="2026-06-01T19:00", stop_local="2026-06-02T07:00", emp_id="008")
    assert [facts.slot_id for facts in slots_of_person(dsn, "007", date.fromisoformat(day))] == expected

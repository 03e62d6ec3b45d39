"""What is known about slots, now and at an earlier moment, from the store and its change log."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.sources.facts import Former, SlotFacts, changes_since, slots_at, slots_of_person
from include.sources.people import carriers_of, is_known, sharers_of_id
from tests.support.store import add_slot, fill, query

if TYPE_CHECKING:
    from typing import Any


@pytest.fixture
def dsn(database, monkeypatch):
    monkeypatch.setenv("CALLBOARD_NOW", "2026-06-01T12:00Z")
    fill(database.schedule_dsn)
    add_slot(database.schedule_dsn, "S1", "ny", start_local="2026-05-31T19:00", stop_local="2026-06-01T07:00")
    return database.schedule_dsn


LIVE = SlotFacts(
    slot_id="S1",
    standing="live",
    department_id="ny",
    time_zone="America/New_York",
    pay_group=None,
    period_id="ny-2026",
    published=True,
    published_at=datetime(2025, 12, 1, tzinfo=UTC),
    assignment_id="ny-call",
    emp_id="007",
    slot_date=date(2026, 5, 31),
    start_local=datetime.fromisoformat("2026-05-31T19:00"),
    stop_local=datetime.fromisoformat("2026-06-01T07:00"),
    start_utc=datetime(2026, 5, 31, 23, tzinfo=UTC),
    stop_utc=datetime(2026, 6, 1, 11, tzinfo=UTC),
)


def now(dsn: str) -> datetime:
    [(moment,)] = query(dsn, "SELECT clock_timestamp()")
    return moment


def s1(dsn: str, at: datetime | None = None) -> SlotFacts | None:
    return slots_at(dsn, ["S1"], at).get("S1")


def held(dsn: str, emp_id: str, day: str, at: datetime | None = None) -> list[str]:
    slots, _ = slots_of_person(dsn, emp_id, date.fromisoformat(day), at)
    return [slot.slot_id for slot in slots]


def test_a_live_slot(dsn):
    assert s1(dsn) == LIVE
    assert slots_at(dsn, ["never", "S1", "nor"]) == {"S1": LIVE}
    assert slots_at(dsn, []) == {}


@pytest.mark.parametrize("published_at", [None, "2026-06-01T12:00:01Z"])
def test_a_draft(dsn, published_at):
    query(dsn, "UPDATE schedule_periods SET published_at = %s", published_at)
    facts = s1(dsn)
    assert facts is not None
    assert (facts.published, facts.standing) == (False, "live")
    assert facts.published_at == (datetime.fromisoformat(published_at) if published_at else None)
    later = slots_at(dsn, ["S1"], now=datetime(2026, 6, 1, 12, 0, 1, tzinfo=UTC))["S1"]
    assert later.published is (published_at is not None)


def test_a_deleted_slot_is_known_by_the_change_log(dsn):
    query(dsn, "UPDATE schedules SET stop_local = '2026-06-01T08:00'")
    query(dsn, "SELECT set_config('callboard.user', 'dispatcher', false)")
    before = now(dsn)
    query(dsn, "DELETE FROM schedules")
    facts = s1(dsn)
    assert facts is not None
    assert (facts.standing, facts.slot_date) == ("deleted", date(2026, 5, 31))
    assert facts.stop_utc == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert facts.deleted_by == "callboard_schedule"  # the setting was of another session
    assert facts.deleted_at is not None
    assert before < facts.deleted_at < now(dsn)
    assert held(dsn, "007", "2026-06-01") == ["S1"]

    add_slot(dsn, "S1", "ny", start_local="2026-05-31T19:00", stop_local="2026-06-01T07:00")
    assert s1(dsn) == LIVE
    assert held(dsn, "007", "2026-06-01") == ["S1"]


def test_a_slot_is_what_it_was_at_the_moment_asked_about(dsn):
    begun = now(dsn)
    query(dsn, "UPDATE schedules SET emp_id = '008'")
    given_away = now(dsn)
    query(dsn, "UPDATE schedule_periods SET published_at = NULL WHERE period_id = 'ny-2026'")
    withdrawn = now(dsn)
    query(dsn, "DELETE FROM schedules")
    gone = now(dsn)
    add_slot(dsn, "S2", "la", start_local="2026-06-01T19:00", stop_local="2026-06-02T00:00")
    query(dsn, "DELETE FROM schedules")

    assert s1(dsn, begun) == LIVE
    assert s1(dsn, given_away) == replace(LIVE, emp_id="008")
    assert s1(dsn, withdrawn) == replace(LIVE, emp_id="008", published=False, published_at=None)
    late = s1(dsn, gone)
    assert late is not None
    assert late.standing == "deleted"
    [(_, new)] = slots_at(dsn, ["S2"], gone).items()
    assert (new.standing, new.time_zone) == ("not_yet", "America/Los_Angeles")
    [(_, new)] = slots_at(dsn, ["S2"]).items()
    assert new.standing == "deleted"


def test_where_the_change_log_ends_a_slot_was_always_what_it_is(dsn):
    begun = now(dsn)
    query(dsn, "UPDATE schedules SET emp_id = '008'")
    query(dsn, "DELETE FROM change_logs")
    assert s1(dsn, begun) == replace(LIVE, emp_id="008")
    query(dsn, "DELETE FROM schedules")
    query(dsn, "DELETE FROM change_logs")
    assert s1(dsn) is None


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.sampled_from(["give", "note", "delete", "enter", "publish", "withdraw"]), max_size=12))
def test_any_history_is_told_as_it_was(dsn, edits):
    """Whatever was seen at a moment is what is said about that moment later."""
    query(dsn, "DELETE FROM schedules")
    seen: list[tuple[datetime, Any]] = []
    for number, edit in enumerate(edits):
        match edit:
            case "give":
                query(dsn, "UPDATE schedules SET emp_id = CASE emp_id WHEN '007' THEN '008' ELSE '007' END")
            case "note":
                query(dsn, "UPDATE schedules SET note = %s", str(number))
            case "delete":
                query(dsn, "DELETE FROM schedules")
            case "enter" if s1(dsn) is None or s1(dsn).standing != "live":
                add_slot(dsn, "S1", "ny", start_local=f"2026-06-{number + 1:02}T07:00", stop_local="2026-07-01T07:00")
            case "publish":
                query(dsn, "UPDATE schedule_periods SET published_at = '2026-01-01Z'")
            case "withdraw":
                query(dsn, "UPDATE schedule_periods SET published_at = NULL")
        seen.append((now(dsn), s1(dsn)))
    for moment, facts in seen:
        assert s1(dsn, moment) == facts


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2026-05-30", []), ("2026-05-31", ["S1"]), ("2026-06-01", ["S1", "S2"]), ("2026-06-02", ["S3"])],
)
def test_a_persons_day_is_what_touches_it_or_is_dated_on_it(dsn, day, expected):
    add_slot(dsn, "S2", "la", start_local="2026-06-01T19:00", stop_local="2026-06-02T00:00")
    add_slot(dsn, "S3", "ny", slot_date="2026-06-02", start_local="2026-06-03T01:00", stop_local="2026-06-03T07:00")
    add_slot(dsn, "S4", "ny", start_local="2026-06-01T19:00", stop_local="2026-06-02T07:00", emp_id="008")
    assert held(dsn, "007", day) == expected


def test_a_slot_that_went_to_somebody_else_was_the_persons(dsn):
    before = now(dsn)
    query(dsn, "UPDATE schedules SET emp_id = '008'")
    after = now(dsn)
    slots, former = slots_of_person(dsn, "007", date(2026, 5, 31))
    assert slots == []
    [one] = former
    assert (one.slot_id, one.emp_id, before < one.since < after) == ("S1", "008", True)
    assert slots_of_person(dsn, "007", date(2026, 5, 31), before) == ([LIVE], [])
    assert slots_of_person(dsn, "007", date(2026, 5, 31), after) == ([], [Former("S1", one.since, "008")])
    assert held(dsn, "008", "2026-05-31") == ["S1"]


def test_days_are_local_and_midnight_belongs_to_the_day_that_it_ends():
    at_midnight = replace(LIVE, stop_local=datetime.fromisoformat("2026-06-02"))
    assert at_midnight.local_days == (date(2026, 5, 31), date(2026, 6, 1))
    moment = replace(LIVE, stop_local=LIVE.start_local)
    assert moment.local_days == (date(2026, 5, 31), date(2026, 5, 31))


def test_the_newest_change_of_each_row_is_told_and_who_made_it(dsn):
    since = now(dsn)
    assert changes_since(dsn, since, [("schedules", "S1"), ("personnel", "007")]) == []
    query(dsn, "UPDATE schedules SET note = 'a'")
    query(dsn, "SELECT set_config('callboard.user', 'dispatcher', true); DELETE FROM schedules")
    query(dsn, "UPDATE personnel SET custom1 = '9'")
    changes = changes_since(dsn, since, [("schedules", "S1"), ("personnel", "007"), ("assignments", "ny-call")])
    assert [(each.entity, each.entity_id, each.action, each.changed_by) for each in changes] == [
        ("personnel", "007", "update", "callboard_schedule"),
        ("schedules", "S1", "delete", "dispatcher"),
    ]


def test_people_are_known_by_emp_id_and_found_by_the_ids_they_carry(dsn):
    query(dsn, "INSERT INTO personnel_ids VALUES ('008', 'spok', '0042')")
    query(dsn, "INSERT INTO personnel (emp_id, display_name, personnel_type, active) VALUES ('009', 'x', 'MD', false)")
    assert [is_known(dsn, emp_id) for emp_id in ("007", "009", "0042")] == [True, True, False]
    assert carriers_of(dsn, "0042") == [("007", "custom1"), ("008", "ids.spok")]
    assert sharers_of_id(dsn, "007", "custom1") == []
    query(dsn, "UPDATE personnel SET custom1 = '0042'")
    assert sharers_of_id(dsn, "007", "custom1") == ["008"]  # 009 is not active
    assert sharers_of_id(dsn, "007", "unique_id") == []  # nobody has one, which is nothing to share
    query(dsn, "INSERT INTO personnel_ids VALUES ('007', 'spok', '0042')")
    assert sharers_of_id(dsn, "008", "ids.spok") == ["007"]

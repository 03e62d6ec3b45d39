"""Held deliveries: nothing is sent, nothing moves, people are told why, and an approval lets through what was seen."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from include.errors import CallboardError, ConfigurationError, DeliveryHeld
from include.integration import Integration, Rows, Slots
from include.ledger import deliveries, runs
from include.run.deliver import deliver
from include.run.explain import explain_slot
from include.run.failure import failed
from include.run.order import Order
from include.run.plans import held_run, planned_records
from tests.delivery.test_rows import Partner
from tests.support.receiver import KronosReceiver
from tests.support.small_hospital import NOW
from tests.support.world import EPIC, KRONOS, World, build_world, integration

if TYPE_CHECKING:
    from pathlib import Path

UNLIMITED = "limits: {rejected_percent: 100, deletes_percent: 100, updates_percent: 100}"
APPROVE = Order(approve="everything", by="amy")


@pytest.fixture
def guarded(database, partner_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose feeds keep the default limits, large enough for percentages, all of its people known."""
    monkeypatch.setenv("CALLBOARD_NOW", NOW)
    folder = tmp_path / f"guarded-{tmp_path.name}"
    folder.mkdir()
    world = build_world(database, partner_server, folder, slots=120)
    for slug in (EPIC, KRONOS):
        file = world.services.settings.mappings / f"{slug}.yaml"
        text = file.read_text("utf-8")
        assert UNLIMITED in text
        file.write_text(text.replace(UNLIMITED, ""), "utf-8")
    return world


def sql(world: World, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with world.store() as store:
        cursor = store.execute(statement, values or None)
        found = cursor.fetchall() if cursor.description else []
        store.commit()
    return found


def tried(world: World, slug: str, order: Order | None = None, how: Integration | None = None) -> DeliveryHeld | None:
    """One run as Airflow has it: an error is written down. Answers the hold, if that is how it ended."""
    which = how or integration(slug)
    decided = world.decide(slug)
    try:
        deliver(which, decided, world.services, order)
    except CallboardError as error:
        failed(which, slug, decided.extracted.claim.run_id, error, world.services, decided)
        if not isinstance(error, DeliveryHeld):
            raise
        return error
    return None


def row(world: World, slug: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(world.services.settings.summary_file.read_text())
    return next(each for each in found if each["feed"] == slug)


def head(world: World, slug: str):
    with world.services.ledger_reading() as connection:
        latest = runs.latest_finished(connection, [slug])[0]
        return deliveries.head(connection, slug, latest.epoch)


def on_call_slots(world: World) -> list[str]:
    """The slots in the on-call file now."""
    lines = (world.partner / EPIC / "oncall.csv").read_text("latin-1").splitlines()[1:]
    return [line.rpartition(",")[2] for line in lines if line.rpartition(",")[2].startswith("S")]


def part(slots: list[str], percent: int) -> list[str]:
    return sorted(slots)[: len(slots) * percent // 100 + 1]


def test_two_fifths_of_the_slots_gone_are_held_until_they_are_back(guarded, partner_server):
    assert tried(guarded, EPIC) is None
    file = guarded.partner / EPIC / "oncall.csv"
    before, head_before = file.read_bytes(), head(guarded, EPIC)
    seen = len(partner_server.get("/_requests"))
    gone = part(on_call_slots(guarded), 40)
    backup = sql(guarded, "CREATE TABLE kept AS SELECT * FROM schedules WHERE slot_id = ANY(%s)", gone)
    assert backup == []
    sql(guarded, "DELETE FROM schedules WHERE slot_id = ANY(%s)", gone)

    held = tried(guarded, EPIC)
    assert held is not None
    assert [guard["guard"] for guard in held.facts["guards"]] == ["deletes_percent"]
    assert held.facts["lost"] == len(gone)
    assert 0 < held.facts["soon"] <= len(gone)
    causes = held.facts["causes"]
    assert {cause["cause"] for cause in causes} == {"slots_deleted"}
    assert sum(cause["count"] for cause in causes) == len(gone)
    for cause in causes:  # by which database user, and when
        said = r"Deleted by \w+ at 20\d\d-\d\d-\d\d \d\d:\d\d UTC, in (Card|Surg|Card, Surg)\."
        assert re.fullmatch(said, cause["detail"])
    assert file.read_bytes() == before
    assert partner_server.get("/_requests")[seen:] == []  # not even a login
    assert head(guarded, EPIC) == head_before
    found = row(guarded, EPIC)
    assert (found["state"], found["artifacts"]) == ("held", [])
    assert found["delivered"] + found["pending"] + found["excluded"] + found["rejected"] == found["extracted"]
    assert "Next step" in found["error"]

    # A later run judges anew: the same, and still one delivery.
    assert tried(guarded, EPIC) is not None
    with guarded.services.ledger_reading() as connection:
        assert [each.state for each in deliveries.history(connection, EPIC, 3)] == ["HELD", "SUPERSEDED", "COMMITTED"]

    sql(guarded, "INSERT INTO schedules SELECT * FROM kept")
    assert tried(guarded, EPIC) is None
    assert row(guarded, EPIC)["state"] == "delivered"
    assert file.read_bytes() == before


def test_a_feed_that_shall_serve_fewer_departments_is_held_and_says_so(guarded):
    assert tried(guarded, EPIC) is None
    file = guarded.services.settings.mappings / f"{EPIC}.yaml"
    file.write_text(file.read_text("utf-8") + "departments: [surg]\n", "utf-8")
    held = tried(guarded, EPIC)
    assert held is not None
    [cause] = held.facts["causes"]
    assert (cause["cause"], cause["count"]) == ("other_department", held.facts["lost"])
    assert cause["detail"] == "Department Card is not one that this feed's mapping names."
    assert tried(guarded, EPIC, APPROVE) is None
    assert row(guarded, EPIC)["state"] == "delivered"


def test_included_slots_wait_for_approval_and_explain_says_so(guarded):
    tried(guarded, KRONOS)
    slots = [slot for (slot,) in sql(guarded, "SELECT slot_id FROM schedules WHERE emp_id IS NOT NULL ORDER BY 1")]
    sql(guarded, "UPDATE schedules SET start_local = start_local + interval '1 h' WHERE slot_id = ANY(%s)", slots[:90])
    held = tried(guarded, KRONOS)
    assert held is not None
    assert [guard["guard"] for guard in held.facts["guards"]] == ["updates_percent"]
    assert held.facts["lost"] == 0
    waiting = [explain_slot(guarded.services, KRONOS, slot) for slot in slots[:90]]
    pending = [each for each in waiting if each.outcome == "pending"]
    assert {each.reason for each in pending} == {"awaiting_approval"}
    assert len(pending) == row(guarded, KRONOS)["pending"] > 20


def test_an_approval_releases_once_and_only_what_was_seen(guarded):
    tried(guarded, EPIC)
    slots = on_call_slots(guarded)
    gone = part(slots, 30)
    sql(guarded, "DELETE FROM schedules WHERE slot_id = ANY(%s)", gone)
    assert tried(guarded, EPIC) is not None
    worse = part(sorted(set(slots) - set(gone)), 30)
    sql(guarded, "UPDATE schedules SET is_pending = true WHERE slot_id = ANY(%s)", worse)
    again = tried(guarded, EPIC, APPROVE)  # it got worse while the person looked
    assert again is not None
    assert again.facts["lost"] == len(gone) + len(worse)
    assert set(on_call_slots(guarded)) == set(slots)

    assert tried(guarded, EPIC, APPROVE) is None
    assert set(on_call_slots(guarded)) == set(slots) - set(gone) - set(worse)
    with guarded.services.ledger_reading() as connection:
        delivered = deliveries.history(connection, EPIC, 1)[0]
        assert [guard["guard"] for guard in delivered.guards] == ["deletes_percent"]
    sql(guarded, "UPDATE schedules SET is_pending = true WHERE slot_id = ANY(%s)", part(on_call_slots(guarded), 30))
    assert tried(guarded, EPIC) is not None  # used up


def test_an_approval_of_changes_is_for_the_very_plan(guarded):
    receiver = KronosReceiver(guarded.partner / KRONOS)
    tried(guarded, KRONOS)
    receiver.collect()
    before = dict(receiver.held)
    sql(
        guarded,
        "UPDATE schedules SET is_pending = true WHERE emp_id < 'E05'",
    )
    held = tried(guarded, KRONOS)
    assert held is not None
    [(slot,)] = sql(guarded, "SELECT slot_id FROM schedules WHERE emp_id = 'E06' ORDER BY 1 LIMIT 1")
    sql(guarded, "UPDATE schedules SET stop_local = stop_local + interval '1 h' WHERE slot_id = %s", slot)
    assert tried(guarded, KRONOS, APPROVE) is not None  # one small change more, and it is another plan
    receiver.collect()
    assert receiver.held == before
    assert tried(guarded, KRONOS, APPROVE) is None
    receiver.collect()
    assert len(receiver.held) < len(before) * 0.8
    assert receiver.faults == (0, 0, 0)


def test_adds_and_updates_go_while_deletes_stay(guarded):
    tried(guarded, EPIC)
    slots = on_call_slots(guarded)
    gone = part(slots, 40)
    [stays, *_] = sorted(set(slots) - set(gone))
    sql(guarded, "DELETE FROM schedules WHERE slot_id = ANY(%s)", gone)
    assert tried(guarded, EPIC) is not None
    sql(guarded, "UPDATE schedules SET note = 'Gate 7' WHERE slot_id = %s", stays)
    only = Order(approve="adds_and_updates", by="amy")
    held = tried(guarded, EPIC, only)
    assert held is not None
    assert (held.facts["withheld"], len(held.artifacts)) == (len(gone), 1)
    file = guarded.partner / EPIC / "oncall.csv"
    assert set(on_call_slots(guarded)) == set(slots)
    assert b"Gate 7" in file.read_bytes()
    assert (row(guarded, EPIC)["state"], row(guarded, EPIC)["pending"]) == ("held", 0)

    sql(guarded, "UPDATE schedules SET note = 'Gate 8' WHERE slot_id = %s", stays)
    assert tried(guarded, EPIC) is not None  # goes on without being asked again
    assert b"Gate 8" in file.read_bytes()
    assert set(on_call_slots(guarded)) == set(slots)

    assert tried(guarded, EPIC, APPROVE) is None
    assert set(on_call_slots(guarded)) == set(slots) - set(gone)

    with pytest.raises(ConfigurationError, match="no on-call target"):
        tried(guarded, KRONOS)
        sql(guarded, "UPDATE schedules SET is_pending = true WHERE emp_id < 'E06'")
        assert tried(guarded, KRONOS) is not None
        tried(guarded, KRONOS, only)


def test_nothing_at_all_is_held_at_any_size(world):
    world.run(EPIC)
    sql(world, "UPDATE schedule_periods SET published_at = NULL")
    held = tried(world, EPIC)
    assert held is not None
    assert [guard["guard"] for guard in held.facts["guards"]] == ["to_zero"]
    causes = held.facts["causes"]
    assert {cause["cause"] for cause in causes} == {"period_unpublished"}
    assert sum(cause["count"] for cause in causes) == held.facts["lost"]
    assert {cause["detail"] for cause in causes} <= {
        "Schedule period now of Card is not published.",
        "Schedule period now of Surg is not published.",
    }


def test_a_department_that_vanished_and_an_id_field_that_was_emptied_are_named(guarded):
    tried(guarded, EPIC)
    lost_with_it = [
        slot
        for slot in on_call_slots(guarded)
        if sql(guarded, "SELECT 1 FROM schedules WHERE slot_id = %s AND assignment_id = 'surg-call'", slot)
    ]
    for statement in (
        "DELETE FROM schedules WHERE assignment_id LIKE 'surg-%'",
        "DELETE FROM schedule_periods WHERE department_id = 'surg'",
        "DELETE FROM assignments WHERE department_id = 'surg'",
        "DELETE FROM departments WHERE department_id = 'surg'",
        "UPDATE personnel SET custom1 = NULL WHERE emp_id < 'E04'",
    ):
        sql(guarded, statement)
    held = tried(guarded, EPIC)
    assert held is not None
    causes = {cause["cause"]: cause for cause in held.facts["causes"]}
    assert set(causes) == {"department_gone", "id_missing"}
    assert causes["department_gone"]["count"] == len(lost_with_it)
    assert "surg" in causes["department_gone"]["detail"]
    assert "custom1" in causes["id_missing"]["detail"]
    assert causes["department_gone"]["count"] + causes["id_missing"]["count"] == held.facts["lost"]


def test_too_many_rejections_are_held_even_the_first_time(guarded):
    sql(guarded, "UPDATE personnel SET custom1 = NULL WHERE emp_id < 'E02'")
    held = tried(guarded, EPIC)
    assert held is not None
    assert [guard["guard"] for guard in held.facts["guards"]] == ["rejected_percent"]
    assert not (guarded.partner / EPIC / "oncall.csv").exists()
    assert tried(guarded, EPIC, APPROVE) is None
    assert (guarded.partner / EPIC / "oncall.csv").exists()


def test_a_file_that_looks_different_is_held_once(guarded):
    tried(guarded, EPIC)
    mapping = guarded.services.settings.mappings / f"{EPIC}.yaml"
    layout = (
        "layout: {delimiter: ';', columns: [{header: Who, field: provider_id}, {header: From, field: start},"
        " {header: Slot, field: source_slot_id}]}\n"
    )
    mapping.write_text(mapping.read_text("utf-8") + layout, "utf-8")
    before = (guarded.partner / EPIC / "oncall.csv").read_bytes()
    held = tried(guarded, EPIC)
    assert held is not None
    assert [guard["guard"] for guard in held.facts["guards"]] == ["layout"]
    assert (guarded.partner / EPIC / "oncall.csv").read_bytes() == before
    assert tried(guarded, EPIC, APPROVE) is None
    assert (guarded.partner / EPIC / "oncall.csv").read_bytes().startswith(b"Who;From;Slot\r\n")
    assert tried(guarded, EPIC) is None


def test_a_note_that_the_encoding_cannot_write_rejects_its_slot_and_no_other(world):
    mapping = world.services.settings.mappings / f"{EPIC}.yaml"
    mapping.write_text(f"{mapping.read_text('utf-8')}layout: {{encoding: latin-1}}\n", "utf-8")
    tried(world, EPIC)
    slots = on_call_slots(world)
    sql(world, "UPDATE schedules SET note = 'Türe 7' WHERE slot_id = %s", slots[0])
    sql(world, "UPDATE schedules SET note = 'call \u260e' WHERE slot_id = %s", slots[1])
    assert tried(world, EPIC) is None
    assert set(on_call_slots(world)) == set(slots) - {slots[1]}
    answer = explain_slot(world.services, EPIC, slots[1])
    assert (answer.outcome, answer.reason) == ("rejected", "value_refused")
    assert "notes" in (answer.detail or "")
    assert row(world, EPIC)["rejected"] == 1


def test_a_dry_run_shows_every_record_and_sends_nothing(guarded, partner_server):
    tried(guarded, KRONOS)
    files = sorted((guarded.partner / KRONOS).iterdir())
    before, head_before, seen = row(guarded, KRONOS), head(guarded, KRONOS), len(partner_server.get("/_requests"))
    [(changed,), (gone,)] = sql(
        guarded,
        "SELECT slot_id FROM schedules WHERE assignment_id = 'card-day' AND emp_id IS NOT NULL"
        " AND NOT is_pending ORDER BY 1 LIMIT 2",
    )
    sql(guarded, "UPDATE schedules SET stop_local = stop_local + interval '1 h' WHERE slot_id = %s", changed)
    sql(guarded, "DELETE FROM schedules WHERE slot_id = %s", gone)
    run_id = guarded.run_id()
    receipt = deliver(
        integration(KRONOS), guarded.decide(KRONOS, run_id), guarded.services, Order(dry_run=True, by="amy")
    )
    assert receipt.state == "dry_run"
    assert partner_server.get("/_requests")[seen:] == []
    assert sorted((guarded.partner / KRONOS).iterdir()) == files
    assert head(guarded, KRONOS) == head_before
    assert row(guarded, KRONOS) == before
    with guarded.services.ledger_reading() as connection:
        run = runs.find(connection, KRONOS, run_id)
        assert run is not None
        assert (run.state, run.error) == ("dry_run", None)
        latest = runs.latest_decided(connection, KRONOS)
        assert latest is not None
        assert latest.run_id != run_id
    plan = {(each["action"], each["slot_id"]) for each in planned_records(guarded.services, run)}
    assert plan == {("update", changed), ("delete", gone)}
    assert tried(guarded, KRONOS) is None
    assert len(list((guarded.partner / KRONOS).iterdir())) == len(files) + 1


def test_a_dry_run_says_what_would_be_held(guarded):
    tried(guarded, EPIC)
    sql(guarded, "DELETE FROM schedules WHERE slot_id = ANY(%s)", part(on_call_slots(guarded), 40))
    run_id = guarded.run_id()
    deliver(integration(EPIC), guarded.decide(EPIC, run_id), guarded.services, Order(dry_run=True))
    with guarded.services.ledger_reading() as connection:
        run = runs.find(connection, EPIC, run_id)
        assert run is not None
        assert run.error is not None
        assert run.error.startswith("It would be held: ")
        assert deliveries.in_flight(connection, EPIC) is None


def test_what_is_held_can_be_looked_at_and_nothing_else(guarded):
    with pytest.raises(ConfigurationError, match="it never ran"):
        held_run(guarded.services, EPIC)
    tried(guarded, EPIC)
    with pytest.raises(ConfigurationError, match="its last run is delivered"):
        held_run(guarded.services, EPIC)
    gone = part(on_call_slots(guarded), 40)
    sql(guarded, "DELETE FROM schedules WHERE slot_id = ANY(%s)", gone)
    tried(guarded, EPIC)
    plan = planned_records(guarded.services, held_run(guarded.services, EPIC))
    assert {(each["action"], each["slot_id"]) for each in plan} == {("delete", slot) for slot in gone}


@pytest.mark.parametrize(
    "wishes",
    [
        {"resend": True, "dry_run": True},
        {"dry_run": True, "approve": "everything"},
        {"resend": True, "rebaseline": True},
    ],
)
def test_wishes_that_exclude_each_other_are_refused(wishes):
    with pytest.raises(ConfigurationError):
        Order(**wishes)


# Records, one by one.


def pushing(partner: Partner) -> Integration:
    from include.transforms.epic_on_call_finder import on_call_records

    return Integration(EPIC, "# Records", Slots("window"), on_call_records, Rows(), partner, on_call=True)


def held_slots(partner: Partner) -> set[str]:
    return set(partner.holds())


def test_a_partner_of_records_is_asked_for_nothing_while_its_plan_is_held(guarded, tmp_path):
    asked: list[str] = []
    partner = Partner(tmp_path / "partner.sqlite", after=lambda operation: asked.append(operation.kind))
    how = pushing(partner)
    tried(guarded, EPIC, how=how)
    everything = held_slots(partner)
    asked.clear()
    slots = [
        slot
        for (slot,) in sql(
            guarded, "SELECT slot_id FROM schedules WHERE assignment_id LIKE '%-call' AND emp_id IS NOT NULL ORDER BY 1"
        )
    ]
    gone = slots[: len(slots) // 2]
    sql(guarded, "UPDATE schedules SET is_pending = true WHERE slot_id = ANY(%s)", gone)
    held = tried(guarded, EPIC, how=how)
    assert held is not None
    assert asked == []
    assert held_slots(partner) == everything

    sql(guarded, "UPDATE schedules SET note = 'Gate 7' WHERE slot_id = %s", slots[-1])
    assert tried(guarded, EPIC, Order(approve="adds_and_updates", by="amy"), how) is not None
    assert asked == ["update"]
    assert held_slots(partner) == everything

    assert tried(guarded, EPIC, APPROVE, how) is None
    assert set(asked) == {"update", "delete"}
    assert len(held_slots(partner)) == len(everything) - held.facts["lost"]
    assert tried(guarded, EPIC, how=how) is None

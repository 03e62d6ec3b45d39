"""How runs end: retried, overtaken, failed, swept away by the partner; and what is written down each time."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest

from include.errors import ConfigurationError, FencedOut
from include.ledger import deliveries, fence, runs
from include.run import slots
from include.run.deliver import deliver
from include.run.explain import explain_slot
from include.run.extract import extract
from include.run.failure import failed, failed_unless_recorded
from include.run.order import Order
from tests.support import small_hospital as hospital
from tests.support.receiver import KronosReceiver
from tests.support.world import EPIC, KRONOS, in_child, integration, kill_when


def summary(world) -> dict[str, dict]:
    return {row["feed"]: row for row in json.loads(world.services.settings.summary_file.read_text())}


def everything_adds_up(row: dict) -> bool:
    return row["delivered"] + row["pending"] + row["excluded"] + row["rejected"] == row["extracted"]


def test_a_retry_after_the_commit_sends_nothing_more_and_still_says_delivered(world):
    """Above all no second baseline: payroll would get every shift twice."""
    receiver = KronosReceiver(world.partner / KRONOS)
    again = Order(rebaseline=True)
    world.run(KRONOS)
    receiver.collect()
    for name in ("ledger.delivered", "ledger.commit", "ledger.finish"):
        receiver.held.clear()  # the partner lost everything and asked for it
        decided = world.decide(KRONOS)
        work = partial(deliver, integration(KRONOS), decided, world.services, again)
        before = len(receiver.files)
        assert in_child(work, kill_when(name, "after")) < 0, name
        retried = work()
        receiver.collect()
        assert retried.state == "delivered"
        assert len(receiver.files) == before + 1, name
        assert retried.sent.files[0].endswith(receiver.files[-1])
    assert receiver.faults == (0, 0, 0)


def test_an_upload_that_the_partner_swept_away_is_made_again(world):
    """Only where it can be known: an older file still stands under the final name."""
    world.run(EPIC)
    with world.store() as store:
        store.execute("UPDATE schedules SET note = 'changed'")
        store.commit()
    run_id = world.run_id()
    assert in_child(lambda: world.run(EPIC, run_id=run_id), kill_when("ledger.staged", "after")) < 0
    (swept,) = [file for file in (world.partner / EPIC).iterdir() if file.name.startswith(".")]
    swept.unlink()
    with world.services.ledger_reading() as connection:
        lost = deliveries.in_flight(connection, EPIC)
    assert lost is not None
    assert lost.state == "STAGED"
    world.run(EPIC)
    assert b"changed" in (world.partner / EPIC / "oncall.csv").read_bytes()
    with world.services.ledger_reading() as connection:
        assert [delivery.state for delivery in deliveries.history(connection, EPIC, 3)] == ["COMMITTED"] * 3


def test_a_run_overtaken_while_it_extracts_is_skipped_and_its_successor_stands(world, monkeypatch):
    read = slots.extract_slots

    def read_late(*arguments, **named):
        monkeypatch.setattr(slots, "extract_slots", read)
        world.run(EPIC, run_id="newer")
        return read(*arguments, **named)

    monkeypatch.setattr(slots, "extract_slots", read_late)
    with pytest.raises(FencedOut) as caught:
        extract(integration(EPIC), EPIC, "older", world.services)
    failed(integration(EPIC), EPIC, "older", caught.value, world.services, None)
    with world.services.ledger_reading() as connection:
        older = runs.find(connection, EPIC, "older")
        assert older is not None
        assert older.state == "skipped"
        assert runs.successor(connection, EPIC, "older") == "newer"
    assert summary(world)[EPIC]["run_id"] == "newer"
    assert summary(world)[EPIC]["state"] == "delivered"


def test_a_failed_run_counts_every_slot_as_far_as_it_is_known(world):
    world.run(KRONOS)
    with world.store() as store:
        store.execute("UPDATE schedules SET start_local = start_local + interval '30 min'")
        store.commit()
    decided = world.decide(KRONOS)
    error = ConfigurationError("The partner's folder is gone.")
    failed(integration(KRONOS), KRONOS, decided.extracted.claim.run_id, error, world.services, decided.extracted)
    row = summary(world)[KRONOS]
    assert everything_adds_up(row)
    assert row["state"] == "failed"
    assert row["pending"] == decided.included
    failed(integration(KRONOS), KRONOS, decided.extracted.claim.run_id, error, world.services, decided)
    row = summary(world)[KRONOS]
    assert everything_adds_up(row)
    assert row["pending"] == decided.included > 0
    assert "folder is gone" in row["error"]


def test_pending_slots_are_explained_as_the_run_left_them(world):
    world.run(KRONOS)
    with world.store() as store:
        slot_id = store.execute(
            """
            SELECT slot_id FROM schedules JOIN personnel USING (emp_id)
            WHERE assignment_id = 'card-day' AND NOT is_pending AND NOT is_placeholder LIMIT 1
            """
        ).fetchone()[0]
        store.execute("UPDATE schedules SET stop_local = stop_local + interval '1 hour' WHERE slot_id = %s", [slot_id])
        store.commit()
    assert explain_slot(world.services, KRONOS, slot_id).outcome == "delivered"
    decided = world.decide(KRONOS)
    error = ConfigurationError("no")
    failed(integration(KRONOS), KRONOS, decided.extracted.claim.run_id, error, world.services, decided)
    found = explain_slot(world.services, KRONOS, slot_id)
    assert (found.outcome, found.reason) == ("pending", "failed")
    assert found.fix
    world.run(KRONOS)
    assert explain_slot(world.services, KRONOS, slot_id).outcome == "delivered"


def test_a_slot_made_after_the_last_run_is_said_to_be_newer_than_it(world):
    world.run(KRONOS)
    with world.store() as store:
        store.execute(
            """
            INSERT INTO schedules (slot_id, period_id, assignment_id, emp_id, slot_date, start_local, stop_local)
            VALUES ('NEW', 'card-now', 'card-day', 'E01', '2026-03-06', '2026-03-06T08:00', '2026-03-06T16:00')
            """
        )
        store.commit()
    found = explain_slot(world.services, KRONOS, "NEW")
    assert found.outcome == "not_extracted"
    assert "the next run reads it" in (found.detail or "")
    world.run(KRONOS)
    found = explain_slot(world.services, KRONOS, "NEW")
    assert (found.outcome, found.detail) == ("delivered", None)
    with world.store() as store:
        store.execute("UPDATE schedules SET emp_id = 'E02' WHERE slot_id = 'NEW'")
        store.commit()
    found = explain_slot(world.services, KRONOS, "NEW")
    assert found.outcome == "delivered"
    assert "the next run reads it" in (found.detail or "")


def test_a_killed_task_is_written_down_once(world):
    with world.services.ledger("claim") as connection:
        fence.claim(connection, EPIC, EPIC, "killed")
    failed_unless_recorded(EPIC, "killed", world.services)
    assert summary(world)[EPIC]["error"] == "The task's process was killed."
    world.run(EPIC, run_id="fine")
    failed_unless_recorded(EPIC, "fine", world.services)
    assert summary(world)[EPIC]["state"] == "delivered"


def test_a_full_disk_is_recorded_as_what_it_is(world, monkeypatch):
    decided = world.decide(KRONOS)
    full = ConfigurationError("No space left for artifacts.", next_step="free disk space")

    def no_space(_run):
        raise full

    monkeypatch.setattr(type(world.services.artifacts), "scratch", lambda self, run: no_space(run))
    failed(integration(KRONOS), KRONOS, decided.extracted.claim.run_id, full, world.services, decided)
    row = summary(world)[KRONOS]
    assert "No space left" in row["error"]
    assert everything_adds_up(row)


def test_a_transform_that_loses_a_record_gets_no_further(world):
    from include.errors import DataRejected
    from include.run.transform import transform
    from include.run.validate import validate

    declared = integration(KRONOS)

    def careless(extract, mapping, verdict):
        result = declared.transform(extract, mapping, verdict)
        return replace(result, records=result.records.iloc[1:])

    extracted = extract(declared, KRONOS, world.run_id(), world.services)
    validated = validate(extracted, world.services)
    with pytest.raises(DataRejected, match="not accounted for"):
        transform(replace(declared, transform=careless), validated, world.services)


def test_what_left_the_window_expires_and_is_no_delete(world, monkeypatch):
    world.run(EPIC)
    monkeypatch.setenv("CALLBOARD_NOW", "2026-03-09T12:00:00-04:00")
    receipt = world.run(EPIC)
    assert receipt.sent.deletes == 0
    assert hospital.PERIOD_END.isoformat() > "2026-03-09"

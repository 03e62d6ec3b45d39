"""Both feeds end to end: a real store, a real ledger, a real SFTP server; read back as the partner reads."""

from __future__ import annotations

import csv
import random

import pytest

from include.errors import DeliveryRefused, FencedOut, UnknownName
from include.ledger import deliveries
from include.run.deliver import deliver
from include.run.explain import explain_person, explain_slot
from include.run.order import Order
from tests.support import small_hospital as hospital
from tests.support.receiver import KronosReceiver
from tests.support.world import EPIC, KRONOS, integration


def epic_rows(world) -> list[dict[str, str]]:
    with (world.partner / EPIC / "oncall.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_on_call_finder_gets_its_window_every_time(world):
    first = world.run(EPIC)
    assert first.state == "delivered"
    counts = first.counts
    assert counts.delivered + counts.pending + counts.excluded + counts.rejected == counts.extracted > 0
    rows = epic_rows(world)
    assert {row["SourceSlotID"] for row in rows}
    assert {row["EpicTeamID"] for row in rows} == {"T-CARD", "T-SURG"}
    before = (world.partner / EPIC / "oncall.csv").read_bytes()
    again = world.run(EPIC)
    assert again.state == "delivered"
    assert (world.partner / EPIC / "oncall.csv").read_bytes() == before
    assert [file.name for file in (world.partner / EPIC).iterdir()] == ["oncall.csv"]


def test_kronos_gets_everything_first_and_then_only_changes(world):
    receiver = KronosReceiver(world.partner / KRONOS)
    first = world.run(KRONOS)
    receiver.collect()
    with world.store() as store:
        assert receiver.held == hospital.kronos_truth(store)
        assert first.sent.adds == len(receiver.held) > 5
        assert world.run(KRONOS).state == "unchanged"
        receiver.collect()
        assert len(receiver.files) == 1
        dice = random.Random(7)
        for _ in range(4):
            hospital.edit(store, dice)
            world.run(KRONOS)
            receiver.collect()
            assert receiver.held == hospital.kronos_truth(store)
    assert receiver.faults == (0, 0, 0)


def test_correcting_an_id_leaves_nothing_under_the_old_one(world):
    receiver = KronosReceiver(world.partner / KRONOS)
    world.run(KRONOS)
    receiver.collect()
    person, _ = next(iter(receiver.held))
    with world.store() as store:
        store.execute("UPDATE personnel SET custom2 = 'K-NEW' WHERE custom2 = %s", [person])
        store.commit()
        world.run(KRONOS)
        receiver.collect()
        assert receiver.held == hospital.kronos_truth(store)
    assert person not in {key[0] for key in receiver.held}
    assert "K-NEW" in {key[0] for key in receiver.held}


def test_a_new_pay_period_starts_with_everything(world, monkeypatch):
    receiver = KronosReceiver(world.partner / KRONOS)
    world.run(KRONOS)
    receiver.collect()
    with world.store() as store:
        store.execute("UPDATE schedule_periods SET published_at = '2026-02-02' WHERE name = 'next'")
        store.execute(
            """
            INSERT INTO schedules (slot_id, period_id, assignment_id, emp_id, slot_date, start_local, stop_local)
            VALUES ('NEXT', 'card-next', 'card-day', 'E01', '2026-03-16', '2026-03-16T08:00', '2026-03-16T16:00')
            """
        )
        store.commit()
    assert world.run(KRONOS).state == "unchanged"  # not this period's business
    monkeypatch.setenv("CALLBOARD_NOW", "2026-03-15T02:00:00-04:00")
    receipt = world.run(KRONOS)
    assert (receipt.sent.adds, receipt.sent.deletes) == (1, 0)
    assert "20260315" in receipt.sent.files[0]


def test_a_resend_is_the_same_bytes_under_the_same_name(world):
    first = world.run(KRONOS)
    folder = world.partner / KRONOS
    (sent,) = folder.iterdir()
    data = sent.read_bytes()
    sent.unlink()
    again = world.run(KRONOS, order=Order(resend=True))
    assert again.state == "delivered"
    assert again.sent.files == first.sent.files
    assert sent.read_bytes() == data
    still_there = world.run(KRONOS, order=Order(resend=True))
    assert still_there.state == "delivered"
    assert [file.name for file in folder.iterdir()] == [sent.name]


def test_a_new_baseline_sends_everything_again(world):
    receiver = KronosReceiver(world.partner / KRONOS)
    world.run(KRONOS)
    lost = KronosReceiver(world.partner / KRONOS)
    lost.collect()  # the partner lost what it was given
    receipt = world.run(KRONOS, order=Order(rebaseline=True))
    assert receipt.sent.adds == len(lost.held)
    receiver.collect()
    assert receiver.held == lost.held


def test_another_file_of_that_name_is_never_overwritten(world):
    world.run(KRONOS)
    (sent,) = (world.partner / KRONOS).iterdir()
    blocked = sent.with_name(sent.name.replace("000001", "000002"))
    blocked.write_text("somebody else's")
    with world.store() as store:
        store.execute("UPDATE schedules SET emp_id = 'E01' WHERE assignment_id = 'card-day'")
        store.commit()
    for _ in range(2):
        with pytest.raises(DeliveryRefused, match="another file"):
            world.run(KRONOS)
    assert blocked.read_text() == "somebody else's"
    blocked.unlink()
    receiver = KronosReceiver(world.partner / KRONOS)
    world.run(KRONOS)
    receiver.collect()
    with world.store() as store:
        assert receiver.held == hospital.kronos_truth(store)


def test_a_mapping_changed_in_the_middle_of_a_run_concerns_the_next_one(world):
    decided = world.decide(EPIC)
    table = world.services.settings.mappings / f"{EPIC}.csv"
    table.write_text(table.read_text().replace("T-CARD", "T-HEART"))
    deliver(integration(EPIC), decided, world.services)
    assert "T-HEART" not in {row["EpicTeamID"] for row in epic_rows(world)}
    world.run(EPIC)
    assert "T-HEART" in {row["EpicTeamID"] for row in epic_rows(world)}


def test_an_overtaken_run_changes_nothing(world):
    old = world.decide(EPIC)
    with world.store() as store:
        store.execute("UPDATE schedules SET emp_id = NULL")
        store.commit()
    world.run(EPIC)
    data = (world.partner / EPIC / "oncall.csv").read_bytes()
    with pytest.raises(FencedOut):
        deliver(integration(EPIC), old, world.services)
    assert (world.partner / EPIC / "oncall.csv").read_bytes() == data


def test_a_test_environment_has_a_baseline_and_a_folder_of_its_own(world):
    world.run(KRONOS)
    yaml = world.services.settings.mappings / f"{KRONOS}.yaml"
    production = yaml.read_text()
    yaml.write_text(production.replace(f"/{KRONOS}", f"/{KRONOS}/test") + "environment: test\n")
    test = world.run(KRONOS)
    assert test.sent.adds > 5
    assert len(list((world.partner / KRONOS / "test").iterdir())) == 1
    yaml.write_text(production)
    assert world.run(KRONOS).state == "unchanged"


def test_every_extracted_slot_can_be_explained(world):
    world.run(EPIC)
    with world.store() as store:
        ids = [row[0] for row in store.execute("SELECT slot_id FROM schedules").fetchall()]
        store.execute("DELETE FROM schedules WHERE slot_id = %s", [ids[0]])
        store.commit()
    world.run(EPIC)
    outcomes = {slot_id: explain_slot(world.services, EPIC, slot_id) for slot_id in ids}
    assert outcomes[ids[0]].reason == "deleted"
    sent = {row["SourceSlotID"] for row in epic_rows(world)}
    assert {slot_id for slot_id, found in outcomes.items() if found.outcome == "delivered"} == sent
    for found in outcomes.values():
        assert (found.reason is None) == (found.outcome == "delivered")
        assert found.reason is None or (found.fix and found.owner)


def test_an_unreachable_partner_leaves_the_slots_pending_and_nothing_in_flight(world):
    from dataclasses import replace

    from include.destinations.connection import ConnectionDetails
    from include.errors import DestinationUnavailable
    from include.run.failure import failed
    from include.run.services import Services

    good = world.services
    details = good.connections("any")
    dead = Services(good.settings, lambda _: replace(details, port=1))
    assert isinstance(details, ConnectionDetails)
    world.services = dead
    decided = world.decide(KRONOS)
    with pytest.raises(DestinationUnavailable) as caught:
        deliver(integration(KRONOS), decided, dead)
    failed(integration(KRONOS), KRONOS, decided.extracted.claim.run_id, caught.value, dead, decided)
    with dead.ledger_reading() as connection:
        assert deliveries.in_flight(connection, KRONOS) is None
    text = dead.settings.summary_file.read_text()
    import json

    (row,) = json.loads(text)
    assert row["state"] == "failed"
    assert row["pending"] == decided.included > 0
    assert row["delivered"] + row["pending"] + row["excluded"] + row["rejected"] == row["extracted"]
    world.services = good
    assert world.run(KRONOS).counts.pending == 0


def test_a_persons_day_is_explained_slot_by_slot(world):
    world.run(KRONOS)
    with world.store() as store:
        emp_id, day, slot_ids = store.execute(
            """
            SELECT emp_id, slot_date, array_agg(slot_id ORDER BY slot_id) FROM schedules WHERE emp_id IS NOT NULL
            GROUP BY emp_id, slot_date ORDER BY count(*) DESC, emp_id LIMIT 1
            """
        ).fetchone()
    found = explain_person(world.services, KRONOS, emp_id, day).slots
    assert set(slot_ids) <= {explanation.slot_id for explanation in found}
    assert all(explanation.outcome != "not_extracted" for explanation in found)
    with pytest.raises(UnknownName):
        explain_person(world.services, KRONOS, "nobody", day)

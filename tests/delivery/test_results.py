"""Result files: what a partner refused is not acknowledged, is told, and goes again once it is another record."""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING, Any

import pytest

from include.alerts.rows import read_back
from include.errors import ResultsUnreadable
from include.ledger import incidents, result_files, rows
from include.mappings.loader import check_all, load_feed
from include.run.explain import explain_slot
from tests.support.world import EPIC, KRONOS

if TYPE_CHECKING:
    from pathlib import Path

    from include.ledger.records import Incident
    from tests.support.world import World

ANSWERS = "results: {file_name: 'answer_*.csv', status: Status, reason: Message}"
HEADER = "SourceSlotID,Status,Message\n"


def answering(world: World, feed: str, text: str = ANSWERS) -> Path:
    """Let a feed's partner answer; the folder in which it does."""
    yaml = world.services.settings.mappings / f"{feed}.yaml"
    yaml.write_text(f"{yaml.read_text()}{text}\n")
    folder = world.partner / feed / "results"
    folder.mkdir()
    return folder


@pytest.fixture
def kronos(world: World) -> Path:
    """The payroll feed of the small hospital, delivered once, with a partner that answers."""
    folder = answering(world, KRONOS)
    world.run(KRONOS)
    return folder


def sent(world: World, number: int) -> dict[str, list[str]]:
    """The actions in the file of a delivery, by slot."""
    [file] = (world.partner / KRONOS).glob(f"WFD_*_{number:06d}.csv")
    found: dict[str, list[str]] = {}
    with file.open(newline="") as opened:
        for row in csv.DictReader(opened):
            found.setdefault(row["SourceSlotID"], []).append(row["Action"])
    return found


def deliveries(world: World) -> int:
    return len(list((world.partner / KRONOS).glob("WFD_*.csv")))


def incident(world: World, feed: str, kind: str) -> Incident | None:
    with world.services.ledger_reading() as connection:
        found = [each for each in incidents.open_incidents(connection, feed) if each.kind == kind]
    return found[0] if found else None


def refused_slots(world: World, feed: str) -> set[str]:
    with world.services.ledger_reading() as connection:
        return {refusal.slot_id for refusal in rows.refusals(connection, feed)}


def change(world: World, slot_id: str, hours: int = 1) -> None:
    with world.store() as store:
        store.execute(
            "UPDATE schedules SET stop_local = stop_local + make_interval(hours => %s), stop_utc = NULL"
            " WHERE slot_id = %s",
            [hours, slot_id],
        )


def test_what_was_refused_is_pending_and_told_and_goes_again_once_it_is_another(world: World, kronos: Path) -> None:
    first, second, *others = sorted(sent(world, 1))
    (kronos / "answer_1.csv").write_text(
        f'{HEADER}{first},REJECTED,"Worker is not, known"\n{second},Error,\n'
        + "".join(f"{slot_id},accepted,\n" for slot_id in others)
    )
    receipt = world.run(KRONOS)
    assert (receipt.state, receipt.counts.pending, deliveries(world)) == ("unchanged", 2, 1)
    assert receipt.counts.delivered == len(others)
    told = explain_slot(world.services, KRONOS, first)
    assert (told.outcome, told.reason) == ("pending", "refused")
    assert "Worker is not, known" in told.detail
    assert "no reason given" in explain_slot(world.services, KRONOS, second).detail
    found = incident(world, KRONOS, "mapping")
    assert found is not None
    with world.services.artifacts.open(found.rows) as kept:
        told_rows = read_back(kept.read())
    assert {(row.slot_id, row.reason) for row in told_rows if row.reason == "refused"} == {
        (first, "refused"),
        (second, "refused"),
    }
    assert world.run(KRONOS).state == "unchanged", "the same record is not sent again"

    change(world, first)
    receipt = world.run(KRONOS)
    assert (receipt.state, sent(world, 2)) == ("delivered", {first: ["ADD"]})
    assert receipt.counts.pending == 1
    assert explain_slot(world.services, KRONOS, first).outcome == "delivered"
    assert refused_slots(world, KRONOS) >= {second}


def test_a_refused_record_that_is_withdrawn_needs_no_delete(world: World, kronos: Path) -> None:
    first, second, *_ = sorted(sent(world, 1))
    (kronos / "answer_1.csv").write_text(f"{HEADER}{first},refused,x\n")
    with world.store() as store:
        store.execute("DELETE FROM schedules WHERE slot_id = ANY(%s)", [[first, second]])
    world.run(KRONOS)  # reads the answer before it plans
    assert sent(world, 2) == {second: ["DELETE"]}
    world.run(KRONOS)
    assert refused_slots(world, KRONOS) == set(), "the record is gone"


def test_an_acceptance_ends_a_refusal(world: World, kronos: Path) -> None:
    first = min(sent(world, 1))
    (kronos / "answer_1.csv").write_text(f"{HEADER}{first},refused,x\n")
    assert world.run(KRONOS).counts.pending == 1
    (kronos / "answer_2.csv").write_text(f"{HEADER}{first},OK,\n")
    receipt = world.run(KRONOS)
    assert (receipt.state, receipt.counts.pending) == ("unchanged", 0)
    change(world, first)
    world.run(KRONOS)
    assert sent(world, 2) == {first: ["UPDATE"]}


def test_an_acceptance_is_recorded_against_its_slot_and_explained(world: World, kronos: Path) -> None:
    first, second, third, *_ = sorted(sent(world, 1))
    (kronos / "answer_1.csv").write_text(f"{HEADER}{first},accepted,\n{second},refused,x\n")
    world.run(KRONOS)
    about = {slot_id: explain_slot(world.services, KRONOS, slot_id) for slot_id in (first, second, third)}
    assert [each.outcome for each in about.values()] == ["delivered", "pending", "delivered"]
    assert about[first].detail.startswith("The partner's last answer: taken (delivery 1, answer_1.csv, read on ")
    assert about[third].detail is None, "it was not answered"
    (kronos / "answer_1.csv").unlink()
    (kronos / "answer_2.csv").write_text(f"{HEADER}{first},refused,y\n")
    world.run(KRONOS)
    told = explain_slot(world.services, KRONOS, first)
    assert (told.outcome, "taken" in told.detail) == ("pending", False)
    (kronos / "answer_3.csv").write_text(f"{HEADER}{first},accepted,\n")
    world.run(KRONOS)
    (kronos / "answer_3.csv").unlink()
    world.run(KRONOS)
    assert "taken (delivery 1, answer_3.csv" in explain_slot(world.services, KRONOS, first).detail, "for good"


def test_a_record_that_comes_back_as_it_was_refused_once_is_offered_again(world: World, kronos: Path) -> None:
    first = min(sent(world, 1))
    (kronos / "answer_1.csv").write_text(f"{HEADER}{first},refused,x\n")
    world.run(KRONOS)
    change(world, first)
    world.run(KRONOS)
    world.run(KRONOS)
    change(world, first, hours=-1)
    assert world.run(KRONOS).counts.pending == 0
    assert sent(world, 3) == {first: ["UPDATE"]}


def test_a_new_baseline_offers_everything(world: World, kronos: Path) -> None:
    from include.run.order import Order

    everything = set(sent(world, 1))
    (kronos / "answer_1.csv").write_text(f"{HEADER}{min(everything)},refused,x\n")
    world.run(KRONOS)
    world.run(KRONOS, order=Order(rebaseline=True))
    assert set(sent(world, 2)) == everything


def test_a_file_is_read_once_and_again_when_it_has_changed(world: World, kronos: Path) -> None:
    first, second, *_ = sorted(sent(world, 1))
    file = kronos / "answer_1.csv"
    file.write_text(f"{HEADER}{first},refused,x\n")
    world.run(KRONOS)
    world.run(KRONOS)
    assert attempts(world) == {first: 1}
    file.write_text(f"{HEADER}{first},refused,x\n{second},refused,y\n{second}9,ok,\n")  # it was still being written
    world.run(KRONOS)
    assert set(attempts(world)) == {first, second}
    with world.services.ledger_reading() as connection:
        [read] = result_files.read(connection, KRONOS).values()
    assert (read.seq, read.accepted, read.refused, read.unknown) == (1, 0, 2, 1)
    before = attempts(world)
    os.utime(file, (1_000_000_000, 1_000_000_000))
    world.run(KRONOS)
    assert attempts(world) == before, "touched, it says nothing new"
    file.unlink()
    world.run(KRONOS)
    with world.services.ledger_reading() as connection:
        assert result_files.read(connection, KRONOS) == {}


def attempts(world: World) -> dict[str, int]:
    with world.services.ledger_reading() as connection:
        return {refusal.slot_id: refusal.attempts for refusal in rows.refusals(connection, KRONOS)}


def test_an_answer_about_an_earlier_delivery_says_nothing_of_what_was_sent_since(world: World) -> None:
    answers = f"results: {{file_name: 'WFD_{{seq}}.csv', folder: {world.place}/elsewhere}}"
    answering(world, KRONOS, answers)
    folder = world.partner / "elsewhere"
    folder.mkdir()
    world.run(KRONOS)
    first, second, *_ = sorted(sent(world, 1))
    change(world, first)
    world.run(KRONOS)
    (folder / "WFD_1.csv").write_text(f"SourceSlotID\n{first}\n{second}\n")  # without a status: refusals only
    (folder / "WFD_9.csv").write_text(f"SourceSlotID\n{second}\n")  # of no delivery of ours
    receipt = world.run(KRONOS)
    assert receipt.counts.pending == 1
    assert explain_slot(world.services, KRONOS, first).outcome == "delivered"
    assert explain_slot(world.services, KRONOS, second).reason == "refused"


def test_a_feed_that_sends_everything_goes_on_doing_so_and_tells_what_was_refused(world: World) -> None:
    folder = answering(world, EPIC)
    world.run(EPIC)
    [file] = (world.partner / EPIC).glob("*.csv")
    before = file.read_bytes()
    with file.open(newline="") as opened:
        slot_id = next(csv.DictReader(opened))["SourceSlotID"]
    (folder / "answer_1.csv").write_text(f"{HEADER}{slot_id},rejected,Provider unknown\n")
    receipt = world.run(EPIC)
    assert (receipt.state, receipt.counts.pending, file.read_bytes()) == ("delivered", 1, before)
    assert "Provider unknown" in explain_slot(world.services, EPIC, slot_id).detail
    (folder / "answer_2.csv").write_text(f"{HEADER}{slot_id},accepted,\n")
    assert world.run(EPIC).counts.pending == 0
    assert incident(world, EPIC, "mapping") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Slot,Status,Message\nS,ok,\n", "answer_1.csv:1 [SourceSlotID]: this column is missing"),
        (f"{HEADER}S,perhaps,\n", "answer_1.csv:2 [Status]: is neither a word for accepted nor one for refused"),
        (f"{HEADER}S,ok\n", "answer_1.csv:2: has 2 cells, the header has 3"),
        (f"{HEADER},ok,\n", "answer_1.csv:2 [SourceSlotID]: is empty"),
        (f'{HEADER}"S,ok,\n', "answer_1.csv: is no CSV file"),
        ("", "answer_1.csv: is empty"),
        (b"SourceSlotID,Status,Message\n\xff,ok,\n", "answer_1.csv: is not utf-8"),
    ],
)
def test_an_answer_that_cannot_be_read_fails_the_run_after_its_delivery_and_is_read_once_it_is_mended(
    world: World, kronos: Path, text: Any, said: str
) -> None:
    first = min(sent(world, 1))
    (kronos / "answer_1.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    change(world, first)
    with pytest.raises(ResultsUnreadable) as failed:
        world.run(KRONOS)
    assert said in str(failed.value)
    assert sent(world, 2) == {first: ["UPDATE"]}, "what was due has been delivered"
    (kronos / "answer_1.csv").write_text(f"{HEADER}{first},refused,x\n")
    assert world.run(KRONOS).counts.pending == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("results: {}", "'results.file_name'"),
        ("results: {file_name: a/b.csv}", "must be a file name"),
        ("results: {file_name: '{date}.csv'}", "may contain {seq} once"),
        ("results: {file_name: a.csv, accepted: [OK], refused: [ok]}", "share the word 'ok'"),
    ],
)
def test_what_a_mapping_may_not_say_of_answers(world: World, text: str, said: str) -> None:
    answering(world, KRONOS, text)
    faults = [str(fault) for found in check_all(world.services.settings.mappings) for fault in found.faults]
    assert any(said in fault for fault in faults), faults


def test_names_are_matched_as_they_are_written(world: World) -> None:
    answering(world, KRONOS, "results: {file_name: 'W?D_*_{seq}.result(1).csv'}")
    results = load_feed(world.services.settings.mappings, KRONOS).results
    assert results is not None
    assert results.seq_of("WFD_20260301_000012.result(1).csv") == (True, 12)
    for other in ("WFD_1.result(1).csv", "WFD_a_1.result1.csv", "WFD_a_x.result(1).csv", ".WFD_a_1.result(1).csv"):
        assert results.seq_of(other) == (False, None)


def test_a_change_that_was_refused_leaves_what_the_partner_had(world: World, kronos: Path) -> None:
    """So the next change of it is an update again, and its withdrawal a delete."""
    first, second, *_ = sorted(sent(world, 1))
    for slot_id in (first, second):
        change(world, slot_id)
    world.run(KRONOS)
    (kronos / "answer_2.csv").write_text(f"{HEADER}{first},refused,x\n{second},refused,x\n")
    assert world.run(KRONOS).counts.pending == 2
    change(world, first)
    with world.store() as store:
        store.execute("DELETE FROM schedules WHERE slot_id = %s", [second])
    world.run(KRONOS)
    assert sent(world, 3) == {first: ["UPDATE"], second: ["DELETE"]}
    (kronos / "answer_3.csv").write_text(f"{HEADER}{first},refused,x\n{second},ok,\n")
    change(world, first, hours=-2)  # as the partner has it still: there is nothing to tell it
    receipt = world.run(KRONOS)
    assert (receipt.state, receipt.counts.pending, deliveries(world)) == ("unchanged", 0, 3)


def test_a_refused_delete_goes_again_with_every_delivery_until_it_is_taken(world: World, kronos: Path) -> None:
    first = min(sent(world, 1))
    with world.store() as store:
        store.execute("DELETE FROM schedules WHERE slot_id = %s", [first])
    for number in (2, 3):
        world.run(KRONOS)
        assert sent(world, number) == {first: ["DELETE"]}
        (kronos / f"answer_{number}.csv").write_text(f"{HEADER}{first},refused,x\n")
    world.run(KRONOS)
    (kronos / "answer_4.csv").write_text(f"{HEADER}{first},ok,\n")
    assert world.run(KRONOS).state == "unchanged"
    assert (sent(world, 4), deliveries(world)) == ({first: ["DELETE"]}, 4)

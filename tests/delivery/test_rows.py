"""The `Rows` way against a partner that misbehaves: refuses, forgets to answer, falls over; and kill -9 in between."""

from __future__ import annotations

import random
import signal
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from include.effects import effect, observed_by
from include.errors import ConfigurationError, DeliveryUncertain, DestinationUnavailable, FencedOut
from include.integration import Integration, Rows, Slots
from include.ledger import rows
from include.operations import Accepted, Later, Operation, Rate, Refusal, Unknown
from include.run.deliver import deliver
from include.run.order import Order
from tests.support import small_hospital as hospital
from tests.support.world import EPIC, OVERTAKEN, Paused, effects_of, in_child, kill_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from include.operations import Answer
    from include.run.handed import Decided

Fault = "Callable[[Operation], str | None]"


@dataclass(frozen=True)
class Partner:
    """A partner's database in a file, with an API in front of it that may fail on either side of its commit.

    It has no unique key of its own: adding the same record twice makes two of it, as real partners do. ``after`` is
    called with each operation that it has done, before its answer arrives.
    """

    file: Path
    fault: Fault = field(default=lambda _: None)
    after: Callable[[Operation], object] = field(default=lambda _: None)
    batch: int = 1
    rate: Rate | None = None
    blind: Callable[[Operation], bool] = field(default=lambda _: False)

    @contextmanager
    def session(self, connection: Any, settings: Any) -> Iterator[Partner]:
        with sqlite3.connect(self.file) as database:
            database.execute("CREATE TABLE IF NOT EXISTS record (id INTEGER PRIMARY KEY, key TEXT, content TEXT)")
        yield self

    def perform(self, operations: Sequence[Operation]) -> Iterator[tuple[Operation, Answer]]:
        assert len(operations) <= self.batch
        for operation in operations:
            yield operation, self._answer(operation)

    def _answer(self, operation: Operation) -> Answer:
        fault = self.fault(operation)
        if fault == "down":
            raise DestinationUnavailable("The partner does not answer.")
        if fault == "refuse":
            return Refusal("value_refused")
        if fault is not None and fault.startswith(("later", "all later")):
            return Later(float(fault.rpartition(" ")[2]), whole=fault.startswith("all"))
        if fault == "open":
            return Unknown()
        with effect(f"partner.{operation.kind}"):
            accepted = self._commit(operation)
        self.after(operation)
        if fault == "open, but done":
            return Unknown()
        if fault == "silent":
            raise DeliveryUncertain("The partner's answer was lost.")
        return accepted

    @property
    def scope_field(self) -> str:
        return "provider_id"

    def find(self, operations: Sequence[Operation]) -> Iterator[tuple[Operation, Accepted | Unknown | None]]:
        for operation in operations:
            if self.blind(operation):
                yield operation, Unknown("cannot be looked for")
                continue
            with sqlite3.connect(self.file) as database:
                found = database.execute("SELECT id FROM record WHERE key = ?", [operation.key]).fetchone()
            yield operation, Accepted(str(found[0])) if found else None

    def holds(self) -> dict[str, str]:
        with sqlite3.connect(self.file) as database:
            found = database.execute("SELECT key, content FROM record").fetchall()
        assert len(found) == len(dict(found)), "a record stands there twice"
        return dict(found)

    def _commit(self, operation: Operation) -> Accepted:
        with sqlite3.connect(self.file) as database:
            if operation.kind == "delete":
                database.execute("DELETE FROM record WHERE id = ?", [operation.remote_id])
                return Accepted()
            content = content_of(operation.record)
            if operation.kind == "update":
                done = database.execute("UPDATE record SET content = ? WHERE id = ?", [content, operation.remote_id])
                if done.rowcount:
                    return Accepted(operation.remote_id)
            made = database.execute("INSERT INTO record (key, content) VALUES (?, ?)", [operation.key, content])
            return Accepted(str(made.lastrowid))


def content_of(record: Mapping[str, Any]) -> str:
    return " | ".join(str(record[name]) for name in ("provider_id", "start", "stop", "notes"))


def pushing(partner: Partner, refresh: str = "changed") -> Integration:
    from include.transforms.epic_on_call_finder import on_call_records

    return Integration(EPIC, "# Records", Slots("window"), on_call_records, Rows(refresh), partner)  # type: ignore[arg-type]


def run(world, partner: Partner, run_id: str | None = None, refresh: str = "changed", order: Order | None = None):
    return deliver(pushing(partner, refresh), world.decide(EPIC, run_id), world.services, order)


def wanted(world) -> dict[str, str]:
    return contents(world, world.decide(EPIC))


def contents(world, decided: Decided) -> dict[str, str]:
    return {record["key"]: content_of(record) for record in records(world, decided)}


def records(world, decided: Decided | None = None) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    snapshot = (decided or world.decide(EPIC)).snapshot
    found: list[dict[str, Any]] = pq.read_table(world.services.artifacts.path(snapshot)).to_pylist()
    return found


def change(world, slot_id: str, **columns: Any) -> None:
    with world.store() as store:
        for name, value in columns.items():
            store.execute(f"UPDATE schedules SET {name} = %s WHERE slot_id = %s", [value, slot_id])
        store.commit()


def intents(world) -> list[rows.Intent]:
    with world.services.ledger_reading() as connection:
        return rows.intents(connection, EPIC)


def acknowledged(world) -> dict[str, str]:
    with world.services.ledger_reading() as connection:
        return {record.key: record.record_sha256 for record in rows.acknowledged(connection, EPIC)}


#: What makes the plan add, update or delete the record of a slot, and what undoes that.
EDITS = {
    "add": ({"is_pending": False}, {"is_pending": True}),
    "update": ({"note": "changed"}, {"note": "as before"}),
    "delete": ({"is_pending": True}, {"is_pending": False}),
}


def prepared(world, partner: Partner, kind: str) -> str:
    """Deliver everything, then edit one slot so that the next run has exactly one operation; returns the slot."""
    slot_id: str = min(record["slot_id"] for record in records(world))
    edit, undo = EDITS[kind]
    change(world, slot_id, **undo)
    run(world, partner)
    change(world, slot_id, **edit)
    return slot_id


@pytest.fixture
def partner(tmp_path) -> Partner:
    return Partner(tmp_path / "partner.sqlite")


def test_the_partner_follows_the_store_record_by_record(world, partner):
    first = run(world, partner)
    assert first.state == "delivered"
    assert first.counts.pending == 0
    assert partner.holds() == wanted(world)
    assert run(world, partner).state == "unchanged"
    dice = random.Random(2)
    for _ in range(5):
        with world.store() as store:
            hospital.edit(store, dice)
        run(world, partner)
        assert partner.holds() == wanted(world)


def test_one_refused_record_does_not_stop_the_others_and_goes_again_once_it_changed(world, partner):
    victim = sorted(wanted(world))[2]
    refusing = replace(partner, fault=lambda operation: "refuse" if operation.key == victim else None)
    receipt = run(world, refusing)
    assert receipt.counts.pending == 1
    assert set(partner.holds()) == set(wanted(world)) - {victim}
    with world.services.ledger_reading() as connection:
        (refusal,) = rows.refusals(connection, EPIC)
    assert (refusal.key, refusal.reason, refusal.attempts) == (victim, "value_refused", 1)
    asked: list[str] = []
    run(world, replace(partner, fault=lambda operation: asked.append(operation.key)))
    assert asked == []  # nothing about it has changed
    with world.store() as store:
        store.execute("UPDATE schedules SET note = 'mended' WHERE slot_id = %s", [refusal.slot_id])
        store.commit()
    assert run(world, partner).counts.pending == 0
    assert partner.holds() == wanted(world)
    with world.services.ledger_reading() as connection:
        assert rows.refusals(connection, EPIC) == []


def test_a_lost_answer_is_looked_up_before_anything_is_added_again(world, partner):
    answers = iter([None, None, "silent"])
    with pytest.raises(DeliveryUncertain):
        run(world, replace(partner, fault=lambda _: next(answers)))
    assert len(intents(world)) == 1
    run(world, partner)
    assert partner.holds() == wanted(world)
    assert intents(world) == []


def test_a_partner_that_falls_over_keeps_what_it_acknowledged(world, partner):
    answers = iter([None, None, None, "down"])
    with pytest.raises(DestinationUnavailable):
        run(world, replace(partner, fault=lambda _: next(answers)))
    assert len(partner.holds()) == 3
    asked: list[str] = []
    run(world, replace(partner, fault=lambda operation: asked.append(operation.key)))
    assert len(asked) == len(wanted(world)) - 3
    assert partner.holds() == wanted(world)


def test_refresh_all_sends_every_record_again_and_still_no_record_twice(world, partner):
    run(world, partner, refresh="all")
    asked: list[str] = []
    run(world, replace(partner, fault=lambda operation: asked.append(operation.kind)), refresh="all")
    assert asked == ["update"] * len(wanted(world))
    assert partner.holds() == wanted(world)


@pytest.mark.parametrize("kind", EDITS)
def test_a_lost_answer_is_doubted_even_if_the_edit_was_undone_meanwhile(world, partner, kind):
    slot_id = prepared(world, partner, kind)
    done: list[str] = []
    with pytest.raises(DeliveryUncertain):
        run(world, replace(partner, fault=lambda _: "silent", after=lambda operation: done.append(operation.kind)))
    assert done == [kind]
    assert list(acknowledged(world).values()).count(rows.UNKNOWN) == (kind != "add")
    change(world, slot_id, **EDITS[kind][1])
    assert run(world, partner).counts.pending == 0
    assert partner.holds() == wanted(world)
    assert intents(world) == []
    assert run(world, partner).state == "unchanged"


@pytest.mark.parametrize("kind", EDITS)
def test_what_an_overtaken_run_has_not_asked_yet_it_does_not_ask(world, partner, kind):
    """It is overtaken between two records: the second one does not leave."""
    prepared(world, partner, kind)
    change(world, max(record["slot_id"] for record in records(world)), note="something else to do")
    asked: list[str] = []
    newer: list[str] = []

    def overtaken(name: str, moment: str) -> None:
        if (name, moment) == ("ledger.answer_rows", "after") and not newer:
            newer.append(name)
            run(world, partner)

    with observed_by(overtaken), pytest.raises(FencedOut):
        run(world, replace(partner, fault=lambda operation: asked.append(operation.kind)))
    assert len(asked) == 1
    assert intents(world) == []


@pytest.mark.parametrize("undone", [True, False])
@pytest.mark.parametrize("kind", EDITS)
def test_what_an_overtaken_run_does_late_is_repaired_by_the_next(world, partner, kind, undone):
    """A newer run completes between its question's leaving and the partner's doing it."""
    slot_id = prepared(world, partner, kind)

    def overtaken(_: Operation) -> None:
        if undone:
            change(world, slot_id, **EDITS[kind][1])
        run(world, partner)

    with pytest.raises(FencedOut):
        run(world, replace(partner, fault=overtaken))
    assert run(world, partner).counts.pending == 0
    assert partner.holds() == wanted(world)
    assert intents(world) == []
    assert run(world, partner).state == "unchanged"


def test_the_answer_of_a_newer_run_does_not_settle_what_an_older_one_did_late(world, partner):
    """The old delete arrives between the newer run's update of the same record and its answer."""
    slot_id = prepared(world, partner, "update")
    overtaken = world.decide(EPIC).extracted.claim

    def old_delete_arrives(update: Operation) -> None:
        partner._commit(replace(update, kind="delete"))
        with world.services.ledger("test_doubts") as connection:
            late = rows.Intent("delete", update.key, slot_id, update.remote_id, update.record)
            rows.doubt(connection, overtaken, [late])

    run(world, replace(partner, after=old_delete_arrives))
    run(world, partner)
    assert partner.holds() == wanted(world)


@pytest.mark.timeout(1800)
def test_a_paused_push_that_wakes_up_late_leaves_nothing_wrong(world, partner, tmp_path):
    """SIGSTOP at an effect of every kind, a newer run completes, SIGCONT, one more run: as the store says."""
    dice = random.Random(6)

    def decided(seed: int) -> Decided:
        """One record to add, one to update, one to delete, and what people do besides."""
        with world.store() as store:
            store.execute("DELETE FROM schedules WHERE slot_id > 'S025' OR slot_id LIKE 'N%'")
            hospital.edit(store, dice)
            store.execute("UPDATE schedules SET is_pending = false")
            store.commit()
        victims = dice.sample(on_call, 2)
        change(world, victims[0], is_pending=True)
        change(world, victims[1], note=f"note {seed}")
        return world.decide(EPIC)

    on_call = sorted(record["slot_id"] for record in records(world) if record["slot_id"] <= "S025")
    deliver(pushing(partner), decided(0), world.services)
    first = decided(1)
    effects = effects_of(lambda: deliver(pushing(partner), first, world.services), tmp_path / "effects.json")
    assert {"partner.add", "partner.update", "partner.delete"} <= set(effects)
    asked = [effects.index(f"partner.{kind}") for kind in EDITS]
    places = {effects.index(name) for name in effects} | {place - 1 for place in asked} | {place + 1 for place in asked}
    overtaken = 0
    for place in sorted(places):
        late = decided(2 * place + 2)
        zombie = Paused(place + 1, partial(deliver, pushing(partner), late, world.services))
        deliver(pushing(partner), decided(2 * place + 3), world.services)
        ended = zombie.wake()
        assert ended in (0, OVERTAKEN), effects[place]
        overtaken += ended == OVERTAKEN
        last = world.decide(EPIC)
        deliver(pushing(partner), last, world.services)
        assert partner.holds() == contents(world, last), effects[place]
        assert intents(world) == []
    assert overtaken >= 2 * len(asked)


def test_a_partner_that_takes_several_at_once_is_asked_and_acknowledged_in_batches(world, partner, tmp_path):
    everything = len(records(world))
    effects = effects_of(lambda: run(world, replace(partner, batch=4)), tmp_path / "effects.json")
    batches = -(-everything // 4)
    assert effects.count("partner.add") == everything > batches
    assert effects.count("ledger.intend_rows") == effects.count("ledger.answer_rows") == batches
    assert partner.holds() == wanted(world)


def test_what_a_batch_answered_before_it_broke_counts(world, partner):
    answers = iter([None] * 6 + ["silent"])
    with pytest.raises(DeliveryUncertain):
        run(world, replace(partner, batch=4, fault=lambda _: next(answers)))
    assert len(acknowledged(world)) == 6
    assert len(intents(world)) == 2
    run(world, replace(partner, batch=4))
    assert partner.holds() == wanted(world)
    assert intents(world) == []


def test_a_partner_that_leaves_a_record_without_an_answer_is_doubted(world, partner):
    class Forgetful(Partner):
        def perform(self, operations: Sequence[Operation]) -> Iterator[tuple[Operation, Answer]]:
            yield from list(super().perform(operations))[1:]

    with pytest.raises(DeliveryUncertain, match="1 record"):
        run(world, Forgetful(partner.file, batch=4))
    assert len(intents(world)) == 1
    run(world, partner)
    assert partner.holds() == wanted(world)


def test_a_new_baseline_sends_everything_and_offers_again_what_was_refused(world, partner):
    victim = sorted(wanted(world))[2]
    run(world, replace(partner, fault=lambda operation: "refuse" if operation.key == victim else None))
    asked: dict[str, str] = {}
    order = Order(rebaseline=True, by="somebody")
    run(world, replace(partner, fault=lambda operation: asked.update({operation.key: operation.kind})), order=order)
    assert asked == dict.fromkeys(wanted(world), "update") | {victim: "add"}
    assert partner.holds() == wanted(world)


def test_there_is_no_delivery_to_send_again(world, partner):
    run(world, partner)
    with pytest.raises(ConfigurationError, match="rebaseline"):
        run(world, partner, order=Order(resend=True, by="somebody"))


def test_days_later_the_past_is_neither_deleted_nor_remembered(world, partner, monkeypatch):
    run(world, partner)
    first = partner.holds()
    monkeypatch.setenv("CALLBOARD_NOW", "2026-03-08T12:00:00-05:00")
    asked: list[str] = []
    receipt = run(world, replace(partner, fault=lambda operation: asked.append(operation.kind)))
    assert "delete" not in asked
    assert receipt.counts.pending == 0
    assert partner.holds() == first | wanted(world)
    assert first.keys() - wanted(world)
    assert acknowledged(world).keys() == wanted(world).keys()
    assert run(world, partner).state == "unchanged"


@pytest.mark.timeout(900)
def test_killed_at_every_effect_of_a_push_the_partner_still_equals_the_store(world, partner, tmp_path):
    dice = random.Random(4)
    with world.store() as store:
        store.execute("DELETE FROM schedules WHERE slot_id > 'S015'")
        store.commit()
    effects = effects_of(lambda: run(world, partner), tmp_path / "effects.json")
    assert "partner.add" in effects
    # Every kind of effect, the first and the last time it happens, rather than every record of the first push.
    places = sorted(
        {effects.index(name) for name in effects} | {len(effects) - effects[::-1].index(n) - 1 for n in effects}
    )
    killed = 0
    for place in places:
        for moment in ("before", "after"):
            partner.file.unlink(missing_ok=True)
            with world.services.ledger("test_forgets") as connection:
                connection.exec_driver_sql("DELETE FROM row_ack; DELETE FROM row_intent")
            with world.store() as store:
                hospital.edit(store, dice)
            run_id = world.run_id()
            ended = in_child(lambda run_id=run_id: run(world, partner, run_id), kill_at(place + 1, moment))
            killed += ended == -signal.SIGKILL
            run(world, partner)
            assert partner.holds() == wanted(world), f"{moment} {effects[place]}"
    assert killed > len(places)

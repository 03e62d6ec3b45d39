"""The `Rows` way against a partner that misbehaves: declines, forgets to answer, falls over; and kill -9 in between."""

from __future__ import annotations

import random
import signal
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from include.effects import effect
from include.errors import DeliveryUncertain, DestinationUnavailable
from include.integration import Integration, Rows, Slots
from include.ledger import rows
from include.operations import Accepted, Declined, Operation
from include.run.deliver import deliver
from tests.support import small_hospital as hospital
from tests.support.world import EPIC, effects_of, in_child, kill_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Fault = "Callable[[Operation], str | None]"


@dataclass(frozen=True)
class Partner:
    """A partner's database in a file, with an API in front of it that may fail on either side of its commit.

    It has no unique key of its own: creating the same record twice makes two of it, as real partners do.
    """

    file: Path
    fault: Fault = field(default=lambda _: None)

    @contextmanager
    def session(self, connection: Any, settings: Any) -> Iterator[Partner]:
        with sqlite3.connect(self.file) as database:
            database.execute("CREATE TABLE IF NOT EXISTS record (id INTEGER PRIMARY KEY, key TEXT, provider TEXT)")
        yield self

    def perform(self, operation: Operation) -> Accepted | Declined:
        fault = self.fault(operation)
        if fault == "down":
            raise DestinationUnavailable("The partner does not answer.")
        if fault == "decline":
            return Declined("value_refused")
        with effect(f"partner.{operation.kind}"):
            accepted = self._commit(operation)
        if fault == "silent":
            raise DeliveryUncertain("The partner's answer was lost.")
        return accepted

    def find(self, key: str) -> Accepted | None:
        with sqlite3.connect(self.file) as database:
            found = database.execute("SELECT id FROM record WHERE key = ?", [key]).fetchone()
        return Accepted(str(found[0])) if found else None

    def holds(self) -> dict[str, str]:
        with sqlite3.connect(self.file) as database:
            found = database.execute("SELECT key, provider FROM record").fetchall()
        assert len(found) == len(dict(found)), "a record stands there twice"
        return dict(found)

    def _commit(self, operation: Operation) -> Accepted:
        provider = operation.record.get("provider_id")
        with sqlite3.connect(self.file) as database:
            if operation.kind == "delete":
                database.execute("DELETE FROM record WHERE id = ?", [operation.remote_id])
                return Accepted()
            if operation.kind == "update":
                database.execute("UPDATE record SET provider = ? WHERE id = ?", [provider, operation.remote_id])
                return Accepted(operation.remote_id)
            made = database.execute("INSERT INTO record (key, provider) VALUES (?, ?)", [operation.key, provider])
            return Accepted(str(made.lastrowid))


def pushing(partner: Partner, refresh: str = "changed") -> Integration:
    from include.transforms.epic_on_call_finder import on_call_records

    return Integration(EPIC, "# Records", Slots("window"), on_call_records, Rows(refresh), partner)  # type: ignore[arg-type]


def run(world, partner: Partner, run_id: str | None = None, refresh: str = "changed"):
    return deliver(pushing(partner, refresh), world.decide(EPIC, run_id), world.services)


def wanted(world) -> dict[str, str]:
    import pyarrow.parquet as pq

    decided = world.decide(EPIC)
    table = pq.read_table(world.services.artifacts.path(decided.snapshot), columns=["key", "provider_id"])
    return dict(zip(table["key"].to_pylist(), table["provider_id"].to_pylist(), strict=True))


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


def test_one_declined_record_does_not_stop_the_others_and_goes_again_once_it_changed(world, partner):
    victim = sorted(wanted(world))[2]
    declining = replace(partner, fault=lambda operation: "decline" if operation.key == victim else None)
    receipt = run(world, declining)
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


def test_a_lost_answer_is_looked_up_before_anything_is_created_again(world, partner):
    answers = iter([None, None, "silent"])
    with pytest.raises(DeliveryUncertain):
        run(world, replace(partner, fault=lambda _: next(answers)))
    with world.services.ledger_reading() as connection:
        assert len(rows.intents(connection, EPIC)) == 1
    run(world, partner)
    assert partner.holds() == wanted(world)
    with world.services.ledger_reading() as connection:
        assert rows.intents(connection, EPIC) == []


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


@pytest.mark.timeout(900)
def test_killed_at_every_effect_of_a_push_the_partner_still_equals_the_store(world, partner, tmp_path):
    dice = random.Random(4)
    with world.store() as store:
        store.execute("DELETE FROM schedules WHERE slot_id > 'S015'")
        store.commit()
    effects = effects_of(lambda: run(world, partner), tmp_path / "effects.json")
    assert "partner.create" in effects
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

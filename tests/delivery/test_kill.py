"""kill -9 before and after every side effect of a run, enumerated by the run itself; then start again.

The receiver polls like a hospital's import: it takes and removes whatever is visible, whenever it looks. After the
restart it must hold exactly what the store says: nothing lost, nothing twice, no half file. The naive protocols at the
end go through the same harness and must fail it, or the harness proves nothing.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from include.ledger import deliveries, fence
from include.ledger.records import NewDelivery
from include.run.deliver import deliver
from include.run.payload import freeze_payload
from include.run.validate import frozen_mapping
from tests.support import small_hospital as hospital
from tests.support.receiver import KronosReceiver
from tests.support.world import EPIC, KRONOS, OVERTAKEN, UNCERTAIN, Paused, effects_of, in_child, integration, kill_at

if TYPE_CHECKING:
    from tests.support.world import World

#: Each seed is another order of edits and another moment at which the receiver looks. CALLBOARD_KILL_SEEDS for more.
SEEDS = range(int(os.environ.get("CALLBOARD_KILL_SEEDS", "8")))


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Import once what every child would import again."""
    import duckdb
    import great_expectations
    import pandas as pd
    import paramiko

    assert all((duckdb, great_expectations, pd, paramiko))


def trial(world: World, receiver: KronosReceiver, dice: random.Random, number: int, moment: str, how=deliver) -> int:
    """Edit the store, kill a run, let the receiver look or not, run again; returns how the killed run ended."""
    with world.store() as store:
        hospital.edit(store, dice)
    run_id = world.run_id()
    ended = in_child(lambda: world.run(KRONOS, run_id=run_id, how=how), kill_at(number, moment))
    if dice.random() < 0.5:
        receiver.collect()
    if dice.random() < 0.3:  # somebody edits before the platform is up again
        with world.store() as store:
            hospital.edit(store, dice)
    again = world.run_id()
    assert in_child(lambda: world.run(KRONOS, run_id=again, how=how)) == 0
    receiver.collect()
    return ended


def missing_or_wrong(world: World, receiver: KronosReceiver) -> int:
    with world.store() as store:
        truth = hospital.kronos_truth(store)
    return len(set(truth.items()) ^ set(receiver.held.items()))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_every_effect_the_partner_still_equals_the_store(world, tmp_path, seed):
    dice = random.Random(seed)
    receiver = KronosReceiver(world.partner / KRONOS)
    with world.store() as store:
        hospital.edit(store, dice)
    effects = effects_of(lambda: world.run(KRONOS), tmp_path / "effects.json")
    receiver.collect()
    assert {"ledger.claim", "ledger.prepare", "sftp.rename", "ledger.commit"} <= set(effects)
    killed = 0
    for number in range(1, len(effects) + 1):
        for moment in ("before", "after"):
            ended = trial(world, receiver, dice, number, moment)
            killed += ended == -signal.SIGKILL
            assert receiver.faults == (0, 0, 0), f"at {moment} {effects[number - 1]} ({number})"
            assert missing_or_wrong(world, receiver) == 0, f"at {moment} {effects[number - 1]} ({number})"
    assert killed >= len(effects)  # a run without changes has fewer effects than the first one
    assert not [file for file in (world.partner / KRONOS).iterdir() if file.name.startswith(".")]


@pytest.mark.timeout(1800)
def test_killed_at_every_effect_the_last_good_on_call_file_is_whole(world, tmp_path):
    world.run(EPIC)
    file = world.partner / EPIC / "oncall.csv"
    effects = effects_of(lambda: world.run(EPIC), tmp_path / "effects.json")
    dice = random.Random(3)
    for number in range(1, len(effects) + 1):
        for moment in ("before", "after"):
            before = file.read_bytes()
            with world.store() as store:
                hospital.edit(store, dice)
            run_id = world.run_id()
            in_child(lambda run_id=run_id: world.run(EPIC, run_id=run_id), kill_at(number, moment))
            left = file.read_bytes()
            world.run(EPIC)
            assert left in (before, file.read_bytes()), f"at {moment} {effects[number - 1]}"
            assert left.endswith(b"\r\n")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(2))
def test_a_paused_run_that_wakes_up_late_changes_nothing(world, tmp_path, seed):
    """SIGSTOP at every effect, a newer run completes, SIGCONT: neither twice nor backwards."""
    dice = random.Random(seed)
    receiver = KronosReceiver(world.partner / KRONOS)
    effects = effects_of(lambda: world.run(KRONOS), tmp_path / "effects.json")
    receiver.collect()
    for number in range(1, len(effects) + 1):
        with world.store() as store:
            hospital.edit(store, dice)
        zombie = Paused(number, partial(world.run, KRONOS, run_id=world.run_id()))
        with world.store() as store:
            hospital.edit(store, dice)
        world.run(KRONOS)
        receiver.collect()
        # Uncertain: the newer run has renamed its upload in the meantime. A retry of it would find itself overtaken.
        assert zombie.wake() in (0, OVERTAKEN, UNCERTAIN), effects[number - 1]
        world.run(KRONOS)
        receiver.collect()
        assert receiver.faults == (0, 0, 0), effects[number - 1]
        assert missing_or_wrong(world, receiver) == 0, effects[number - 1]


# ---------------------------------------------------------------------------------------------------------------------
# The naive protocols. Each is what people write first; each must lose or duplicate here.


def _naive_payload(integration_, decided, services):
    """What changed since the last recorded snapshot, rendered; None when nothing did."""
    from include.plan.diff import diff

    mapping = frozen_mapping(decided.extracted, services)
    stream, epoch = decided.extracted.claim.stream, decided.extracted.span.epoch
    with services.ledger_reading() as connection:
        head = deliveries.head(connection, stream, epoch)
        seq = deliveries.next_seq(connection, stream)
    with services.artifacts.scratch("naive") as folder:
        delta = folder / "delta.parquet"
        held = services.artifacts.path(head.snapshot) if head else None
        counts = diff(held, services.artifacts.path(decided.snapshot), delta)
        if not counts.adds + counts.updates + counts.deletes:
            return None
        files = freeze_payload(
            integration_.way,
            mapping,
            decided.extracted,
            claim=decided.extracted.claim,
            seq=seq,
            wanted=services.artifacts.path(decided.snapshot),
            delta=delta,
            folder=folder,
            services=services,
        )
    return NewDelivery(
        seq=seq,
        kind="new",
        epoch=epoch,
        mapping_version="naive",
        base_snapshot=None,
        snapshot=decided.snapshot,
        adds=counts.adds,
        updates=counts.updates,
        deletes=counts.deletes,
        destination={"connection": "", "folder": mapping.destination.folder, "publish": "rename"},
        files=files,
    )


def _put(new: NewDelivery, services, world_root) -> None:
    """Write straight under the final name, in two pieces, as a stream to a server does."""
    from include.effects import effect

    target = world_root / new.files[0].final_name
    data = services.artifacts.path(new.files[0].sha256).read_bytes()
    with effect("naive.first_half"):
        target.write_bytes(data[: len(data) // 2])
    with effect("naive.second_half"), target.open("ab") as file:
        file.write(data[len(data) // 2 :])


def _record(new: NewDelivery, decided, services) -> None:
    with services.ledger("naive_state") as connection:
        claim = fence.begin_delivery(connection, decided.extracted.claim)
        prepared = deliveries.prepare(connection, claim, new)
        staged = deliveries.advance(connection, claim, prepared, source="PREPARED", target="STAGED", evidence={})
        delivered = deliveries.advance(connection, claim, staged, source="STAGED", target="DELIVERED", evidence={})
        deliveries.commit(connection, claim, delivered)


def naive(order: str, folder):
    def how(integration_, decided, services, _order=None):
        new = _naive_payload(integration_, decided, services)
        if new is not None:
            steps = [lambda: _put(new, services, folder), lambda: _record(new, decided, services)]
            for step in steps if order == "put then state" else reversed(steps):
                step()

    return how


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("order", ["put then state", "state then put"])
def test_the_naive_orders_fail_this_harness(world, tmp_path, order):
    folder = world.partner / KRONOS
    how = naive(order, folder)
    receiver = KronosReceiver(folder)
    dice = random.Random(1)
    effects = effects_of(lambda: world.run(KRONOS, how=how), tmp_path / "effects.json")
    receiver.collect()
    late = [number for number, name in enumerate(effects, 1) if name.startswith(("naive", "ledger.naive"))]
    for number in late * 3:
        for moment in ("before", "after"):
            trial(world, receiver, dice, number, moment, how)
    assert sum(receiver.faults) + missing_or_wrong(world, receiver) > 0


@pytest.mark.timeout(1800)
def test_a_fence_taken_late_fails_this_harness(world, tmp_path, monkeypatch):
    """The same protocol, but the fence is claimed when delivering: a paused run wakes up and delivers older data."""

    def late(integration_, decided, services, order=None):
        from dataclasses import replace

        extracted = decided.extracted
        with services.ledger("late_claim") as connection:
            claim = fence.claim(connection, extracted.claim.stream, extracted.feed, extracted.claim.run_id)
        return deliver(integration_, replace(decided, extracted=replace(extracted, claim=claim)), services, order)

    receiver = KronosReceiver(world.partner / KRONOS)
    world.run(KRONOS, how=late)
    receiver.collect()
    backwards = 0
    dice = random.Random(5)
    for _ in range(6):
        with world.store() as store:
            hospital.edit(store, dice)
        paused = world.decide(KRONOS)  # a run that sleeps between its transform and its delivery
        with world.store() as store:
            hospital.edit(store, dice)
        world.run(KRONOS, how=late)
        receiver.collect()
        late(integration(KRONOS), paused, world.services)
        receiver.collect()
        backwards += missing_or_wrong(world, receiver) > 0
        world.run(KRONOS, how=late)
        receiver.collect()
    assert backwards > 0
    shutil.rmtree(world.services.settings.var)

"""The protocols that people write first. Each must lose or duplicate under the harness of test_kill.py and
test_zombies.py, or that harness proves nothing.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product

import pytest

from include.effects import effect
from include.ledger import deliveries, fence
from include.ledger.records import NewDelivery
from include.plan.diff import diff
from include.run.deliver import deliver
from include.run.frozen import frozen_mapping
from include.run.payload import freeze_payload
from tests.support.figures import Figures
from tests.support.kills import edit, judge, something_to_deliver, trial, warm
from tests.support.receiver import KronosReceiver
from tests.support.world import KRONOS, effects_of, integration, kill_when


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm()


def _naive_payload(integration_, decided, services):
    """What changed since the last recorded snapshot, rendered; None when nothing did."""
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
            integration_,
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
    late = [name for name in effects if name.startswith(("naive", "ledger.naive"))]
    figures = Figures()
    for name, moment in product(late * 3, ("before", "after")):
        trial(world, receiver, dice, kill_when(name, moment), how)
        judge(world, receiver, figures)
        if figures.faults:
            return
    pytest.fail("the harness noticed nothing")


@pytest.mark.timeout(1800)
def test_a_fence_taken_late_fails_this_harness(world, tmp_path, monkeypatch):
    """The same protocol, but the fence is claimed when delivering: a paused run wakes up and delivers older data."""

    def late(integration_, decided, services, order=None):
        extracted = decided.extracted
        with services.ledger("late_claim") as connection:
            claim = fence.claim(connection, extracted.claim.stream, extracted.feed, extracted.claim.run_id)
        return deliver(integration_, replace(decided, extracted=replace(extracted, claim=claim)), services, order)

    receiver = KronosReceiver(world.partner / KRONOS)
    world.run(KRONOS, how=late)
    receiver.collect()
    dice = random.Random(5)
    for _ in range(6):
        something_to_deliver(world, dice)
        edit(world, dice)
        paused = world.decide(KRONOS)  # a run that sleeps between its transform and its delivery
        edit(world, dice)
        world.run(KRONOS, how=late)
        receiver.collect()
        late(integration(KRONOS), paused, world.services)
        receiver.collect()
        judge(world, receiver, figures := Figures())
        if figures.faults:
            return
        world.run(KRONOS, how=late)
        receiver.collect()
    pytest.fail("the harness noticed nothing")

"""Every feed of changes against a receiver of its own: people edit, runs are killed, files get lost, rows are refused.

Whatever happened, the partner holds what the store says, but for what it refused; and once that has changed, all of it.
These partners answer before the next run. That they may look late, too, is tried in test_kill.py and its neighbours.
"""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING, Any

import pytest

from include.integration import Changes
from include.ledger import rows
from include.run.order import Order
from tests.support import small_hospital as hospital
from tests.support.declarations import dag_files, declared
from tests.support.figures import counting
from tests.support.kills import edit, warm
from tests.support.receiver import DutyHoursReceiver, KronosReceiver
from tests.support.world import KRONOS, effects_of, in_child, kill_at

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.world import World

RESIDENTS = "new_innovations"
#: Each feed of changes: its receiver, and what the receiver should hold, worked out from the store by hand.
PARTNERS: dict[str, tuple[type[KronosReceiver], Any]] = {
    KRONOS: (KronosReceiver, hospital.kronos_truth),
    RESIDENTS: (DutyHoursReceiver, hospital.duty_hours_truth),
}
#: Rounds in each world, and worlds for each feed. CALLBOARD_RECEIVER_EXAMPLES and CALLBOARD_RECEIVER_SEEDS for more.
EXAMPLES = int(os.environ.get("CALLBOARD_RECEIVER_EXAMPLES", "12"))
SEEDS = range(int(os.environ.get("CALLBOARD_RECEIVER_SEEDS", "2")))


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm()


def test_every_feed_of_changes_has_a_receiver() -> None:
    assert {slug for slug in dag_files() if isinstance(declared(slug).way, Changes)} == set(PARTNERS)


def answering(world: World, feed: str) -> Path:
    """The folder that the partner looks into; it answers in a folder of its own."""
    folder = world.partner / feed
    if feed == RESIDENTS:
        world.add_feed(feed, hospital.NEW_INNOVATIONS_YAML, csv=hospital.NEW_INNOVATIONS_CSV)
    (folder / "results").mkdir()
    with (world.services.settings.mappings / f"{feed}.yaml").open("a") as yaml:
        yaml.write("results: {file_name: 'answer_{seq}.csv', slot_id: Slot, person: Who, status: Taken}\n")
    return folder


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("feed", PARTNERS)
def test_the_partner_equals_the_store_but_for_what_it_refuses(
    world: World, tmp_path: Path, feed: str, seed: int
) -> None:
    dice = random.Random(f"{feed} {seed}")
    kind, truth_of = PARTNERS[feed]
    receiver = kind(answering(world, feed))

    def judge() -> None:
        with world.store() as store:
            truth = truth_of(store)
        for key in (truth.keys() | receiver.held.keys()) - receiver.pending:
            assert receiver.held.get(key) == truth.get(key)
        assert receiver.faults == (0, 0, 0)

    effects = len(effects_of(lambda: world.run(feed), tmp_path / "effects.json"))
    receiver.collect()
    killed = lost = refused = 0
    with counting(f"a receiver of its own ({feed})") as figures:
        for example in range(EXAMPLES):
            receiver.refuses = lambda *_: dice.random() < 0.15
            edit(world, dice)
            if example % 5 < 3:
                moment = dice.choice(("before", "after"))
                run_id, number = world.run_id(), dice.randint(1, effects)
                killed += in_child(lambda: world.run(feed, run_id=run_id), kill_at(number, moment)) == -signal.SIGKILL  # noqa: B023
                receiver.collect()
                edit(world, dice)
            receipt = world.run(feed)
            if receipt.state == "delivered" and example % 5 > 2:
                lost += lose_and_send_again(world, feed, receiver)
            receiver.collect()
            world.run(feed)  # reads what the partner said; what is new since goes out
            receiver.collect()
            judge()
            refused += len(receiver.pending)
            figures.tries += 1
    assert min(killed, lost, refused) > 0

    receiver.refuses = lambda *_: False
    world.run(feed)
    receiver.collect()
    world.run(feed)
    mend(world, feed)
    for _ in range(2):
        world.run(feed)
        receiver.collect()
    receiver.pending.clear()  # what was refused and then withdrawn is nowhere, as it should be
    judge()


def lose_and_send_again(world: World, feed: str, receiver: KronosReceiver) -> int:
    """The last file vanishes before the partner takes it, if it has not; somebody sends it once more."""
    left = [file for file in receiver.folder.iterdir() if file.is_file() and not file.name.startswith(".")]
    if len(left) != 1:
        return 0
    left[0].unlink()
    world.run(feed, order=Order(resend=True))
    assert left[0].exists()
    return 1


def mend(world: World, feed: str) -> None:
    """Change every record that the partner refused: then it goes again."""
    with world.services.ledger_reading() as connection:
        slots = [refusal.slot_id for refusal in rows.refusals(connection, feed)]
    with world.store() as store:
        store.execute(
            "UPDATE schedules SET stop_local = stop_local + interval '2 hours', stop_utc = NULL"
            " WHERE slot_id = ANY(%s)",
            [slots],
        )

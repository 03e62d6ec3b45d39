"""SIGSTOP before every side effect of a run, a newer run completes, SIGCONT: neither twice nor backwards.

A paused run is what an Airflow retry after a lost heartbeat leaves behind: alive, late, and with older data.
"""

from __future__ import annotations

import os
import random
from functools import partial

import pytest

from tests.support.figures import counting
from tests.support.kills import edit, judge, places_of, something_to_deliver, warm
from tests.support.receiver import KronosReceiver
from tests.support.world import KRONOS, OVERTAKEN, UNCERTAIN, Paused, effects_of

#: CALLBOARD_ZOMBIE_SEEDS for more; of the profiles other than rename, only what differs is paused.
SEEDS = range(int(os.environ.get("CALLBOARD_ZOMBIE_SEEDS", "1")))
#: The effects are dealt out to so many worlds: several processes can share them.
PARTS = {"rename": 4, "done_marker": 2}
TRIALS = [(publish, seed, part) for publish, parts in PARTS.items() for seed in SEEDS for part in range(parts)]


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("publish", "seed", "part"), TRIALS)
def test_a_paused_run_that_wakes_up_late_changes_nothing(world, tmp_path, publish, seed, part):
    dice = random.Random(f"{seed} {part}")
    receiver = KronosReceiver(world.partner / KRONOS, marker=world.publish_by(KRONOS, publish))
    world.run(KRONOS)
    receiver.collect()
    something_to_deliver(world, dice)
    effects = effects_of(lambda: world.run(KRONOS), tmp_path / "effects.json")
    receiver.collect()
    places = places_of(effects)[0 if publish == "rename" else effects.index("ledger.begin_delivery") :]
    with counting(f"paused at every effect, woken late ({publish})") as figures:
        for place in places[part :: PARTS[publish]]:
            something_to_deliver(world, dice)
            edit(world, dice)
            zombie = Paused(place.nth, partial(world.run, KRONOS, run_id=world.run_id()), of=place.name)
            assert zombie.is_paused or not place.is_certain, place
            edit(world, dice)
            world.run(KRONOS)
            if dice.random() < 0.5:  # else the newer file still lies there when the older run wakes up
                receiver.collect()
            # Uncertain: the newer run has published its upload in the meantime. A retry would find itself overtaken.
            assert zombie.wake() in (0, OVERTAKEN, UNCERTAIN), place
            receiver.collect()
            figures.tries += 1
            judge(world, receiver, figures)
            assert not figures.faults, place
            world.run(KRONOS)
            receiver.collect()
            judge(world, receiver, figures)
            assert not figures.faults, place

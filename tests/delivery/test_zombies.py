"""SIGSTOP before every side effect of a run, a newer run completes, SIGCONT: neither twice nor backwards.

A paused run is what an Airflow retry after a lost heartbeat leaves behind: alive, late, and with older data.
"""

from __future__ import annotations

import os
import random
from functools import partial

import pytest

from tests.support.figures import counting
from tests.support.kills import edit, judge, warm
from tests.support.receiver import KronosReceiver
from tests.support.world import KRONOS, OVERTAKEN, UNCERTAIN, Paused, effects_of

#: CALLBOARD_ZOMBIE_SEEDS for more; of the profiles other than rename, only what differs is paused, and one seed.
SEEDS = int(os.environ.get("CALLBOARD_ZOMBIE_SEEDS", "2"))
TRIALS = [
    *(("rename", seed) for seed in range(SEEDS)),
    *(("done_marker", seed) for seed in range(SEEDS if os.environ.get("CALLBOARD_CHAOS") else 1)),
]


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("publish", "seed"), TRIALS)
def test_a_paused_run_that_wakes_up_late_changes_nothing(world, tmp_path, publish, seed):
    dice = random.Random(seed)
    receiver = KronosReceiver(world.partner / KRONOS, marker=world.publish_by(KRONOS, publish))
    effects = effects_of(lambda: world.run(KRONOS), tmp_path / "effects.json")
    receiver.collect()
    first = 1 if publish == "rename" else effects.index("ledger.begin_delivery") + 1
    with counting(f"paused at every effect, woken late ({publish})") as figures:
        for number in range(first, len(effects) + 1):
            edit(world, dice)
            zombie = Paused(number, partial(world.run, KRONOS, run_id=world.run_id()))
            edit(world, dice)
            world.run(KRONOS)
            if dice.random() < 0.5:  # else the newer file still lies there when the older run wakes up
                receiver.collect()
            # Uncertain: the newer run has published its upload in the meantime. A retry would find itself overtaken.
            assert zombie.wake() in (0, OVERTAKEN, UNCERTAIN), effects[number - 1]
            receiver.collect()
            figures.tries += 1
            judge(world, receiver, figures)
            assert not figures.faults, effects[number - 1]
            world.run(KRONOS)
            receiver.collect()
            judge(world, receiver, figures)
            assert not figures.faults, effects[number - 1]

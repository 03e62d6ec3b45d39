"""One trial after the other: people edit, a run is killed or paused somewhere, the partner looks or not, another run.

Whatever happened, the partner then holds exactly what the store says: nothing lost, nothing twice, no half file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.run.deliver import deliver
from tests.support import small_hospital as hospital
from tests.support.world import KRONOS, in_child, kill_at

if TYPE_CHECKING:
    import random

    from include.effects import Moment
    from tests.support.figures import Figures
    from tests.support.receiver import KronosReceiver
    from tests.support.world import World


def warm() -> None:
    """Import once what every child would import again."""
    import duckdb
    import great_expectations
    import pandas as pd
    import paramiko

    assert all((duckdb, great_expectations, pd, paramiko))


def edit(world: World, dice: random.Random) -> None:
    """Change the store as people do."""
    with world.store() as store:
        hospital.edit(store, dice)


def trial(
    world: World, receiver: KronosReceiver, dice: random.Random, number: int, moment: Moment, how: Any = deliver
) -> int:
    """Edit the store, kill a run, let the receiver look or not, run again; returns how the killed run ended."""
    edit(world, dice)
    run_id = world.run_id()
    ended = in_child(lambda: world.run(KRONOS, run_id=run_id, how=how), kill_at(number, moment))
    if dice.random() < 0.5:
        receiver.collect()
    if dice.random() < 0.3:  # somebody edits before the platform is up again
        edit(world, dice)
    world.run(KRONOS, how=how)
    receiver.collect()
    return ended


def judge(world: World, receiver: KronosReceiver, figures: Figures) -> None:
    """Count what is wrong at the receiver now; it has looked since the last run."""
    with world.store() as store:
        truth = hospital.kronos_truth(store)
    figures.lost = receiver.lost + receiver.missing(truth)
    figures.duplicated = receiver.duplicated
    figures.partial = receiver.partial
    figures.backwards = receiver.outdated(truth)

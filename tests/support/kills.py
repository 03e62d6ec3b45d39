"""One trial after the other: people edit, a run is killed or paused somewhere, the partner looks or not, another run.

Whatever happened, the partner then holds exactly what the store says: nothing lost, nothing twice, no half file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.run.deliver import deliver
from tests.support import small_hospital as hospital
from tests.support.world import KRONOS, in_child

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

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


def something_to_deliver(world: World, dice: random.Random) -> None:
    """Let one shift that Kronos should hold end a minute later: whatever else is edited, its next run has a file."""
    with world.store() as store:
        _, slot_id = dice.choice(sorted(hospital.kronos_truth(store)))
        store.execute("UPDATE schedules SET stop_local = stop_local + interval '1 min' WHERE slot_id = %s", [slot_id])
        store.commit()


@dataclass(frozen=True)
class Place:
    """One effect of a run: the ``nth`` of its name, counted from 1. Not every run has those that are not certain."""

    name: str
    nth: int
    is_certain: bool

    def __str__(self) -> str:
        return f"{self.name} ({self.nth})"


def places_of(effects: list[str]) -> list[Place]:
    """Every effect of a run that has something to deliver; the slots to mend are listed only where there are any."""
    listed = range(effects.index("ledger.commit"), effects.index("ledger.finish"))
    return [
        Place(
            name, effects[: index + 1].count(name), is_certain=not (index in listed and name.startswith("artifacts."))
        )
        for index, name in enumerate(effects)
    ]


def trial(
    world: World,
    receiver: KronosReceiver,
    dice: random.Random,
    killer: Callable[[str, Moment], None],
    how: Any = deliver,
) -> int:
    """Edit the store, kill a run, let the receiver look or not, run again; returns how the killed run ended."""
    something_to_deliver(world, dice)
    edit(world, dice)
    run_id = world.run_id()
    ended = in_child(lambda: world.run(KRONOS, run_id=run_id, how=how), killer)
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

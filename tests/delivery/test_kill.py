"""kill -9 before and after every side effect of a run, enumerated by the run itself; then start again.

The receiver polls like a hospital's import: it takes and removes whatever is visible, whenever it looks. After the
restart it must hold exactly what the store says: nothing lost, nothing twice, no half file. That this harness notices
what is wrong is shown by test_naive_protocols.py.
"""

from __future__ import annotations

import os
import random
import signal
from functools import partial
from itertools import product

import pytest

from tests.support.figures import counting
from tests.support.kills import Place, edit, judge, places_of, something_to_deliver, trial, warm
from tests.support.receiver import KronosReceiver
from tests.support.world import EPIC, KRONOS, effects_of, in_child, kill_when

CHAOS = bool(os.environ.get("CALLBOARD_CHAOS"))
#: Each seed is another order of edits and another moment at which the receiver looks. CALLBOARD_KILL_SEEDS and
#: CALLBOARD_MARKER_SEEDS for more.
SEEDS = {
    "rename": int(os.environ.get("CALLBOARD_KILL_SEEDS", "1")),
    "done_marker": int(os.environ.get("CALLBOARD_MARKER_SEEDS", "1")),
}
#: The effects are dealt out to so many worlds: several processes can share them, and none waits long for another.
#: Those before `deliver` begins are the same for every feed of files: with CALLBOARD_CHAOS they are killed for all.
PARTS = {"rename": 4, "done_marker": 2}
WHOLE = {"rename", *(("posix_rename", "done_marker") if CHAOS else ())}
TRIALS = [
    (publish, seed, part) for publish, parts in PARTS.items() for seed in range(SEEDS[publish]) for part in range(parts)
]
NO_RENAME = {"match": "RENAME ", "status": "op_unsupported", "times": 1_000_000}


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm()


@pytest.fixture(autouse=True)
def _no_fault_outlives_its_test(partner_server):
    yield
    partner_server.set_faults()


def to_kill(effects: list[str], publish: str) -> list[Place]:
    """The effects at which a run is to be killed."""
    return places_of(effects)[0 if publish in WHOLE else effects.index("ledger.begin_delivery") :]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("publish", "seed", "part"), TRIALS)
def test_killed_at_every_effect_the_partner_still_equals_the_store(
    world, partner_server, tmp_path, publish, seed, part
):
    dice = random.Random(f"{seed} {part}")
    receiver = KronosReceiver(world.partner / KRONOS, marker=world.publish_by(KRONOS, publish))
    if publish == "done_marker":
        partner_server.set_faults(NO_RENAME)
    world.run(KRONOS)
    receiver.collect()
    something_to_deliver(world, dice)
    effects = effects_of(lambda: world.run(KRONOS), tmp_path / "effects.json")
    receiver.collect()
    visible = "sftp.mark" if publish == "done_marker" else "sftp.rename"
    assert {"ledger.claim", "sftp.login", "ledger.prepare", visible, "ledger.commit"} <= set(effects)
    with counting(f"kill -9 at every effect ({publish})") as figures:
        for place, moment in product(to_kill(effects, publish)[part :: PARTS[publish]], ("before", "after")):
            ended = trial(world, receiver, dice, kill_when(place.name, moment, nth=place.nth))
            assert ended == -signal.SIGKILL or not place.is_certain, f"{moment} {place}"
            figures.tries += 1
            judge(world, receiver, figures)
            assert not figures.faults, f"{moment} {place}"
    left = [file.name for file in (world.partner / KRONOS).iterdir()]
    assert left == []  # neither a temporary file nor one without a marker


def visible(world, marker: str) -> bytes | None:
    """The on-call file, if the partner would take it now."""
    file = world.partner / EPIC / "oncall.csv"
    if not file.exists() or not file.with_name(f"{file.name}{marker}").exists():
        return None
    return file.read_bytes()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("publish", ["posix_rename", "done_marker"])
def test_killed_at_every_effect_the_on_call_file_is_whole(world, tmp_path, publish):
    """One name for all of them. The last good one stays, where the profile promises that."""
    marker = world.publish_by(EPIC, publish)
    world.run(EPIC)
    effects = effects_of(lambda: world.run(EPIC), tmp_path / "effects.json")
    dice = random.Random(3)
    with counting(f"kill -9 at every effect, one name ({publish})") as figures:
        for place, moment in product(to_kill(effects, publish), ("before", "after")):
            before = visible(world, marker)
            edit(world, dice)
            work = partial(world.run, EPIC, run_id=world.run_id())
            ended = in_child(work, kill_when(place.name, moment, nth=place.nth))
            assert ended == -signal.SIGKILL or not place.is_certain, f"{moment} {place}"
            left = visible(world, marker)
            world.run(EPIC)
            after = visible(world, marker)
            figures.tries += 1
            figures.partial += left is not None and not left.endswith(b"\r\n")
            figures.lost += (left is None and not marker) or after is None
            figures.backwards += left not in (before, after, None)
            assert not figures.faults, f"{moment} {place}"

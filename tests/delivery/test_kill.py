"""kill -9 before and after every side effect of a run, enumerated by the run itself; then start again.

The receiver polls like a hospital's import: it takes and removes whatever is visible, whenever it looks. After the
restart it must hold exactly what the store says: nothing lost, nothing twice, no half file. That this harness notices
what is wrong is shown by test_naive_protocols.py.
"""

from __future__ import annotations

import os
import random
import signal

import pytest

from tests.support.figures import counting
from tests.support.kills import edit, judge, trial, warm
from tests.support.receiver import KronosReceiver
from tests.support.world import EPIC, KRONOS, effects_of, in_child, kill_at

#: Each seed is another order of edits and another moment at which the receiver looks. CALLBOARD_KILL_SEEDS and
#: CALLBOARD_MARKER_SEEDS for more.
TRIALS = [
    *(("rename", seed) for seed in range(int(os.environ.get("CALLBOARD_KILL_SEEDS", "4")))),
    *(("done_marker", seed) for seed in range(int(os.environ.get("CALLBOARD_MARKER_SEEDS", "2")))),
]
#: What happens before `deliver` begins is the same for every profile: with CALLBOARD_CHAOS it is killed for all.
WHOLE = {"rename", "posix_rename"} | ({"done_marker"} if os.environ.get("CALLBOARD_CHAOS") else set())
NO_RENAME = {"match": "RENAME ", "status": "op_unsupported", "times": 1_000_000}


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm()


@pytest.fixture(autouse=True)
def _no_fault_outlives_its_test(partner_server):
    yield
    partner_server.set_faults()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("publish", "seed"), TRIALS)
def test_killed_at_every_effect_the_partner_still_equals_the_store(world, partner_server, tmp_path, publish, seed):
    dice = random.Random(seed)
    receiver = KronosReceiver(world.partner / KRONOS, marker=world.publish_by(KRONOS, publish))
    if publish == "done_marker":
        partner_server.set_faults(NO_RENAME)
    edit(world, dice)
    effects = effects_of(lambda: world.run(KRONOS), tmp_path / "effects.json")
    receiver.collect()
    visible = "sftp.mark" if publish == "done_marker" else "sftp.rename"
    assert {"ledger.claim", "sftp.login", "ledger.prepare", visible, "ledger.commit"} <= set(effects)
    first = 1 if publish in WHOLE else effects.index("ledger.begin_delivery") + 1
    killed = 0
    with counting(f"kill -9 at every effect ({publish})") as figures:
        for number in range(first, len(effects) + 1):
            for moment in ("before", "after"):
                killed += trial(world, receiver, dice, number, moment) == -signal.SIGKILL
                figures.tries += 1
                judge(world, receiver, figures)
                assert not figures.faults, f"at {moment} {effects[number - 1]} ({number})"
    assert killed >= len(effects) - first  # a run without changes has fewer effects than the first one
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
    first = 1 if publish in WHOLE else effects.index("ledger.begin_delivery") + 1
    dice = random.Random(3)
    with counting(f"kill -9 at every effect, one name ({publish})") as figures:
        for number in range(first, len(effects) + 1):
            for moment in ("before", "after"):
                before = visible(world, marker)
                edit(world, dice)
                run_id = world.run_id()
                in_child(lambda run_id=run_id: world.run(EPIC, run_id=run_id), kill_at(number, moment))
                left = visible(world, marker)
                world.run(EPIC)
                after = visible(world, marker)
                figures.tries += 1
                figures.partial += left is not None and not left.endswith(b"\r\n")
                figures.lost += (left is None and not marker) or after is None
                figures.backwards += left not in (before, after, None)
                assert not figures.faults, f"at {moment} {effects[number - 1]}"

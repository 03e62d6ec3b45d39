"""A partner that takes every file the moment it is visible, and a run that is killed at that moment.

Nothing at the partner then says whether the file was ever there. It must not be sent again, nor be thought lost: not a
byte of it is uploaded a second time, by whichever profile it is published.
"""

from __future__ import annotations

import os
import random
import signal
from functools import partial

import pytest

from include.ledger import deliveries
from include.run.deliver import deliver
from tests.support.figures import counting
from tests.support.kills import edit, judge, something_to_deliver, warm
from tests.support.receiver import KronosReceiver, Vacuum
from tests.support.world import EPIC, KRONOS, in_child, integration, kill_when

ROUNDS = int(os.environ.get("CALLBOARD_VACUUM_ROUNDS", "1"))
VISIBLE = {"posix_rename": "sftp.rename", "rename": "sftp.rename", "done_marker": "sftp.mark"}


def moments(publish: str) -> list[tuple[str, str]]:
    """From STAGED on, where the partner's copy is known to be whole, to the end of the run."""
    effects = (VISIBLE[publish], "ledger.delivered", "ledger.commit", "ledger.finish")
    return [("ledger.staged", "after"), *((name, moment) for name in effects for moment in ("before", "after"))]


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm()


def vacuum_of(world, slug: str, publish: str) -> Vacuum:
    taken = world.partner / "taken"
    taken.mkdir()
    return Vacuum(world.partner / slug, taken, world.publish_by(slug, publish))


def uploads(server, world) -> int:
    """How many files were written to this world's folders so far, as the server saw it: small ones, one write each."""
    return sum(line.startswith(f"WRITE /{world.partner.name}/") for line in server.get("/_requests"))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("publish", VISIBLE)
def test_a_file_taken_at_once_is_neither_lost_nor_sent_again(world, partner_server, publish):
    vacuum = vacuum_of(world, KRONOS, publish)
    receiver, applied = KronosReceiver(vacuum.folder), 0
    dice = random.Random(publish)
    with counting(f"taken at once, then kill -9 ({publish})") as figures:
        for at in moments(publish) * ROUNDS:
            something_to_deliver(world, dice)
            edit(world, dice)
            decided = world.decide(KRONOS)
            before = uploads(partner_server, world)
            work = partial(deliver, integration(KRONOS), decided, world.services)
            assert in_child(work, kill_when(*at, beside=vacuum)) == -signal.SIGKILL
            vacuum()
            if dice.random() < 0.5:  # the next run; else the task's next try
                decided = world.decide(KRONOS)
            deliver(integration(KRONOS), decided, world.services)
            vacuum()
            for name, data in vacuum.files()[applied:]:
                receiver.apply(name, data)
                applied += 1
            figures.tries += 1
            judge(world, receiver, figures)
            figures.duplicated += max(0, uploads(partner_server, world) - before - 1)
            assert not figures.faults, at
            assert list(vacuum.folder.iterdir()) == [], at
    with world.services.ledger_reading() as connection:
        assert deliveries.in_flight(connection, KRONOS) is None


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("publish", ["posix_rename", "done_marker"])
def test_the_same_name_taken_at_once_each_time(world, partner_server, publish):
    """The on-call file has one name: whether the partner has this run's or an earlier one must never be mixed up."""
    vacuum = vacuum_of(world, EPIC, publish)
    dice = random.Random(publish)
    with counting(f"one name, taken at once, then kill -9 ({publish})") as figures:
        for at in moments(publish) * ROUNDS:
            edit(world, dice)
            decided = world.decide(EPIC)
            before, had = uploads(partner_server, world), len(vacuum.files())
            work = partial(deliver, integration(EPIC), decided, world.services)
            assert in_child(work, kill_when(*at, beside=vacuum)) == -signal.SIGKILL
            vacuum()
            deliver(integration(EPIC), decided, world.services)
            vacuum()
            with world.services.ledger_reading() as connection:
                (file,) = deliveries.last_committed(connection, EPIC).files
            wanted = world.services.artifacts.path(file.sha256).read_bytes()
            taken = [data for _, data in vacuum.files()[had:]]
            figures.tries += 1
            figures.lost += wanted not in taken
            figures.duplicated += len(taken) > 1 or uploads(partner_server, world) - before > 1
            figures.backwards += any(data != wanted for data in taken)
            assert not figures.faults, at

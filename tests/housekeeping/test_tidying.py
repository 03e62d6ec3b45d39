"""Housekeeping among real runs: whatever happens, nothing that a partner's next delivery needs is ever removed.

It is made as greedy as can be: nothing is kept for its age. What is left must still be every baseline, everything in
flight or held, and what `resend` sends.
"""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from dataclasses import astuple
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.effects import observed_by
from include.errors import DeliveryHeld
from include.housekeeping.periods import Periods
from include.housekeeping.tidying import tidy_artifacts, tidy_change_log, tidy_ledger
from include.ledger import deliveries
from include.run.explain import explain_slot
from include.run.order import Order
from tests.support import small_hospital as hospital
from tests.support.receiver import KronosReceiver
from tests.support.world import EPIC, KRONOS, in_child, kill_at

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.world import World

GREEDY = Periods(runs=timedelta(0), changes=timedelta(0), unreferenced=timedelta(0))
#: Each seed is another story. CALLBOARD_KILL_SEEDS for more.
SEEDS = range(int(os.environ.get("CALLBOARD_KILL_SEEDS", "8")) // 4)
STEPS = 12
#: Two pay periods, each with a baseline of its own: that of the other one is old, and needed all the same.
CLOCKS = (hospital.NOW, "2026-03-17T12:00:00-04:00")


def tidy(world: World, periods: Periods = GREEDY) -> None:
    tidy_ledger(world.services, periods)
    tidy_artifacts(world.services, periods)
    tidy_change_log(world.services, periods)


def needed(world: World) -> set[str]:
    """What must never be missing, in words of its own: plain SQL."""
    with world.services.ledger_reading() as connection:
        heads = connection.exec_driver_sql("SELECT snapshot FROM head").scalars().all()
        rows = connection.exec_driver_sql(
            """
            SELECT snapshot, base_snapshot, mapping_version, sha256 FROM delivery JOIN delivery_file USING (delivery_id)
            WHERE state IN ('PREPARED', 'HELD', 'STAGED', 'DELIVERED') OR delivery_id IN (
                SELECT max(delivery_id) FROM delivery WHERE state = 'COMMITTED' AND kind = 'new' GROUP BY stream
            )
            """
        ).all()
    return {*heads, *(value for row in rows for value in row if value)}


def stored(world: World) -> set[str]:
    return {file.name for file in (world.services.settings.artifacts / "sha256").rglob("*") if file.is_file()}


def edit(world: World, dice: random.Random) -> None:
    with world.store() as store:
        hospital.edit(store, dice)


def equals_the_store(world: World, receiver: KronosReceiver) -> None:
    """The next difference is right: Kronos, which got every file in order, holds what the store says."""
    now = os.environ["CALLBOARD_NOW"]
    for clock in CLOCKS:
        os.environ["CALLBOARD_NOW"] = clock
        assert in_child(lambda: world.run(KRONOS, run_id=f"check {random.random()}")) == 0
    os.environ["CALLBOARD_NOW"] = now
    receiver.collect()
    with world.store() as store:
        truth = hospital.kronos_truth(store)
    assert receiver.held == truth
    assert receiver.faults == (0, 0, 0)


def resends(world: World, receiver: KronosReceiver) -> None:
    """The last file goes out once more, byte for byte, under its name."""
    with world.services.ledger_reading() as connection:
        last = deliveries.last_committed(connection, KRONOS)
    assert last is not None
    (file,) = last.files
    path = world.partner / KRONOS / file.final_name
    path.unlink(missing_ok=True)
    world.run(KRONOS, order=Order(resend=True), run_id=f"resend {random.random()}")
    assert world.services.artifacts.verify(file.sha256).bytes == len(path.read_bytes()) == file.bytes
    path.unlink()  # the receiver has it already


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_nothing_that_is_needed_is_removed(world, seed, monkeypatch):
    """A story of edits, runs, killed runs, holds, pay periods, and housekeeping, killed or not, in any order."""
    dice = random.Random(seed)
    receiver = KronosReceiver(world.partner / KRONOS)
    publish_the_next_pay_period(world)
    world.run(KRONOS)
    world.run(EPIC)
    receiver.collect()
    removed = 0
    for _ in range(STEPS):
        monkeypatch.setenv("CALLBOARD_NOW", dice.choice(CLOCKS))
        match dice.choice(["edit", "run", "killed run", "hold", "tidy", "tidy", "killed tidying"]):
            case "edit":
                edit(world, dice)
            case "run":
                edit(world, dice)
                with suppress(DeliveryHeld):  # a clock on which nobody is on call: a guard keeps the last file
                    world.run(dice.choice((KRONOS, EPIC)))
                receiver.collect()
            case "killed run":
                edit(world, dice)
                feed, run_id = dice.choice((KRONOS, EPIC)), world.run_id()
                killer = kill_at(dice.randint(1, 30), dice.choice(("before", "after")))
                in_child(lambda feed=feed, run_id=run_id: world.run(feed, run_id=run_id), killer)
            case "hold":
                with world.services.ledger("hold") as connection:
                    connection.exec_driver_sql("UPDATE delivery SET state = 'HELD' WHERE state = 'PREPARED'")
            case "tidy":
                before = stored(world)
                tidy(world)
                removed += len(before - stored(world))
            case _:
                in_child(lambda: tidy(world), kill_at(dice.randint(1, 20), dice.choice(("before", "after"))))
        assert needed(world) <= stored(world)
        if dice.random() < 0.3:
            equals_the_store(world, receiver)
    tidy(world)
    equals_the_store(world, receiver)
    tidy(world)
    resends(world, receiver)
    tidy(world)
    equals_the_store(world, receiver)
    with suppress(DeliveryHeld):
        world.run(EPIC)
    assert removed > 5
    assert explain_slot(world.services, EPIC, any_slot(world)).run_id


def publish_the_next_pay_period(world: World) -> None:
    with world.store() as store:
        store.execute("UPDATE schedule_periods SET published_at = '2026-02-01Z'")
        for number in range(5):
            store.execute(
                "INSERT INTO schedules (slot_id, period_id, assignment_id, emp_id, slot_date, start_local, stop_local)"
                " VALUES (%s, 'card-next', 'card-day', 'E01', '2026-03-18', '2026-03-18T08:00', '2026-03-18T16:00')",
                [f"S-next-{number}"],
            )


def any_slot(world: World) -> str:
    with world.store() as store:
        return store.execute("SELECT min(slot_id) FROM schedules").fetchone()[0]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("feed", [KRONOS, EPIC])
def test_at_any_moment_of_a_run_the_nightly_housekeeping_takes_nothing_from_it(world, feed):
    """All that lies there is old when a run begins; then the house is tidied at every side effect of the run."""
    dice = random.Random(1)
    receiver = KronosReceiver(world.partner / KRONOS)
    world.run(KRONOS)
    world.run(EPIC)
    receiver.collect()
    nights = 0
    inside = False

    def tidy_now(_: str, moment: str) -> None:
        nonlocal inside, nights
        if not inside:
            inside, nights = True, nights + 1
            tidy(world, Periods(runs=timedelta(0), changes=timedelta(0)))
            inside = False

    for _ in range(3):
        edit(world, dice)
        for sha256 in stored(world):
            os.utime(world.services.artifacts.path(sha256), (0, 0))
        with observed_by(tidy_now):
            world.run(feed)
        assert needed(world) <= stored(world)
    assert nights > 60
    receiver.collect()
    equals_the_store(world, receiver)


def test_what_a_run_has_only_stored_stays_for_the_time_of_grace(world):
    """No row speaks of an extract: it lives as long as the steps of its run may take."""
    before = stored(world)
    decided = world.decide(KRONOS)
    made = stored(world) - before
    extract = set(filter(None, astuple(decided.extracted.frames)))
    assert extract < made
    tidy_artifacts(world.services, Periods(runs=timedelta(0)))
    assert made <= stored(world)
    for sha256 in made:
        os.utime(world.services.artifacts.path(sha256), (0, 0))
    tidy_artifacts(world.services, Periods(runs=timedelta(0)))
    left = stored(world)
    assert not extract & left
    assert {decided.decisions, decided.snapshot, decided.extracted.mapping} <= left


def test_a_dry_run_counts_what_would_go_and_removes_nothing(world):
    dice = random.Random(7)
    for _ in range(3):
        edit(world, dice)
        world.run(KRONOS)
        world.run(EPIC)
    before, [(runs,)] = stored(world), ledger(world, "SELECT count(*) FROM run")
    parts = (tidy_ledger, tidy_artifacts, tidy_change_log)
    planned = [part(world.services, GREEDY, dry_run=True) for part in parts]
    assert stored(world) == before
    assert ledger(world, "SELECT count(*) FROM run") == [(runs,)]
    assert planned == [part(world.services, GREEDY) for part in parts]
    assert planned[0]["run"] == runs - 2
    assert planned[1]["removed"] == len(before - stored(world)) > 5
    assert planned[2]["change_logs"] > 30
    assert ledger(world, "SELECT count(*) FROM run") == [(2,)]


def test_a_young_installation_loses_nothing(world):
    world.run(KRONOS)
    world.run(EPIC)
    before = stored(world)
    kept = ("run", "delivery", "delivery_file", "attempt", "incident", "mail", "inbound_file", "acceptance")
    tables = (*kept, "row_generation", "sign_in_account")
    assert tidy_ledger(world.services, Periods()) == dict.fromkeys(tables, 0)
    assert tidy_artifacts(world.services, Periods())["removed"] == 0
    assert tidy_change_log(world.services, Periods()) == {"change_logs": 0}
    assert stored(world) == before


def test_the_change_log_loses_its_oldest_and_goes_on(world):
    with world.store() as store:
        store.execute("UPDATE change_logs SET changed_at = now() - '500 days'::interval WHERE change_id % 2 = 0")
        [(old, all_of_them, newest)] = store.execute(
            "SELECT count(*) FILTER (WHERE changed_at < now() - interval '400 days'), count(*), max(change_id)"
            " FROM change_logs"
        ).fetchall()
    assert old > 20
    assert in_child(lambda: tidy_change_log(world.services, Periods()), kill_at(1, "after")) == -signal.SIGKILL
    with world.store() as store:
        assert store.execute("SELECT count(*) FROM change_logs").fetchall() == [(all_of_them - old,)]
    assert tidy_change_log(world.services, Periods()) == {"change_logs": 0}
    with world.store() as store:  # nothing of this was logged, and new changes are, under new numbers
        assert store.execute("SELECT max(change_id) FROM change_logs").fetchone()[0] <= newest
        store.execute("UPDATE schedules SET note = 'after' WHERE slot_id = 'S001'")
        assert store.execute("SELECT max(change_id) > %s FROM change_logs", [newest]).fetchone() == (True,)


def ledger(world: World, query: str) -> list[tuple[Any, ...]]:
    with world.services.ledger_reading() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_batches_end(world):
    from include.schedule.retention import count_changes, forget_changes
    from tests.support.store import query

    dsn = world.schedule_dsn
    [(count, now)] = query(dsn, "SELECT count(*), now() FROM change_logs")
    assert count_changes(dsn, now) == count
    assert forget_changes(dsn, now, batch=7) == count > 7
    assert forget_changes(dsn, now, batch=7) == 0


def private_paths(root: Path) -> None:
    """Fail for whatever others than the owner may read."""
    open_to_others = [path for path in root.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o077]
    assert open_to_others == []


def test_whatever_a_run_and_housekeeping_write_is_private_even_where_the_shell_is_generous(world):
    """The state directory of `make run` is looked at in tests/platform; here the account's umask hides nothing."""
    var = world.services.settings.var
    before = os.umask(0)
    try:
        var.chmod(0o700)
        world.run(KRONOS)
        world.run(EPIC)
        tidy(world)
        private_paths(var)
    finally:
        os.umask(before)
    assert (var / "summary.json").is_file()

"""No side effect of a run bypasses the enumeration of effects: what the crash tests kill is all there is."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from include.database import transaction
from include.effects import effect
from include.errors import CallboardError
from include.run.deliver import deliver
from include.run.failure import failed
from include.run.order import Order
from include.run.services import Services
from tests.support.bypasses import Witness
from tests.support.kills import warm
from tests.support.world import EPIC, KRONOS, World, in_child, integration, kill_when

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm()


def witnessed(world: World, database: Any, tmp_path: Path, story: Callable[[Witness], None]) -> tuple[list[str], int]:
    """Tell ``story`` in a child under the eyes of a witness: what bypassed the effects; how many there were."""
    report = tmp_path / "report.json"

    def told() -> None:
        witness = Witness(world.services.settings.var, world.partner, database.admin_dsn)
        try:
            with witness.watching():
                story(witness)
        finally:
            report.write_text(json.dumps([witness.found, witness.effects]))

    assert in_child(told) == 0
    found, effects = json.loads(report.read_text())
    return found, effects


def later(world: World, witness: Witness) -> None:
    """Every shift ends a little later: both feeds have something to tell."""
    with witness.looking_away(), world.store() as store:
        store.execute("UPDATE schedules SET stop_local = stop_local + interval '1 min' WHERE emp_id IS NOT NULL")
        store.commit()


@pytest.mark.parametrize("publish", ["posix_rename", "rename", "done_marker"])
def test_no_effect_of_whole_runs_goes_by_unseen(world: World, database: Any, tmp_path: Path, publish: str) -> None:
    world.publish_by(KRONOS, publish)
    if publish != "rename":  # it replaces no file, and the on-call file has one name
        world.publish_by(EPIC, publish)

    def story(witness: Witness) -> None:
        for feed in (EPIC, KRONOS):
            world.run(feed)
            later(world, witness)
            world.run(feed)
        world.run(KRONOS)  # nothing new

    found, effects = witnessed(world, database, tmp_path, story)
    assert found == []
    assert effects > 180


def test_no_effect_of_runs_that_fail_or_mend_goes_by_unseen(world: World, database: Any, tmp_path: Path) -> None:
    details = world.services.connections("any")
    dead = Services(world.services.settings, lambda _: replace(details, port=1))

    def story(witness: Witness) -> None:
        for name in ("sftp.upload", "sftp.rename"):  # what a killed run leaves for the next
            later(world, witness)
            with witness.looking_away():
                in_child(lambda: world.run(KRONOS), kill_when(name, "after"))
            world.run(KRONOS)
        world.run(KRONOS, order=Order(resend=True))
        world.run(KRONOS, order=Order(rebaseline=True))
        later(world, witness)
        decided = world.decide(KRONOS)
        with suppress(CallboardError):
            deliver(integration(KRONOS), decided, dead)
        failed(integration(KRONOS), KRONOS, decided.extracted.claim.run_id, CallboardError("no"), dead, decided)

    found, effects = witnessed(world, database, tmp_path, story)
    assert found == []
    assert effects > 180


def copied(world: World) -> None:
    import duckdb

    duckdb.sql(f"COPY (SELECT 1) TO '{world.services.settings.var / 'stray.csv'}'")


def noted(world: World) -> None:
    from sqlalchemy import text

    with transaction(world.services.settings.ledger_dsn) as connection:
        connection.execute(text("UPDATE stream SET attempt = attempt + 1"))


#: What somebody might write into a step without thinking of the crash tests, and what the witness says of it.
BYPASSES: tuple[tuple[str, Callable[[World], object]], ...] = (
    ("open ", lambda world: (world.services.settings.var / "stray").write_text("x")),
    ("os.rename ", lambda world: (world.services.settings.var / "stray").rename(world.services.settings.var / "new")),
    ("os.remove ", lambda world: (world.services.settings.var / "new").unlink()),
    ("os.mkdir ", lambda world: (world.partner / "folder").mkdir()),
    ("os.rmdir ", lambda world: (world.partner / "folder").rmdir()),
    ("os.posix_spawn ", lambda world: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)),
    ("socket.connect ", lambda world: socket.create_connection(world.address).close()),
    ("stray.csv changed", copied),  # past Python
    ("ledger.stream changed", noted),  # in another process
)


def test_each_bypass_is_found_and_the_same_as_an_effect_is_not(world: World, database: Any, tmp_path: Path) -> None:
    world.run(KRONOS)

    def story(witness: Witness) -> None:
        for said, act in BYPASSES:
            before = len(witness.found)
            with effect("test.proper"):
                act(world)
            assert witness.found[before:] == [], said
        for said, act in BYPASSES:
            before = len(witness.found)
            act(world)
            with effect("test.next"):
                pass
            assert any(said in found for found in witness.found[before:]), said

    found, effects = witnessed(world, database, tmp_path, story)
    assert len(found) >= len(BYPASSES)
    assert effects == 2 * len(BYPASSES)

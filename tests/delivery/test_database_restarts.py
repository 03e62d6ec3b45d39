"""PostgreSQL dies (immediate shutdown) and comes back in the middle of a delivery: between its transitions and inside.

The try ends well, or fails as one that Airflow tries again; that next try, and the next run, leave the right files: the
partner equals the store, nothing lost, nothing twice. The cruellest moment is a commit that happened and whose answer
was lost.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from include.database import dispose_engines
from include.effects import observed_by
from include.errors import CallboardError, SourceNotReady
from include.platform.databases import prepare_and_migrate
from include.platform.postgres import EmbeddedPostgres
from include.run.deliver import deliver
from include.run.services import Services
from tests.conftest import Database, free_port
from tests.support import small_hospital as hospital
from tests.support.figures import counting
from tests.support.kills import edit, judge, something_to_deliver, warm
from tests.support.receiver import KronosReceiver
from tests.support.tcp_proxy import TcpProxy, proxied
from tests.support.world import KRONOS, World, build_world, integration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sftp_servers import SftpServer

TRANSITIONS = ("begin_delivery", "prepare", "staged", "delivered", "commit", "finish")
KINDS = (
    "between",
    "at its first statement",
    "before its commit",
    "after its commit, answer lost",
    "down until it fails",
)
#: A third of them, in which every transition and every kind occurs; all with CALLBOARD_CHAOS.
POINTS = [(name, kind) for name in TRANSITIONS for kind in KINDS][:: 1 if os.environ.get("CALLBOARD_CHAOS") else 3]
ROUNDS = int(os.environ.get("CALLBOARD_RESTART_ROUNDS", "1"))
EARLY = [("claim", "between"), ("claim", "after its commit, answer lost"), ("extracted", "before its commit")]
BOUND_S = 60.0


@dataclass
class Mortal:
    """A server that can be killed, and the proxy through which the ledger's owner reaches it."""

    server: EmbeddedPostgres
    proxy: TcpProxy
    deaths: int = 0

    def die(self) -> None:
        process = self.server._process
        assert process is not None
        process.send_signal(signal.SIGQUIT)  # what `pg_ctl stop -m immediate` sends
        process.wait()
        self.server._process = None
        self.deaths += 1

    def die_and_come_back(self) -> None:
        self.die()
        self.server.start()

    def lose_the_answer(self) -> Callable[[], None]:
        """From now on requests arrive and answers do not; when the sent is done, die. Call it to return."""
        self.proxy.strike("drop_replies")

        def strike() -> None:
            deadline = time.monotonic() + BOUND_S
            with psycopg.connect(self.server.admin_dsn(), autocommit=True) as admin:
                while self._in_transaction(admin):
                    assert time.monotonic() < deadline
            self.die()

        def come_back() -> None:
            thread.join()
            self.server.start()  # not in that thread: the server ends with the thread that started it

        thread = threading.Thread(target=strike)
        thread.start()
        return come_back

    @staticmethod
    def _in_transaction(admin: Any) -> bool:
        return bool(
            admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'callboard' AND state <> 'idle'"
            ).fetchone()[0]
        )


@dataclass
class Scene:
    """A server, a world that lives in it, and the partner who has followed it from the start."""

    mortal: Mortal
    world: World
    receiver: KronosReceiver


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, partner_server: SftpServer) -> Iterator[Scene]:
    warm()
    folder = tmp_path_factory.mktemp("mortal")
    server = EmbeddedPostgres(folder / "server", free_port(), durable=False)
    server.start()
    passwords = {"schedule_password": "s", "ledger_password": "l", "api_password": "a"}
    addresses = prepare_and_migrate(server.admin_dsn("callboard"), **passwords)
    dispose_engines()
    with proxied(server.port) as proxy, pytest.MonkeyPatch.context() as environment:
        environment.setenv("CALLBOARD_NOW", hospital.NOW)
        ledger = addresses.ledger_dsn.replace(f":{urlsplit(addresses.ledger_dsn).port}/", f":{proxy.port}/")
        world = build_world(
            Database(server.admin_dsn(), addresses.schedule_dsn, ledger, addresses.api_dsn), partner_server, folder
        )
        yield Scene(Mortal(server, proxy), world, KronosReceiver(world.partner / KRONOS))
        dispose_engines()
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def struck(mortal: Mortal, name: str, kind: str) -> Iterator[None]:
    """Once, while the block runs: let the server die as ``kind`` says about the transition ``name``."""
    armed, waiting = threading.Event(), []

    def observer(effect: str, moment: str) -> None:
        if (effect, moment) != (f"ledger.{name}", "before") or mortal.deaths != before:
            return
        if kind == "between":
            mortal.die_and_come_back()
        elif kind == "down until it fails":
            mortal.die()
        else:
            armed.set()

    def at_a_statement(*_: object) -> None:
        if armed.is_set() and kind == "at its first statement":
            armed.clear()
            mortal.die_and_come_back()

    def at_a_commit(_: object) -> None:
        if armed.is_set() and kind == "before its commit":
            armed.clear()
            mortal.die_and_come_back()
        elif armed.is_set():
            armed.clear()
            waiting.append(mortal.lose_the_answer())

    before = mortal.deaths
    event.listen(Engine, "before_cursor_execute", at_a_statement)
    event.listen(Engine, "commit", at_a_commit)
    try:
        with observed_by(observer):
            yield
    finally:
        event.remove(Engine, "before_cursor_execute", at_a_statement)
        event.remove(Engine, "commit", at_a_commit)
        for wait in waiting:
            wait()
        if kind == "down until it fails" and mortal.deaths != before:
            mortal.server.start()


def attempt(work: Callable[[], object]) -> CallboardError | None:
    """Run one task as Airflow does; the error, if it is one of those that it tries again."""
    try:
        work()
    except CallboardError as error:
        assert error.retryable, error
        return error
    return None


@pytest.mark.timeout(1800)
def test_a_delivery_whose_database_dies_ends_well(scene: Scene) -> None:
    mortal, world, receiver = scene.mortal, scene.world, scene.receiver
    dice, failed = random.Random(17), 0
    with counting("PostgreSQL killed in a delivery") as figures:
        for name, kind in POINTS * ROUNDS:
            something_to_deliver(world, dice)
            edit(world, dice)
            decided, deaths = world.decide(KRONOS), mortal.deaths
            with struck(mortal, name, kind):
                error = attempt(lambda decided=decided: deliver(integration(KRONOS), decided, world.services))
            assert mortal.deaths == deaths + 1, (name, kind)
            assert error is None or isinstance(error, SourceNotReady)
            failed += error is not None
            if dice.random() < 0.5:
                receiver.collect()
            if error is not None:  # the task's next try
                assert deliver(integration(KRONOS), decided, world.services).state in ("delivered", "unchanged")
                receiver.collect()
                figures.tries += 1
                judge(world, receiver, figures)
                assert not figures.faults, (name, kind, "the next try")
            if dice.random() < 0.5:
                edit(world, dice)
            world.run(KRONOS)
            receiver.collect()
            figures.tries += 1
            judge(world, receiver, figures)
            assert not figures.faults, (name, kind, "the next run")
    assert failed > len(POINTS) * ROUNDS / 2


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "kind"), EARLY)
def test_a_run_whose_database_dies_before_it_delivers(scene: Scene, name: str, kind: str) -> None:
    """The extract is tried again under the same run id, with a new fence."""
    mortal, world, run_id = scene.mortal, scene.world, scene.world.run_id()
    something_to_deliver(world, random.Random(name + kind))
    with counting("PostgreSQL killed before a delivery") as figures:
        deaths = mortal.deaths
        with struck(mortal, name, kind):
            attempt(lambda: world.run(KRONOS, run_id=run_id))
        assert mortal.deaths == deaths + 1
        world.run(KRONOS, run_id=run_id)
        scene.receiver.collect()
        figures.tries += 1
        judge(world, scene.receiver, figures)
        assert not figures.faults


@pytest.mark.parametrize("dsn", ["schedule_dsn", "ledger_dsn"])
def test_a_database_that_is_away_fails_a_run_that_is_tried_again(scene: Scene, dsn: str) -> None:
    settings = scene.world.services.settings
    nowhere = replace(settings, **{dsn: "postgresql://nobody:nothing@127.0.0.1:1/callboard"})
    lost = replace(scene.world, services=Services(nowhere, scene.world.services.connections))
    assert isinstance(attempt(lambda: lost.run(KRONOS)), SourceNotReady)

"""A partner's server that fails at random while Kronos is fed, and a receiver that must notice nothing of it.

Random edits, random faults, then either the next try of the same task or a new run, without faults: after each the
receiver equals the store, has seen nothing twice, nothing late and no half file, and nothing hidden is left behind.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from include.effects import observed_by
from include.errors import CallboardError, DeliveryRefused, DeliveryUncertain, DestinationUnavailable
from include.ledger import deliveries
from include.run.deliver import deliver
from include.run.services import Services
from tests.support import small_hospital as hospital
from tests.support.figures import Figures, counting
from tests.support.kills import edit, judge, something_to_deliver
from tests.support.receiver import KronosReceiver
from tests.support.sftp_servers import SSHD, SftpServer, openssh
from tests.support.tcp_proxy import Break, TcpProxy, proxied
from tests.support.world import KRONOS, World, build_world, integration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from include.effects import Moment
    from include.run.handed import Decided

#: Runs that fail, or may fail, in each world. CALLBOARD_FAULT_EXAMPLES and CALLBOARD_FAULT_SEEDS for more.
EXAMPLES = int(os.environ.get("CALLBOARD_FAULT_EXAMPLES", "25"))
SEEDS = range(int(os.environ.get("CALLBOARD_FAULT_SEEDS", "1")))
WORLDS = [(publish, seed) for publish in ("rename", "posix_rename", "done_marker") for seed in SEEDS]
#: Which request is disturbed, and how many of its kind a delivery sends: any of them may be hit.
REQUESTS = {"rename": 1, "CLOSE": 2, "STAT": 4, "WRITE": 1, "OPEN": 2, "READ": 2, "REMOVE": 1, "AUTH": 1}
PATIENCE_S = 0.4
#: In case something that must happen never does: far above anything here.
BOUND_S = 60.0
TOO_LATE = {"delay_s": 2 * PATIENCE_S}
#: What happens to it: lost before or after it was done, refused, only slow, or done when nobody waits for it any more.
DISTURBANCES: tuple[dict[str, Any], ...] = (
    *({"drop_after_commit": True},) * 3,
    *({"status": "drop"},) * 2,
    {"status": "permission_denied"},
    {"status": "no_space"},
    {"status": "failure"},
    {"delay_s": 0.02},
    TOO_LATE,
)
BROKEN = (DestinationUnavailable, DeliveryUncertain, DeliveryRefused)
#: The request that makes a file visible, by profile.
VISIBLE = {"rename": "^RENAME ", "posix_rename": "^POSIX_RENAME ", "done_marker": r"^OPEN .*\.done$"}
#: One fault for each kind of error, and for each way to come to it.
DIRECTED: tuple[tuple[type[CallboardError], dict[str, Any]], ...] = (
    (DestinationUnavailable, {"match": "^WRITE ", "status": "drop"}),
    (DestinationUnavailable, {"match": "^STAT ", "delay_s": 10 * PATIENCE_S}),
    (DeliveryUncertain, {"match": "visible", "drop_after_commit": True}),
    (DeliveryRefused, {"match": "^WRITE ", "status": "no_space"}),
    (DeliveryRefused, {"match": "^OPEN ", "status": "permission_denied"}),
    (DeliveryRefused, {"match": "visible", "status": "permission_denied"}),
)


@dataclass
class Trials:
    """Trial after trial in one world; ``ended`` counts how the disturbed tries ended."""

    world: World
    dice: random.Random
    publish: str = "rename"
    receiver: KronosReceiver = field(init=False)
    ended: Counter[str] = field(default_factory=Counter)
    figures: Figures = field(default_factory=Figures)

    def __post_init__(self) -> None:
        marker = self.world.publish_by(KRONOS, self.publish)
        self.receiver = KronosReceiver(self.world.partner / KRONOS, marker=marker)

    def trial(self, disturbed: Callable[[Decided], object], story: object) -> None:
        """Edit, run with ``disturbed`` in place of the delivery, and once more as it should be."""
        edit(self.world, self.dice)
        decided = self.world.decide(KRONOS)
        try:
            disturbed(decided)
        except BROKEN as error:
            self.ended[type(error).__name__] += 1
        else:
            self.ended["none"] += 1
        if self.dice.random() < 0.5:
            self.receiver.collect()
        if self.dice.random() < 0.4:  # the task's next try
            self._undisturbed(decided)
        else:  # or the next run, with whatever people have done meanwhile
            if self.dice.random() < 0.5:
                edit(self.world, self.dice)
            decided = self.world.decide(KRONOS)
            self._undisturbed(decided)
        self.receiver.collect()
        self.figures.tries += 1
        judge(self.world, self.receiver, self.figures)
        assert not self.figures.faults, story
        assert list(self.receiver.folder.iterdir()) == [], story
        with self.world.services.ledger_reading() as connection:
            assert deliveries.in_flight(connection, KRONOS) is None, story

    def _undisturbed(self, decided: Decided) -> None:
        deliver(integration(KRONOS), decided, self.world.services)


@pytest.fixture(autouse=True)
def _no_fault_outlives_its_test(partner_server: SftpServer) -> Iterator[None]:
    yield
    partner_server.set_faults()


def some_faults(dice: random.Random, publish: str) -> list[dict[str, Any]]:
    """One to three faults; of every kind of request, any one of those that a delivery sends."""
    chosen: list[dict[str, Any]] = []
    for request in dice.choices([*REQUESTS, "rename", "rename"], k=dice.randint(1, 3)):
        match = VISIBLE[publish] if request == "rename" else f"^{request} "
        chosen.append({"match": match, "times": dice.randrange(REQUESTS[request])})  # these pass untouched
        disturbance = dice.choice(DISTURBANCES)
        if "OPEN" in match and disturbance is TOO_LATE:
            continue  # a file created when nobody waits for it any more stays behind, hidden or unmarked, and empty
        chosen.append({"match": match, "times": dice.choice((1, 1, 2))} | disturbance)
    return chosen


def impatient(services: Services) -> Services:
    """The same services, with connections on which nobody waits long for an answer."""

    def connections(name: str) -> Any:
        details = services.connections(name)
        return replace(details, extra={**details.extra, "answer_timeout": PATIENCE_S})

    return Services(services.settings, connections)


@pytest.mark.parametrize(("publish", "seed"), WORLDS)
def test_a_server_that_fails_at_random_loses_and_doubles_nothing(
    world: World, partner_server: SftpServer, publish: str, seed: int
) -> None:
    trials = Trials(world, random.Random(f"{publish} {seed}"), publish)
    with counting(f"a server that fails at random ({publish})") as trials.figures:
        for number in range(EXAMPLES):
            faults = some_faults(trials.dice, publish)
            trials.trial(disturbed_by(partner_server, world, faults), (number, faults))
    # The faults do reach the delivery: most tries broke. In which way one breaks is the chance of its seed.
    assert trials.ended["none"] < EXAMPLES / 2


@pytest.mark.parametrize("publish", VISIBLE)
def test_every_kind_of_error_ends_well(world: World, partner_server: SftpServer, publish: str) -> None:
    trials = Trials(world, random.Random(publish), publish)
    for error, fault in DIRECTED:
        something_to_deliver(world, trials.dice)
        directed = {**fault, "match": VISIBLE[publish] if fault["match"] == "visible" else fault["match"]}
        trials.ended.clear()
        trials.trial(disturbed_by(partner_server, world, [directed]), directed)
        assert trials.ended == {error.__name__: 1}, directed


def disturbed_by(server: SftpServer, world: World, faults: list[dict[str, Any]]) -> Callable[[Decided], None]:
    """A delivery while the server misbehaves; where that is more than slowness, any machine is waited for."""
    services = impatient(world.services) if any("delay_s" in fault for fault in faults) else world.services

    def disturbed(decided: Decided) -> None:
        server.set_faults(*faults)
        try:
            deliver(integration(KRONOS), decided, services)
        finally:
            server.set_faults()

    return disturbed


@pytest.fixture
def openssh_world(
    database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[World, SessionKiller]]:
    monkeypatch.setenv("CALLBOARD_NOW", hospital.NOW)
    folder = tmp_path / "world"
    folder.mkdir()
    with openssh(tmp_path / "partner", extra_config=no_penalties()) as server, proxied(server.port) as proxy:
        yield build_world(database, replace(server, port=proxy.port), folder), SessionKiller(server, proxy)


def no_penalties() -> str:
    """Newer servers turn away whoever was connected to a session that crashed; here that is always ourselves."""
    asked = subprocess.run(
        [str(SSHD), "-G", "-f", os.devnull, "-o", "PerSourcePenalties=no"], check=False, capture_output=True
    )
    return "PerSourcePenalties no" if asked.returncode == 0 else ""


def sessions_of(server: SftpServer) -> list[psutil.Process]:
    """The processes that serve a connection now."""
    return psutil.Process(server.pid).children(recursive=True)


def kill_sessions(server: SftpServer) -> int:
    """SIGKILL every process that serves a connection, as soon as there is one; how many died of it."""
    await_that(lambda: sessions_of(server))
    stopped: list[psutil.Process] = []
    while more := [each for each in sessions_of(server) if each not in stopped]:  # what stands still begets no other
        stopped += more
        for session in more:
            with suppress(psutil.NoSuchProcess):
                session.send_signal(signal.SIGSTOP)
    for session in stopped:
        with suppress(psutil.NoSuchProcess):
            session.send_signal(signal.SIGKILL)
    await_that(lambda: all(map(is_dead, stopped)))
    return len(stopped)


def is_dead(process: psutil.Process) -> bool:
    """Whether it has ended, though nobody may have asked yet how."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def await_that(condition: Callable[[], object]) -> None:
    """Look until it holds; the bound is only there lest a broken test lasts for ever."""
    deadline = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@dataclass
class SessionKiller:
    """Deliveries through ``proxy``, each of which loses its session at a chosen point of its progress.

    From the chosen byte on the server hears and does what it is asked, and its answers are lost; then its processes
    are killed. So the delivery cannot outrun the blow, however slow the machine is, and what the server still did of
    the last request is left to chance. Where a delivery has fewer bytes, the answer to its rename is lost.
    """

    server: SftpServer
    proxy: TcpProxy
    killed: list[int] = field(default_factory=list)
    """How many processes each blow has killed."""
    at_the_rename: int = 0

    def deliver(self, decided: Decided, services: Services, byte: int | None) -> None:
        """Deliver, and be struck when so many bytes were sent, or at the rename; raises what the delivery raises."""
        await_that(lambda: not sessions_of(self.server))  # else the end of the delivery before is taken for this one
        self.proxy.plan = Break(up=byte, how="drop_replies")

        def observer(name: str, moment: Moment) -> None:
            if (name, moment) == ("sftp.rename", "before") and not self.proxy.struck.is_set():
                self.at_the_rename += 1
                self.proxy.strike("drop_replies")

        self.proxy.struck.clear()
        blow = threading.Thread(target=self._strike)
        blow.start()
        try:
            with observed_by(observer):
                deliver(integration(KRONOS), decided, services)
        finally:
            self.proxy.plan = Break()
            blow.join()

    def _strike(self) -> None:
        if self.proxy.struck.wait(BOUND_S):
            self.killed.append(kill_sessions(self.server))
            self.proxy.strike("close")  # as the system does for a process that died; a proxy may miss it


@pytest.mark.skipif(SSHD is None, reason="needs sshd: install the system package openssh-server")
def test_sshd_killed_at_random_points_loses_and_doubles_nothing(openssh_world: tuple[World, SessionKiller]) -> None:
    world, killer = openssh_world
    trials = Trials(world, random.Random(11))
    reach = 0

    def measured(decided: Decided) -> None:
        nonlocal reach

        def observer(name: str, moment: Moment) -> None:
            nonlocal reach
            if (name, moment) == ("sftp.rename", "before"):
                reach = killer.proxy.passed["up"]

        with observed_by(observer):
            deliver(integration(KRONOS), decided, world.services)

    something_to_deliver(world, trials.dice)
    trials.trial(measured, "measured")
    trials.ended.clear()
    with counting("sshd killed at random points of a delivery") as trials.figures:
        for number in range(EXAMPLES):
            something_to_deliver(world, trials.dice)
            byte = trials.dice.randrange(1, reach) if number % 5 else None  # else at the rename
            trials.trial(lambda decided, byte=byte: killer.deliver(decided, world.services, byte), (number, byte))
    assert len(killer.killed) == EXAMPLES
    assert all(killer.killed)
    assert trials.ended["none"] == 0
    assert killer.at_the_rename >= EXAMPLES // 5

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

from include.errors import CallboardError, DeliveryRefused, DeliveryUncertain, DestinationUnavailable
from include.ledger import deliveries
from include.run.deliver import deliver
from include.run.services import Services
from tests.support import small_hospital as hospital
from tests.support.figures import Figures, counting
from tests.support.kills import edit, judge
from tests.support.receiver import KronosReceiver
from tests.support.sftp_servers import SSHD, SftpServer, openssh
from tests.support.world import KRONOS, World, build_world, integration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from include.run.handed import Decided

#: Runs that fail, or may fail, for each of the six worlds. CALLBOARD_FAULT_EXAMPLES for more.
EXAMPLES = int(os.environ.get("CALLBOARD_FAULT_EXAMPLES", "25"))
WORLDS = [(publish, seed) for publish in ("rename", "posix_rename", "done_marker") for seed in range(2)]
#: Which request is disturbed, and how many of its kind a delivery sends: any of them may be hit.
REQUESTS = {"rename": 1, "CLOSE": 2, "STAT": 4, "WRITE": 1, "OPEN": 2, "READ": 2, "REMOVE": 1, "AUTH": 1}
PATIENCE_S = 0.4
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
    (DestinationUnavailable, {"match": "^STAT ", **TOO_LATE}),
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
        with world.store() as store:  # whatever else is edited: there is something to deliver
            store.execute("UPDATE schedules SET stop_local = stop_local + interval '1 min' WHERE emp_id IS NOT NULL")
            store.commit()
        directed = {**fault, "match": VISIBLE[publish] if fault["match"] == "visible" else fault["match"]}
        trials.ended.clear()
        trials.trial(disturbed_by(partner_server, world, [directed]), directed)
        assert trials.ended == {error.__name__: 1}, directed


def disturbed_by(server: SftpServer, world: World, faults: list[dict[str, Any]]) -> Callable[[Decided], None]:
    """A delivery while the server misbehaves."""
    hurried = impatient(world.services)

    def disturbed(decided: Decided) -> None:
        server.set_faults(*faults)
        try:
            deliver(integration(KRONOS), decided, hurried)
        finally:
            server.set_faults()

    return disturbed


@pytest.fixture
def openssh_world(database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[World, SftpServer]]:
    monkeypatch.setenv("CALLBOARD_NOW", hospital.NOW)
    folder = tmp_path / "world"
    folder.mkdir()
    with openssh(tmp_path / "partner", extra_config=no_penalties()) as server:
        yield build_world(database, server, folder), server


def no_penalties() -> str:
    """Newer servers turn away whoever was connected to a session that crashed; here that is always ourselves."""
    asked = subprocess.run(
        [str(SSHD), "-G", "-f", os.devnull, "-o", "PerSourcePenalties=no"], check=False, capture_output=True
    )
    return "PerSourcePenalties no" if asked.returncode == 0 else ""


def kill_sessions(server: SftpServer) -> int:
    """SIGKILL every process that serves a connection; how many there were."""
    sessions = psutil.Process(server.pid).children(recursive=True)
    for session in sessions:
        with suppress(psutil.NoSuchProcess):
            session.send_signal(signal.SIGKILL)
    return len(sessions)


@pytest.mark.skipif(SSHD is None, reason="needs sshd: install the system package openssh-server")
def test_sshd_killed_at_random_moments_loses_and_doubles_nothing(openssh_world: tuple[World, SftpServer]) -> None:
    world, server = openssh_world
    trials = Trials(world, random.Random(11))
    took = 0.0

    def timed(decided: Decided) -> None:
        nonlocal took
        began = time.monotonic()
        deliver(integration(KRONOS), decided, world.services)
        took = max(took, time.monotonic() - began)

    for number in range(3):
        trials.trial(timed, number)
    killed = 0

    def struck(decided: Decided) -> None:
        nonlocal killed

        def strike() -> None:
            nonlocal killed
            killed += kill_sessions(server) > 0

        blow = threading.Timer(trials.dice.uniform(0, took), strike)
        blow.start()
        try:
            deliver(integration(KRONOS), decided, world.services)
        finally:
            blow.join()

    with counting("sshd killed at random moments") as trials.figures:
        for number in range(EXAMPLES * 2):
            trials.trial(struck, number)
    assert killed > EXAMPLES // 4
    assert trials.ended["DestinationUnavailable"] + trials.ended["DeliveryUncertain"] > EXAMPLES // 4

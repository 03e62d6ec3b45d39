"""Whatever is killed while a run fails, and whatever the mail server does meanwhile: one incident, and a mail at last.

Twenty cells on one platform, each with a feed of its own whose partner lets nobody in: {task, worker, scheduler,
dag-processor, api-server} x SMTP {up, 451, dropping, down}.
"""

from __future__ import annotations

import os
import shutil
import xmlrpc.client
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from supervisor.xmlrpc import SupervisorTransport

from include.platform.state import State
from include.settings import PROJECT_ROOT
from tests.support.figures import counting
from tests.support.told import CLOSED, Failing, kill, kill_tasks_until_over
from tests.support.whole_platform import WholePlatform, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(3600), pytest.mark.xdist_group("chaos-mails")]

VICTIMS = ("task", "worker", "scheduler", "dag-processor", "api-server")
TROUBLES: dict[str, list[dict[str, Any]]] = {
    "up": [],
    "451": [{"match": "^MAIL ", "status": 451, "times": 10**6}],
    "dropping": [{"match": "^DATA ", "status": "drop", "times": 10**6}],
    "down": [],
}
CELLS = [(victim, trouble) for trouble in TROUBLES for victim in VICTIMS]
#: A run may take this long to end: a killed worker is noticed by the heartbeats that do not come.
OVER_SECONDS = 300
#: A mail server that works again gets what has waited within the longest pause between two tries, and some seconds.
TOLD_SECONDS = 4 * 60 + 30


def feed_of(victim: str, trouble: str) -> str:
    return f"told_{victim.replace('-', '_')}_{trouble}"


@dataclass
class Patient(WholePlatform):
    """A platform that notices dead workers sooner than Airflow does by default: the test shall not take a day."""

    @property
    def env(self) -> dict[str, str]:
        return super().env | {"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholePlatform]:
    folder = tmp_path_factory.mktemp("told")
    mappings = folder / "mappings"
    mappings.mkdir()
    shipped = PROJECT_ROOT / "include" / "mappings"
    yaml = (shipped / "epic_on_call_finder.yaml").read_text("utf-8")
    # Often enough to be tried again once, after 20 s; but no run of Airflow's own comes in between.
    yaml = yaml.replace('schedule: "*/5 * * * *"', 'schedule: "*/5 * 29 2 *"')
    assert "29 2" in yaml
    for cell in CELLS:
        (mappings / f"{feed_of(*cell)}.yaml").write_text(yaml, "utf-8")
        shutil.copy(shipped / "epic_on_call_finder.csv", mappings / f"{feed_of(*cell)}.csv")
    whole = Patient(folder / "var", mappings, "2026-03-04T15:00:00+00:00")
    try:
        whole.start()
        yield whole
    finally:
        whole.kill()


@pytest.mark.parametrize(("victim", "trouble"), CELLS)
def test_one_incident_and_a_mail_after_recovery(platform: WholePlatform, victim: str, trouble: str) -> None:
    run = Failing(platform, feed_of(victim, trouble))
    with counting(f"kill -9 while a run fails, mail server {trouble}") as figures:
        figures.tries = figures.lost = 1
        fail_and_kill(platform, run, victim, trouble)
        wait_until(run.mails, TOLD_SECONDS, "the mail")
        figures.lost = 0
        [incident, *more] = run.incidents()
        figures.duplicated = len(more) + len({mail["Message-ID"] for mail in run.mails()}) - 1
        figures.wrong = incident[1] != ("failed" if victim == "task" else "connection")
        assert not figures.faults

    for program in ("scheduler", "dag-processor", "api-server"):
        wait_until(lambda program=program: platform.program(program), 60, program)
    assert platform.callboard("run", run.feed)[0] == 0
    wait_until(lambda: len({mail["X-Callboard-State"] for mail in run.mails()}) == 2, TOLD_SECONDS, "the end")
    assert len(run.incidents()) == 1


def fail_and_kill(platform: WholePlatform, run: Failing, victim: str, trouble: str) -> None:
    """Let a run fail with the mail server in trouble, and something killed on its way; then mend the mail server."""
    platform.control("/_faults", CLOSED)
    platform.control("/_faults", TROUBLES[trouble], of="mail")
    if trouble == "down":
        with supervisor(platform) as programs:
            programs.stopProcess("sandbox-mail")
    try:
        run.begin()
        wait_until(run.tasks_at_work, 120, "the delivery")
        if victim == "task":
            kill_tasks_until_over([run], OVER_SECONDS)
        else:
            kill(the_living(platform, run, victim))
        wait_until(lambda: run.state() == "failed", OVER_SECONDS, "the run's end")
        wait_until(run.incidents, 60, "the incident")
        if trouble != "up":
            assert run.mails() == []
    finally:
        if trouble == "down":
            with supervisor(platform) as programs:
                programs.startProcess("sandbox-mail")
        wait_until(lambda: platform.program("sandbox-mail"), 30, "the mail server")
        platform.control("/_faults", [], of="mail")
        platform.control("/_faults", [])


def the_living(platform: WholePlatform, run: Failing, victim: str) -> int:
    """The process to be killed: a program's own, or the worker whose child speaks to the partner."""
    if victim != "worker":
        return platform.program(victim)
    [task, *_] = run.tasks_at_work()
    with open(f"/proc/{task}/stat", encoding="ascii") as stat:  # noqa: PTH123 - /proc
        return int(stat.read().rpartition(")")[2].split()[1])


@contextmanager
def supervisor(platform: WholePlatform) -> Iterator[Any]:
    with closing(SupervisorTransport(None, None, f"unix://{State(platform.var).socket()}")) as transport:
        yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor


assert os.environ.get("CALLBOARD_CHAOS"), "collected without being asked for"

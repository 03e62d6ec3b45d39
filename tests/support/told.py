"""Runs that fail on a whole platform while something else breaks: what is known of them, and who was told."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.whole_platform import WholePlatform

#: A partner that lets nobody in, and takes its time: long enough for whatever is done meanwhile.
CLOSED = [{"match": "^AUTH ", "status": "drop", "delay_s": 3, "times": 10**6}]


@dataclass
class Failing:
    """A run of a feed that cannot end well."""

    platform: WholePlatform
    feed: str
    run_id: str = ""

    def begin(self) -> None:
        """Start it."""
        answer = self.platform.airflow("POST", f"/dags/{self.feed}/dagRuns", json={"logical_date": None})
        self.run_id = answer["dag_run_id"]

    def state(self) -> str:
        """How Airflow says it is; empty while Airflow does not answer."""
        with suppress(Exception):
            return str(self.platform.airflow("GET", f"/dags/{self.feed}/dagRuns/{self.run_id}")["state"])
        return ""

    def tasks_at_work(self) -> list[int]:
        """The processes that speak to the partner."""
        return self.platform.clients_of(self.platform.access["sftp"]["port"])

    def incidents(self) -> list[tuple[Any, ...]]:
        """The incidents that its end opened: number, class."""
        return self.platform.sql(
            "ledger_dsn",
            "SELECT incident_id, class FROM incident WHERE feed = %s AND class IN ('connection', 'failed', 'stale')",
            self.feed,
        )

    def mails(self) -> list[Any]:
        """The mails about them."""
        numbers = {str(number) for number, _ in self.incidents()}
        return [mail for mail in self.platform.mails(feed=self.feed) if mail["X-Callboard-Incident"] in numbers]


def kill_tasks_until_over(runs: list[Failing], seconds: float) -> int:
    """Kill every task that speaks to the partner, again and again, until the runs have failed; answers how many."""
    killed: set[int] = set()
    deadline = time.monotonic() + seconds
    while any(run.state() != "failed" for run in runs):
        assert time.monotonic() < deadline, f"not over within {seconds:.0f} s: {[run.state() for run in runs]}"
        for pid in runs[0].tasks_at_work():
            kill(pid)
            killed.add(pid)
        time.sleep(0.2)
    return len(killed)


def kill(pid: int) -> None:
    """SIGKILL, if it still lives."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)

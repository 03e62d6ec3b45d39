"""The looks at what everything else stands on: database, Airflow's processes, the mailer, the disk."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from include.database import not_ready_errors
from include.errors import SourceNotReady
from include.platform.airflow_api import FINISHED
from include.platform.supervision import program_states
from include.platform.watch.trouble import Findings, Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_ANSWER_SECONDS = 5
_FULL_BYTES = 2**30

#: Airflow's processes, as its health page calls them: what they are called here, and what follows if one is dead.
_COMPONENTS = {
    "scheduler": ("scheduler", "No feed runs by its clock, and runs that have begun do not go on."),
    "dag_processor": ("dag-processor", "Changed mappings and Dags are not read; what is read already goes on running."),
    "triggerer": ("triggerer", "Nothing that waits for an event is woken; runs by the clock go on."),
}


def database(found: Findings, dsn: str) -> bool:
    """Whether the ledger's database answers a new connection within seconds."""
    import psycopg

    try:
        # A connection of its own: the server's parent process must be alive, not only somebody it started earlier.
        with not_ready_errors(), psycopg.connect(dsn, connect_timeout=_ANSWER_SECONDS, autocommit=True) as connection:
            connection.execute(f"SET statement_timeout = '{_ANSWER_SECONDS}s'")
            connection.execute("SELECT 1")
    except SourceNotReady as error:
        found.looked(
            "database",
            Trouble(
                key="database",
                title="the database does not answer",
                what=f"{error.message} Nothing can be read or delivered, and no mail about feeds can be written.",
                steps=(
                    "Look whether PostgreSQL runs, and whether its disk is full.",
                    "Nothing else is needed: everything carries on by itself once the database answers.",
                ),
                over="the database answers again.",
            ),
        )
        return False
    found.looked("database")
    return True


def airflow(found: Findings, health: Mapping[str, str], logs: Path) -> bool:
    """Judge Airflow's health page (component → ``healthy`` or not; empty: no answer). Whether its database answers."""
    if not health:
        what = "Its pages and its API do not answer; tasks can neither begin nor report their end, so no feed delivers."
        found.looked("api_server", _dead("api_server", "Airflow's API server", "api-server", what, logs))
        return False
    found.looked("api_server")
    if health.get("metadatabase") != "healthy":
        found.looked(
            "airflow_database",
            Trouble(
                key="airflow_database",
                title="Airflow's own database does not answer",
                what="Airflow says that its own database does not answer. No feed runs.",
                steps=("Look whether PostgreSQL runs, and whether Airflow's database and role are as they were.",),
                over="Airflow's database answers again.",
            ),
        )
        return False
    found.looked("airflow_database")
    found.looked(
        "airflow",
        *(
            _dead(f"airflow.{program}", f"Airflow's {program}", program, what, logs)
            for name, (program, what) in _COMPONENTS.items()
            if health.get(name) != "healthy"
        ),
    )
    return True


def mailer(found: Findings, socket: Path, logs: Path) -> None:
    """Look whether the platform's supervisor keeps the mailer running; without one, only unsent mail tells."""
    state = program_states(socket).get("mailer")
    if state is None:
        return
    what = "Mails about feeds are written and wait; none is lost, and none leaves."
    found.looked("mailer", *([] if state == "RUNNING" else [_dead("mailer", "the mailer", "mailer", what, logs)]))


def waker(found: Findings, socket: Path, logs: Path) -> None:
    """Look whether the platform's supervisor keeps the waker running; one that was never started is not wanted."""
    state = program_states(socket).get("waker")
    if state is None:
        return
    what = "Changes no longer wake feeds within seconds. Every feed goes on by its clock, and nothing is lost."
    well = state in ("RUNNING", "STARTING", "STOPPED", "STOPPING")
    found.looked("waker", *([] if well else [_dead("waker", "the waker", "waker", what, logs)]))


def housekeeping(found: Findings, runs: Sequence[Mapping[str, Any]]) -> None:
    """Look at how the nightly housekeeping ended last; ``runs`` are Airflow's, the newest first."""
    last = next((run for run in runs if run["state"] in FINISHED), None)
    if last is None or last["state"] == "success":
        found.looked("housekeeping")
        return
    found.looked(
        "housekeeping",
        Trouble(
            key="housekeeping",
            title="the nightly housekeeping failed",
            what="What is old was not removed. Nothing is lost and feeds go on, but the disk fills a little every day.",
            steps=(
                f"Open the run {last['dag_run_id']} of the Dag housekeeping in Airflow: its red task says why.",
                "Mend that. The next night does the rest; whoever cannot wait starts the Dag in Airflow.",
            ),
            over="a later housekeeping ended well.",
        ),
    )


def disk(found: Findings, var: Path) -> None:
    """Look whether the state directory's disk is nearly full."""
    usage = shutil.disk_usage(var)
    full = Trouble(
        key="disk",
        title="the disk is nearly full",
        what=f"{usage.free // 2**20:,} MiB are free where the state directory lies. When it is full, no run ends well.",
        steps=("Free some space, or give the disk more.",),
        over="there is space on the disk again.",
    )
    found.looked("disk", *([full] if usage.free < _FULL_BYTES else []))


def _dead(key: str, name: str, program: str, what: str, logs: Path) -> Trouble:
    return Trouble(
        key=key,
        title=f"{name} does not run",
        what=f"{what} Its supervisor starts it again by itself, but it does not stay up, or was stopped by hand.",
        steps=(
            f"Read the last lines of its log ({logs / program}.log, or where your service keeps it): they say why.",
            "Mend that, and start it, or the whole platform, again.",
        ),
        over=f"{name} runs again.",
    )

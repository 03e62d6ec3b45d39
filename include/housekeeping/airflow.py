"""Airflow's own tables and task logs: 288 runs a day of each on-call feed leave a lot of both.

Tasks have no access to Airflow's database. Its own command, a process of its own that is told the address, removes the
rows: it knows what hangs together, and keeps each Dag's last scheduled run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from include.effects import effect
from include.errors import SourceNotReady

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from include.housekeeping.periods import Periods
    from include.housekeeping.tidying import Counts

ADDRESS = "CALLBOARD_AIRFLOW_DSN"
_LOGS = "AIRFLOW__LOGGING__BASE_LOG_FOLDER"
_TABLE = re.compile(r"Checking table (?P<table>\w+)")
_FOUND = re.compile(r"Found (?P<rows>\d+) rows meeting deletion criteria")
_BATCH = 10_000


def airflow_address() -> str | None:
    """The ``postgresql://`` address of Airflow's database, as `make run` hands it on; None where nobody says it."""
    return os.environ.get(ADDRESS)


def tidy_airflow_tables(dsn: str, periods: Periods, *, dry_run: bool = False) -> Counts:
    """Remove old rows from Airflow's tables; how many, by table, of the tables that had any.

    Raises:
        SourceNotReady: Airflow's command failed; its last line is in the message.
    """
    before = (datetime.now(UTC) - periods.airflow).isoformat(timespec="seconds")
    words = ["clean", "--clean-before-timestamp", before, "--skip-archive", "--yes", "--error-on-cleanup-failure"]
    words += ["--dry-run"] if dry_run else ["--batch-size", str(_BATCH)]
    told = _airflow(dsn, words)
    if not dry_run:  # rows are moved before they are removed: what a killed try left behind
        _airflow(dsn, ["drop-archived", "--yes"])
    return _counted(told)


def tidy_task_logs(folder: Path, periods: Periods, *, dry_run: bool = False) -> Counts:
    """Remove log files that nobody has written to for long, and the folders that are empty since as long."""
    limit = datetime.now(UTC).timestamp() - periods.airflow.total_seconds()
    files = size = 0
    for name, _, names in os.walk(folder, topdown=False):
        path = Path(name)
        for file in (path / each for each in names):
            found = file.lstat()
            if found.st_mtime >= limit:
                continue
            files, size = files + 1, size + found.st_size
            if not dry_run:
                with effect("logs.remove"):
                    file.unlink(missing_ok=True)
        # A task may be about to write into a new one. One whose files have just gone is new too, and goes later.
        if not dry_run and path != folder and path.stat().st_mtime < limit and not any(path.iterdir()):
            with effect("logs.remove"):
                path.rmdir()
    return {"files": files, "bytes": size}


def log_folder() -> Path:
    """Where Airflow keeps its logs: `make run` says so; a deployment's own configuration does too."""
    told = os.environ.get(_LOGS)
    if told:
        return Path(told)
    from airflow.configuration import conf

    return Path(conf.get_mandatory_value("logging", "base_log_folder"))


def _airflow(dsn: str, words: list[str]) -> str:
    """Run ``airflow db WORDS``, behind everything else that wants the processor; what it printed."""
    behind = ["nice", "-n", "19"] if shutil.which("nice") else []
    done = subprocess.run(
        [*behind, sys.executable, "-m", "airflow", "db", *words],
        env=_environment(dsn),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "nothing was said").splitlines()[-1]
        raise SourceNotReady(
            f"`airflow db {words[0]}` ended with {done.returncode}: {last[:300]}",
            next_step="run it by hand where Airflow runs, to see all that it says",
        )
    return done.stdout


def _environment(dsn: str) -> Mapping[str, str]:
    """The process's own, without what tells Airflow that it is a task, and with the address of its database."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("_AIRFLOW")}
    address = re.sub(r"^postgresql(\+\w+)?:", "postgresql+psycopg2:", dsn)
    return kept | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address}


def _counted(told: str) -> Counts:
    return {table: rows for table, rows in _pairs(told) if rows}


def _pairs(told: str) -> Iterator[tuple[str, int]]:
    table = ""
    for line in told.splitlines():
        if found := _TABLE.search(line):
            table = found["table"]
        elif found := _FOUND.search(line):
            yield table, int(found["rows"])

"""Builds the Dag of the nightly housekeeping: a task for each part, so that one that fails keeps none of the others."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, CronTriggerTimetable, Param, get_current_context, get_parsing_context, task

from include.housekeeping import DAG_ID
from include.settings import default_time_zone

if TYPE_CHECKING:
    from collections.abc import Callable


#: When hospitals are quiet and payroll's files have left.
SCHEDULE = "30 3 * * *"
#: Airflow takes ``False`` for a tenth of the interval: a platform started before six in the morning would begin so.
NEVER_FOR_THE_PAST = timedelta(0)

_log = logging.getLogger(__name__)


def publish_housekeeping(doc: str | None) -> None:
    """Register the Dag with the file that calls this; ``doc`` is its page.

    It does not run at a platform's first start, which has nothing to tidy up and other things to do.
    """
    if get_parsing_context().dag_id not in (None, DAG_ID):
        return
    with DAG(
        dag_id=DAG_ID,
        dag_display_name="Housekeeping",
        description="Removes what is no longer needed",
        doc_md=doc,
        schedule=CronTriggerTimetable(SCHEDULE, timezone=default_time_zone(), run_immediately=NEVER_FOR_THE_PAST),
        catchup=False,
        max_active_runs=1,
        tags=["housekeeping"],
        params={
            "dry_run": Param(
                default=False,
                type="boolean",
                title="Dry run",
                description="Count what would be removed, and remove nothing.",
            ),
        },
        default_args={
            "owner": "callboard",
            "retries": 1,
            "retry_delay": timedelta(minutes=5),
            "execution_timeout": timedelta(hours=1),
        },
        auto_register=True,
    ):
        _parts()


def _parts() -> None:
    @task
    def ledger() -> dict[str, int]:
        """Old runs and deliveries, except what is still needed."""
        from include.housekeeping.tidying import tidy_ledger

        return _tidied(tidy_ledger)

    @task(trigger_rule="all_done")
    def artifacts() -> dict[str, int]:
        """Stored content that no row of the ledger speaks of any more."""
        from include.housekeeping.tidying import tidy_artifacts

        return _tidied(tidy_artifacts)

    @task
    def change_log() -> dict[str, int]:
        """The oldest of the schedule store's change log."""
        from include.housekeeping.tidying import tidy_change_log

        return _tidied(tidy_change_log)

    @task
    def airflow_tables() -> dict[str, int]:
        """Old runs, tasks, XComs and log lines in Airflow's own tables."""
        from airflow.sdk.exceptions import AirflowSkipException

        from include.housekeeping.airflow import ADDRESS, airflow_address, tidy_airflow_tables

        dsn = airflow_address()
        if dsn is None:
            raise AirflowSkipException(f"{ADDRESS} is not set: run `airflow db clean` where Airflow's database is.")
        return _tidied(lambda _, periods, dry_run: tidy_airflow_tables(dsn, periods, dry_run=dry_run))

    @task
    def task_logs() -> dict[str, int]:
        """Airflow's log files that are old."""
        from include.housekeeping.airflow import log_folder, tidy_task_logs

        return _tidied(lambda _, periods, dry_run: tidy_task_logs(log_folder(), periods, dry_run=dry_run))

    ledger() >> artifacts()  # what a forgotten run spoke of goes in the same night
    change_log()
    airflow_tables()
    task_logs()


def _tidied(part: Callable[..., dict[str, int]]) -> dict[str, int]:
    """Do one part with this installation's settings; say what came of it."""
    from include.housekeeping.periods import periods
    from include.run.services import Services, no_connections
    from include.settings import load_settings

    dry_run = bool(get_current_context()["params"].get("dry_run"))
    found = part(Services(load_settings(), no_connections), periods(), dry_run=dry_run)
    _log.info("%s: %s", "Would be removed" if dry_run else "Removed", found)
    return found

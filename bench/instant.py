"""A scheduler whose tasks take no time: ``python -m bench.instant FILE`` runs one, and writes how long its loops take.

The scheduler, its settings and its database are real; only the executor ends each task at once instead of running it,
so that what is measured is the scheduler at its busiest. FILE gets one JSON line a loop: its seconds, those
of the scheduler's own CPU, and how many tasks have ended. SIGTERM ends it.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

from airflow._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow._shared.observability.metrics.protocols import Timer
from airflow.executors.base_executor import BaseExecutor

if TYPE_CHECKING:
    from collections.abc import Sequence

LOOP = "scheduler.scheduler_loop_duration"


class InstantExecutor(BaseExecutor):
    """Ends every task well as soon as it is queued, as its worker would: in Airflow's database, then by an event."""

    is_local = True
    ended = 0

    def start(self) -> None:
        """Nothing to start."""

    def _process_workloads(self, workload_items: Sequence[Any]) -> None:
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import update

        now = datetime.now(UTC)
        done = {"state": "success", "start_date": now, "end_date": now, "duration": 0.0}
        with create_session(scoped=False) as session:
            ids = [workload.ti.id for workload in workload_items]
            session.execute(update(TaskInstance).where(TaskInstance.id.in_(ids)).values(done))
        for workload in workload_items:
            del self.queued_tasks[workload.ti.key]
            self.running.add(workload.ti.key)
            self.success(workload.ti.key)
        type(self).ended += len(workload_items)

    def end(self) -> None:
        """Nothing to end."""

    def terminate(self) -> None:
        """Nothing to end."""


def main(file: Path) -> None:
    """Run the scheduler until it is told to end."""
    from airflow.jobs.job import Job, run_job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.observability.metrics import stats_utils
    from airflow.utils.providers_configuration_loader import providers_configuration_loaded

    instant = importlib.import_module("bench.instant")  # Airflow imports its executor from there, not from this program

    with file.open("w", encoding="utf-8", buffering=1) as written:

        class LoopTimer(Timer):
            """Writes down a loop's duration as its own metric would be sent."""

            def start(self) -> Self:
                """Begin a loop."""
                self._cpu = time.thread_time()
                return super().start()

            def stop(self, send: bool = True) -> None:
                """Write the loop."""
                super().stop(send)
                took = {"seconds": (self.duration or 0) / 1000, "cpu": time.thread_time() - self._cpu}
                written.write(json.dumps({**took, "ended": instant.InstantExecutor.ended}) + "\n")

        class Written(NoStatsLogger):
            """Of all metrics, the loop's duration."""

            @classmethod
            def timer(cls, *args: Any, **_: Any) -> Timer:
                """A timer of the metric that the first argument names."""
                return LoopTimer() if LOOP in args else Timer()

        with patch.object(stats_utils, "get_stats_factory", return_value=Written):
            runner = SchedulerJobRunner(job=Job())
            providers_configuration_loaded(run_job)(job=runner.job, execute_callable=runner._execute)  # noqa: SLF001


if __name__ == "__main__":
    main(Path(sys.argv[1]))

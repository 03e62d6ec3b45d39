"""How long a scheduler's loops take: ``python -m bench.loops FILE`` runs one until SIGTERM.

The scheduler, its settings and its database are real; its tasks take no time (bench/instant.py). FILE gets one JSON
line a loop: its seconds, those of the scheduler's own CPU, and how many tasks have ended by then.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from airflow._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow._shared.observability.metrics.protocols import Timer

LOOP = "scheduler.scheduler_loop_duration"


def main(file: Path) -> None:
    """Run the scheduler until it is told to end."""
    from airflow.jobs.job import Job, run_job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.observability.metrics import stats_utils
    from airflow.utils.providers_configuration_loader import providers_configuration_loaded

    from bench.instant import InstantExecutor

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
                written.write(json.dumps({**took, "ended": InstantExecutor.ended}) + "\n")

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

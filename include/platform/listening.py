"""What Airflow tells of itself while it works, and what is done about it.

plugins/callboard_listening.py registers it.
"""

from __future__ import annotations

import sys
from typing import Any

from airflow.listeners import hookimpl

from include.platform.bell import ring
from include.platform.preloading import preload_for_dag_files

#: Airflow's command that reads Dag files. Its job has no name yet when it tells that it starts.
_READER = "dag-processor"


@hookimpl
def on_starting(component: Any) -> None:  # noqa: ARG001 - the name is Airflow's
    """Have what reads Dag files import what all of them import, before it forks a process for each."""
    if _READER in sys.argv:
        preload_for_dag_files()


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:  # noqa: ARG001 - the names are Airflow's
    """The next step can begin. It is told by the task's process, after Airflow has noted its success.

    Of other ends a task tells before they are noted: there the executor hears of its worker.
    """
    ring()


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:  # noqa: ARG001 - see above
    """The Dag's next run can begin. The scheduler tells itself, in a look that is past the runs that wait."""
    ring()


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:  # noqa: ARG001 - see above
    """As :func:`on_dag_run_success`."""
    ring()

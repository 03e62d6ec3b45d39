"""Parse the Dag files as Airflow's Dag processor does: ``python -m tests.support.dag_parsing < cases.json``.

A process of its own, because Airflow reads its settings when it is imported, and because what a parse loads can only be
seen in a process that has loaded nothing else. Reads a JSON list of cases ``{"mappings": folder, "asked_for": Dag id or
null}`` and prints what came of each. Deprecated imports are errors. No database, no running platform.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from include.settings import PROJECT_ROOT
from tests.support.airflow_program import airflow_variables, environment_outside

if TYPE_CHECKING:
    from pathlib import Path

#: What no parse may load: each costs every task process its start-up time (or holds threads when it forks).
HEAVY = ("pandas", "numpy", "pyarrow", "duckdb", "great_expectations", "paramiko", "asyncssh", "fastapi")

#: Soon after the hour of housekeeping.
FIRST_SEEN = datetime(2026, 3, 4, 3, 40, tzinfo=UTC)


def parse(home: Path, *cases: dict[str, Any]) -> list[dict[str, Any]]:
    """Parse ``dags/`` once per case, in a process of its own with the project's settings of Airflow."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.support.dag_parsing"],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        env=environment_outside() | airflow_variables(home),
        cwd=home,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    answers: list[dict[str, Any]] = json.loads(ended.stdout.splitlines()[-1])
    return answers


def _answer(case: dict[str, Any]) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    told = {"CALLBOARD_MAPPINGS": case["mappings"]}
    if case.get("asked_for"):  # what a task process says before it parses its Dag file again
        told["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = case["asked_for"]
    with patch.dict(os.environ, told):
        bag = DagBag(str(PROJECT_ROOT / "dags"))
    known: dict[str, Any] = {}
    for dag_id, dag in bag.dags.items():
        # the form that the scheduler knows it in: raises for what has none
        known[dag_id] = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    return {
        "import_errors": bag.import_errors,
        "dags": {dag_id: _described(dag) | _first_run(known[dag_id]) for dag_id, dag in bag.dags.items()},
        "loaded": [name for name in HEAVY if name in sys.modules],
    }


def _described(dag: Any) -> dict[str, Any]:
    return {
        "file": os.path.basename(dag.fileloc),  # noqa: PTH119 - a text from Airflow
        "name": dag.dag_display_name,
        "doc": dag.doc_md,
        "tags": sorted(dag.tags),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "run_types": sorted(dag.allowed_run_types or ()),
        "schedule": _clock(dag.timetable),
        "waits_for": _waits_for(getattr(dag.timetable, "asset_condition", None)),
        "params": {name: _param(dag.params.get_param(name)) for name in dag.params},
        "tells_of_failures": bool(dag.has_on_failure_callback or dag.on_failure_callback),
        "tasks": [_task(task) for task in dag.topological_sort()],
    }


def _first_run(dag: Any) -> dict[str, Any]:
    """When the scheduler lets a Dag run that it sees for the first time at :data:`FIRST_SEEN`."""
    from airflow.timetables.base import TimeRestriction
    from pendulum import instance

    allowed = TimeRestriction(dag.start_date and instance(dag.start_date), None, catchup=False)
    with patch("airflow.timetables.trigger.utcnow", return_value=instance(FIRST_SEEN)):
        run = dag.timetable.next_dagrun_info(last_automated_data_interval=None, restriction=allowed)
    return {"first_run": run and run.run_after.isoformat()}


def _waits_for(condition: Any) -> list[str]:
    """The names of the assets that wake a Dag."""
    return sorted(asset.name for asset in condition.objects) if condition else []


def _clock(timetable: Any) -> list[Any]:
    """The cron expression and its zone; of a Dag that also waits for an asset, those of its clock."""
    clock = getattr(timetable, "timetable", timetable)
    return [getattr(clock, "expression", None), str(getattr(clock, "timezone", None))]


def _param(param: Any) -> dict[str, Any]:
    return {**param.schema, "default": param.value, "description": param.description}


def _task(task: Any) -> dict[str, Any]:
    return {
        "id": task.task_id,
        "after": sorted(task.upstream_task_ids),
        "doc": task.doc_md or (task.python_callable.__doc__ or ""),
        "answers_in_parts": task.multiple_outputs,
        "owner": task.owner,
        "priority": (task.priority_weight, str(task.weight_rule)),
        "retries": task.retries,
        "retry_delay_s": task.retry_delay.total_seconds(),
        "timeout_s": task.execution_timeout.total_seconds() if task.execution_timeout else None,
        "after_errors": {name: _action(task, error) for name, error in _error_classes().items()}
        if task.retry_policy
        else {},
    }


def _error_classes() -> dict[str, type[BaseException]]:
    """Every class of include.errors, one that is none of ours, and one that a room below derived."""
    from include import errors

    ours = {
        name: found
        for name, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, errors.CallboardError)
    }
    derived = {f"a kind of {name}": type(f"Special{name}", (found,), {}) for name, found in ours.items()}
    return ours | derived | {"RuntimeError": RuntimeError}


def _action(task: Any, error: type[BaseException]) -> str:
    raised = error.__new__(error)
    action: str = task.retry_policy.evaluate(raised, try_number=1, max_tries=3).action.value
    return action


def _main() -> None:
    from airflow.sdk.exceptions import RemovedInAirflow4Warning
    from airflow.utils.deprecation_tools import DeprecatedImportWarning

    warnings.simplefilter("error", DeprecatedImportWarning)
    warnings.simplefilter("error", RemovedInAirflow4Warning)
    answers = [_answer(case) for case in json.load(sys.stdin)]
    sys.stdout.write("\n" + json.dumps(answers) + "\n")


if __name__ == "__main__":
    _main()

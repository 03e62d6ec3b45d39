"""The heavy libraries and the steps' own modules imported once, by whoever forks the processes that run tasks.

Importing Great Expectations and pandas costs 8 to 10 s in every new process; a forked worker, and each task that it
forks, inherits them.
"""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
import time

_LIBRARIES = (
    "pandas",
    "pandas.core.arrays.arrow.extension_types",  # from here on: what these import when they are first used
    "pyarrow.csv",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "duckdb",
    "great_expectations",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "paramiko",
)
#: What each task imports of Airflow itself, and what its Dag file imports.
_OF_TASKS = (
    "airflow.dag_processing.bundles.local",
    "airflow.dag_processing.dagbag",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.sdk._shared.logging.remote",
    "airflow.serialization.serialized_objects",
    "jinja2.ext",
)
#: What every Dag file imports.
_OF_DAG_FILES = ("include.pipeline", "croniter", "encodings.utf_8_sig")
#: Rooms whose modules the steps import (design: arrows point down from `run`).
_ROOMS = (
    "run",
    "sources",
    "expectations",
    "transforms",
    "render",
    "plan",
    "ledger",
    "artifacts",
    "destinations",
    "mappings",
)

log = logging.getLogger(__name__)


def preload() -> None:
    """Import what tasks and their steps import.

    A module that fails is left to the task that needs it, to fail alone; not so one of the heavy libraries.
    """
    started = time.monotonic()
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    for name in _LIBRARIES:
        importlib.import_module(name)
    for name in (*_OF_TASKS, *_OF_DAG_FILES, *(name for room in _ROOMS for name in _modules(room))):
        try:
            importlib.import_module(name)
        except Exception:
            log.warning("Not preloaded: %s", name, exc_info=True)
    _find_kinds_of_assets()
    try:
        importlib.import_module("include.expectations.runner").warm_up()
    except Exception:
        log.warning("Great Expectations is not ready yet", exc_info=True)
    if address := os.environ.get("CALLBOARD_ARTIFACTS"):
        try:
            importlib.import_module("include.artifacts.opening").preload(address)
        except Exception:
            log.warning("Object storage is not preloaded", exc_info=True)
    log.info("Preloaded the steps' libraries in %.1f s", time.monotonic() - started)


def preload_for_dag_files() -> None:
    """Import what every Dag file imports.

    Airflow reads each in a process of its own, forked for it, again and again. What its parent has not imported, every
    one of them would import anew: most of what idle platforms would do. (Airflow looks for imports of its own modules
    in a Dag file, and has the parent import those; ours name none.)
    """
    for name in _OF_DAG_FILES:
        importlib.import_module(name)
    _find_kinds_of_assets()


def _find_kinds_of_assets() -> None:
    """Airflow asks all providers for theirs when the first asset of a process is made: each Dag has one."""
    from airflow.sdk import Asset

    try:
        Asset(name="preloaded", uri="callboard://preloaded")
    except Exception:
        log.warning("The providers' kinds of assets are not preloaded", exc_info=True)


def _modules(room: str) -> list[str]:
    try:
        package = importlib.import_module(f"include.{room}")
    except ModuleNotFoundError:
        return []
    return [
        module.name
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if "migrations" not in module.name
    ]

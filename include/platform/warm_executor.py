"""Airflow's LocalExecutor with the heavy libraries imported once, before its workers fork.

Importing Great Expectations and pandas costs 8 to 10 s in every new process; a forked worker, and each task that it
forks, inherits them. Only the scheduler pays, once.
"""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
import time

from airflow.executors.local_executor import LocalExecutor

from include.platform.kernel_lock import KernelLock
from include.platform.leftovers import end_idle_workers_of_dead_schedulers

_LIBRARIES = (
    "pandas",
    "pyarrow.parquet",
    "duckdb",
    "great_expectations",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "paramiko",
)
#: What every task's Dag file imports.
_OF_DAG_FILES = ("include.pipeline", "croniter")
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


class WarmLocalExecutor(LocalExecutor):
    """A LocalExecutor whose workers are born with the libraries of the steps, and may die without taking it along.

    One idle worker waits for work, holding the queue's lock; the others wait for the lock. Airflow's lock stays locked
    when its holder is killed (the kernel does that when memory runs out): from then on no task runs, without a word.
    """

    def start(self) -> None:
        """Import, then fork the pool."""
        end_idle_workers_of_dead_schedulers()
        preload()
        super().start()

    def end(self) -> None:
        """Let running tasks finish, and end the workers; nothing where somebody wanted an end before the start."""
        if hasattr(self, "activity_queue"):
            super().end()

    def _spawn_workers_with_gc_freeze(self, spawn_number: int) -> None:
        for queue in (self.activity_queue, self.result_queue):
            for name in ("_rlock", "_wlock"):
                if not isinstance(getattr(queue, name), KernelLock):
                    setattr(queue, name, KernelLock())
        super()._spawn_workers_with_gc_freeze(spawn_number)  # type: ignore[no-untyped-call]


def preload() -> None:
    """Import what the steps import. A module of ours that fails is left to the task that needs it, to fail alone."""
    started = time.monotonic()
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    for name in _LIBRARIES:
        importlib.import_module(name)
    for name in (*_OF_DAG_FILES, *(name for room in _ROOMS for name in _modules(room))):
        try:
            importlib.import_module(name)
        except Exception:
            log.warning("Not preloaded: %s", name, exc_info=True)
    try:
        importlib.import_module("include.expectations.runner").warm_up()
    except Exception:
        log.warning("Great Expectations is not ready yet", exc_info=True)
    log.info("Preloaded the steps' libraries in %.1f s", time.monotonic() - started)


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

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


def preload(more: tuple[str, ...] = ()) -> None:
    """Import what the steps import, and ``more``.

    A module that fails is left to the task that needs it, to fail alone; not so one of the heavy libraries.
    """
    started = time.monotonic()
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    for name in _LIBRARIES:
        importlib.import_module(name)
    for name in (*more, *_OF_DAG_FILES, *(name for room in _ROOMS for name in _modules(room))):
        try:
            importlib.import_module(name)
        except Exception:
            log.warning("Not preloaded: %s", name, exc_info=True)
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

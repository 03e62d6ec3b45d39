"""Celery's settings under Airflow, and workers that are born warm: config/airflow.cfg names :data:`CELERY_CONFIG`.

Every process of Celery imports this module, schedulers too, so that it imports nothing heavy by itself. A worker's main
process preloads the libraries of the steps before its pool forks; ``worker_init`` is sent by a worker and by nothing
else. A pool process forks each task, which inherits them as well.
"""

from __future__ import annotations

import gc
from typing import Any

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
from celery.signals import worker_init  # type: ignore[import-untyped]

#: What Airflow makes of its section [celery], as it is.
CELERY_CONFIG: dict[str, Any] = DEFAULT_CELERY_CONFIG


def preload_before_the_pool_forks(**_: Any) -> None:
    """Import in the worker's main process what every task needs; its pages are then shared with all that it forks."""
    from include.platform.preloading import preload

    preload()
    gc.freeze()  # else a child's first collection would write into every page; Airflow undoes it when all stands


worker_init.connect(preload_before_the_pool_forks)

"""The pools that tasks wait in, in Airflow's database: made for a run as it begins, so that none waits for a pool.

Airflow never starts a task whose pool does not exist, and says so in a scheduler's log alone. Which pools there are
follows from the mappings (:mod:`include.pipeline`), which may change at any moment; so whatever a run's tasks name is
made by the scheduler that starts the run, before it looks for tasks to start (plugins/callboard_pools.py registers
:func:`on_dag_run_running`). Slots that somebody has changed in Airflow stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.orm import Session

#: How many tasks may wait for one partner at the same time: those of its on-call feeds, and as many of its others.
PARTNER_SLOTS = 2
#: What Airflow itself makes.
_OF_AIRFLOW = "default_pool"


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:  # noqa: ARG001 - the names are Airflow's
    """Make the pools that the tasks of a starting run name."""
    from airflow.utils.session import create_session

    # A session of its own: the scheduler's is in the middle of starting runs.
    with create_session(scoped=False) as session:
        ensure_pools(_missing(session, dag_run.dag_id, dag_run.run_id), session)


def ensure_pools(names: Collection[str], session: Session) -> None:
    """Make those of the pools that do not exist. Safe to repeat, and to do in several processes at the same time."""
    from airflow.models.pool import Pool
    from sqlalchemy.dialects.postgresql import insert

    for name in sorted(set(names) - {_OF_AIRFLOW}):
        slots, description = _slots(name)
        new = {"pool": name, "slots": slots, "description": description, "include_deferred": False}
        session.execute(insert(Pool).values(new).on_conflict_do_nothing())


def _missing(session: Session, dag_id: str, run_id: str) -> list[str]:
    from airflow.models.pool import Pool
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    named = select(TaskInstance.pool).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id).distinct()
    return list(session.scalars(named.where(TaskInstance.pool.not_in(select(Pool.pool)))))


def _slots(name: str) -> tuple[int, str]:
    from airflow.configuration import conf

    from include.pipeline import OTHERS_POOL

    if name == OTHERS_POOL:
        # The other half stays for on-call feeds and for whatever waits for a partner.
        half = max(1, conf.getint("core", "parallelism") // 2)
        return half, "What feeds that are not on call compute here"
    return PARTNER_SLOTS, "What waits for one partner"

"""An executor whose tasks take no time, so that what is measured is the scheduler at its busiest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.executors.base_executor import BaseExecutor

if TYPE_CHECKING:
    from collections.abc import Sequence


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

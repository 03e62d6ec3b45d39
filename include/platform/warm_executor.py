"""Airflow's LocalExecutor with the heavy libraries imported once, before its workers fork: only the scheduler pays."""

from __future__ import annotations

from typing import Any

from airflow.executors.local_executor import LocalExecutor

from include.platform.bell import UNRUNG, UNRUNG_WHILE_TASKS_RUN, Bell
from include.platform.kernel_lock import KernelLock
from include.platform.leftovers import end_idle_workers_of_dead_schedulers
from include.platform.preloading import preload


class WarmLocalExecutor(LocalExecutor):
    """A LocalExecutor whose workers are born with the libraries of the steps, and may die without taking it along.

    One idle worker waits for work, holding the queue's lock; the others wait for the lock. Airflow's lock stays locked
    when its holder is killed (the kernel does that when memory runs out): from then on no task runs, without a word.

    Where the platform has a bell, the scheduler does not sleep between its looks, but waits here.
    """

    _bell: Bell | None = None
    _sent = False

    def start(self) -> None:
        """Import, then fork the pool."""
        end_idle_workers_of_dead_schedulers()
        preload()
        super().start()
        self._bell = Bell.of_environment()

    def sync(self) -> None:
        """Take note of what has ended; after a look that found nothing to start, wait for a ring or an end first."""
        if self._bell is not None and not self._sent:
            ends = self.result_queue._reader  # type: ignore[attr-defined]  # noqa: SLF001 - no other way
            self._bell.wait(ends, seconds=UNRUNG_WHILE_TASKS_RUN if self.running else UNRUNG)
        self._sent = False
        super().sync()

    def end(self) -> None:
        """Let running tasks finish, and end the workers; nothing where somebody wanted an end before the start."""
        if hasattr(self, "activity_queue"):
            super().end()
        if self._bell is not None:
            self._bell.close()
            self._bell = None

    def _process_workloads(self, workload_list: Any) -> None:
        self._sent = True
        super()._process_workloads(workload_list)  # type: ignore[no-untyped-call]

    def _spawn_workers_with_gc_freeze(self, spawn_number: int) -> None:
        for queue in (self.activity_queue, self.result_queue):
            for name in ("_rlock", "_wlock"):
                if not isinstance(getattr(queue, name), KernelLock):
                    setattr(queue, name, KernelLock())
        super()._spawn_workers_with_gc_freeze(spawn_number)  # type: ignore[no-untyped-call]

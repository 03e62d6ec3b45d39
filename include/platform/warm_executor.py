"""Airflow's LocalExecutor with the heavy libraries imported once, before its workers fork: only the scheduler pays."""

from __future__ import annotations

from airflow.executors.local_executor import LocalExecutor

from include.platform.kernel_lock import KernelLock
from include.platform.leftovers import end_idle_workers_of_dead_schedulers
from include.platform.preloading import preload


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

"""The pool of warm workers outlives any of them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from include.platform import warm_executor
from include.platform.kernel_lock import KernelLock
from include.platform.warm_executor import WarmLocalExecutor
from tests.support.whole_platform import wait_until

_READ = "0"  # the number of the system call `read` on x86-64, as /proc/<pid>/syscall begins


def waiting_in(pid: int) -> str:
    return Path(f"/proc/{pid}/syscall").read_text().split()[0]


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> WarmLocalExecutor:
    monkeypatch.setattr(warm_executor, "preload", lambda: None)
    return WarmLocalExecutor(parallelism=3)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="knows the system calls of x86-64 only")
def test_the_death_of_the_worker_that_waits_for_work_stops_nobody(executor):
    executor.start()
    pids = list(executor.workers)
    try:
        wait_until(lambda: all(waiting_in(pid) != "running" for pid in pids), 60, "all workers wait")
        [reader] = [pid for pid in pids if waiting_in(pid) == _READ]
        os.kill(reader, signal.SIGKILL)
        wait_until(lambda: not executor.workers[reader].is_alive(), 60, "it is dead")
        # Another one reads now: it takes the word that ends it, and so does the next.
        executor.activity_queue.put(None)
        executor.activity_queue.put(None)
        wait_until(lambda: not any(process.is_alive() for process in executor.workers.values()), 60, "all have ended")
    finally:
        for pid in pids:
            if executor.workers[pid].is_alive():
                os.kill(pid, signal.SIGKILL)
        executor.end()


def test_an_end_before_the_start_is_no_error(executor):
    executor.end()


def test_the_kernel_gives_back_what_a_dead_process_held():
    lock = KernelLock()
    read, write = os.pipe()
    holder = os.fork()
    if not holder:
        lock.acquire()
        os.write(write, b"x")
        time.sleep(600)
        os._exit(0)
    os.read(read, 1)
    assert not lock.acquire(block=False)
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    assert lock.acquire(block=False)
    lock.release()
    os.close(read)
    os.close(write)

"""Leftovers of a killed platform: every process is found, ended in order, and nobody else's is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from include.platform.leftovers import (
    MARK,
    end_at_once,
    end_idle_workers_of_dead_schedulers,
    platform_processes,
    stop_leftovers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Writes down which signal it got, lingers for a moment, and ends.
PROGRAM = """
import os, signal, sys, time
def ended(number, frame):
    time.sleep(float(sys.argv[2]))
    with open(sys.argv[1], "a") as log:
        log.write(f"{os.environ['SUPERVISOR_PROCESS_NAME']} {signal.Signals(number).name}\\n")
    sys.exit()
signal.signal(signal.SIGTERM, ended)
signal.signal(signal.SIGINT, ended)
print("ready", flush=True)
time.sleep(300)
"""
# A scheduler with two task workers: one idle, one whose task ends when the file in argv[1] goes away.
SCHEDULER = """
import os, signal, sys, time
def worker(task):
    if task and os.fork() == 0:
        while os.path.exists(sys.argv[1]):
            time.sleep(0.02)
        os._exit(0)
    if task:
        os.wait()
    time.sleep(300)
pids = []
for task in (False, True):
    pid = os.fork()
    if pid == 0:
        worker(task)
    pids.append(pid)
time.sleep(0.3)
print(*pids, flush=True)
time.sleep(300)
"""
STOP = """
import sys
from pathlib import Path
from include.platform.leftovers import stop_leftovers
stop_leftovers(Path(sys.argv[1]), lambda _: None)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def _start(program: str, code: str, *arguments: str, mark: str | None = None) -> subprocess.Popen[str]:
        environment = {**os.environ, MARK: mark or str(tmp_path), "SUPERVISOR_PROCESS_NAME": program}
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield _start
    for found in platform_processes(str(tmp_path)):
        found.signal(signal.SIGKILL)
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def numbers(tmp_path: Path) -> set[int]:
    return {found.pid for found in platform_processes(str(tmp_path))}


def test_nothing_to_do_says_nothing(tmp_path: Path) -> None:
    stop_leftovers(tmp_path, pytest.fail)


def test_programs_end_the_watch_and_the_scheduler_first_and_the_database_last(
    tmp_path: Path, start: Callable[..., object]
) -> None:
    log = tmp_path / "log"
    for program, lingers in (("postgres", "0"), ("api-server", "0.2"), ("scheduler", "0.5"), ("watch", "0.7")):
        first_line(start(program, PROGRAM, str(log), lingers))  # type: ignore[arg-type]
    said: list[str] = []
    stop_leftovers(tmp_path, said.append)
    assert said == ["ending 4 processes that an earlier start left behind"]
    order = ["watch SIGTERM", "scheduler SIGTERM", "api-server SIGTERM", "postgres SIGINT"]
    assert log.read_text().splitlines() == order
    assert numbers(tmp_path) == set()


def test_another_platforms_processes_are_left_alone(tmp_path: Path, start: Callable[..., object]) -> None:
    other: subprocess.Popen[str] = start("api-server", PROGRAM, "/dev/null", "0", mark=f"{tmp_path}-other")  # type: ignore[assignment]
    first_line(other)
    stop_leftovers(tmp_path, lambda _: None)
    end_at_once(tmp_path)
    assert other.poll() is None


def test_a_task_finishes_before_its_orphaned_worker_is_ended(tmp_path: Path, start: Callable[..., object]) -> None:
    task = tmp_path / "task"
    task.touch()
    scheduler: subprocess.Popen[str] = start("scheduler", SCHEDULER, str(task))  # type: ignore[assignment]
    idle, busy = (int(number) for number in first_line(scheduler).split())
    scheduler.kill()
    scheduler.wait()
    assert {idle, busy} < numbers(tmp_path)

    os.environ[MARK] = str(tmp_path)
    try:
        end_idle_workers_of_dead_schedulers()
    finally:
        del os.environ[MARK]
    assert eventually(lambda: idle not in numbers(tmp_path))
    assert busy in numbers(tmp_path)

    stopping = subprocess.Popen(
        [
            sys.executable,
            "-c",
            STOP,
            str(tmp_path),
        ]
    )
    time.sleep(1)  # long enough for a stop that does not wait to be caught
    assert busy in numbers(tmp_path)
    task.unlink()
    assert stopping.wait(timeout=20) == 0
    assert numbers(tmp_path) == set()


def test_at_once_does_not_wait_for_tasks(tmp_path: Path, start: Callable[..., object]) -> None:
    task = tmp_path / "task"
    task.touch()
    first_line(start("scheduler", SCHEDULER, str(task)))  # type: ignore[arg-type]
    end_at_once(tmp_path)  # the task never ends by itself: whoever waited for it would wait until the test is cut off
    assert numbers(tmp_path) == set()

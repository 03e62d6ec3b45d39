"""The processes of one platform: finding every one of them, and ending them in an order that loses no work.

Each process that `make run` starts carries ``CALLBOARD_PLATFORM=<state directory>`` in its environment and hands it on
to its children, so that all can be found after any of them was killed, whoever their parent is by then. Numbers alone
are never trusted: a process is signalled only while it still is the one that was found.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MARK = "CALLBOARD_PLATFORM"
SUPERVISOR, SCHEDULER, DATABASE, WATCH = "", "scheduler", "postgres", "watch"  # programs of config/supervisord.conf
_PROGRAM = "SUPERVISOR_PROCESS_NAME"  # supervisord sets it for its children
_TASKS_SECONDS = 90
_QUIET_SECONDS = 15
_OTHERS_SECONDS = 20
_DATABASE_SECONDS = 60


@dataclass(frozen=True)
class Found:
    """A living process of the platform: the program it belongs to, and its parent's number when it was found.

    ``leads``: it is the program itself and not a child of it (supervisord gives each program a process group).
    """

    process: psutil.Process
    program: str
    parent: int
    leads: bool

    @property
    def pid(self) -> int:
        """Its number."""
        return int(self.process.pid)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended; a process that got its number later is left alone."""
        try:
            self.process.send_signal(number)
        except psutil.NoSuchProcess:
            return


def platform_processes(mark: str) -> list[Found]:
    """Every living process of the platform whose mark (its state directory) this is, without this one."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            environment = process.environ()
            if environment.get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                program = environment.get(_PROGRAM, SUPERVISOR)
                found.append(Found(process, program, process.ppid(), leads=os.getpgid(process.pid) == process.pid))
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or another user's
    return found


def stop_leftovers(var: Path, say: Callable[[str], None]) -> None:
    """End whatever an earlier platform left on ``var``: running tasks finish, the database goes last."""
    mark = str(var)
    found = platform_processes(mark)
    if not found:
        return
    say(f"ending {len(found)} processes that an earlier start left behind")
    # A living supervisor knows the right order itself; it gives its programs 90 s and less, one after the other.
    _end(mark, lambda each: each.program == SUPERVISOR, signal.SIGTERM, 3 * _TASKS_SECONDS)
    sweep(var)


def sweep(var: Path) -> None:
    """End what lives on ``var`` without a supervisor: the scheduler when its tasks are done, the database last.

    The watch goes first: that the others end is no alarm then.
    """
    mark = str(var)
    _end(mark, lambda each: each.program == WATCH, signal.SIGTERM, _OTHERS_SECONDS)
    _end(
        mark,
        lambda each: each.program == SCHEDULER,
        signal.SIGTERM,
        _TASKS_SECONDS,
        enough=_without_work(),
    )
    _end(mark, lambda each: each.program != DATABASE, signal.SIGTERM, _OTHERS_SECONDS)
    _end(mark, lambda each: each.program == DATABASE, signal.SIGINT, _DATABASE_SECONDS)


def end_at_once(var: Path) -> None:
    """End everything without waiting for tasks; only the database still closes its files in order."""
    mark = str(var)
    _end(mark, lambda each: each.program != DATABASE, signal.SIGKILL, _OTHERS_SECONDS)
    _end(mark, lambda each: each.program == DATABASE, signal.SIGINT, _DATABASE_SECONDS)


def idle_orphans(schedulers: list[Found]) -> list[Found]:
    """Those of a scheduler's processes that wait for work nobody will send: task workers whose scheduler was killed."""
    numbers = {each.pid for each in schedulers}
    parents = {each.parent for each in schedulers}
    orphans = (each for each in schedulers if each.parent not in numbers and not each.leads)
    return [each for each in orphans if each.pid not in parents]


def _without_work() -> Callable[[list[Found]], bool]:
    """Whether nothing of a scheduler has anything left to do.

    A scheduler ends by itself when its tasks are done. One whose supervisor was killed can no longer write its log, and
    hangs instead: it is given some seconds after its last task.
    """
    quiet_since = time.monotonic()

    def enough(left: list[Found]) -> bool:
        nonlocal quiet_since
        workers = {each.pid for each in left if not each.leads}
        if any(each.parent in workers for each in left):
            quiet_since = time.monotonic()
        return len(idle_orphans(left)) == len(left) or time.monotonic() - quiet_since > _QUIET_SECONDS

    return enough


def end_idle_workers_of_dead_schedulers() -> None:
    """Called by a new scheduler before it forks workers of its own. Workers in the middle of a task finish it."""
    mark = os.environ.get(MARK)
    if not mark:
        return
    mine = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    others = [each for each in platform_processes(mark) if each.program == SCHEDULER and each.pid not in mine]
    for worker in idle_orphans(others):
        worker.signal(signal.SIGKILL)


def _living(mark: str, which: Callable[[Found], bool]) -> list[Found]:
    return [each for each in platform_processes(mark) if which(each)]


def _end(
    mark: str,
    which: Callable[[Found], bool],
    number: signal.Signals,
    seconds: float,
    *,
    enough: Callable[[list[Found]], bool] = lambda left: not left,
) -> None:
    """Signal the leaders among ``which`` (KILL: all), wait until ``enough`` are gone or time is up, kill the rest."""
    found = _living(mark, which)
    for each in found:
        if each.leads or number == signal.SIGKILL:
            each.signal(number)
    deadline = time.monotonic() + seconds
    while not enough(found) and time.monotonic() < deadline:
        time.sleep(0.1)
        found = _living(mark, which)
    for each in found:
        each.signal(signal.SIGKILL)
    deadline = time.monotonic() + _OTHERS_SECONDS
    while found and time.monotonic() < deadline:
        time.sleep(0.05)
        found = _living(mark, which)

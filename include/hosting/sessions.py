"""Sessions that run: which there are, and ending them.

A session is a process of the account's own number, so it is found and ended by that number alone; sshd is not asked.
Signals are sent *as the account*, so that none can ever reach a process of anybody else.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from include.hosting.users import FIRST, LAST, acting_as

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Session:
    """A process of a hosted account. ``began``: seconds since 1970; ``outer``: it is sshd's, none that sshd started."""

    process: int
    number: int
    began: float
    outer: bool


def sessions() -> list[Session]:
    """The processes of all hosted accounts at this moment."""
    found: dict[int, tuple[int, float, int]] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            number = process.uids().real
            if FIRST <= number <= LAST and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = number, process.create_time(), process.ppid()
    return [
        Session(process, number, began, outer=parent not in found) for process, (number, began, parent) in found.items()
    ]


def end_sessions(which: Callable[[Session], bool], *, at_once: bool) -> int:
    """End the sessions that ``which`` names; answers how many connections that were.

    In order: sshd says farewell, and the file server it started sees the end of its input. ``at_once``: by force.
    """
    ended = 0
    for session in filter(which, sessions()):
        if session.outer or at_once:
            with acting_as(session.number), suppress(ProcessLookupError):
                os.kill(session.process, signal.SIGKILL if at_once else signal.SIGTERM)
            ended += session.outer
    return ended

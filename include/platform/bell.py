"""The scheduler's bell: whoever has given it something to do rings, and it looks at once.

Airflow's scheduler looks into its database, sleeps, and looks again. Between two steps of a run it is asleep half of
that time on average; with a shorter sleep it looks more often all day, and is asleep half of what is left. On one
machine (``make run``) the waker, the ends of tasks and runs, and Airflow's server, after whatever somebody changes
there, ring instead, by a datagram to a socket that only the platform's account reaches. A ring that is lost costs a
look's distance, and nothing else: what there is to do stands in the database.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

#: Names the socket; unset where the scheduler and what rings are on different machines.
VARIABLE = "CALLBOARD_BELL"
#: Seconds after which the scheduler looks although nobody rang: so long, at most, waits what begins by the clock, or
#: by Airflow's commands. While tasks run nobody rings for more than that: places in pools, tries that are due again.
UNRUNG, UNRUNG_WHILE_TASKS_RUN = 0.5, 0.2
_ENOUGH = 64  # bytes; what a ring says does not matter


class Bell:
    """The end of the bell where it is heard."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))
        path.chmod(0o600)

    @classmethod
    def of_environment(cls) -> Bell | None:
        """The bell of this platform; None where it has none."""
        path = os.environ.get(VARIABLE)
        return cls(Path(path)) if path else None

    def wait(self, *others: Any, seconds: float) -> bool:
        """Wait until somebody rings, or one of ``others`` (connections) can be read; answers whether that was so."""
        heard = bool(wait([self._socket, *others], seconds))
        with suppress(BlockingIOError):
            while True:  # a hundred rings are one
                self._socket.recv(_ENOUGH)
        return heard

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()


def ring() -> None:
    """Have the scheduler look. Never fails and never waits: nobody may be listening."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.setblocking(False)
        bell.sendto(b".", path)

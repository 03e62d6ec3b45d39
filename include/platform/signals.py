"""Being asked to stop: the first signal asks for an orderly end, the second for an immediate one."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


class Stopped(Exception):
    """A signal asked the platform to stop."""


class Signals:
    """SIGINT, SIGTERM and SIGHUP of this process, caught from construction on (main thread only)."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._again = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._received)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup stays what it is
            signal.signal(signal.SIGHUP, self._received)

    def _received(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the form of a handler
        (self._again if self._asked.is_set() else self._asked).set()

    @property
    def stop_asked(self) -> bool:
        """Whether somebody asked for an end."""
        return self._asked.is_set()

    @property
    def at_once(self) -> bool:
        """Whether somebody asked twice."""
        return self._again.is_set()

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            Stopped: as soon as somebody asks for an end.
        """
        if self._asked.wait(seconds):
            raise Stopped

    def pause_while_stopping(self, seconds: float) -> None:
        """Wait, at most until somebody asks for the second time."""
        self._again.wait(seconds)

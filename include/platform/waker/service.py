"""The waker as a process: it listens, waits until a burst is over, looks, and never gives up.

LISTEN comes before the first look, so nothing is committed unheard between them. Whatever breaks (the connection, the
database, Airflow) is tried again, later and later up to a limit; the marks stand still meanwhile, so nothing is lost.
A connection can also fall silent without breaking: what a look by the clock finds was not heard, and it listens anew.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.database import not_ready_errors
from include.errors import shielded
from include.platform.signals import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from include.platform.signals import Signals
    from include.platform.waker.waking import Waking

_log = logging.getLogger(__name__)
CHANNEL = "callboard_changes"


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. A burst is over after ``quiet`` without news, or is looked at after ``longest`` all the same.

    ``tick``: how soon an edit of a mapping, or a signal, is noticed. ``safety``: how often it looks although nobody
    said anything. ``first_pause`` doubles up to ``last_pause`` while something is broken.
    """

    quiet: float = 0.05
    longest: float = 1.0
    tick: float = 1.0
    safety: float = 30.0
    first_pause: float = 0.5
    last_pause: float = 15.0


def go_on(dsn: str, waking: Waking, signals: Signals, pace: Pace | None = None) -> None:
    """Wake feeds until a signal asks for the end. ``dsn`` is where it listens."""
    pace = pace or Pace()
    pause, said = pace.first_pause, ""
    try:
        while True:
            try:
                with closing(_listening(dsn)) as connection:
                    waking.look()
                    pause, said = pace.first_pause, ""
                    _log.info("The waker listens.")
                    _serve(connection, waking, signals, pace)
            except Stopped:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the waker goes on; its text may quote a row
                problem = str(shielded(error))
                if problem != said:
                    said = problem
                    _log.warning("%s Nothing is lost: the waker looks again.", said)
            waking.close()
            signals.pause(pause)
            pause = min(2 * pause, pace.last_pause)
    except Stopped:
        _log.info("The waker ends.")
    finally:
        waking.close()


def stand_by(signals: Signals) -> None:
    """Wake nobody until a signal asks for the end: a container whose setting says so is well, and stays."""
    _log.info("CALLBOARD_WAKER is off: changes wake no feed.")
    try:
        while True:
            signals.pause(Pace().tick)
    except Stopped:
        _log.info("The waker ends.")


def _listening(dsn: str) -> psycopg.Connection[Any]:
    import psycopg

    with not_ready_errors():
        connection = psycopg.connect(
            dsn,
            autocommit=True,
            connect_timeout=10,
            application_name="callboard waker",
            keepalives_idle=30,  # a server that is gone without a word is noticed within a minute
            keepalives_interval=10,
            keepalives_count=3,
        )
        connection.execute(f"LISTEN {CHANNEL}")
    return connection


def _serve(connection: psycopg.Connection[Any], waking: Waking, signals: Signals, pace: Pace) -> None:
    """Look whenever something was committed, or may have been edited, until something breaks or is not heard."""
    looked = time.monotonic()
    while True:
        signals.pause(0)
        heard = _hears(connection, pace.tick)
        if heard:
            wait_for_quiet(lambda seconds: _hears(connection, seconds), pace, time.monotonic)
        expected = heard or waking.sees_edits()
        if expected or time.monotonic() - looked >= pace.safety:
            found = waking.look()
            looked = time.monotonic()
            if found.changes and not expected:
                _log.warning("A change was found that was not heard: the waker listens anew.")
                return


def wait_for_quiet(hears: Callable[[float], bool], pace: Pace, clock: Callable[[], float]) -> None:
    """Wait until nothing is heard for ``quiet`` seconds, but not beyond ``longest``."""
    end = clock() + pace.longest
    while (left := end - clock()) > 0 and hears(min(pace.quiet, left)):
        pass


def _hears(connection: psycopg.Connection[Any], seconds: float) -> bool:
    """Whether somebody committed a change within so many seconds."""
    with not_ready_errors():
        return any(True for _ in connection.notifies(timeout=seconds, stop_after=1))

"""The watch as a process: one that acts per installation, round after round, until it is asked to stop."""

from __future__ import annotations

import fcntl
import logging
import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.files import private
from include.platform.signals import Stopped
from include.platform.watch.ping import Ping

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.platform.signals import Signals
    from include.platform.watch.report import Round
    from include.platform.watch.rounds import Watch
    from include.platform.watch.settings import WatchSettings

_log = logging.getLogger(__name__)
#: For whatever has no limit of its own: nothing may keep the watch waiting for ever.
_SOCKET_SECONDS = 30


@contextmanager
def acting(var: Path) -> Iterator[bool]:
    """Whether this process may act for the installation, for as long as the block runs; the kernel keeps count."""
    var.mkdir(mode=0o700, parents=True, exist_ok=True)  # on a machine of its own there may be nothing yet
    with open(var / "watch.lock", "ab", opener=private) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def go_once(watch: Watch, settings: WatchSettings) -> Round:
    """Go round once, and wait for the ping."""
    socket.setdefaulttimeout(_SOCKET_SECONDS)
    ping = Ping(settings.ping_url)
    done = watch.round(datetime.now(UTC))
    if done.able:
        ping.ask()
        ping.wait()
    return done


def go_on(watch: Watch, settings: WatchSettings, signals: Signals) -> None:
    """Go round until a signal asks for the end."""
    socket.setdefaulttimeout(_SOCKET_SECONDS)
    ping = Ping(settings.ping_url)
    _log.info("The watch goes round every %d s.", settings.every.total_seconds())
    try:
        while True:
            if watch.round(datetime.now(UTC)).able:
                ping.ask()
            signals.pause(settings.every.total_seconds())
    except Stopped:
        _log.info("The watch ends.")

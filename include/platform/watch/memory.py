"""What the watch remembers from one round to the next, and over its own end: ``var/watch.json``, mode 0600.

It is written whole or not at all after every round. Where it cannot be written the watch goes on from what it has in
its head; where it was damaged it starts anew, which may repeat a mail.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from include.platform.files import write_private
from include.platform.watch.alarms import Alarm  # noqa: TC001 - the form of the file is made from it

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)

#: A pause of the watch that is longer than this means that the platform was down with it.
AWAY = timedelta(minutes=10)
#: How far a watch that remembers nothing looks back for what ended without it.
LOOK_BACK = timedelta(days=1)


@dataclass(slots=True)
class Memory:
    """Times are UTC.

    ``first_round_at`` is when this installation was watched for the first time, ``watching_since`` when the present
    unbroken watch began. ``feeds`` says since when each feed is known; ``failed_until`` and ``noted_until`` how far the
    runs that Airflow ended, and those that the ledger ended, have been dealt with.
    """

    first_round_at: datetime
    watching_since: datetime
    round_at: datetime
    failed_until: datetime
    noted_until: datetime
    next_number: int = 1
    feeds: dict[str, datetime] = field(default_factory=dict)
    alarms: dict[str, Alarm] = field(default_factory=dict)

    @classmethod
    def empty(cls, now: datetime) -> Memory:
        """What a watch knows that never watched."""
        return cls(now, now, now, now - LOOK_BACK, now - LOOK_BACK)

    def begin_round(self, now: datetime, feeds: set[str] | None) -> None:
        """Take down that the watch is awake, and which feeds there are; None where that could not be read."""
        if now - self.round_at > AWAY:
            self.watching_since = now
        self.round_at = now
        if feeds is not None:
            self.feeds = {feed: self.feeds.get(feed, now) for feed in sorted(feeds)}


def recall(file: Path, now: datetime) -> Memory:
    """Read what was remembered; a file that is absent or damaged is an empty memory."""
    try:
        return _form().validate_json(file.read_bytes())
    except FileNotFoundError:
        return Memory.empty(now)
    except (OSError, ValueError) as error:
        _log.warning("%s cannot be read (%s): the watch starts anew and may repeat a mail.", file, type(error).__name__)
        return Memory.empty(now)


def remember(file: Path, memory: Memory) -> None:
    """Write it down; a disk that is full is told in the log."""
    try:
        write_private(file, _form().dump_json(memory, indent=2))
    except OSError as error:
        _log.warning("%s cannot be written (%s): after a restart mails may come twice.", file, error.strerror)


@lru_cache(maxsize=1)
def _form() -> TypeAdapter[Memory]:
    return TypeAdapter(Memory)

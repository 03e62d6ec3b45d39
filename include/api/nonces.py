"""Nonces of used refresh tokens, and how they are forgotten: with one, and the token itself, one gets what followed it.

Nobody needs one for longer than the same answer is given. Every request to the token endpoint forgets those that are
older, whosever they are, and so does, once a minute, a request for data.
"""

from __future__ import annotations

from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING

from sqlalchemy import text

from include.api import tokens
from include.database import transaction

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

#: How long a nonce is of use.
OF_USE = timedelta(seconds=tokens.SAME_ANSWER)

# Whoever else has a row is about to do the same, and must not be waited for: families are locked in no order.
_FORGET = text(
    """
    UPDATE refresh_token SET nonce = NULL WHERE hash IN (
        SELECT hash FROM refresh_token WHERE nonce IS NOT NULL AND used_at < :before FOR UPDATE SKIP LOCKED
    )
    """
)


def forget(connection: Connection, now: datetime) -> None:
    """Forget the nonces of no more use, of all clients; as the last thing of the caller's transaction."""
    connection.execute(_FORGET, {"before": now - OF_USE})


class Forgetting:
    """Forgets them beside requests for data: a client that has its tokens may ask for nothing else for an hour."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._next: datetime | None = None

    def when_due(self, dsn: str, now: datetime) -> None:
        """Forget them, unless that was done within the last minute.

        Raises:
            SourceNotReady: the database could not be reached.
        """
        with self._lock:
            if self._next is not None and now < self._next:
                return
            self._next = now + OF_USE
        with transaction(dsn) as connection:
            forget(connection, now)

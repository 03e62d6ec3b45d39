"""Forgetting the oldest of the change log. What happened longer ago than it is kept can no longer be explained.

Rows of the log are never changed, and removing them is itself not logged. The IDs of later rows go on as they would.
Up to when they were removed stands in the table's comment: of a store in which nothing happens, the log's first row, if
it has one, says nothing of it, and whoever follows the changes would have to begin anew each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from include.database import transaction
from include.effects import effect

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

_BATCH = 20_000
_TABLE = "schedule.change_logs"

#: SQL: before when rows may have been removed; null: none ever were.
FORGOTTEN_BEFORE = (
    f"substring(obj_description('{_TABLE}'::regclass, 'pg_class') FROM 'forgotten before (.+)')::timestamptz"
)


def count_changes(dsn: str, before: datetime) -> int:
    """Count the rows of the change log that are older than ``before`` (aware).

    Raises:
        SourceNotReady: the store could not be read.
    """
    with transaction(dsn) as connection:
        statement = text("SELECT count(*) FROM schedule.change_logs WHERE changed_at < :before")
        return int(connection.execute(statement, {"before": before}).scalar_one())


def forget_changes(dsn: str, before: datetime, batch: int = _BATCH) -> int:
    """Remove the rows of the change log that are older than ``before`` (aware); answers how many.

    In transactions of ``batch`` rows, oldest first, so that it may be stopped at any time.

    Raises:
        SourceNotReady: the store could not be reached.
    """
    statement = text(
        """
        DELETE FROM schedule.change_logs WHERE change_id IN (
            SELECT change_id FROM schedule.change_logs WHERE changed_at < :before ORDER BY change_id LIMIT :batch
        )
        """
    )
    removed = 0
    while True:
        with effect("schedule.forget_changes"), transaction(dsn) as connection:
            _remember(connection, before)
            gone = connection.execute(statement, {"before": before, "batch": batch}).rowcount
        removed += gone
        if gone < batch:
            return removed


def _remember(connection: Connection, before: datetime) -> None:
    statement = text(f"SELECT greatest({FORGOTTEN_BEFORE}, :before) AT TIME ZONE 'UTC'")
    [at] = connection.execute(statement, {"before": before}).scalars().all()
    connection.execute(text(f"COMMENT ON TABLE {_TABLE} IS 'forgotten before {at:%Y-%m-%d %H:%M:%S.%f}+00'"))

"""The mark up to which the schedule's changes have woken the feeds that they concern: one row, a ``pg_snapshot``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection


def read(connection: Connection) -> str | None:
    """The mark; None where there is none, or one of another database server: its transactions are not ours.

    A mark that was restored with a backup into a new server would call changes seen that nobody has seen.
    """
    found = connection.execute(
        text("SELECT seen::text FROM wake_mark WHERE pg_snapshot_xmax(seen) <= pg_snapshot_xmax(pg_current_snapshot())")
    ).scalar()
    return None if found is None else str(found)


def store(connection: Connection, seen: str) -> None:
    """Move the mark to ``seen``."""
    connection.execute(
        text(
            "INSERT INTO wake_mark (seen) VALUES (CAST(:seen AS pg_snapshot))"
            " ON CONFLICT (one) DO UPDATE SET seen = EXCLUDED.seen, marked_at = now()"
        ),
        {"seen": seen},
    )

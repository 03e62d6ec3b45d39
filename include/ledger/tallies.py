"""Tallies as they were last worked out: the tables that the API serves them from, filled whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from include.duck import connect
from include.schedule.tallies import COLUMNS, added_up

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import psycopg
    from sqlalchemy import Connection

_ROWS_AT_ONCE = 10_000


def fill_tallies(connection: Connection, snapshot: Path, as_of: datetime) -> int:
    """Replace all tallies by those of a snapshot, or note that they are still these; how many rows they are.

    ``snapshot``: what was counted, slot by slot, in a file that is named by its SHA-256. Readers see the former ones
    until the transaction is committed, and never a part.
    """
    from sqlalchemy import text

    held = connection.execute(text("SELECT snapshot, rows FROM tally_publication")).one_or_none()
    rows = held.rows if held and held.snapshot == snapshot.name else _replace(connection, snapshot)
    connection.execute(
        text(
            """
            INSERT INTO tally_publication (as_of, rows, snapshot) VALUES (:as_of, :rows, :snapshot)
            ON CONFLICT (one) DO UPDATE SET as_of = :as_of, rows = :rows, snapshot = :snapshot
            """
        ),
        {"as_of": as_of, "rows": rows, "snapshot": snapshot.name},
    )
    return int(rows)


def _replace(connection: Connection, snapshot: Path) -> int:
    from sqlalchemy import text

    connection.execute(text("DELETE FROM tally_values"))
    copied = 0
    statement = f"COPY tally_values ({', '.join(COLUMNS)}) FROM STDIN"
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with connect(beside=snapshot) as db, driver.cursor() as cursor, cursor.copy(statement) as copy:
        found = db.execute(added_up(snapshot))
        while rows := found.fetchmany(_ROWS_AT_ONCE):
            for row in rows:
                copy.write_row(row)
            copied += len(rows)
    return copied

"""The mark of each feed: up to where the schedule's changes, and which mapping, are known to have woken it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Mark:
    """``seen``: the ``pg_snapshot`` that was judged last. ``mapping_version``: the mapping by which it was judged."""

    seen: str
    mapping_version: str


def read(connection: Connection) -> dict[str, Mark]:
    """The marks, by feed; without those of another database server: its transactions are not ours.

    A mark that was restored with a backup into a new server would call changes seen that nobody has seen.
    """
    found = connection.execute(
        text(
            "SELECT feed, seen::text, mapping_version FROM wake_mark"
            " WHERE pg_snapshot_xmax(seen) <= pg_snapshot_xmax(pg_current_snapshot())"
        )
    )
    return {feed: Mark(seen, version) for feed, seen, version in found}


def store(connection: Connection, marks: Mapping[str, Mark]) -> None:
    """Move the marks of these feeds."""
    connection.execute(
        text(
            "INSERT INTO wake_mark (feed, seen, mapping_version) VALUES (:feed, CAST(:seen AS pg_snapshot), :version)"
            " ON CONFLICT (feed) DO UPDATE SET seen = EXCLUDED.seen, mapping_version = EXCLUDED.mapping_version,"
            " marked_at = now()"
        ),
        [{"feed": feed, "seen": mark.seen, "version": mark.mapping_version} for feed, mark in sorted(marks.items())],
    )

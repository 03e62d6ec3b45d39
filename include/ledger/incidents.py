"""Incidents: what a person must mend, opened once however often it is reported, and closed by whoever finds it mended.

Every function works in the caller's transaction: a run's end and its incidents are recorded together or not at all.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, text

from include.ledger.records import Incident

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from include.ledger.records import IncidentClass

#: An incident that opens for the third time within this time comes and goes: its mails are damped, and it is spoken of
#: again when it has stayed open, or closed, for this long.
FLAPPING = timedelta(hours=1)
_OPENINGS = 3


def observe(
    connection: Connection,
    feed: str,
    kind: IncidentClass,
    *,
    facts: Mapping[str, Any],
    run_id: str | None = None,
    rows: str | None = None,
) -> tuple[Incident, bool]:
    """Open the incident of a feed ('' is the platform itself) and class, or bring the open one up to date.

    Answers it, and whether it was opened now. A run that reports twice counts once. ``facts`` (JSON types) and ``rows``
    replace what was known; neither holds personal data.
    """
    row = (
        connection.execute(
            text(
                """
                INSERT INTO incident AS i (feed, class, run_id, facts, rows, damped)
                SELECT :feed, :class, :run_id, CAST(:facts AS jsonb), :rows, count(*) >= :openings
                FROM incident WHERE feed = :feed AND class = :class AND opened_at > now() - :flapping
                ON CONFLICT (feed, class) WHERE closed_at IS NULL DO UPDATE
                SET last_seen_at = now(), run_id = excluded.run_id, facts = excluded.facts, rows = excluded.rows,
                    occurrences = i.occurrences + CASE WHEN i.run_id IS DISTINCT FROM excluded.run_id THEN 1 ELSE 0 END
                RETURNING *, xmax = 0 AS opened
                """
            ),
            {
                "feed": feed,
                "class": kind,
                "run_id": run_id,
                "facts": json.dumps(dict(facts), default=str),
                "rows": rows,
                "openings": _OPENINGS - 1,
                "flapping": FLAPPING,
            },
        )
        .mappings()
        .one()
    )
    return _incident(row), bool(row["opened"])


def seen_again(connection: Connection, feed: str, kind: IncidentClass, *, run_id: str) -> None:
    """An open incident still stands exactly as it is known."""
    connection.execute(
        text(
            """
            UPDATE incident SET last_seen_at = now(), run_id = :run_id,
                occurrences = occurrences + CASE WHEN run_id IS DISTINCT FROM :run_id THEN 1 ELSE 0 END
            WHERE feed = :feed AND class = :class AND closed_at IS NULL
            """
        ),
        {"feed": feed, "class": kind, "run_id": run_id},
    )


def close(connection: Connection, feed: str, kinds: Collection[IncidentClass]) -> list[Incident]:
    """Close the open incidents of a feed in these classes; answers those that were open until now."""
    rows = connection.execute(
        text(
            """
            UPDATE incident SET closed_at = now(), last_seen_at = now()
            WHERE feed = :feed AND class = ANY(:kinds) AND closed_at IS NULL
            RETURNING *
            """
        ),
        {"feed": feed, "kinds": list(kinds)},
    )
    return sorted((_incident(row) for row in rows.mappings()), key=lambda each: each.incident_id)


def open_incidents(connection: Connection, feed: str | None = None) -> list[Incident]:
    """Every open incident, or those of one feed ('' is the platform itself), the oldest first."""
    return _select(connection, "closed_at IS NULL AND (CAST(:feed AS text) IS NULL OR feed = :feed)", feed=feed)


def find(connection: Connection, incident_id: int) -> Incident | None:
    """One incident."""
    found = _select(connection, "incident_id = :incident_id", incident_id=incident_id)
    return found[0] if found else None


def told(connection: Connection, incident: Incident) -> None:
    """A mail has been queued that tells of the incident as it stands."""
    connection.execute(
        text("UPDATE incident SET told_at = now(), told_rows = rows WHERE incident_id = :incident_id"),
        {"incident_id": incident.incident_id},
    )


def told_since(connection: Connection, feed: str, kind: IncidentClass, period: timedelta) -> bool:
    """Whether any digest about a feed and class was queued within ``period``."""
    found: bool = connection.execute(
        text(
            """
            SELECT EXISTS (
                SELECT FROM mail JOIN incident USING (incident_id)
                WHERE incident.feed = :feed AND incident.class = :class AND opened_at > now() - :period * 2
                  AND state = 'digest' AND queued_at > now() - :period
            )
            """
        ),
        {"feed": feed, "class": kind, "period": period},
    ).scalar_one()
    return found


def openings_since(connection: Connection, feed: str, kind: IncidentClass, period: timedelta) -> int:
    """How often an incident of a feed and class was opened within ``period``."""
    number: int = connection.execute(
        text("SELECT count(*) FROM incident WHERE feed = :feed AND class = :class AND opened_at > now() - :period"),
        {"feed": feed, "class": kind, "period": period},
    ).scalar_one()
    return number


def due_for_digest(connection: Connection, every: timedelta) -> Incident | None:
    """The oldest open incident that nobody was told of for ``every``; locked until the transaction ends.

    A damped one that nobody was told of at all is due as soon as it has stayed open long enough.
    """
    found = _select(
        connection,
        """
        closed_at IS NULL AND coalesce(told_at, opened_at)
            < now() - CASE WHEN damped AND told_at IS NULL THEN :flapping ELSE :every END
        """,
        "LIMIT 1 FOR UPDATE SKIP LOCKED",
        every=every,
        flapping=FLAPPING,
    )
    return found[0] if found else None


def due_for_closing(connection: Connection) -> Incident | None:
    """A damped incident that has stayed closed long enough, and whose end nobody was told of; locked likewise."""
    found = _select(
        connection,
        """
        damped AND closed_at < now() - :flapping
        AND NOT EXISTS (SELECT FROM incident AS later
                        WHERE (later.feed, later.class) = (incident.feed, incident.class)
                          AND later.incident_id > incident.incident_id)
        AND NOT EXISTS (SELECT FROM mail WHERE mail.incident_id = incident.incident_id AND mail.state = 'closed')
        """,
        "LIMIT 1 FOR UPDATE SKIP LOCKED",
        flapping=FLAPPING,
    )
    return found[0] if found else None


def _select(connection: Connection, where: str, end: str = "", **values: Any) -> list[Incident]:
    statement = f"SELECT * FROM incident WHERE {where} ORDER BY incident_id {end}"
    return [_incident(row) for row in connection.execute(text(statement), values).mappings()]


def _incident(row: RowMapping) -> Incident:
    values = {name: value for name, value in row.items() if name != "opened"}
    return Incident(kind=values.pop("class"), **values)

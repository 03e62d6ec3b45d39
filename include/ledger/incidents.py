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

    from include.reasons import IncidentClass

#: What opens for the third time within this time comes and goes: that is told once, and then, at most once in a while,
#: how it stands when it has stayed open, or closed, for this long.
FLAPPING = timedelta(hours=1)
_OPENINGS = 3
_QUIET = timedelta(hours=24)

_OBSERVE = """
    WITH earlier AS (
        SELECT count(*) FILTER (WHERE opened_at > now() - :flapping) + 1 >= :openings AS damped,
            coalesce(bool_or(damped AND told_at > now() - :quiet), false) AS told
        FROM incident WHERE feed = :feed AND class = :class AND opened_at > now() - :quiet * 2
    )
    INSERT INTO incident AS i (feed, class, run_id, facts, rows, damped, tell_at)
    SELECT :feed, :class, :run_id, CAST(:facts AS jsonb), :rows, damped,
        now() + CASE WHEN damped AND told THEN :flapping ELSE :tell_in END
    FROM earlier
    ON CONFLICT (feed, class) WHERE closed_at IS NULL DO UPDATE
    SET last_seen_at = now(), run_id = excluded.run_id, facts = excluded.facts, rows = excluded.rows,
        occurrences = i.occurrences + CASE WHEN i.run_id IS DISTINCT FROM excluded.run_id THEN 1 ELSE 0 END
    RETURNING *, xmax = 0 AS opened
"""


def observe(
    connection: Connection,
    feed: str,
    kind: IncidentClass,
    *,
    facts: Mapping[str, Any],
    run_id: str | None = None,
    rows: str | None = None,
    tell_in: timedelta = timedelta(0),
) -> tuple[Incident, bool]:
    """Open the incident of a feed ('' is the platform itself) and class, or bring the open one up to date.

    Answers it, and whether it was opened now. A run that reports twice counts once. ``facts`` (JSON types) and ``rows``
    replace what was known; neither holds personal data. A mail about a new one is due after ``tell_in``.
    """
    values = {
        "feed": feed,
        "class": kind,
        "run_id": run_id,
        "facts": json.dumps(dict(facts), default=str),
        "rows": rows,
        "tell_in": tell_in,
        "flapping": FLAPPING,
        "openings": _OPENINGS,
        "quiet": _QUIET,
    }
    row = connection.execute(text(_OBSERVE), values).mappings().one()
    if row["opened"]:
        # That an earlier one is over for good was never said, and is not true any more.
        connection.execute(
            text(
                """
                UPDATE incident SET tell_at = NULL
                WHERE feed = :feed AND class = :class AND damped AND closed_at IS NOT NULL AND tell_at IS NOT NULL
                """
            ),
            values,
        )
    return _incident(row), bool(row["opened"])


def seen_again(connection: Connection, incident: Incident, *, run_id: str) -> None:
    """An open incident still stands exactly as it is known."""
    connection.execute(
        text(
            """
            UPDATE incident SET last_seen_at = now(), run_id = :run_id,
                occurrences = occurrences + CASE WHEN run_id IS DISTINCT FROM :run_id THEN 1 ELSE 0 END
            WHERE incident_id = :incident_id AND closed_at IS NULL
            """
        ),
        {"incident_id": incident.incident_id, "run_id": run_id},
    )


def hurry(
    connection: Connection, incident: Incident, *, pause: timedelta = timedelta(0), due_within: timedelta | None = None
) -> None:
    """A mail about an incident is due at once, but not before ``pause`` has passed since the last one.

    ``due_within``: only if one is due within that time anyway. Without it, one that comes and goes is left alone.
    """
    connection.execute(
        text(
            """
            UPDATE incident SET tell_at = least(tell_at, greatest(now(), told_at + :pause))
            WHERE incident_id = :incident_id
              AND CASE WHEN CAST(:due_within AS interval) IS NULL THEN NOT damped
                       ELSE tell_at <= now() + :due_within END
            """
        ),
        {"incident_id": incident.incident_id, "pause": pause, "due_within": due_within},
    )


def close(connection: Connection, feed: str, kinds: Collection[IncidentClass]) -> list[Incident]:
    """Close the open incidents of a feed in these classes; answers those that were open until now.

    A mail about it is due at once; of one that comes and goes, when it has stayed closed for some time.
    """
    rows = connection.execute(
        text(
            """
            UPDATE incident SET closed_at = now(), last_seen_at = now(),
                tell_at = CASE WHEN damped THEN now() + :flapping ELSE now() END
            WHERE feed = :feed AND class = ANY(:kinds) AND closed_at IS NULL
            RETURNING *
            """
        ),
        {"feed": feed, "kinds": list(kinds), "flapping": FLAPPING},
    )
    return sorted((_incident(row) for row in rows.mappings()), key=lambda each: each.incident_id)


def due_to_tell(connection: Connection) -> Incident | None:
    """The incident whose mail has been due longest, locked until the transaction ends; locked ones are passed over."""
    found = _select(connection, "tell_at <= now()", "ORDER BY tell_at, incident_id LIMIT 1 FOR UPDATE SKIP LOCKED")
    return found[0] if found else None


def told(connection: Connection, incident: Incident, *, again_in: timedelta) -> None:
    """Its mail is in the outbox. While it stays open, another is due after ``again_in``."""
    connection.execute(
        text(
            """
            UPDATE incident SET told_at = now(), told_rows = rows,
                tell_at = CASE WHEN closed_at IS NULL THEN now() + :again_in END
            WHERE incident_id = :incident_id
            """
        ),
        {"incident_id": incident.incident_id, "again_in": again_in},
    )


def put_off(connection: Connection, incident: Incident, *, by: timedelta) -> None:
    """Its mail could not be written: try again later."""
    connection.execute(
        text("UPDATE incident SET tell_at = now() + :by WHERE incident_id = :incident_id"),
        {"incident_id": incident.incident_id, "by": by},
    )


def openings(connection: Connection, incident: Incident, period: timedelta) -> int:
    """How often an incident of its feed and class was opened within ``period`` before it, itself included."""
    number: int = connection.execute(
        text(
            """
            SELECT count(*) FROM incident
            WHERE feed = :feed AND class = :class AND opened_at BETWEEN CAST(:opened_at AS timestamptz) - :period
                AND :opened_at
            """
        ),
        {"feed": incident.feed, "class": incident.kind, "opened_at": incident.opened_at, "period": period},
    ).scalar_one()
    return number


def lock(connection: Connection, feed: str) -> None:
    """Whoever else changes this feed's incidents waits until this transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:what))"), {"what": f"callboard.incidents.{feed}"})


def open_incidents(connection: Connection, feed: str | None = None) -> list[Incident]:
    """Every open incident, or those of one feed ('' is the platform itself), the oldest first."""
    return _select(connection, "closed_at IS NULL AND (CAST(:feed AS text) IS NULL OR feed = :feed)", feed=feed)


def find(connection: Connection, incident_id: int) -> Incident | None:
    """One incident."""
    found = _select(connection, "incident_id = :incident_id", incident_id=incident_id)
    return found[0] if found else None


def _select(connection: Connection, where: str, end: str = "ORDER BY incident_id", **values: Any) -> list[Incident]:
    rows = connection.execute(text(f"SELECT * FROM incident WHERE {where} {end}"), values)
    return [_incident(row) for row in rows.mappings()]


def _incident(row: RowMapping) -> Incident:
    values = {name: value for name, value in row.items() if name != "opened"}
    return Incident(kind=values.pop("class"), **values)

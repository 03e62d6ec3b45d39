"""Who was given tokens and who was refused, and when: for support, and for whoever asks after an incident.

Holds client ids and addresses, never a token, a secret, or what a stranger gave for an id. Kept as long as the schedule
store's change log (``CALLBOARD_KEEP_CHANGES_DAYS``): each new entry takes some with it that are older.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sqlalchemy import text

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy import Connection

Event = Literal["issued", "refreshed", "replayed", "reused", "refused", "revoked"]
_FORGOTTEN = 10  # more than one, so that a shorter period takes hold


def note(
    connection: Connection,
    event: Event,
    now: datetime,
    *,
    client_id: str | None,
    address: str,
    keep: timedelta,
    detail: str = "",
) -> None:
    """Note what became of a request; ``client_id`` only of a client that exists, ``detail`` an error's code."""
    connection.execute(
        text(
            """
            INSERT INTO access_log (at, event, client_id, address, detail)
            VALUES (:at, :event, :client_id, CAST(:address AS inet), :detail)
            """
        ),
        {"at": now, "event": event, "client_id": client_id, "address": address or None, "detail": detail},
    )
    connection.execute(
        text(
            """
            DELETE FROM access_log WHERE event_id IN (
                SELECT event_id FROM access_log WHERE at < :before ORDER BY at LIMIT :most FOR UPDATE SKIP LOCKED
            )
            """
        ),
        {"before": now - keep, "most": _FORGOTTEN},
    )

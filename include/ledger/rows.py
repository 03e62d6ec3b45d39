"""Acknowledgements record by record, for partners of the `Rows` way, and refusals for everybody.

A record is acknowledged, or it is not: what the partner answered is written down in the same transaction as the run
that
holds the fence, one record at a time, so that a killed run repeats at most the record whose answer it never wrote.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from include.ledger.fence import hold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from include.ledger.records import Claim


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """One record that the partner is known to hold, with what is needed to update or delete it there."""

    key: str
    slot_id: str
    record_sha256: str
    remote_id: str | None
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Intent:
    """One record that the partner was about to be asked to create."""

    key: str
    slot_id: str
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """One record that the partner refused, and how often it was offered."""

    key: str
    slot_id: str
    record_sha256: str
    reason: str
    attempts: int


def acknowledged(connection: Connection, stream: str) -> Iterator[Acknowledged]:
    """Every record the partner is known to hold, ordered by key."""
    rows = connection.execution_options(yield_per=5000).execute(
        text(
            """
            SELECT key, slot_id, record_sha256, remote_id, record FROM row_ack
            WHERE stream = :stream ORDER BY key COLLATE "C"
            """
        ),
        {"stream": stream},
    )
    for row in rows:
        yield Acknowledged(row.key, row.slot_id, row.record_sha256, row.remote_id, row.record)


def acknowledge(connection: Connection, claim: Claim, record: Acknowledged) -> None:
    """The partner holds this record now; an earlier refusal of its key is over.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    connection.execute(
        text(
            """
            INSERT INTO row_ack (stream, key, slot_id, record_sha256, remote_id, record, fence)
            VALUES (:stream, :key, :slot_id, :record_sha256, :remote_id, CAST(:record AS jsonb), :fence)
            ON CONFLICT (stream, key) DO UPDATE
            SET slot_id = :slot_id, record_sha256 = :record_sha256, remote_id = :remote_id,
                record = CAST(:record AS jsonb), fence = :fence, acknowledged_at = now()
            """
        ),
        {
            "stream": claim.stream,
            "key": record.key,
            "slot_id": record.slot_id,
            "record_sha256": record.record_sha256,
            "remote_id": record.remote_id,
            "record": json.dumps(dict(record.record), default=str),
            "fence": claim.fence,
        },
    )
    _settled(connection, claim, record.key, refusal_too=True)


def forget(connection: Connection, claim: Claim, key: str) -> None:
    """The partner no longer holds this record.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    connection.execute(
        text("DELETE FROM row_ack WHERE stream = :stream AND key = :key"), {"stream": claim.stream, "key": key}
    )
    _settled(connection, claim, key, refusal_too=True)


def refuse(connection: Connection, claim: Claim, *, key: str, slot_id: str, record_sha256: str, reason: str) -> None:
    """The partner refused this record; it goes again once it has changed.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    connection.execute(
        text(
            """
            INSERT INTO refusal AS r (stream, key, slot_id, record_sha256, reason)
            VALUES (:stream, :key, :slot_id, :record_sha256, :reason)
            ON CONFLICT (stream, key) DO UPDATE
            SET slot_id = :slot_id, record_sha256 = :record_sha256, reason = :reason, last_at = now(),
                attempts = CASE WHEN r.record_sha256 = :record_sha256 THEN r.attempts + 1 ELSE 1 END
            """
        ),
        {
            "stream": claim.stream,
            "key": key,
            "slot_id": slot_id,
            "record_sha256": record_sha256,
            "reason": reason,
        },
    )
    _settled(connection, claim, key, refusal_too=False)


def intend(connection: Connection, claim: Claim, *, key: str, slot_id: str, record: Mapping[str, Any]) -> None:
    """The partner is about to be asked to create this record: note it before the question leaves.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    connection.execute(
        text(
            """
            INSERT INTO row_intent (stream, key, slot_id, record, fence)
            VALUES (:stream, :key, :slot_id, CAST(:record AS jsonb), :fence)
            ON CONFLICT (stream, key) DO UPDATE SET record = CAST(:record AS jsonb), fence = :fence, at = now()
            """
        ),
        {
            "stream": claim.stream,
            "key": key,
            "slot_id": slot_id,
            "record": json.dumps(dict(record), default=str),
            "fence": claim.fence,
        },
    )


def intents(connection: Connection, stream: str) -> list[Intent]:
    """Creates whose answer was never written down, ordered by key."""
    rows = connection.execute(
        text('SELECT key, slot_id, record FROM row_intent WHERE stream = :stream ORDER BY key COLLATE "C"'),
        {"stream": stream},
    )
    return [Intent(row.key, row.slot_id, row.record) for row in rows]


def refusals(connection: Connection, stream: str) -> list[Refused]:
    """Every record that the partner refused and that has not been acknowledged since, ordered by key."""
    rows = connection.execute(
        text(
            """
            SELECT key, slot_id, record_sha256, reason, attempts FROM refusal
            WHERE stream = :stream ORDER BY key COLLATE "C"
            """
        ),
        {"stream": stream},
    )
    return [Refused(*row) for row in rows]


def _settled(connection: Connection, claim: Claim, key: str, *, refusal_too: bool) -> None:
    """The partner's answer about a record is known: nothing is open about it any more."""
    values = {"stream": claim.stream, "key": key}
    connection.execute(text("DELETE FROM row_intent WHERE stream = :stream AND key = :key"), values)
    if refusal_too:
        connection.execute(text("DELETE FROM refusal WHERE stream = :stream AND key = :key"), values)

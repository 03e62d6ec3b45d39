"""Acknowledgements record by record, for partners of the `Rows` way, and refusals for everybody.

What the partner is about to be asked is noted as an intent, under the fence, before the question leaves; its answer is
written down, under the fence, in place of the intent. An intent that is left over means that nobody knows whether the
partner did it; what was acknowledged of such a record does not count as known any more.

A run that was overtaken while the partner was doing what it had asked may still say so (:func:`doubt`): its intent then
stands beside those of the newer run, whose answers do not settle it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection, text

from include.ledger.fence import hold
from include.operations import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from include.ledger.records import Claim

    Kind = Literal["add", "update", "delete"]

#: In place of the hash of a record where a delete was refused.
DELETED = "deleted"


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
    """One thing that the partner is about to be asked. ``remote_id``: its own name for the record, where it is known.

    ``intent_id`` is None until it is in the ledger.
    """

    kind: Kind
    key: str
    slot_id: str
    remote_id: str | None
    record: Mapping[str, Any]
    intent_id: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """One record that the partner refused, how often it was offered as it is, and since when (UTC) it is refused.

    ``record_sha256`` is :data:`DELETED` where it refused to let go of a record. ``held_snapshot``: where to find what a
    partner of files holds under that key instead. ``kind``: what must be mended, a name of :mod:`include.reasons`; None
    where a result file says it in the partner's own words. ``rests``: how long ago it was offered last.
    """

    key: str
    slot_id: str
    record_sha256: str
    reason: str
    attempts: int
    first_at: datetime
    held_snapshot: str | None = None
    kind: str | None = None
    rests: timedelta = timedelta(0)

    @property
    def of_delete(self) -> bool:
        """The partner refused to let go of a record."""
        return self.record_sha256 == DELETED


def acknowledged(connection: Connection, stream: str) -> Iterator[Acknowledged]:
    """Every record the partner is known to hold, ordered by the bytes of its key."""
    # Of the statement, not of the connection, whose later statements would all be read through a cursor.
    rows = connection.execute(
        text(
            """
            SELECT key, slot_id, record_sha256, remote_id, record FROM row_ack
            WHERE stream = :stream ORDER BY key COLLATE "C"
            """
        ),
        {"stream": stream},
        execution_options={"yield_per": 5000},
    )
    for row in rows:
        yield Acknowledged(*row)


def find(connection: Connection, stream: str, key: str) -> Acknowledged | None:
    """One record, if the partner is known to hold it."""
    row = connection.execute(
        text(
            """
            SELECT key, slot_id, record_sha256, remote_id, record FROM row_ack
            WHERE stream = :stream AND key = :key
            """
        ),
        {"stream": stream, "key": key},
    ).one_or_none()
    return Acknowledged(*row) if row else None


def acknowledge(connection: Connection, claim: Claim, *records: Acknowledged) -> None:
    """The partner holds these records now; an earlier refusal of their keys is over.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    if not records:
        return
    connection.execute(
        text(
            """
            INSERT INTO row_ack (stream, fence, key, slot_id, record_sha256, remote_id, record)
            SELECT :stream, :fence, asked.* FROM jsonb_to_recordset(CAST(:records AS jsonb))
                AS asked (key text, slot_id text, record_sha256 text, remote_id text, record jsonb)
            ON CONFLICT (stream, key) DO UPDATE
            SET slot_id = excluded.slot_id, record_sha256 = excluded.record_sha256, remote_id = excluded.remote_id,
                record = excluded.record, fence = excluded.fence, acknowledged_at = now()
            """
        ),
        {
            "stream": claim.stream,
            "fence": claim.fence,
            "records": _json([asdict(each) for each in records]),
        },
    )
    _answered(connection, claim, [record.key for record in records], refusal_too=True)


def forget(connection: Connection, claim: Claim, *keys: str) -> None:
    """The partner no longer holds these records; should one be added again, that is another record.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    _drop(connection, claim, keys)
    connection.execute(
        text(
            """
            INSERT INTO row_generation AS g (stream, key, generation) SELECT :stream, unnest(CAST(:keys AS text[])), 1
            ON CONFLICT (stream, key) DO UPDATE SET generation = g.generation + 1, changed_at = now()
            """
        ),
        {"stream": claim.stream, "keys": list(keys)},
    )
    _answered(connection, claim, keys, refusal_too=True)


def expire(connection: Connection, claim: Claim, keys: Collection[str]) -> None:
    """These records have left the window: the partner may keep them, and nobody will ask about them again.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    _drop(connection, claim, keys)


def refuse(
    connection: Connection,
    claim: Claim,
    *,
    key: str,
    slot_id: str,
    record_sha256: str,
    reason: str,
    held_snapshot: str | None = None,
    kind: str | None = None,
) -> None:
    """The partner refused this record; it goes again once it has changed.

    ``held_snapshot``, ``kind``: see :class:`Refused`.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    connection.execute(
        text(
            """
            INSERT INTO refusal AS r (stream, key, slot_id, record_sha256, reason, held_snapshot, kind)
            VALUES (:stream, :key, :slot_id, :record_sha256, :reason, :held_snapshot, :kind)
            ON CONFLICT (stream, key) DO UPDATE
            SET slot_id = :slot_id, record_sha256 = :record_sha256, reason = :reason, last_at = now(),
                held_snapshot = :held_snapshot, kind = :kind,
                attempts = CASE WHEN r.record_sha256 = :record_sha256 THEN r.attempts + 1 ELSE 1 END
            """
        ),
        {
            "stream": claim.stream,
            "key": key,
            "slot_id": slot_id,
            "record_sha256": record_sha256,
            "reason": reason,
            "held_snapshot": held_snapshot,
            "kind": kind,
        },
    )
    _answered(connection, claim, [key], refusal_too=False)


def postpone(connection: Connection, claim: Claim, keys: Collection[str]) -> None:
    """The partner has not done what it was asked about these records, and is asked again another time.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    _answered(connection, claim, keys, refusal_too=False)


def generations(connection: Connection, stream: str, keys: Collection[str]) -> dict[str, int]:
    """How often the partner has let go of records under these keys; those of which it never did are left out."""
    rows = connection.execute(
        text("SELECT key, generation FROM row_generation WHERE stream = :stream AND key = ANY(:keys)"),
        {"stream": stream, "keys": list(keys)},
    )
    return {row.key: row.generation for row in rows}


def intend(connection: Connection, claim: Claim, intents: Sequence[Intent]) -> None:
    """The partner is about to be asked this: note it before the question leaves.

    From here on it is unknown what the partner holds of these records, until its answer is written down.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    _note(connection, claim, intents)


def doubt(connection: Connection, claim: Claim, intents: Sequence[Intent]) -> None:
    """The partner was asked this, and its answer could not be written down: whoever holds the fence must settle it.

    Not under the fence: a run that was overtaken while the partner was doing what it had asked must be able to say so.
    """
    # Only the order of the locks: as in every transaction under the fence, the stream's row comes first.
    connection.execute(
        text("SELECT FROM stream WHERE stream = :stream FOR UPDATE"), {"stream": claim.stream}
    ).one_or_none()
    _answered(connection, claim, [intent.key for intent in intents], refusal_too=False)
    _note(connection, claim, intents)


def holders(connection: Connection, stream: str, remote_ids: Collection[str]) -> dict[str, str]:
    """Under which keys the partner is known to hold what it calls so: its name for a record → key."""
    rows = connection.execute(
        text("SELECT remote_id, key FROM row_ack WHERE stream = :stream AND remote_id = ANY(:remote_ids)"),
        {"stream": stream, "remote_ids": list(remote_ids)},
    )
    return {row.remote_id: row.key for row in rows}


def baseline(connection: Connection, stream: str) -> str | None:
    """The connection through which the partner got what it acknowledged; None: it never got anything."""
    found: str | None = connection.execute(
        text("SELECT connection FROM row_baseline WHERE stream = :stream"), {"stream": stream}
    ).scalar_one_or_none()
    return found


def begin_baseline(connection: Connection, claim: Claim, through: str) -> None:
    """From now on it is known what the partner behind another connection holds: nothing yet.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    for table in ("row_ack", "row_intent", "refusal"):
        connection.execute(text(f"DELETE FROM {table} WHERE stream = :stream"), {"stream": claim.stream})
    connection.execute(
        text(
            """
            INSERT INTO row_baseline (stream, connection) VALUES (:stream, :through)
            ON CONFLICT (stream) DO UPDATE SET connection = :through
            """
        ),
        {"stream": claim.stream, "through": through},
    )


def doubt_all(connection: Connection, claim: Claim) -> None:
    """Whatever was acknowledged does not count as known any more, and whatever was refused may be offered again.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    connection.execute(
        text("UPDATE row_ack SET record_sha256 = :unknown WHERE stream = :stream"),
        {"unknown": UNKNOWN, "stream": claim.stream},
    )
    connection.execute(text("DELETE FROM refusal WHERE stream = :stream"), {"stream": claim.stream})


def intents(connection: Connection, stream: str) -> list[Intent]:
    """Everything the partner was asked and whose answer was never written down, oldest first."""
    rows = connection.execute(
        text(
            """
            SELECT kind, key, slot_id, remote_id, record, intent_id FROM row_intent
            WHERE stream = :stream ORDER BY intent_id
            """
        ),
        {"stream": stream},
    )
    return [Intent(*row) for row in rows]


def settle(connection: Connection, claim: Claim, intent: Intent) -> None:
    """What came of this intent has been looked up, as far as it can be; what the partner holds stays unknown.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    _doubtful(connection, claim, [intent])
    connection.execute(text("DELETE FROM row_intent WHERE intent_id = :intent_id"), {"intent_id": intent.intent_id})


def refusals(connection: Connection, stream: str) -> list[Refused]:
    """Every record that the partner refused and that has not been acknowledged since, ordered by key."""
    rows = connection.execute(
        text(
            """
            SELECT key, slot_id, record_sha256, reason, attempts, first_at, held_snapshot, kind, now() - last_at
            FROM refusal
            WHERE stream = :stream ORDER BY key COLLATE "C"
            """
        ),
        {"stream": stream},
    )
    return [Refused(*row) for row in rows]


def withdraw_refusals(connection: Connection, claim: Claim, keys: Collection[str]) -> None:
    """The partner has taken these records, or they are not those any more that it refused.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    connection.execute(
        text("DELETE FROM refusal WHERE stream = :stream AND key = ANY(:keys)"),
        {"stream": claim.stream, "keys": list(keys)},
    )


def _note(connection: Connection, claim: Claim, intents: Sequence[Intent]) -> None:
    if not intents:
        return
    connection.execute(
        text(
            """
            INSERT INTO row_intent (stream, fence, attempt, key, kind, slot_id, remote_id, record)
            SELECT :stream, :fence, :attempt, asked.* FROM jsonb_to_recordset(CAST(:intents AS jsonb))
                AS asked (key text, kind text, slot_id text, remote_id text, record jsonb)
            """
        ),
        {
            "stream": claim.stream,
            "fence": claim.fence,
            "attempt": claim.attempt,
            "intents": _json([asdict(each) for each in intents]),
        },
    )
    _doubtful(connection, claim, intents)


def _doubtful(connection: Connection, claim: Claim, intents: Sequence[Intent]) -> None:
    """What was acknowledged of these records does not count as known any more."""
    connection.execute(
        text("UPDATE row_ack SET record_sha256 = :unknown WHERE stream = :stream AND key = ANY(:keys)"),
        {"unknown": UNKNOWN, "stream": claim.stream, "keys": [intent.key for intent in intents]},
    )


def _drop(connection: Connection, claim: Claim, keys: Collection[str]) -> None:
    connection.execute(
        text("DELETE FROM row_ack WHERE stream = :stream AND key = ANY(:keys)"),
        {"stream": claim.stream, "keys": list(keys)},
    )


def _answered(connection: Connection, claim: Claim, keys: Collection[str], *, refusal_too: bool) -> None:
    """What this try asked about these records is answered; what others asked is theirs."""
    values = {"stream": claim.stream, "keys": list(keys), "fence": claim.fence, "attempt": claim.attempt}
    mine = "stream = :stream AND key = ANY(:keys) AND fence = :fence AND attempt = :attempt"
    connection.execute(text(f"DELETE FROM row_intent WHERE {mine}"), values)
    if refusal_too:
        connection.execute(text("DELETE FROM refusal WHERE stream = :stream AND key = ANY(:keys)"), values)


def _json(rows: list[dict[str, Any]]) -> str:
    """Many rows as one value: a statement with an array for each column takes several times as long."""
    return json.dumps(rows, default=str)

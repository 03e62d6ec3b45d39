"""The memory of files that came in: a file that was taken over is put away and told of, whatever happens meanwhile."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import text

from include.ledger.fence import hold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import Connection

    from include.ledger.records import Claim

Outcome = Literal["taken", "refused"]
_COLUMNS = "inbound_id, stream, fence, name, bytes, modified, sha256, outcome, report, read_at"


@dataclass(frozen=True, slots=True)
class InboundRecord:
    """One file. ``bytes`` and ``modified`` (seconds since 1970) are what the server said of it.

    ``report``, of one that was taken: ``name`` and ``sha256`` of its report, and how many rows came to each decision;
    of one that was refused, its first ``faults``.
    """

    inbound_id: int
    stream: str
    fence: int
    name: str
    bytes: int | None
    modified: int | None
    sha256: str
    outcome: Outcome
    report: Mapping[str, Any] | None
    read_at: datetime


def remember(
    connection: Connection,
    claim: Claim,
    *,
    name: str,
    size: int | None,
    modified: int | None,
    sha256: str,
    outcome: Outcome,
    report: Mapping[str, Any] | None = None,
) -> None:
    """A file was taken over, or refused: in the transaction in which that happens. People are to be told of it.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    connection.execute(
        text(
            """
            INSERT INTO inbound_file (stream, run_id, fence, name, bytes, modified, sha256, outcome, report, tell_at)
            VALUES (:stream, :run_id, :fence, :name, :bytes, :modified, :sha256, :outcome, CAST(:report AS jsonb),
                    now())
            """
        ),
        {
            "stream": claim.stream,
            "run_id": claim.run_id,
            "fence": claim.fence,
            "name": name,
            "bytes": size,
            "modified": modified,
            "sha256": sha256,
            "outcome": outcome,
            "report": json.dumps(dict(report)) if report is not None else None,
        },
    )


def lying(connection: Connection, stream: str) -> Sequence[InboundRecord]:
    """The files that are done with, and still lie where they came in, as far as is known."""
    return _select(connection, "stream = :stream AND archived_at IS NULL", stream=stream)


def put_away(connection: Connection, record: InboundRecord) -> None:
    """A file does not lie where it came in any more."""
    connection.execute(
        text("UPDATE inbound_file SET archived_at = now() WHERE inbound_id = :inbound_id"),
        {"inbound_id": record.inbound_id},
    )


def taken_under(connection: Connection, claim: Claim) -> InboundRecord | None:
    """The file that was taken over under a claim, if one was."""
    found = _select(
        connection,
        "stream = :stream AND fence = :fence AND outcome = 'taken'",
        stream=claim.stream,
        fence=claim.fence,
    )
    return found[-1] if found else None


def refused_untold(connection: Connection, stream: str) -> InboundRecord | None:
    """A refused file of which nobody was told: the run that refused it died before it could fail."""
    found = _select(
        connection, "stream = :stream AND outcome = 'refused' AND tell_at IS NOT NULL", "LIMIT 1", stream=stream
    )
    return found[0] if found else None


def refusals_told(connection: Connection, stream: str) -> None:
    """A run has failed because of a refused file: in the transaction that opens its incident."""
    connection.execute(
        text("UPDATE inbound_file SET tell_at = NULL WHERE stream = :stream AND outcome = 'refused'"),
        {"stream": stream},
    )


def due_to_tell(connection: Connection) -> InboundRecord | None:
    """A file whose report is to be mailed, locked until the transaction ends; others' locked ones are left out."""
    found = _select(connection, "outcome = 'taken' AND tell_at <= now()", "LIMIT 1 FOR UPDATE SKIP LOCKED")
    return found[0] if found else None


def told(connection: Connection, record: InboundRecord) -> None:
    """The mail with a file's report is queued, or there is nobody it could go to."""
    connection.execute(
        text("UPDATE inbound_file SET tell_at = NULL WHERE inbound_id = :inbound_id"), {"inbound_id": record.inbound_id}
    )


def put_off(connection: Connection, record: InboundRecord, *, by: timedelta) -> None:
    """The mail with a file's report cannot be written now."""
    connection.execute(
        text("UPDATE inbound_file SET tell_at = now() + :by WHERE inbound_id = :inbound_id"),
        {"inbound_id": record.inbound_id, "by": by},
    )


def _select(connection: Connection, where: str, more: str = "", **values: Any) -> list[InboundRecord]:
    rows = connection.execute(
        text(f"SELECT {_COLUMNS} FROM inbound_file WHERE {where} ORDER BY inbound_id {more}"), values
    )
    return [InboundRecord(*row) for row in rows]

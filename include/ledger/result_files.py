"""The memory of a partner's result files: what was read once is not read again, and what has changed is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from include.ledger.fence import hold

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Connection

    from include.ledger.records import Claim


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One file that was read. ``bytes`` and ``modified`` (seconds since 1970) are what the server said of it.

    ``seq``: the delivery that it is about. ``accepted`` and ``refused`` are slots; ``unknown`` ones are not in it.
    ``read_at``: when (None of one that is about to be remembered).
    """

    name: str
    bytes: int | None
    modified: int | None
    sha256: str
    seq: int
    accepted: int
    refused: int
    unknown: int
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The partner said that it took a slot of delivery ``seq``, in the file ``name``, which was read at ``read_at``."""

    seq: int
    name: str
    read_at: datetime


def read(connection: Connection, stream: str) -> dict[str, ResultFile]:
    """The files of a stream that were read, by name."""
    rows = connection.execute(
        text(
            """
            SELECT name, bytes, modified, sha256, seq, accepted, refused, unknown, read_at FROM result_file
            WHERE stream = :stream
            """
        ),
        {"stream": stream},
    )
    return {row[0]: ResultFile(*row) for row in rows}


def remember(connection: Connection, claim: Claim, file: ResultFile) -> None:
    """A file was read, in the transaction that records what it said.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    connection.execute(
        text(
            """
            INSERT INTO result_file (stream, name, bytes, modified, sha256, seq, accepted, refused, unknown)
            VALUES (:stream, :name, :bytes, :modified, :sha256, :seq, :accepted, :refused, :unknown)
            ON CONFLICT (stream, name) DO UPDATE
            SET bytes = :bytes, modified = :modified, sha256 = :sha256, seq = :seq, accepted = :accepted,
                refused = :refused, unknown = :unknown, read_at = now()
            """
        ),
        {
            "stream": claim.stream,
            "name": file.name,
            "bytes": file.bytes,
            "modified": file.modified,
            "sha256": file.sha256,
            "seq": file.seq,
            "accepted": file.accepted,
            "refused": file.refused,
            "unknown": file.unknown,
        },
    )


def answered(
    connection: Connection, claim: Claim, *, seq: int, name: str, taken: Collection[str], refused: Collection[str]
) -> None:
    """Of these slots of a delivery the partner said what became of them: the last word about a slot counts.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    connection.execute(
        text("DELETE FROM acceptance WHERE stream = :stream AND slot_id = ANY(:refused)"),
        {"stream": claim.stream, "refused": list(refused)},
    )
    connection.execute(
        text(
            """
            INSERT INTO acceptance AS known (stream, slot_id, seq, name)
            SELECT :stream, slot_id, :seq, :name FROM unnest(CAST(:taken AS text[])) AS slot_id
            ON CONFLICT (stream, slot_id) DO UPDATE SET seq = :seq, name = :name, read_at = now()
            WHERE known.seq <= :seq
            """
        ),
        {"stream": claim.stream, "seq": seq, "name": name, "taken": list(taken)},
    )


def acceptances(connection: Connection, stream: str, slot_ids: Collection[str]) -> dict[str, Acceptance]:
    """Which of the slots the partner said it took, by slot."""
    rows = connection.execute(
        text(
            """
            SELECT slot_id, seq, name, read_at FROM acceptance WHERE stream = :stream AND slot_id = ANY(:slot_ids)
            """
        ),
        {"stream": stream, "slot_ids": list(slot_ids)},
    )
    return {slot_id: Acceptance(*answer) for slot_id, *answer in rows}


def forget_all_but(connection: Connection, claim: Claim, names: Collection[str]) -> None:
    """Only these files are still there; a later one may have the name of one that is gone.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    connection.execute(
        text("DELETE FROM result_file WHERE stream = :stream AND NOT name = ANY(:names)"),
        {"stream": claim.stream, "names": list(names)},
    )

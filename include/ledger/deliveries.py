"""Deliveries and heads: the state machine PREPARED → STAGED → DELIVERED → COMMITTED, one transition per transaction.

Each transition names the state it starts from, so that two processes can never both make it, and is taken under the
fence. STAGED is recorded after the upload was verified and *before* the rename: from then on the absence of the
temporary
name at the partner proves that the rename happened.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, RowMapping, text

from include.errors import FencedOut, StateDamaged
from include.ledger.fence import hold
from include.ledger.records import IN_FLIGHT, Claim, Delivery, DeliveryState, Head, NewDelivery, PayloadFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def head(connection: Connection, stream: str, epoch: str) -> Head | None:
    """What the partner is known to hold, or None before the first committed delivery of the epoch."""
    row = connection.execute(
        text("SELECT seq, snapshot FROM head WHERE stream = :stream AND epoch = :epoch"),
        {"stream": stream, "epoch": epoch},
    ).one_or_none()
    return Head(row.seq, row.snapshot) if row else None


def next_seq(connection: Connection, stream: str) -> int:
    """The number after the last one anything was published under; numbers of superseded deliveries are used again."""
    number: int = connection.execute(
        text(
            """
            SELECT coalesce(max(seq), 0) + 1 FROM delivery
            WHERE stream = :stream AND kind = 'new' AND state IN ('STAGED', 'DELIVERED', 'COMMITTED')
            """
        ),
        {"stream": stream},
    ).scalar_one()
    return number


def in_flight(connection: Connection, stream: str) -> Delivery | None:
    """The one delivery that occupies the stream, if any."""
    found = _select(connection, "stream = :stream AND state = ANY(:states)", stream=stream, states=list(IN_FLIGHT))
    return found[0] if found else None


def under_way(connection: Connection) -> Sequence[tuple[str, Delivery]]:
    """The deliveries that somebody is at or should be, each with its feed; held ones wait for a person."""
    # The list is the condition of the index.
    found = _select(connection, "state IN ('PREPARED', 'HELD', 'STAGED', 'DELIVERED')", "ORDER BY delivery_id")
    feeds = {row.stream: str(row.feed) for row in connection.execute(text("SELECT stream, feed FROM stream"))}
    return [(feeds[delivery.stream], delivery) for delivery in found if delivery.state != "HELD"]


def of_run(connection: Connection, stream: str, run_id: str) -> Sequence[Delivery]:
    """What a run prepared, in order, whatever became of it."""
    return _select(
        connection, "stream = :stream AND run_id = :run_id", "ORDER BY delivery_id", stream=stream, run_id=run_id
    )


def committed_under(connection: Connection, claim: Claim) -> Delivery | None:
    """What an earlier try of the same run already brought to its end."""
    found = _select(
        connection,
        "stream = :stream AND fence = :fence AND state = 'COMMITTED'",
        "ORDER BY delivery_id DESC LIMIT 1",
        stream=claim.stream,
        fence=claim.fence,
    )
    return found[0] if found else None


def last_committed(connection: Connection, stream: str) -> Delivery | None:
    """The newest delivery that the partner is known to have, resends aside."""
    found = _select(
        connection,
        "stream = :stream AND kind = 'new' AND state = 'COMMITTED'",
        "ORDER BY seq DESC LIMIT 1",
        stream=stream,
    )
    return found[0] if found else None


def committed_as(connection: Connection, stream: str, seq: int) -> Delivery | None:
    """The delivery of a number that the partner has got; the last one, where it was sent again."""
    where = "stream = :stream AND seq = :seq AND state = 'COMMITTED'"
    found = _select(connection, where, "ORDER BY delivery_id DESC LIMIT 1", stream=stream, seq=seq)
    return found[0] if found else None


def history(connection: Connection, feed: str, limit: int) -> Sequence[Delivery]:
    """The newest deliveries of a feed in all its environments, newest first."""
    return _select(
        connection,
        "stream IN (SELECT stream FROM stream WHERE feed = :feed)",
        "ORDER BY delivery_id DESC LIMIT :limit",
        feed=feed,
        limit=limit,
    )


def prepare(connection: Connection, claim: Claim, new: NewDelivery) -> Delivery:
    """Record a delivery whose bytes are frozen. The stream must be free: settle what an earlier run left first.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    return _insert(connection, claim, new, "PREPARED")


def keep_held(connection: Connection, claim: Claim, new: NewDelivery, reason: str) -> Delivery:
    """Record a delivery that a guard stopped, instead of preparing it: nothing was sent, and the head stays.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    return _insert(connection, claim, new, "HELD", reason)


def _insert(
    connection: Connection, claim: Claim, new: NewDelivery, state: DeliveryState, reason: str | None = None
) -> Delivery:
    hold(connection, claim)
    delivery_id = connection.execute(
        text(
            """
            INSERT INTO delivery (stream, seq, kind, epoch, state, fence, run_id, mapping_version, base_snapshot,
                                  held_snapshot, snapshot, adds, updates, deletes, destination, guards, withheld,
                                  reason)
            VALUES (:stream, :seq, :kind, :epoch, :state, :fence, :run_id, :mapping_version, :base_snapshot,
                    :held_snapshot, :snapshot, :adds, :updates, :deletes, CAST(:destination AS jsonb),
                    CAST(:guards AS jsonb), :withheld, :reason)
            RETURNING delivery_id
            """
        ),
        {
            "state": state,
            "guards": json.dumps([dict(guard) for guard in new.guards]),
            "withheld": new.withheld,
            "reason": reason,
            "stream": claim.stream,
            "seq": new.seq,
            "kind": new.kind,
            "epoch": new.epoch,
            "fence": claim.fence,
            "run_id": claim.run_id,
            "mapping_version": new.mapping_version,
            "base_snapshot": new.base_snapshot,
            "held_snapshot": new.held_snapshot,
            "snapshot": new.snapshot,
            "adds": new.adds,
            "updates": new.updates,
            "deletes": new.deletes,
            "destination": json.dumps(dict(new.destination)),
        },
    ).scalar_one()
    for position, file in enumerate(new.files):
        connection.execute(
            text(
                """
                INSERT INTO delivery_file (delivery_id, position, final_name, temp_name, sha256, bytes, rows)
                VALUES (:delivery_id, :position, :final_name, :temp_name, :sha256, :bytes, :rows)
                """
            ),
            {
                "delivery_id": delivery_id,
                "position": position,
                "final_name": file.final_name,
                "temp_name": file.temp_name,
                "sha256": file.sha256,
                "bytes": file.bytes,
                "rows": file.rows,
            },
        )
    note(connection, claim, state.lower(), delivery_id, reason)
    return _select(connection, "delivery_id = :delivery_id", delivery_id=delivery_id)[0]


def supersede(connection: Connection, claim: Claim, delivery: Delivery, reason: str) -> None:
    """Give up a delivery that has published nothing.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    connection.execute(
        text(
            """
            UPDATE delivery SET state = 'SUPERSEDED', reason = :reason
            WHERE delivery_id = :delivery_id AND state IN ('PREPARED', 'HELD')
            """
        ),
        {"delivery_id": delivery.delivery_id, "reason": reason},
    )
    note(connection, claim, "superseded", delivery.delivery_id, reason)


def advance(
    connection: Connection,
    claim: Claim,
    delivery: Delivery,
    *,
    source: DeliveryState,
    target: DeliveryState,
    evidence: Mapping[str, Any],
) -> Delivery:
    """Move a delivery from ``source`` to ``target`` (STAGED or DELIVERED) and keep what proves it.

    The claim may be a newer run's than the one that prepared the delivery: driving it to the end is everybody's duty.

    Raises:
        FencedOut: a newer run has claimed the stream, or already made this transition.
    """
    hold(connection, claim)
    moment = {"STAGED": "staged_at", "DELIVERED": "delivered_at"}[target]
    moved = connection.execute(
        text(
            f"""
            UPDATE delivery
            SET state = :target, {moment} = now(), evidence = evidence || CAST(:evidence AS jsonb)
            WHERE delivery_id = :delivery_id AND state = :source
            """
        ),
        {
            "target": target,
            "source": source,
            "delivery_id": delivery.delivery_id,
            "evidence": json.dumps({target.lower(): dict(evidence)}, default=str),
        },
    ).rowcount
    if moved != 1:
        raise FencedOut(f"Feed {claim.stream}: delivery {delivery.seq} is no longer {source}; another run drives it.")
    note(connection, claim, target.lower(), delivery.delivery_id)
    return _select(connection, "delivery_id = :delivery_id", delivery_id=delivery.delivery_id)[0]


def commit(connection: Connection, claim: Claim, delivery: Delivery) -> None:
    """Acknowledge a delivery: in one transaction it becomes COMMITTED and its snapshot becomes the head.

    Raises:
        FencedOut: a newer run has claimed the stream, or already committed it.
        StateDamaged: the head is not the one that the delivery was computed from.
    """
    hold(connection, claim)
    moved = connection.execute(
        text(
            """
            UPDATE delivery SET state = 'COMMITTED', committed_at = now()
            WHERE delivery_id = :delivery_id AND state = 'DELIVERED'
            """
        ),
        {"delivery_id": delivery.delivery_id},
    ).rowcount
    if moved != 1:
        raise FencedOut(f"Feed {claim.stream}: delivery {delivery.seq} is already committed; another run drove it.")
    if delivery.kind == "new":
        _move_head(connection, delivery)
    note(connection, claim, "committed", delivery.delivery_id)


def _move_head(connection: Connection, delivery: Delivery) -> None:
    moved = connection.execute(
        text(
            """
            INSERT INTO head AS h (stream, epoch, seq, snapshot) VALUES (:stream, :epoch, :seq, :snapshot)
            ON CONFLICT (stream, epoch) DO UPDATE
            SET seq = :seq, snapshot = :snapshot, committed_at = now()
            WHERE h.seq < :seq AND (CAST(:base AS text) IS NULL OR h.snapshot = :base)
            """
        ),
        {
            "stream": delivery.stream,
            "epoch": delivery.epoch,
            "seq": delivery.seq,
            "snapshot": delivery.snapshot,
            "base": delivery.base_snapshot,
        },
    ).rowcount
    if moved != 1:
        raise StateDamaged(
            f"Feed {delivery.stream}: the ledger's head is not the one that delivery {delivery.seq} was computed from.",
            next_step="compare with what the partner holds, then start over with `./callboard rebaseline`",
        )


def note(
    connection: Connection, claim: Claim, step: str, delivery_id: int | None = None, detail: str | None = None
) -> None:
    """Append to the history of attempts."""
    connection.execute(
        text(
            """
            INSERT INTO attempt (stream, delivery_id, fence, run_id, step, detail)
            VALUES (:stream, :delivery_id, :fence, :run_id, :step, :detail)
            """
        ),
        {
            "stream": claim.stream,
            "delivery_id": delivery_id,
            "fence": claim.fence,
            "run_id": claim.run_id,
            "step": step,
            "detail": detail,
        },
    )


def _select(connection: Connection, where: str, order: str = "", **values: Any) -> list[Delivery]:
    rows = connection.execute(text(f"SELECT * FROM delivery WHERE {where} {order}"), values).mappings().all()
    return [_delivery(connection, row) for row in rows]


def _delivery(connection: Connection, row: RowMapping) -> Delivery:
    files = connection.execute(
        text(
            """
            SELECT final_name, temp_name, sha256, bytes, rows FROM delivery_file
            WHERE delivery_id = :delivery_id ORDER BY position
            """
        ),
        {"delivery_id": row["delivery_id"]},
    ).mappings()
    values = {**row, "guards": tuple(row["guards"]), "files": tuple(PayloadFile(**file) for file in files)}
    return Delivery(**values)

"""Approvals: a person's word that a held plan may be sent, bound to what the person saw.

An approval of *everything* counts for the head that the plan was held against and for its measures: once the plan was
delivered there is another head, so it releases once. Where the partner gets changes (`Changes`) it counts for the
exact plan only. An approval of *adds and updates* lets the rest of a plan go while its deletes stay held, run after
run, until it expires. All times are the database's clock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection, text

from include.ledger.fence import hold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from include.ledger.records import Claim, Delivery

Scope = Literal["everything", "adds_and_updates"]

#: In place of a head's number where the partner was not known to hold anything.
NO_HEAD = 0


@dataclass(frozen=True, slots=True)
class Approval:
    """One approval that counts for the plan at hand. ``guards``: each with ``guard``, ``measured`` and ``limit``."""

    approval_id: int
    scope: Scope
    guards: tuple[Mapping[str, Any], ...]
    approved_by: str
    expires_at: datetime


def grant(
    connection: Connection,
    claim: Claim,
    held: Delivery,
    *,
    scope: Scope,
    head_seq: int | None,
    exact: bool,
    by: str,
    lasts: timedelta,
) -> None:
    """Approve a held delivery; whatever was approved of its feed before and not used is over.

    ``head_seq``: the head it counts for (``NO_HEAD``: none yet), None for any. ``exact``: for this very plan only.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    withdraw(connection, claim)
    connection.execute(
        text(
            """
            INSERT INTO approval (stream, epoch, scope, head_seq, snapshot, guards, approved_by, expires_at)
            VALUES (:stream, :epoch, :scope, :head_seq, :snapshot, CAST(:guards AS jsonb), :by, now() + :lasts)
            """
        ),
        {
            "stream": claim.stream,
            "epoch": held.epoch,
            "scope": scope,
            "head_seq": head_seq,
            "snapshot": held.snapshot if exact else None,
            "guards": json.dumps([dict(guard) for guard in held.guards]),
            "by": by,
            "lasts": lasts,
        },
    )


def withdraw(connection: Connection, claim: Claim) -> None:
    """End what was approved and not used: there is a newer word, or nothing to approve any more.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    connection.execute(
        text(
            "UPDATE approval SET expires_at = now() WHERE stream = :stream AND used_at IS NULL AND expires_at > now()"
        ),
        {"stream": claim.stream},
    )


def standing(connection: Connection, stream: str, epoch: str, *, head_seq: int, snapshot: str) -> Sequence[Approval]:
    """Every approval that counts for a plan against this head towards this snapshot, newest first."""
    rows = connection.execute(
        text(
            """
            SELECT approval_id, scope, guards, approved_by, expires_at FROM approval
            WHERE stream = :stream AND epoch = :epoch AND used_at IS NULL AND expires_at > now()
              AND coalesce(head_seq, :head_seq) = :head_seq AND coalesce(snapshot, :snapshot) = :snapshot
            ORDER BY approval_id DESC
            """
        ),
        {"stream": stream, "epoch": epoch, "head_seq": head_seq, "snapshot": snapshot},
    )
    return [Approval(row.approval_id, row.scope, tuple(row.guards), row.approved_by, row.expires_at) for row in rows]


def use(connection: Connection, claim: Claim, approval: Approval) -> None:
    """The plan was delivered under this approval of everything: it releases nothing more.

    Raises:
        FencedOut: a newer run has claimed the stream.
    """
    hold(connection, claim)
    connection.execute(
        text("UPDATE approval SET used_by = :run_id, used_at = now() WHERE approval_id = :approval_id"),
        {"run_id": claim.run_id, "approval_id": approval.approval_id},
    )

"""What the ledger's rows look like to the rest of the house."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from include.reasons import IncidentClass

RunState = Literal["running", "delivered", "unchanged", "held", "failed", "skipped", "dry_run"]
DeliveryState = Literal["PREPARED", "HELD", "STAGED", "DELIVERED", "COMMITTED", "SUPERSEDED", "ABANDONED"]
DeliveryKind = Literal["new", "resend"]

#: States in which a delivery occupies its stream.
IN_FLIGHT: tuple[DeliveryState, ...] = ("PREPARED", "HELD", "STAGED", "DELIVERED")


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to act for a stream: worth nothing once a newer run has claimed the fence.

    ``attempt`` is 0 until `deliver` begins; each of its tries takes the next number, and only the newest may act.
    """

    stream: str
    run_id: str
    fence: int
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """What the partner is known to hold in one epoch of a stream."""

    seq: int
    snapshot: str


@dataclass(frozen=True, slots=True)
class Counts:
    """The four counts of a run; they sum to ``extracted``. Source slots, not records."""

    extracted: int = 0
    delivered: int = 0
    pending: int = 0
    excluded: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class PayloadFile:
    """One file of a delivery: exact bytes (by hash), the name the partner sees, and the name it is uploaded under."""

    final_name: str
    temp_name: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery about to be recorded. ``destination`` (connection, folder, publish) is frozen with the bytes.

    ``guards`` (each with ``guard``, ``measured``, ``limit``): those that stopped it, or would have without an approval.
    ``withheld``: how many deletes were left out of it, because only adds and updates were approved. ``held_snapshot``:
    what the partner held before it, where that is not ``base_snapshot``: without what it had refused.
    """

    seq: int
    kind: DeliveryKind
    epoch: str
    mapping_version: str
    base_snapshot: str | None
    snapshot: str
    adds: int
    updates: int
    deletes: int
    destination: Mapping[str, str]
    files: tuple[PayloadFile, ...]
    guards: tuple[Mapping[str, Any], ...] = ()
    withheld: int = 0
    held_snapshot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(NewDelivery):
    """A row of the ledger. Times are UTC, of the database's clock."""

    delivery_id: int
    stream: str
    state: DeliveryState
    fence: int
    run_id: str
    evidence: Mapping[str, Any]
    reason: str | None
    prepared_at: datetime
    staged_at: datetime | None
    delivered_at: datetime | None
    committed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a feed, as far as it has come."""

    stream: str
    run_id: str
    feed: str
    fence: int
    state: RunState
    epoch: str
    mapping_version: str | None
    decisions: str | None
    snapshot: str | None
    standing: str | None
    plan: str | None
    counts: Counts
    artifacts: tuple[str, ...]
    error: str | None
    started_at: datetime
    finished_at: datetime | None
    checks: tuple[Mapping[str, Any], ...] = field(default=())


MailState = Literal["open", "digest", "closed", "canary"]


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that a person must mend; ``kind`` is its class. Times are UTC.

    ``feed`` is '' for the platform itself. ``rows`` and ``told_rows`` are the SHA-256 of an artifact: the slots
    concerned, and why, now and as the last mail showed them. ``tell_at`` is when a mail about it is due. ``damped``: it
    comes and goes, and not every opening and closing is told.
    """

    incident_id: int
    feed: str
    kind: IncidentClass
    opened_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None
    run_id: str | None
    occurrences: int
    facts: Mapping[str, Any]
    rows: str | None
    told_rows: str | None
    told_at: datetime | None
    tell_at: datetime | None
    damped: bool


@dataclass(frozen=True, slots=True)
class NewMail:
    """A mail about to be queued: plain text, complete. ``kind`` is its incident's class; a canary has neither.

    ``refers_to`` is the Message-ID of the first mail of the same incident.
    """

    state: MailState
    recipients: tuple[str, ...]
    subject: str
    body: str
    message_id: str
    incident_id: int | None = None
    feed: str = ""
    kind: IncidentClass | None = None
    attachment_name: str | None = None
    attachment: bytes | None = None
    refers_to: str | None = None


@dataclass(frozen=True, slots=True)
class Mail(NewMail):
    """A mail in the outbox. ``recipients`` are those who have not got it yet. Times are UTC."""

    mail_id: int = 0
    attempts: int = 0
    last_error: str | None = None
    queued_at: datetime | None = None
    next_try_at: datetime | None = None
    sent_at: datetime | None = None

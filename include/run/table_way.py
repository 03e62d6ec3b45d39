"""Tables of our own: judge what would change, then fill them in the transaction that commits the delivery.

There is no partner that could be cut off in the middle: the tables hold the last committed snapshot, always, and a run
that dies has changed nothing. What is filled already is only noted as seen again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.errors import ConfigurationError, StateDamaged
from include.integration import OurTables
from include.ledger import approvals, deliveries, fence
from include.ledger.records import NewDelivery
from include.plan.diff import DeltaCounts, diff
from include.plan.guards import Effect, count_lost
from include.run.account import Standing, included_rows, slots_to_send, standing
from include.run.guarding import Judged
from include.run.handed import ProviderDocuments, Sent, required
from include.run.identity_providers import no_answer, unanswered
from include.run.one_try import OneTry
from include.run.outcome import Outcome, Preview

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from include.ledger.records import Delivery, DeliveryState, Head
    from include.run.handed import Decided
    from include.run.services import Services


@dataclass(frozen=True, slots=True)
class _Planned:
    """What would change. ``delta`` is None where nothing does; a set of documents is changed as a whole."""

    head: Head | None
    delta: Path | None
    counts: DeltaCounts
    effect: Effect


@dataclass(frozen=True, slots=True)
class TableWay(OneTry):
    """One try of filling tables of our own."""

    def deliver(self) -> Outcome:
        """Fill the tables, as far as the guards let us, and look at them as their readers do.

        Raises:
            DeliveryHeld: a guard stopped it; the tables are as they were.
            ConfigurationError: there is no file that could be sent again.
            DestinationUnavailable, DeliveryUncertain: the check did not see what was filled.
        """
        if self.order.resend:
            raise ConfigurationError(
                f"Feed {self.mapping.feed} fills tables of our own: there is no file to send again.",
                next_step=f"`./callboard rebaseline {self.mapping.feed}` fills them anew",
            )
        with self.services.ledger_reading() as connection:
            left = deliveries.in_flight(connection, self.claim.stream)
            done = deliveries.committed_under(connection, self.claim)
        if left is not None:  # only what was held: a fill is whole or has not been
            self.guarding.release(self.order, left)
        outcome = self._fill() if done is None else Outcome(_sent(done))
        check = self._destination.check
        if check is not None:
            check(self.services.connections(self.mapping.destination.connection), self._snapshot)
        silent = _unanswered(self.decided, self.services)
        return replace(outcome, stuck=no_answer(self.mapping.feed, silent)) if silent else outcome

    def preview(self) -> Preview:
        """Work out what would change; nothing does."""
        planned = self._plan()
        counts = Sent(adds=planned.counts.adds, updates=planned.counts.updates, deletes=planned.counts.deletes)
        return Preview(planned.delta, counts, self._judge(planned))

    def _fill(self) -> Outcome:
        planned = self._plan()
        judged = self._judge(planned)
        if judged.stopped:
            raise self.guarding.hold(judged, self._new(planned, judged), planned.delta, "action")
        head = planned.head.snapshot if planned.head else None
        changed = self.order.rebaseline or (
            head != self.decided.snapshot and (head is not None or self.decided.records)
        )
        with self.services.ledger("fill") as connection:
            fence.hold(connection, self.claim)  # also where nothing changes: a newer run may have filled them meanwhile
            prepared = None
            if changed:
                prepared = deliveries.prepare(connection, self.claim, self._new(planned, judged))
                prepared = self._advanced(connection, prepared, "PREPARED", "STAGED")
                prepared = self._advanced(connection, prepared, "STAGED", "DELIVERED")
            rows = self._destination.fill(connection, self._snapshot, self.decided.extracted.as_of)
            if prepared is not None:
                deliveries.note(connection, self.claim, "filled", prepared.delivery_id, f"{rows} rows")
                deliveries.commit(connection, self.claim, prepared)
        return Outcome(_sent(prepared) if prepared is not None else None, judged)

    def _advanced(
        self, connection: Connection, delivery: Delivery, source: DeliveryState, target: DeliveryState
    ) -> Delivery:
        return deliveries.advance(connection, self.claim, delivery, source=source, target=target, evidence={})

    def _plan(self) -> _Planned:
        with self.services.ledger_reading() as connection:
            head = deliveries.head(connection, self.claim.stream, "")
        if isinstance(self.decided.extracted.content, ProviderDocuments):  # judged one by one before: nothing to guard
            counts = DeltaCounts(0, 0, 0, unchanged=0, expired=0)
            return _Planned(head, None, counts, Effect(held=0, expired=0, wanted=0, lost=0, changed=0))
        held = self.services.artifacts.path(head.snapshot) if head else None
        delta = self.folder / "delta.parquet"
        counts = diff(held, self._snapshot, delta)
        lost = count_lost(delta, "action") if counts.deletes else 0
        effect = Effect(
            held=counts.updates + counts.deletes + counts.unchanged,
            expired=0,
            wanted=self.decided.records,
            lost=lost,
            changed=counts.updates + counts.deletes - lost,
        )
        return _Planned(head, delta, counts, effect)

    def _judge(self, planned: _Planned) -> Judged:
        if planned.delta is None:
            return Judged()
        return self.guarding.judge(planned.effect, head_seq=planned.head.seq if planned.head else approvals.NO_HEAD)

    def _new(self, planned: _Planned, judged: Judged) -> NewDelivery:
        with self.services.ledger_reading() as connection:
            seq = deliveries.next_seq(connection, self.claim.stream)
        return NewDelivery(
            seq=seq,
            kind="new",
            epoch="",
            mapping_version=self.decided.extracted.mapping,
            base_snapshot=planned.head.snapshot if planned.head and not self.order.rebaseline else None,
            snapshot=self.decided.snapshot,
            adds=planned.counts.adds,
            updates=planned.counts.updates,
            deletes=planned.counts.deletes,
            destination={"connection": self.mapping.destination.connection, "folder": "", "publish": "tables"},
            files=(),
            guards=judged.guards,
        )

    @property
    def _snapshot(self) -> Path:
        self.services.artifacts.verify(self.decided.snapshot)
        return self.services.artifacts.path(self.decided.snapshot)

    @property
    def _destination(self) -> OurTables:
        destination = self.integration.destination
        if not isinstance(destination, OurTables):
            raise StateDamaged(
                f"Integration {self.integration.slug} fills no tables of ours.",
                next_step="report this: its declaration",
            )
        return destination


def _sent(delivery: Delivery) -> Sent:
    return Sent(seq=delivery.seq, adds=delivery.adds, updates=delivery.updates, deletes=delivery.deletes)


def _unanswered(decided: Decided, services: Services) -> dict[str, str]:
    """The rows of identity providers that did not answer, and why; of all else there are none."""
    of_providers = isinstance(decided.extracted.content, ProviderDocuments)
    return unanswered(decided, services) if of_providers else {}


def standing_of_tables(decided: Decided, services: Services, folder: Path, *, reason: str = "failed") -> Standing:
    """How the rows of a run stand: delivered where the tables hold what this run, or an equal one, decided."""
    claim = decided.extracted.claim
    with services.ledger_reading() as connection:
        head = deliveries.head(connection, claim.stream, "")
    if not decided.records or (head is not None and head.snapshot == decided.snapshot):
        return standing(decided, _unanswered(decided, services), reason=reason)
    if isinstance(decided.extracted.content, ProviderDocuments):
        return standing(decided, included_rows(services.artifacts.path(required(decided.decisions))), reason=reason)
    difference = folder / "standing.delta.parquet"
    diff(
        services.artifacts.path(head.snapshot) if head else None, services.artifacts.path(decided.snapshot), difference
    )
    return standing(decided, slots_to_send(difference, "action"), reason=reason)

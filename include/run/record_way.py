"""Records to a partner: settle what is in doubt, judge the plan, ask for each record. The `Rows` way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.errors import ConfigurationError, DeliveryUncertain
from include.integration import Personnel, Rows, Sftp
from include.ledger import deliveries, rows
from include.ledger.records import NewDelivery
from include.run.handed import Sent
from include.run.one_try import OneTry
from include.run.outcome import Outcome, Preview
from include.run.pacing import Pushed
from include.run.partner import Partner
from include.run.pushing import Records, expire, plan_operations

if TYPE_CHECKING:
    from include.errors import DeliveryHeld
    from include.operations import RowDestination
    from include.run.guarding import Judged
    from include.run.pushing import PlannedRows

#: How often one try plans anew because the partner left something open.
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class RecordWay(OneTry):
    """One try of pushing records."""

    def deliver(self) -> Outcome:
        """Bring the partner to what it should hold, as far as the guards let it.

        Raises:
            DeliveryHeld: a guard stopped the plan; nothing was asked of the partner.
            ConfigurationError: there is no file that could be sent again.
        """
        if self.order.resend:
            raise ConfigurationError(
                f"Feed {self.mapping.feed} sends records, not files: there is no delivery to send again.",
                next_step=f"`./callboard rebaseline {self.mapping.feed}` sends every record again",
            )
        with self.services.ledger_reading() as connection:
            left = deliveries.in_flight(connection, self.claim.stream)
            doubtful = rows.intents(connection, self.claim.stream)
        if left is not None:  # only what was held: records are in flight one by one
            self.guarding.release(self.order, left)
        if not doubtful:
            planned = self.plan()
            judged = self._judged(planned)
            if planned.is_idle:  # nobody signs in to say nothing
                expire(planned, self.claim, self.services)
                return Outcome(None, judged)
        partner = Partner(self.mapping.destination.connection, self.services)
        probe = partner.require_able()
        if "" in partner.parked():
            return Outcome(None, parked=True)
        details = self.services.connections(partner.connection)
        with partner.asked(), self._destination().session(details, self.mapping) as session:
            return self._push(Records(self.claim, session, partner, self.services), probe=probe)

    def _push(self, records: Records, *, probe: bool) -> Outcome:
        """Push until nothing is open any more: what a partner leaves open is looked up, and planned anew."""
        total = Pushed()
        for attempt in range(_ROUNDS):
            records.settle()
            planned = self.plan(again=attempt > 0)
            judged = self._judged(planned)
            pushed = records.push(planned, deletes=not judged.withholds, probe=probe)
            total += pushed
            if not pushed.unknown:
                break
        else:
            raise DeliveryUncertain(
                f"The partner left {pushed.unknown} record(s) open, {_ROUNDS} times one after the other.",
                next_step="nothing; they are looked up before anything is repeated",
            )
        held = self._hold(judged, planned) if judged.withholds and planned.effect.lost else None
        return Outcome(Sent() if total.accepted or total.refused else None, judged, held, parked=pushed.parked > 0)

    def preview(self) -> Preview:
        """Work out what would be asked for; the partner hears nothing, and nothing moves."""
        planned = self.plan()
        counts = Sent(adds=planned.plan.adds, updates=planned.plan.updates, deletes=planned.plan.deletes)
        return Preview(planned.operations, counts, self.guarding.judge(planned.effect))

    def plan(self, *, again: bool = False) -> PlannedRows:
        """Work out what to ask of the partner; nothing is asked or recorded. ``again``: it was asked just before."""
        refresh = self.integration.way.refresh if isinstance(self.integration.way, Rows) else "changed"
        return plan_operations(
            self.decided,
            self.services,
            self.folder,
            refresh="changed" if again else "all" if self.order.rebaseline else refresh,
            offer_refused=self.order.rebaseline and not again,
        )

    def _judged(self, planned: PlannedRows) -> Judged:
        judged = self.guarding.judge(planned.effect)
        if judged.stopped:
            raise self._hold(judged, planned)
        return judged

    def _hold(self, judged: Judged, planned: PlannedRows) -> DeliveryHeld:
        with self.services.ledger_reading() as connection:
            seq = deliveries.next_seq(connection, self.claim.stream)
        held = NewDelivery(
            seq=seq,
            kind="new",
            epoch=self.decided.extracted.span.epoch,
            mapping_version=self.decided.extracted.mapping,
            base_snapshot=None,
            snapshot=self.decided.snapshot,
            adds=planned.plan.adds,
            updates=planned.plan.updates,
            deletes=planned.plan.deletes,
            destination={"connection": self.mapping.destination.connection, "folder": "", "publish": "records"},
            files=(),
        )
        return self.guarding.hold(judged, held, planned.operations, "operation")

    def _destination(self) -> RowDestination:
        destination = self.integration.destination
        if isinstance(destination, Sftp | Personnel):
            raise ConfigurationError(f"Integration {self.integration.slug} has no partner that takes records.")
        return destination

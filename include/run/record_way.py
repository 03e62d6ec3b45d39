"""Records to a partner: settle what is in doubt, judge the plan, ask for each record. The `Rows` way."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.errors import ConfigurationError, DeliveryUncertain
from include.integration import Personnel, Rows, Sftp
from include.ledger import deliveries, rows
from include.ledger.records import NewDelivery
from include.operations import Surveying
from include.run.handed import Sent
from include.run.one_try import OneTry
from include.run.outcome import Outcome, Preview
from include.run.pacing import PATIENCE, Pushed
from include.run.partner import Partner
from include.run.pushing import Records, expire, plan_operations
from include.run.surveying import record_found, survey

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from include.errors import DeliveryHeld
    from include.operations import RowSession
    from include.run.guarding import Judged
    from include.run.pushing import PlannedRows
    from include.run.surveying import Found

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
        if not doubtful and not self._surveys:
            planned = self.plan()
            judged = self._judged(planned)  # a plan that is stopped does not even sign in
            if planned.is_idle:  # nor does one that has nothing to say
                expire(planned, self.claim, self.services)
                return Outcome(None, judged)
        partner = self._partner
        probe = partner.require_able()
        if "" in partner.parked():
            return Outcome(None, parked=True)
        with partner.asked(), self._session(partner) as session:
            return self._push(session, partner, probe=probe)

    def preview(self) -> Preview:
        """Work out what would be asked for; nothing moves. A partner is asked at most what it holds."""
        found = None
        if self._surveys:
            with self._partner.asked(), self._session(self._partner) as session:
                found = self._survey(session)
        planned = self.plan(found=found)
        counts = Sent(adds=planned.plan.adds, updates=planned.plan.updates, deletes=planned.plan.deletes)
        return Preview(planned.operations, counts, self.guarding.judge(planned.effect))

    def plan(self, *, again: bool = False, found: Found | None = None) -> PlannedRows:
        """Work out what to ask of the partner; nothing is asked or recorded.

        ``again``: it was asked just before. ``found``: what it was seen to hold, where that is not in the ledger yet.
        """
        refresh = self._way.refresh
        if again or self.order.woken:
            refresh = "changed"
        return plan_operations(
            self.decided,
            self.services,
            self.folder,
            refresh="all" if self.order.rebaseline and not again else refresh,
            offer_refused=self.order.rebaseline and not again,
            found=found,
        )

    def _push(self, session: RowSession, partner: Partner, *, probe: bool) -> Outcome:
        """Push until nothing is open any more: what a partner leaves open is looked up, and planned anew."""
        records, total = Records(self.claim, session, partner, self.services), Pushed()
        for attempt in range(_ROUNDS):
            records.settle()
            if attempt == 0 and self._surveys:
                record_found(self._survey(session), self.claim, self.services)
            planned = self.plan(again=attempt > 0)
            judged = self._judged(planned)
            pushed = records.push(planned, deletes=not judged.withholds, probe=probe and attempt == 0)
            total += pushed
            if not pushed.unknown:
                break
            if pushed.rest > PATIENCE:
                partner.park("", pushed.rest)
                raise _left_open(pushed.unknown, 1)
            time.sleep(pushed.rest)
        else:
            raise _left_open(pushed.unknown, _ROUNDS)
        held = self._hold(judged, planned) if judged.withholds and planned.effect.lost else None
        sent = Sent() if total.accepted or total.refused else None
        return Outcome(sent, judged, held, parked=pushed.parked > 0)

    def _survey(self, session: RowSession) -> Found:
        """What the partner really holds of what is this feed's to decide about."""
        if not isinstance(session, Surveying):
            raise ConfigurationError(
                f"Feed {self.mapping.feed}: this partner cannot be asked what it holds.",
                next_step=f"`./callboard rebaseline {self.mapping.feed}` sends every record again",
            )
        return survey(session, self.decided, self.services)

    @property
    def _surveys(self) -> bool:
        """Whether the partner is asked what it holds: if somebody wants it, and by the clock where we overwrite."""
        return self.order.reconcile or (self._way.overwrites and not self.order.woken)

    @property
    def _way(self) -> Rows:
        return self.integration.way if isinstance(self.integration.way, Rows) else Rows()

    @property
    def _partner(self) -> Partner:
        return Partner(self.mapping.destination.connection, self.services)

    def _session(self, partner: Partner) -> AbstractContextManager[RowSession]:
        destination = self.integration.destination
        if isinstance(destination, Sftp | Personnel):
            raise ConfigurationError(f"Integration {self.integration.slug} has no partner that takes records.")
        return destination.session(self.services.connections(partner.connection), self.mapping)

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


def _left_open(records: int, times: int) -> DeliveryUncertain:
    return DeliveryUncertain(
        f"The partner left {records} record(s) open, {times} time(s) one after the other.",
        next_step="nothing; they are looked up before anything is repeated",
    )

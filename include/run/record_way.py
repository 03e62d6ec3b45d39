"""Records to a partner: settle what is in doubt, judge the plan, ask for each record. The `Rows` way."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.errors import ConfigurationError, DeliveryRefused, DeliveryUncertain
from include.integration import OurTables, Personnel, Rows, Sftp
from include.ledger import deliveries, rows
from include.ledger.records import NewDelivery
from include.operations import Surveying
from include.run.handed import Sent
from include.run.one_try import OneTry
from include.run.outcome import Outcome, Preview
from include.run.pacing import Pushed
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
        self._require_same_partner()
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
        probe = partner.require_able(by_hand=bool(self.order.by))
        if "" in partner.parked():
            return Outcome(None, parked=True)
        with partner.asked(), self._session(partner) as session:
            return self._push(session, partner, probe=probe)

    def preview(self) -> Preview:
        """Work out what would be asked for; nothing moves. A partner is asked at most what it holds."""
        found = None
        if self._surveys:
            self._partner.require_able(by_hand=bool(self.order.by))
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

    def _require_same_partner(self) -> None:
        """What was acknowledged through one connection says nothing about who answers at another.

        Raises:
            ConfigurationError: the mapping names another connection than before, and nobody said that this is meant.
        """
        name = self.mapping.destination.connection
        with self.services.ledger_reading() as connection:
            known = rows.baseline(connection, self.claim.stream)
        if known == name:
            return
        if known is not None and not self.order.rebaseline:
            raise ConfigurationError(
                f"Feed {self.mapping.feed} goes to connection {name}; what is known of its partner came from {known}.",
                next_step=f"if nothing of ours is there yet, `./callboard rebaseline {self.mapping.feed}`; if it is "
                f"the same partner under another name, give the connection its old name",
            )
        with self.services.ledger("begin_baseline") as connection:
            rows.begin_baseline(connection, self.claim, name)

    def _push(self, session: RowSession, partner: Partner, *, probe: bool) -> Outcome:
        """Push until nothing is open any more: what a partner leaves open is looked up, and planned anew."""
        records, total = Records(self.claim, session, partner, self.services), Pushed()
        for attempt in range(_ROUNDS):
            left_open = records.settle()
            if attempt == 0:
                self._forget_refusals_of_what_is_not_wanted()
            if attempt == 0 and self.order.rebaseline:
                with self.services.ledger("doubt_all") as connection:
                    rows.doubt_all(connection, self.claim)
            if attempt == 0 and self._surveys:
                record_found(self._survey(session), self.claim, self.services)
            planned = self.plan(again=attempt > 0)
            judged = self._judged(planned)
            first = probe and attempt == 0
            pushed = records.push(planned, deletes=not judged.withholds, probe=first, but=left_open)
            total += pushed
            if not pushed.unknown:
                break
            time.sleep(pushed.rest)
        else:
            raise DeliveryUncertain(
                f"The partner left {pushed.unknown} record(s) open, {_ROUNDS} times one after the other.",
                next_step="nothing; they are looked up before anything is repeated",
            )
        held = self._hold(judged, planned) if judged.withholds and planned.effect.lost else None
        sent = Sent() if total.accepted or total.refused else None
        return Outcome(sent, judged, held, parked=pushed.parked > 0, stuck=self._stuck())

    def _stuck(self) -> DeliveryRefused | None:
        """What is withdrawn here and still stands there: whoever reads it reads something that is not so any more."""
        with self.services.ledger_reading() as connection:
            kept = [each for each in rows.refusals(connection, self.claim.stream) if each.of_delete]
        if not kept:
            return None
        why = ", ".join(sorted({each.reason for each in kept})[:3])
        return DeliveryRefused(
            f"Feed {self.mapping.feed}: {len(kept)} withdrawn record(s) still stand at the partner, which refuses to "
            f"let go of them ({why}).",
            next_step="take them away there by hand, or have the partner allow it; all else was sent, and these are "
            "tried again by themselves",
        )

    def _forget_refusals_of_what_is_not_wanted(self) -> None:
        """A record that nobody wants any more, and that is not there, is refused no more."""
        import pyarrow.parquet as pq

        with self.services.ledger_reading() as connection:
            refused = {each.key for each in rows.refusals(connection, self.claim.stream) if not each.of_delete}
        if not refused:
            return
        snapshot = self.services.artifacts.path(self.decided.snapshot)
        over = refused - set(pq.read_table(snapshot, columns=["key"])["key"].to_pylist())
        if over:
            with self.services.ledger("withdraw_refusals") as connection:
                rows.withdraw_refusals(connection, self.claim, over)

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
        if isinstance(destination, Sftp | Personnel | OurTables):
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

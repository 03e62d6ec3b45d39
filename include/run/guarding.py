"""Between plan and delivery: the guards, what people approved, and what is kept of a plan that is stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.errors import ConfigurationError, DeliveryHeld
from include.integration import Changes, Inbound, Rows, Sftp
from include.ledger import approvals, deliveries
from include.mappings.frozen import layout_version
from include.mappings.schemas import schema_for
from include.plan.guards import Trip, covered, trip_of, trips, without_deletes
from include.run.account import rejected_within_limits
from include.run.causes import causes_of, lost_slots

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from include.integration import Integration
    from include.ledger.approvals import Approval
    from include.ledger.records import Claim, Delivery, NewDelivery
    from include.mappings.schema import FeedMapping
    from include.plan.guards import Effect
    from include.run.handed import Decided
    from include.run.order import Order
    from include.run.services import Services

#: Why a later run gives up what an earlier one left.
JUDGED_ANEW = "a later run judged anew"
#: How long an approval waits for its delivery, and how long deletes may be kept back from an on-call target.
APPROVAL_LASTS = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the guards say of a plan.

    ``approval``: a person's word that it may go all the same; None where there is none, or none is needed.
    """

    trips: tuple[Trip, ...] = ()
    approval: Approval | None = None

    @property
    def stopped(self) -> bool:
        """Nothing may be sent."""
        return bool(self.trips) and self.approval is None

    @property
    def withholds(self) -> bool:
        """Adds and updates may be sent; the deletes stay held."""
        return self.approval is not None and self.approval.scope == "adds_and_updates"

    @property
    def guards(self) -> tuple[dict[str, Any], ...]:
        """The trips, as the ledger keeps them."""
        return tuple(asdict(trip) for trip in self.trips)


@dataclass(frozen=True, slots=True)
class Guarding:
    """The guards of one run."""

    integration: Integration
    mapping: FeedMapping
    decided: Decided
    claim: Claim
    services: Services

    def judge(self, effect: Effect, *, head_seq: int = approvals.NO_HEAD) -> Judged:
        """Measure a plan against the mapping's limits, and look for an approval that covers what trips.

        ``effect`` says what the plan does; how the run rejected and how its files look is added here.
        """
        effect = self._completed(effect)
        found = trips(effect, self.mapping.limits)
        if not found:
            return Judged()
        with self.services.ledger_reading() as connection:
            standing = approvals.standing(
                connection,
                self.claim.stream,
                self.decided.extracted.span.epoch,
                head_seq=head_seq,
                snapshot=self.decided.snapshot,
            )
        rest = trips(without_deletes(effect), self.mapping.limits)
        for approval in standing:
            approved = [trip_of(guard) for guard in approval.guards]
            if covered(found if approval.scope == "everything" else rest, approved):
                return Judged(found, approval)
        return Judged(found)

    def release(self, order: Order, held: Delivery) -> None:
        """Give a held delivery up, since this run judges anew; if a person lets it through, write that down with it.

        Raises:
            ConfigurationError: adds and updates alone make no sense for this integration.
        """
        if order.approve == "adds_and_updates" and not self.integration.on_call:
            raise ConfigurationError(
                f"Feed {self.mapping.feed} is no on-call target: its held delivery is approved whole, or not at all.",
                next_step=f"`./callboard approve {self.mapping.feed}`, or mend the data",
            )
        with self.services.ledger("release") as connection:
            if order.approve is None:
                deliveries.supersede(connection, self.claim, held, JUDGED_ANEW)
                return
            head = deliveries.head(connection, self.claim.stream, held.epoch)
            # A partner of records has no head, and takes a plan in parts; one of files is approved against its head.
            any_head = order.approve == "adds_and_updates" or isinstance(self.integration.way, Rows)
            approvals.grant(
                connection,
                self.claim,
                held,
                scope=order.approve,
                head_seq=None if any_head else head.seq if head else approvals.NO_HEAD,
                exact=isinstance(self.integration.way, Changes) or isinstance(self.integration.source, Inbound),
                by=order.by or "unknown",
                lasts=APPROVAL_LASTS,
            )
            deliveries.supersede(connection, self.claim, held, f"approved by {order.by or 'unknown'}")

    def hold(
        self,
        judged: Judged,
        new: NewDelivery,
        plan: Path | None,
        column: str,
        causes: list[dict[str, Any]] | None = None,
    ) -> DeliveryHeld:
        """Keep a stopped plan in the ledger, and answer with the error that says why.

        ``plan`` is the delta or the operations, record by record; ``column`` says what each does. ``causes``: why, if
        no plan tells it.
        """
        stored = None
        lost = lost_slots(None, column)
        if plan is not None:
            stored = self.services.artifacts.put_file(plan).sha256
            lost = lost_slots(plan, column)
        facts = {
            "guards": list(judged.guards),
            "lost": len(lost),
            "soon": lost.soon,
            "causes": causes_of(lost, self.mapping, self.decided, self.services) if causes is None else causes,
            "withheld": len(lost) if judged.withholds else 0,
        }
        if isinstance(self.integration.source, Inbound):
            facts["what"] = "held_import"
        why = self.why(judged)
        with self.services.ledger("hold") as connection:
            deliveries.keep_held(connection, self.claim, replace(new, guards=judged.guards, files=()), why)
        feed = self.mapping.feed
        sent = f"Adds and updates were sent, {len(lost)} delete(s) were not: " if judged.withholds else ""
        soon = f" {lost.soon} of the {len(lost)} slots that would be lost start within 3 days." if len(lost) else ""
        return DeliveryHeld(
            f"Feed {feed}: {sent}{why}.{soon}",
            facts=facts,
            plan=stored,
            next_step=f"`./callboard approve {feed} --show` lists what would change; mend the data and the next run "
            f"delivers by itself, or `./callboard approve {feed}`",
        )

    def why(self, judged: Judged) -> str:
        """What stops a plan, in words."""
        words = _SAID_OF_IMPORTS if isinstance(self.integration.source, Inbound) else _SAID
        return "; ".join(words[trip.guard].format(measured=trip.measured, limit=trip.limit) for trip in judged.trips)

    def settle_approvals(self, connection: Connection, judged: Judged) -> None:
        """What was approved has been delivered; approvals that nothing needs any more are over."""
        if judged.approval is None:
            approvals.withdraw(connection, self.claim)
        elif judged.approval.scope == "everything":
            approvals.use(connection, self.claim, judged.approval)

    def _completed(self, effect: Effect) -> Effect:
        artifacts = self.services.artifacts
        rejected, decisions = 0, self.decided.decisions
        if decisions is not None and self.decided.rejected:
            rejected = rejected_within_limits(artifacts.path(decisions))
        layout = held_layout = None
        for_a_partner = isinstance(self.integration.destination, Sftp)
        if for_a_partner and self.mapping.layout and not schema_for(self.mapping.integration).fixed_layout:
            with self.services.ledger_reading() as connection:
                last = deliveries.last_committed(connection, self.claim.stream)
            if last is not None and last.mapping_version != self.mapping.version:
                layout, held_layout = self._layout(self.mapping.version), self._layout(last.mapping_version)
        return replace(
            effect,
            due=self.decided.included + rejected,
            rejected=rejected,
            layout=layout,
            held_layout=held_layout,
        )

    def _layout(self, mapping_version: str) -> str:
        with self.services.artifacts.open(mapping_version) as frozen:
            return layout_version(frozen.read(), schema_for(self.mapping.integration).layout_settings)


_SAID = {
    "to_zero": "the partner would be left with nothing (it holds {limit} records)",
    "deletes": "{measured} records would be taken from the partner (limit {limit})",
    "deletes_percent": "{measured} % of what the partner holds would be taken from it (limit {limit:g} %)",
    "updates_percent": "{measured} % of what the partner holds would change (limit {limit:g} %)",
    "rejected_percent": "{measured} % of the slots that should be delivered were rejected (limit {limit:g} %)",
    "layout": "the file would look different from the last one",
}
_SAID_OF_IMPORTS = {
    "deletes": "{measured} people would lose a value (limit {limit})",
    "deletes_percent": "{measured} % of the people would lose a value (limit {limit:g} %)",
    "updates_percent": "{measured} % of the people would change (limit {limit:g} %)",
    "rejected_percent": "{measured} % of the rows that find a person were rejected (limit {limit:g} %)",
}

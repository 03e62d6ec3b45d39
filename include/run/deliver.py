"""Step 4: make the partner hold what it should, and let the ledger say so.

That a task ended proves nothing by itself: the step answers only after it has read the ledger again.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from include.integration import Inbound, OurTables, Rows
from include.ledger import deliveries, fence, runs
from include.run import incidents
from include.run.file_way import Files, standing_of_files
from include.run.frozen import frozen_mapping
from include.run.handed import Decided, Receipt, Sent
from include.run.import_way import ImportWay, standing_of_import
from include.run.order import Order
from include.run.pushing import standing_of_rows
from include.run.record_way import RecordWay
from include.run.sessions import Sessions
from include.run.summary import write_summary
from include.run.table_way import TableWay, standing_of_tables

if TYPE_CHECKING:
    from pathlib import Path

    from include.integration import Integration
    from include.ledger.records import Claim, RunState
    from include.run.account import Standing
    from include.run.outcome import Delivering
    from include.run.services import Services


def deliver(integration: Integration, decided: Decided, services: Services, order: Order | None = None) -> Receipt:
    """Make the partner hold what it should, and answer with the receipt; of a dry run, with what would be sent.

    Raises:
        DestinationUnavailable, DeliveryUncertain: try again.
        DeliveryRefused: the partner refused us.
        DeliveryHeld: a guard stopped the delivery, or its deletes.
        ResultsUnreadable: everything was delivered, but the partner's result files cannot be read.
        FencedOut: a newer run has started; nothing was done.
    """
    order = order or Order()
    with services.ledger("begin_delivery") as connection:
        claim = fence.begin_delivery(connection, decided.extracted.claim)
        if order.by:
            deliveries.note(connection, claim, "ordered", detail=f"{order} by {order.by}")
    with services.artifacts.scratch(claim.run_id) as folder, ExitStack() as stack:
        way = _way(integration, decided, claim, order, services, folder, stack)
        if order.dry_run:
            return _dry_run(integration, decided, claim, way, services)
        outcome = way.deliver()
        reason = "parked" if outcome.parked else "failed"
        standing = standing_after(integration, decided, services, folder, reason=reason)
        pending = standing.store(services, folder)
    if outcome.held is not None:
        raise outcome.held
    if outcome.unreadable is not None:
        raise outcome.unreadable
    if outcome.stuck is not None:
        raise outcome.stuck
    judged = incidents.judge(decided, standing, services)
    state: RunState = "delivered" if outcome.sent else "unchanged"
    sent = outcome.sent or Sent()
    with services.ledger("finish") as connection:
        fence.hold(connection, claim)
        runs.finish(connection, claim, state, counts=standing.counts, standing=pending, artifacts=sent.files)
        if outcome.parked:  # nothing is over before all of it was asked for
            judged.record(connection)
        else:
            way.guarding.settle_approvals(connection, outcome.judged)
            incidents.ended_well(connection, judged)
    write_summary(services)
    return Receipt(feed=way.mapping.feed, run_id=claim.run_id, state=state, counts=standing.counts, sent=sent)


def standing_after(
    integration: Integration, decided: Decided, services: Services, folder: Path, *, reason: str = "failed"
) -> Standing:
    """How every slot of a run stands with the partner, whatever became of the run; ``reason`` is why some do not."""
    standing_of = standing_of_rows if isinstance(integration.way, Rows) else standing_of_files
    if isinstance(integration.source, Inbound):
        standing_of = standing_of_import
    if isinstance(integration.destination, OurTables):
        standing_of = standing_of_tables
    return standing_of(decided, services, folder, reason=reason)


def _way(
    integration: Integration,
    decided: Decided,
    claim: Claim,
    order: Order,
    services: Services,
    folder: Path,
    stack: ExitStack,
) -> Delivering:
    mapping = frozen_mapping(decided.extracted, services)
    if isinstance(integration.source, Inbound):
        sessions = Sessions(stack, services)
        return ImportWay(integration, mapping, decided, claim, order, services, folder, sessions)
    if isinstance(integration.way, Rows):
        return RecordWay(integration, mapping, decided, claim, order, services, folder)
    if isinstance(integration.destination, OurTables):
        return TableWay(integration, mapping, decided, claim, order, services, folder)
    return Files(integration, mapping, decided, claim, order, services, folder, Sessions(stack, services))


def _dry_run(integration: Integration, decided: Decided, claim: Claim, way: Delivering, services: Services) -> Receipt:
    """Write down what would be sent, and what would stop it."""
    preview = way.preview()
    stored = services.artifacts.put_file(preview.plan).sha256 if preview.plan is not None else None
    with services.artifacts.scratch(claim.run_id) as folder:
        standing = standing_after(integration, decided, services, folder, reason="awaiting_approval")
    why = way.guarding.why(preview.judged)
    with services.ledger("finish") as connection:
        fence.hold(connection, claim)
        runs.finish(
            connection,
            claim,
            "dry_run",
            counts=standing.counts,
            error=f"It would be held: {why}." if preview.judged.stopped else None,
            plan=stored,
        )
    return Receipt(
        feed=way.mapping.feed,
        run_id=claim.run_id,
        state="dry_run",
        counts=standing.counts,
        sent=preview.counts,
    )

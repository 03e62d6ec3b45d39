"""Step 4: make the partner hold what it should, and let the ledger say so.

That a task ended proves nothing by itself: the step answers only after it has read the ledger again.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.integration import Rows, Sftp
from include.ledger import deliveries, fence, runs
from include.run import incidents
from include.run.file_way import Files, Sessions, standing_of_files
from include.run.handed import Decided, Receipt, Sent
from include.run.order import Order
from include.run.pushing import Records, standing_of_rows
from include.run.summary import delivered_paths, write_summary
from include.run.validate import frozen_mapping

if TYPE_CHECKING:
    from pathlib import Path

    from include.integration import Integration
    from include.ledger.records import Claim, RunState
    from include.mappings.schema import FeedMapping
    from include.run.account import Standing
    from include.run.services import Services


def deliver(integration: Integration, decided: Decided, services: Services, order: Order | None = None) -> Receipt:
    """Make the partner hold what it should, and answer with the receipt.

    Raises:
        DestinationUnavailable, DeliveryUncertain: try again.
        DeliveryRefused: the partner refused us.
        FencedOut: a newer run has started; nothing was done.
    """
    order = order or Order()
    mapping = frozen_mapping(decided.extracted, services)
    with services.ledger("begin_delivery") as connection:
        claim = fence.begin_delivery(connection, decided.extracted.claim)
        if order.by:
            deliveries.note(connection, claim, "ordered", detail=f"{order} by {order.by}")
    send = _send_rows if isinstance(integration.way, Rows) else _send_files
    with services.artifacts.scratch(claim.run_id) as folder:
        sent = send(integration, mapping, decided, claim, order, services, folder)
        standing = standing_after(integration, decided, services, folder)
        pending = standing.store(services, folder)
    judged = incidents.judge(decided, standing, services)
    state: RunState = "delivered" if sent else "unchanged"
    sent = sent or Sent()
    with services.ledger("finish") as connection:
        fence.hold(connection, claim)
        runs.finish(connection, claim, state, counts=standing.counts, standing=pending, artifacts=sent.files)
        incidents.ended_well(connection, judged)
    write_summary(services)
    return Receipt(feed=mapping.feed, run_id=claim.run_id, state=state, counts=standing.counts, sent=sent)


def standing_after(integration: Integration, decided: Decided, services: Services, folder: Path) -> Standing:
    """How every slot of a run stands with the partner, whatever became of the run."""
    standing_of = standing_of_rows if isinstance(integration.way, Rows) else standing_of_files
    return standing_of(decided, services, folder)


def _send_files(
    integration: Integration,
    mapping: FeedMapping,
    decided: Decided,
    claim: Claim,
    order: Order,
    services: Services,
    folder: Path,
) -> Sent | None:
    with ExitStack() as stack:
        files = Files(integration, mapping, decided, claim, order, services, folder, Sessions(stack, services))
        delivery = files.deliver()
    if delivery is None:
        return None
    return Sent(
        seq=delivery.seq,
        files=delivered_paths(delivery, services),
        adds=delivery.adds,
        updates=delivery.updates,
        deletes=delivery.deletes,
    )


def _send_rows(
    integration: Integration,
    mapping: FeedMapping,
    decided: Decided,
    claim: Claim,
    order: Order,
    services: Services,
    folder: Path,
) -> Sent | None:
    if isinstance(integration.destination, Sftp) or not isinstance(integration.way, Rows):
        raise ConfigurationError(f"Integration {integration.slug}: records do not go to a file server.")
    if order.resend:
        raise ConfigurationError(
            f"Feed {mapping.feed} sends records, not files: there is no delivery to send again.",
            next_step=f"`./callboard rebaseline {mapping.feed}` sends every record again",
        )
    details = services.connections(mapping.destination.connection)
    with integration.destination.session(details, mapping.settings) as session:
        pushed = Records(claim, session, services, folder).push(
            services.artifacts.path(decided.snapshot),
            refresh="all" if order.rebaseline else integration.way.refresh,
            offer_refused=order.rebaseline,
            expired_before=decided.extracted.span.expired_before,
        )
    return Sent() if pushed.accepted or pushed.refused else None

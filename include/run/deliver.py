"""Step 4: make the partner hold what it should, and let the ledger say so.

That a task ended proves nothing by itself: the step answers only after it has read the ledger again.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.integration import Rows, Sftp
from include.ledger import deliveries, fence, runs
from include.run.file_way import Files, Sessions
from include.run.handed import Decided, Receipt
from include.run.order import Order
from include.run.pushing import counts_of_rows, push
from include.run.summary import delivered_paths, write_summary
from include.run.validate import frozen_mapping

if TYPE_CHECKING:
    from pathlib import Path

    from include.integration import Integration
    from include.ledger.records import Claim, Counts, RunState
    from include.mappings.schema import FeedMapping
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
    with services.artifacts.scratch(claim.run_id) as folder:
        if isinstance(integration.way, Rows):
            receipt = _deliver_rows(integration, mapping, decided, claim, services, folder)
        else:
            receipt = _deliver_files(integration, mapping, decided, claim, order, services, folder)
    state: RunState = "delivered" if receipt.state == "delivered" else "unchanged"
    with services.ledger("finish") as connection:
        fence.hold(connection, claim)
        runs.finish(connection, claim, state, counts=receipt.counts, artifacts=receipt.files)
    write_summary(services)
    return receipt


def counts_after(integration: Integration, decided: Decided, services: Services, folder: Path) -> Counts:
    """How every slot of a run stands, whatever became of the run."""
    from include.run.file_way import counts_of_files

    count = counts_of_rows if isinstance(integration.way, Rows) else counts_of_files
    return count(decided, services, folder)


def _deliver_files(
    integration: Integration,
    mapping: FeedMapping,
    decided: Decided,
    claim: Claim,
    order: Order,
    services: Services,
    folder: Path,
) -> Receipt:
    with ExitStack() as stack:
        files = Files(integration, mapping, decided, claim, order, services, folder, Sessions(stack, services))
        sent = files.deliver()
        return Receipt(
            feed=mapping.feed,
            run_id=claim.run_id,
            state="delivered" if sent else "unchanged",
            counts=files.counts(),
            seq=sent.seq if sent else None,
            files=delivered_paths(sent, services) if sent else (),
            adds=sent.adds if sent else 0,
            updates=sent.updates if sent else 0,
            deletes=sent.deletes if sent else 0,
        )


def _deliver_rows(
    integration: Integration,
    mapping: FeedMapping,
    decided: Decided,
    claim: Claim,
    services: Services,
    folder: Path,
) -> Receipt:
    if isinstance(integration.destination, Sftp) or not isinstance(integration.way, Rows):
        raise ConfigurationError(f"Integration {integration.slug}: records do not go to a file server.")
    details = services.connections(mapping.destination.connection)
    with integration.destination.session(details, mapping.settings) as session:
        pushed = push(
            services.artifacts.path(decided.snapshot), claim, session, services, folder, refresh=integration.way.refresh
        )
    return Receipt(
        feed=mapping.feed,
        run_id=claim.run_id,
        state="delivered" if pushed.accepted or pushed.declined else "unchanged",
        counts=counts_of_rows(decided, services, folder),
    )

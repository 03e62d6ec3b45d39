"""Step 1: claim the fence, freeze the mapping, read once what the run is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.clock import business_now
from include.errors import SourceNotReady
from include.integration import IdentityProviders, Inbound, Slots, Tables
from include.ledger import fence, runs
from include.mappings.frozen import freeze
from include.mappings.loader import load_feed
from include.run.beginning import Beginning
from include.run.identity_providers import read_providers
from include.run.inbound import read_inbound
from include.run.slots import read_slots
from include.run.whole_tables import read_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.integration import Integration, Source
    from include.run.handed import Extracted
    from include.run.order import Order
    from include.run.services import Services

_READ: dict[type[Source], Callable[[Beginning[Any]], Extracted]] = {
    Slots: read_slots,
    Tables: read_tables,
    Inbound: read_inbound,
    IdentityProviders: read_providers,
}


def extract(
    integration: Integration, feed: str, run_id: str, services: Services, order: Order | None = None
) -> Extracted:
    """Read what ``feed`` is about, at one point in time.

    The fence is claimed first: from here on, every older run of the feed is harmless. Then the mapping is read, and
    stored under its hash, so that editing its files concerns the next run only.

    Raises:
        MappingError: the feed's mapping is wrong; nothing was claimed.
        ConfigurationError: the mapping names a department that the schedule does not have.
        SourceNotReady: the schedule store or the ledger cannot be reached.
        InboundRejected: the file that came in cannot be read; it was put away.
        DestinationUnavailable, DeliveryRefused: the server with the file cannot be reached, or refused us; or no
            identity provider answers.
    """
    stream = load_feed(services.settings.mappings, feed).stream
    with services.ledger("claim") as connection:
        claim = fence.claim(connection, stream, feed, run_id)
    mapping = load_feed(services.settings.mappings, feed)  # again: it may have changed until the fence was ours
    if mapping.stream != stream:
        raise SourceNotReady(
            f"Feed {feed}: its mapping moved to another environment while the run began.",
            next_step="nothing; the task tries again",
        )
    version = services.artifacts.put_bytes(freeze(mapping)).sha256
    with services.artifacts.scratch(run_id) as folder:
        begun = Beginning(
            integration.source,
            claim,
            mapping,
            version,
            business_now(),
            folder,
            services,
            dry_run=bool(order and order.dry_run),
        )
        extracted = _READ[type(integration.source)](begun)
    with services.ledger("extracted") as connection:
        runs.extracted(connection, claim, epoch=extracted.span.epoch, mapping_version=version, extracted=extracted.rows)
    return extracted

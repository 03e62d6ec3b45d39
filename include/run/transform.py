"""Step 3: decide about every slot, or row, and say what the partner should hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.run.handed import InboundFile, ProviderDocuments, SlotFrames, TableArchive
from include.run.identity_providers import decide_providers
from include.run.inbound import decide_inbound
from include.run.slots import decide_slots
from include.run.whole_tables import decide_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.integration import Integration
    from include.run.handed import Decided, Validated
    from include.run.services import Services

_DECIDE: dict[type, Callable[[Integration, Validated, Services], Decided]] = {
    SlotFrames: decide_slots,
    TableArchive: decide_tables,
    InboundFile: decide_inbound,
    ProviderDocuments: decide_providers,
}


def transform(integration: Integration, validated: Validated, services: Services) -> Decided:
    """Run the integration's transform and store its decisions and its snapshot. Whole tables stay as they are.

    Raises:
        DataRejected: the transform did not account for every slot, or row, exactly once.
        FencedOut: a newer run has started.
    """
    return _DECIDE[type(validated.extracted.content)](integration, validated, services)

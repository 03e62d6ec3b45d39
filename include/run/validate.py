"""Step 2: judge what was read, before anything is decided about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.run.handed import InboundFile, ProviderDocuments, SlotFrames, TableArchive
from include.run.identity_providers import validate_providers
from include.run.inbound import validate_inbound
from include.run.slots import validate_slots
from include.run.whole_tables import validate_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.run.handed import Extracted, Validated
    from include.run.services import Services

_VALIDATE: dict[type, Callable[[Extracted, Services], Validated]] = {
    SlotFrames: validate_slots,
    TableArchive: validate_tables,
    InboundFile: validate_inbound,
    ProviderDocuments: validate_providers,
}


def validate(extracted: Extracted, services: Services) -> Validated:
    """Judge people's IDs and the mapping's completeness; or whatever else was read.

    Of whole tables, that they are complete; of a file that came in, its rows; of identity providers, what they publish
    and who has signed in.

    Faults of rows become rejections; they do not fail the run.

    Raises:
        DataRejected: a structural fault (a missing column, a null key, an incomplete table): no row can be trusted.
        FencedOut: a newer run has started.
    """
    return _VALIDATE[type(extracted.content)](extracted, services)

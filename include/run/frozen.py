"""What a run has frozen: the mapping that it goes by to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.mappings.frozen import thaw

if TYPE_CHECKING:
    from include.mappings.schema import FeedMapping
    from include.run.handed import Extracted
    from include.run.services import Services


def frozen_mapping(extracted: Extracted, services: Services) -> FeedMapping:
    """The mapping as the extract froze it."""
    with services.artifacts.open(extracted.mapping) as stored:
        return thaw(stored.read())

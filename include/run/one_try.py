"""What one try of delivering knows, whichever way the integration takes; nothing of it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.run.guarding import Guarding

if TYPE_CHECKING:
    from pathlib import Path

    from include.integration import Integration
    from include.ledger.records import Claim
    from include.mappings.schema import FeedMapping
    from include.run.handed import Decided
    from include.run.order import Order
    from include.run.services import Services


@dataclass(frozen=True, slots=True)
class OneTry:
    """``mapping`` is as the run froze it; ``folder`` is private to this try, and gone after it."""

    integration: Integration
    mapping: FeedMapping
    decided: Decided
    claim: Claim
    order: Order
    services: Services
    folder: Path

    @property
    def guarding(self) -> Guarding:
        """The guards of this run."""
        return Guarding(self.integration, self.mapping, self.decided, self.claim, self.services)

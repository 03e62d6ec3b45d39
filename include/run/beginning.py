"""What a run has when it begins to read: the fence, its mapping, its moment and a folder of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from include.integration import Source
from include.run.handed import Content, Extracted

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from include.frames import Span
    from include.ledger.records import Claim
    from include.mappings.schema import FeedMapping
    from include.run.services import Services

S = TypeVar("S", bound=Source)


@dataclass(frozen=True, slots=True)
class Beginning(Generic[S]):
    """``version`` is the stored, frozen mapping; ``now`` the business clock; ``folder`` is gone after the reading.

    ``dry_run``: nothing may be moved by it.
    """

    source: S
    claim: Claim
    mapping: FeedMapping
    version: str
    now: datetime
    folder: Path
    services: Services
    dry_run: bool = False

    def extracted(self, span: Span, content: Content, rows: int) -> Extracted:
        """What the run read: ``rows`` of it."""
        return Extracted(self.claim, self.mapping.feed, self.now, span, self.version, content, rows)

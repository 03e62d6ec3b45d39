"""What one try of delivering comes to, whichever way the integration takes: files or records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from include.run.guarding import Judged

if TYPE_CHECKING:
    from pathlib import Path

    from include.errors import DeliveryHeld, DeliveryRefused, DestinationUnavailable, ResultsUnreadable
    from include.mappings.schema import FeedMapping
    from include.run.guarding import Guarding
    from include.run.handed import Sent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was sent (None: nothing), what the guards said, and what stays held although the rest was sent.

    ``unreadable``: what the partner said of earlier deliveries could not be read. ``parked``: the partner asked for
    patience, and some records wait for a later run. ``stuck``: the partner keeps what is withdrawn, or one of
    several sources did not answer.
    """

    sent: Sent | None
    judged: Judged = field(default_factory=Judged)
    held: DeliveryHeld | None = None
    unreadable: ResultsUnreadable | None = None
    parked: bool = False
    stuck: DeliveryRefused | DestinationUnavailable | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be sent: the plan, record by record (Parquet; None: nothing), its counts, and what the guards say."""

    plan: Path | None
    counts: Sent
    judged: Judged


class Delivering(Protocol):
    """One try of delivering, one way or the other."""

    @property
    def mapping(self) -> FeedMapping:
        """The feed's mapping, as the run froze it."""

    @property
    def guarding(self) -> Guarding:
        """The guards of this run."""

    def deliver(self) -> Outcome:
        """Make the partner hold what it should, as far as the guards let it.

        Raises:
            DeliveryHeld: nothing was sent.
        """

    def preview(self) -> Preview:
        """Work out what would be sent; the partner hears nothing, and nothing moves."""

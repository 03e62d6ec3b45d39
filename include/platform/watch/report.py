"""What one round found, for whoever asks: the loop, the ping, and `./callboard watch --once`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from include.platform.watch.trouble import Findings

if TYPE_CHECKING:
    from datetime import datetime

    from include.platform.watch.feeds import Stale


@dataclass(slots=True)
class Round:
    """One round.

    ``broken`` names what failed in a way nobody foresaw; ``untold`` counts mails of the watch's own that are due and
    could not be sent.
    """

    at: datetime
    found: Findings = field(default_factory=Findings)
    stale: list[Stale] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    untold: int = 0

    @property
    def well(self) -> bool:
        """Whether there is nothing that anybody must look at."""
        return not (self.found.troubles or self.stale or self.broken or self.untold)

    @property
    def able(self) -> bool:
        """Whether the watch could do its work: every look ended, and whoever is to be told was told."""
        return not (self.broken or self.untold)

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON types; each trouble with its feed ('' is the platform) and what to do first."""
        troubles = [
            {"key": trouble.key, "feed": trouble.feed, "trouble": trouble.title, "next_step": trouble.steps[0]}
            for trouble in self.found.troubles.values()
        ]
        for each in self.stale:
            last = f"since {each.last_good_at:%Y-%m-%d %H:%M} UTC" if each.last_good_at else "ever"
            troubles.append(
                {
                    "key": f"stale.{each.feed.feed}",
                    "feed": each.feed.feed,
                    "trouble": f"no delivery {last}",
                    "next_step": "Look at the feed's last runs in Airflow: is it paused, or red?",
                }
            )
        return {
            "well": self.well,
            "at": self.at.isoformat(timespec="seconds"),
            "troubles": troubles,
            "broken": self.broken,
            "untold": self.untold,
        }

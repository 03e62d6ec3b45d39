"""What a mail is written from: one incident, as plain values, and whom and what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from include.alerts.rows import DELIVERED, SOON

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from include.alerts.rows import Row
    from include.reasons import IncidentClass

State = Literal["open", "digest", "closed"]


@dataclass(frozen=True)
class Notice:
    """One mail about one incident. Times are aware; ``zone`` is the IANA zone they are told in.

    ``feed`` is '' for the platform itself. ``title`` (the integration's name), ``partner``, ``contact`` and
    ``otherwise`` (what follows if nobody acts) come from the integration's page and may be empty. ``facts`` are the
    incident's (docs/runbooks/incidents.md); ``rows`` the slots concerned. ``now`` is the business clock, ``at`` the
    real time of writing. ``takes_in``: the feed takes in what the partner sends. ``openings``: how often it opened
    within the last hour, of one that comes and goes.
    """

    feed: str
    kind: IncidentClass
    state: State
    incident_id: int
    opened_at: datetime
    at: datetime
    now: datetime
    zone: str
    facts: Mapping[str, Any]
    rows: tuple[Row, ...] = ()
    closed_at: datetime | None = None
    run_id: str | None = None
    occurrences: int = 1
    openings: int = 1
    damped: bool = False
    title: str = ""
    partner: str = ""
    contact: str = ""
    otherwise: str = ""
    takes_in: bool = False
    airflow_url: str = ""

    @property
    def name(self) -> str:
        """The feed as people call it."""
        if not self.feed:
            return "Callboard itself"
        words = self.feed.replace("_", " ").title()
        return words if self.title in ("", words) else f"{self.title} ({self.feed})"

    @property
    def what(self) -> str:
        """What kind of trouble it is within its class."""
        return str(self.facts.get("what", ""))

    @cached_property
    def slots(self) -> int | None:
        """How many slots it concerns; None where nobody knows."""
        if self.what == "held":
            return self.facts.get("lost") or None
        return len(self._missing) if self.rows else self.facts.get("slots")

    @cached_property
    def soon(self) -> int | None:
        """How many of them are on at the moment or start within three days; None where nobody knows."""
        return sum(row.is_soon(self.now) for row in self._missing) if self.rows else self.facts.get("soon")

    @cached_property
    def people(self) -> int:
        """How many people's slots they are, as far as the rows say."""
        return len({row.emp_id for row in self._missing if row.emp_id})

    @cached_property
    def _missing(self) -> tuple[Row, ...]:
        """The slots that the partner does not have; where it has them all and they are only reported, all."""
        return tuple(row for row in self.rows if row.standing != DELIVERED) or self.rows

    @property
    def run_url(self) -> str:
        """The run's page in Airflow, if there is one."""
        if not (self.airflow_url and self.feed and self.run_id):
            return ""
        return f"{self.airflow_url}/dags/{quote(self.feed)}/runs/{quote(self.run_id)}"

    @property
    def urgent(self) -> str:
        """Whether slots of the next days are concerned, in words; '' where nobody knows."""
        if self.soon is None or not self.slots:
            return ""
        days = f"on now or starts within {SOON.days} days"
        if self.soon == 0:
            return f"no: none of them is {days}"
        if self.soon == 1:
            return f"yes: {'it' if self.slots == 1 else '1 of them'} is {days}"
        those = "all" if self.soon == self.slots else f"{self.soon:,}"
        return f"yes: {those} of them are on now or start within {SOON.days} days"

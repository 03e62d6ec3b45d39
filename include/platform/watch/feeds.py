"""Feeds that deliver nothing any more: each has its incident, which closes when the feed delivers again.

A feed is stale when two strikes of its clock have come to nothing since it last ended delivered or unchanged: twice its
interval. One that has never delivered is counted from when it was first seen here; one without a schedule is never
stale. When the watch begins, or was away (the platform was down, and with it whatever would have delivered), feeds are
given some minutes to catch up before anybody is told.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from include.cron import missed_twice
from include.ledger import deliveries, incidents, runs
from include.platform.watch.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from include.mappings.loader import FeedHead
    from include.platform.watch.memory import Memory

_log = logging.getLogger(__name__)
#: What feeds are given after the platform was down.
CATCH_UP = timedelta(minutes=10)
#: Open incidents of these classes say already why a feed delivers nothing.
_EXPLAIN = ("connection", "held", "failed")
#: A delivery is never in flight too long before this.
IN_FLIGHT = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Stale:
    """A feed that is overdue. ``last_good_at`` (UTC) is None for one that has never delivered.

    ``excused``: it is still given its time to catch up.
    """

    feed: FeedHead
    last_good_at: datetime | None
    excused: bool


def stale_feeds(
    connection: Connection, heads: Sequence[FeedHead], zone: str, memory: Memory, now: datetime
) -> list[Stale]:
    """The feeds that are stale at ``now``; ``zone`` is the clock of feeds that name none."""
    good = runs.last_good(connection, [head.feed for head in heads])
    found = []
    for head in heads:
        last = good.get(head.feed)
        due = missed_twice(head.schedule, head.time_zone or zone, last or memory.feeds[head.feed])
        if due is not None and now > due:
            found.append(Stale(head, last, excused=now <= memory.watching_since + CATCH_UP))
    return found


def tell_stale(connection: Connection, stale: Sequence[Stale], paused: Collection[str] | None) -> None:
    """Open the incident of each stale feed that has none which explains it, and close those of all other feeds.

    A feed that is excused gets none, and keeps the one it has.

    ``paused``: the feeds that somebody switched off in Airflow; None where Airflow does not say.
    """
    known = incidents.open_incidents(connection)
    told = {incident.feed: incident for incident in known if incident.kind == "stale"}
    explained = {each.feed for each in known if each.kind in _EXPLAIN or each.facts.get("stopped")}
    for each in stale:
        name = each.feed.feed
        facts = {
            "what": "late",
            "last_good_at": each.last_good_at.isoformat() if each.last_good_at else None,
            "schedule": each.feed.schedule,
            "paused": None if paused is None else name in paused,
        }
        before = told.pop(name, None)
        if before is None and (each.excused or name in explained):
            continue
        if before is not None and (paused is None or before.facts == facts):
            continue
        incidents.lock(connection, name)
        if runs.last_good(connection, [name]).get(name) == each.last_good_at:  # else a run has just ended well
            incidents.observe(connection, name, "stale", facts=facts)
            _log.warning("Feed %s delivers nothing any more.", name)
    for name in sorted(told):
        incidents.lock(connection, name)
        incidents.close(connection, name, ["stale"])
        _log.warning("Feed %s is not stale any more.", name)


def in_flight_too_long(connection: Connection, heads: Sequence[FeedHead], zone: str, now: datetime) -> list[Trouble]:
    """Deliveries that nobody has brought to their end within twice their feed's interval, or half an hour."""
    known = {head.feed: head for head in heads}
    troubles = []
    for feed, delivery in deliveries.under_way(connection):
        head = known.get(feed)
        due = missed_twice(head.schedule, head.time_zone or zone, delivery.prepared_at) if head else None
        if now <= max(due or delivery.prepared_at, delivery.prepared_at + IN_FLIGHT):
            continue
        troubles.append(
            Trouble(
                key=f"in_flight.{feed}",
                feed=feed,
                title=f"a delivery of {feed} is not brought to its end",
                what=f"Delivery {delivery.seq} of feed {feed} has been {delivery.state} since "
                f"{delivery.prepared_at:%Y-%m-%d %H:%M} UTC. Nothing newer leaves before it has ended.",
                steps=(
                    "Look at the feed's last runs in Airflow: is it paused, or does its task hang?",
                    f"Start it once, `./callboard run {feed}`: its next run carries the delivery on.",
                    "A feed that is not configured any more needs its old mapping back for one run.",
                ),
                over="the delivery has come to its end.",
                recipients=head.recipients.administrators if head else (),
            )
        )
    return troubles

"""What the change log touches, line by line: an entry and a key of the resource, in the order of the transactions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.api.resources.marks import business_time_of

if TYPE_CHECKING:
    from include.api.resources.filters import Filters
    from include.api.resources.marks import Mark
    from include.api.resources.resource import Narrowed, Resource
    from include.sources.moment import Cursor

_ENTRIES = """
    SELECT e.xid, e.change_id, e.changed_at, e.entity, e.entity_id, e.old, e.new FROM schedule.change_logs AS e
    WHERE e.xid >= %(since)s::text::xid8 AND (e.xid, e.change_id) >= (%(xid)s::text::xid8, %(change)s)
      AND e.xid < pg_snapshot_xmax(pg_current_snapshot()) AND {events}
    ORDER BY e.xid, e.change_id LIMIT {most}
"""
# An entry of a row touches one key, one of a period thousands: each of them is a line, from behind the last one told.
# What time alone brought to sight comes first, as the entry 0 of the transaction 0.
_ITEMS = """
    WITH logged AS MATERIALIZED ({entries})
    SELECT (SELECT count(*) FROM logged), items.xid, items.change_id, items.key FROM (
        SELECT 0::bigint AS xid, 0::bigint AS change_id, clock.key FROM ({by_clock}) AS clock
        UNION ALL
        SELECT e.xid::text::bigint, e.change_id, item.key FROM logged AS e LEFT JOIN LATERAL ({keys}) AS item
            ON (e.xid, e.change_id, item.key) > (%(xid)s::text::xid8, %(change)s, %(key)s::text)
    ) AS items
    ORDER BY items.xid, items.change_id, items.key LIMIT {most}
"""
_BY_CLOCK = """
    SELECT r.{key} AS key FROM {table}
    WHERE %(xid)s::bigint = 0 AND %(change)s::bigint = 0 AND r.{key} > %(key)s AND {visible} AND {by_clock}
    ORDER BY r.{key} LIMIT {most}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Behind which line something begins: transaction, entry and key; and the mark that the first page gave."""

    xid: int
    change: int
    key: str
    until: str


@dataclass(frozen=True, slots=True)
class Item:
    """One line: an entry of the change log and a key that it touches (None: none), and the place behind it."""

    change: int
    key: str | None
    behind: Place


def read_items(
    resource: Resource,
    filters: Filters,
    narrowed: Narrowed,
    since: Mark,
    place: Place,
    size: int,
    cursor: Cursor,
) -> tuple[list[Item], Place | None]:
    """At most ``size`` items from behind the place, and the place behind them where there may be more."""
    most = size + 1
    by_clock = "SELECT ''::text AS key WHERE false"
    if resource.changes.by_clock:
        by_clock = _BY_CLOCK.format(
            key=resource.key,
            table=resource.table,
            visible=narrowed.visible("r"),
            by_clock=resource.changes.by_clock,
            most=most,
        )
    query = _ITEMS.format(
        entries=_ENTRIES.format(events=resource.changes.events(filters), most=most),
        by_clock=by_clock,
        keys=resource.changes.keys,
        most=most,
    )
    values = {
        "since": since.xid,
        "xid": place.xid,
        "change": place.change,
        "key": place.key,
        "clock_from": since.business,
        "clock_to": business_time_of(place.until),
    }
    found = cursor.execute(query, {**narrowed.values, **values}, prepare=False).fetchall()
    entries = found[0][0] if found else 0
    items = [
        Item(
            change,
            key,
            Place(xid, change + 1, "", place.until) if key is None else Place(xid, change, key, place.until),
        )
        for _, xid, change, key in found[:size]
    ]
    more = len(found) == most or entries == most
    return items, items[-1].behind if more else None

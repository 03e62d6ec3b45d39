"""What has changed since a mark: rows as they are now, and tombstones of those that are gone, from the change log.

The entries of transactions that had not ended at the mark are read in the order of their transactions. Each touches
some keys: its own row's, or those of all rows that it brings to sight or withdraws. Of a key that may be seen now, the
row is told; of one that may not, that it is gone, if it was to be seen before. A key may come on several pages: the
last counts.

Whatever is committed while the pages are turned belongs to a transaction that had not ended when the first of them was
read. So it is after the mark that the first page gave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.api.resources.cursors import read_cursor, write_cursor
from include.api.resources.marks import business_time_of, mark_here, read_since
from include.api.resources.rows import Rows, rows_of_keys, together, tombstones

if TYPE_CHECKING:
    from include.api.resources.filters import Filters
    from include.api.resources.marks import Mark
    from include.api.resources.resource import Narrowed, Resource
    from include.sources.moment import Cursor

# What time alone brought to sight comes first, as the entry 0 of the transaction 0.
_ENTRIES = """
    SELECT e.xid, e.change_id, e.changed_at, e.entity, e.entity_id, e.old, e.new FROM schedule.change_logs AS e
    WHERE e.xid >= %(since)s::text::xid8 AND (e.xid, e.change_id) >= (%(xid)s::text::xid8, %(change)s)
      AND e.xid < pg_snapshot_xmax(pg_current_snapshot()) AND {events}
    ORDER BY e.xid, e.change_id LIMIT {most}
"""
# An entry of a row touches one key, one of a period thousands: each of them is a line, from behind the last one told.
_ITEMS = """
    WITH logged AS MATERIALIZED ({entries}), by_clock (xid, change_id, changed_at, entity, entity_id) AS ({by_clock})
    SELECT (SELECT count(*) FROM logged), e.xid::text::bigint, e.change_id, item.key
    FROM (
        SELECT *, NULL::jsonb AS old, NULL::jsonb AS new FROM by_clock
        WHERE %(xid)s::bigint = 0 AND %(change)s::bigint = 0
        UNION ALL SELECT * FROM logged
    ) AS e LEFT JOIN LATERAL ({keys}) AS item
        ON (e.xid, e.change_id, item.key) > (%(xid)s::text::xid8, %(change)s, %(key)s::text)
    ORDER BY e.xid, e.change_id, item.key LIMIT {most}
"""
_GONE = """
    SELECT DISTINCT ON (item.key) item.key, to_json(log.changed_at) #>> '{{}}'
    FROM unnest(%(changes)s::bigint[], %(keys)s::text[]) AS item (change_id, key)
    JOIN schedule.change_logs AS log ON log.change_id = item.change_id
    CROSS JOIN LATERAL ({was}) AS before
    CROSS JOIN LATERAL jsonb_populate_record(NULL::schedule.{name}, before.old) AS was
    WHERE before.old IS NOT NULL AND {matching}
    ORDER BY item.key, log.change_id DESC
"""


@dataclass(frozen=True, slots=True)
class Changed:
    """A page of changes: rows and tombstones, the next page's cursor, and the mark of the first page."""

    rows: Rows
    cursor: str | None
    until: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Behind which line the page begins: transaction, entry and key; and the mark that the first page gave."""

    xid: int
    change: int
    key: str
    until: str


def changed_page(resource: Resource, filters: Filters, bound_to: str, cursor: Cursor) -> Changed:
    """Read one page of what has changed since the request's mark.

    Raises:
        Problem: the cursor or the mark is wrong, or too old.
    """
    since = read_since(filters.modified_since or "", filters.departments, cursor)
    if filters.cursor is None:
        place = _Place(0, 0, "", mark_here(cursor).text(filters.departments))
    else:
        place = _Place(*read_cursor(filters.cursor, bound_to, int, int, str, str))
    narrowed = resource.narrow(filters, cursor)
    items, following = _items(resource, filters, narrowed, since, place, cursor)
    live = rows_of_keys(resource, narrowed, sorted({key for _, key in items}), cursor, as_cells=filters.csv)
    seen = set(live.keys)
    lost = [(change, key) for change, key in items if key not in seen and change]
    ended: list[tuple[Any, ...]] = []
    if lost:
        query = _GONE.format(was=resource.changes.was(filters), name=resource.name, matching=narrowed.matching("was"))
        values = {"changes": [change for change, _ in lost], "keys": [key for _, key in lost]}
        ended = cursor.execute(query, {**narrowed.values, **values}, prepare=False).fetchall()
    rows = together(live, tombstones(resource, ended, as_cells=filters.csv), as_cells=filters.csv)
    return Changed(rows, write_cursor(following, bound_to) if following else None, place.until)


def _items(
    resource: Resource, filters: Filters, narrowed: Narrowed, since: Mark, place: _Place, cursor: Cursor
) -> tuple[list[tuple[int, str]], tuple[int, int, str, str] | None]:
    """The page's entries and keys, and the place behind them where there may be more."""
    most = filters.limit + 1
    query = _ITEMS.format(
        entries=_ENTRIES.format(events=resource.changes.events(filters), most=most),
        by_clock=resource.changes.by_clock or "SELECT '0'::xid8, 0::bigint, now(), '', '' WHERE false",
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
    page = found[: filters.limit]
    following = None
    if len(found) == most or entries == most:
        _, xid, change, key = page[-1]
        following = (xid, change + 1, "", place.until) if key is None else (xid, change, key, place.until)
    return [(change, key) for _, _, change, key in page if key is not None], following

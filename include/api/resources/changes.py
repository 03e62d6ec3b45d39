"""What has changed since a mark: rows as they are now, and tombstones of those that are gone, from the change log.

The entries of transactions that had not ended at the mark are read in the order of their transactions. Each touches
some keys: its own row's, or those of all rows that it brings to sight or withdraws. Of a key that may be seen now, the
row is told; of one that may not, that it is gone, if it was to be seen before. A key may come on several pages: the
last counts.

Whatever is committed while the pages are turned belongs to a transaction that had not ended when the first of them was
read. So it is after the mark that the first page gave.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.api.resources.items import Place, read_items
from include.api.resources.marks import mark_here, read_since
from include.api.resources.rows import Rows, rows_of_keys, together, tombstones, visible_keys

if TYPE_CHECKING:
    from include.api.resources.cursors import Cursors
    from include.api.resources.filters import Filters
    from include.api.resources.items import Item
    from include.api.resources.resource import Narrowed, Resource
    from include.sources.moment import Cursor

_GONE = """
    SELECT item.change_id, item.key, to_json(log.changed_at) #>> '{{}}'
    FROM unnest(%(changes)s::bigint[], %(keys)s::text[]) AS item (change_id, key)
    JOIN schedule.change_logs AS log ON log.change_id = item.change_id
    CROSS JOIN LATERAL ({was}) AS before
    CROSS JOIN LATERAL jsonb_populate_record(NULL::schedule.{name}, before.old) AS was
    WHERE before.old IS NOT NULL AND {matching}
    ORDER BY log.change_id
"""
#: Of what must not be heard of, so much is read on for one page, in lines: at once, and in all.
_AT_ONCE, _AT_MOST = 1000, 20_000


@dataclass(frozen=True, slots=True)
class Changed:
    """A page of changes: rows and tombstones, the next page's cursor, and the mark of the first page."""

    rows: Rows
    cursor: str | None
    until: str


@dataclass(slots=True)
class _Told:
    """What a page tells: keys of rows as they are now, and when others went; at most ``limit`` of them together."""

    limit: int
    live: set[str] = field(default_factory=set)
    gone: dict[str, str] = field(default_factory=dict)

    def take(self, key: str, went: str | None) -> bool:
        """Take a key that is there, or that ``went`` then; answers False where it has no place any more."""
        if key not in self.live and key not in self.gone and len(self.live) + len(self.gone) == self.limit:
            return False
        if went is None:
            self.live.add(key)
        else:
            self.gone[key] = went
        return True


def changed_page(resource: Resource, filters: Filters, cursors: Cursors, cursor: Cursor) -> Changed:
    """Read one page of what has changed since the request's mark.

    What must not be heard of is passed over, lest empty pages tell how often it was edited.

    Raises:
        Problem: the cursor or the mark is wrong, or too old.
    """
    since = read_since(filters.modified_since or "", filters.departments, cursor)
    if filters.cursor is None:
        place = Place(0, 0, "", mark_here(cursor).text(filters.departments))
    else:
        place = Place(*cursors.read(filters.cursor, int, int, str, str))
    narrowed = resource.narrow(filters, cursor)
    told = _Told(filters.limit)
    following: Place | None = place
    size, passed = filters.limit + 1, 0
    while following is not None and passed < _AT_MOST:
        items, more = read_items(resource, filters, narrowed, since, following, size, cursor)
        following, full = _tell(told, resource, filters, narrowed, items, following, cursor)
        if full:
            break
        following = more
        passed += size
        size = min(4 * size, _AT_ONCE)
    live = rows_of_keys(resource, narrowed, sorted(told.live), cursor, as_cells=filters.csv)
    rows = together(live, tombstones(resource, sorted(told.gone.items()), as_cells=filters.csv), as_cells=filters.csv)
    told_behind = cursors.write((following.xid, following.change, following.key, place.until)) if following else None
    return Changed(rows, told_behind, place.until)


def _tell(
    told: _Told,
    resource: Resource,
    filters: Filters,
    narrowed: Narrowed,
    items: list[Item],
    before: Place,
    cursor: Cursor,
) -> tuple[Place, bool]:
    """Take of the items what is to be told; answers behind which place it ended, and whether that was for want of room.

    ``before``: the place before the first of them.
    """
    keys = sorted({item.key for item in items if item.key is not None})
    seen = visible_keys(resource, narrowed, keys, cursor)
    lost = [(item.change, item.key) for item in items if item.key is not None and item.key not in seen and item.change]
    went: dict[tuple[int, str], str] = {}
    if lost:
        query = _GONE.format(was=resource.changes.was(filters), name=resource.name, matching=narrowed.matching("was"))
        values = {"changes": [change for change, _ in lost], "keys": [key for _, key in lost]}
        found = cursor.execute(query, {**narrowed.values, **values}, prepare=False).fetchall()
        went = {(change, key): at for change, key, at in found}
    for item in items:
        if item.key is not None:
            at = went.get((item.change, item.key))
            if (item.key in seen or at is not None) and not told.take(item.key, at):
                return before, True
        before = item.behind
    return before, False

"""One page of a resource: of everything, in the order of the key, or of what has changed, in the order of the changes.

Each page is read at one moment: in one transaction, or by one statement. A mark is taken on the first page and goes
with the cursor to the last: whatever is changed while somebody turns the pages is part of what they get when they go on
from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.api.problems import wrong_parameters
from include.api.resources.changes import changed_page
from include.api.resources.cursors import cursors_of
from include.api.resources.marks import mark_here
from include.api.resources.rows import page_of_rows

if TYPE_CHECKING:
    from include.api.reader import Reader
    from include.api.resources.cursors import Cursors
    from include.api.resources.filters import Filters
    from include.api.resources.resource import Resource
    from include.api.resources.rows import Rows
    from include.sources.moment import Cursor


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its rows, the cursor of the next (None: it is the last), and the mark to go on from afterwards.

    ``as_of`` instead of the mark, where a resource is worked out anew as a whole: when it was, ISO 8601. ``state``:
    what is told beside the rows is good as long as this stays as it is.
    """

    rows: Rows
    cursor: str | None
    modified_until: str | None = None
    as_of: str | None = None
    state: str = ""


def read_page(resource: Resource, filters: Filters, reader: Reader) -> Page:
    """Read the page that a request asks for.

    Raises:
        Problem: the cursor or the mark is wrong, or too old.
        SourceNotReady: the store could not be read.
    """
    cursors = cursors_of(reader, filters.binding(resource.name))
    read = _all if filters.modified_since is None else _since
    with (reader.one_statement if _takes_one_statement(filters) else reader.one_moment)() as cursor:
        page = read(resource, filters, cursors, cursor)
        if not page.rows.count and filters.department is not None and page.cursor is None:
            _require_department(filters.department, cursor)
    return page


def _takes_one_statement(filters: Filters) -> bool:
    """Whether a page is one of those that a whole pull consists of: neither a mark nor anything else is asked for."""
    others = (filters.modified_since, filters.start, filters.end, filters.department)
    return filters.cursor is not None and all(each is None for each in others)


def _all(resource: Resource, filters: Filters, cursors: Cursors, cursor: Cursor) -> Page:
    if filters.cursor is None:
        after, until = None, mark_here(cursor).text(filters.departments)
    else:
        after, until = cursors.read(filters.cursor, str, str)
    narrowed = resource.narrow(filters, cursor)
    rows = page_of_rows(resource, narrowed, after, filters.limit, cursor, as_cells=filters.csv)
    more = rows.count == filters.limit
    return _page(rows, cursors.write((rows.last[resource.key], until)) if more else None, until)


def _since(resource: Resource, filters: Filters, cursors: Cursors, cursor: Cursor) -> Page:
    found = changed_page(resource, filters, cursors, cursor)
    return _page(found.rows, found.cursor, found.until)


def _page(rows: Rows, cursor: str | None, until: str) -> Page:
    """Marks end some day: whoever keeps a page that stays as it is gets a newer mark with it each day."""
    return Page(rows, cursor, until, state=until[:10])


def _require_department(department: str, cursor: Cursor) -> None:
    """A mistyped department has no rows, as one that nothing happens in: nobody would notice the difference."""
    known = cursor.execute("SELECT FROM schedule.departments WHERE department_id = %s", [department])
    if not known.rowcount:
        raise wrong_parameters([("department", "is not a department of this store")])

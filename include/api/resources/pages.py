"""One page of a resource: of everything, in the order of the key, or of what has changed, in the order of the changes.

Each page is read in one transaction that sees one moment. A mark is taken on the first page and goes with the cursor to
the last: whatever is changed while somebody turns the pages is part of what they get when they go on from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.api.problems import wrong_parameters
from include.api.resources.changes import changed_page
from include.api.resources.cursors import read_cursor, write_cursor
from include.api.resources.marks import mark_here
from include.api.resources.rows import page_of_rows
from include.sources.moment import one_moment

if TYPE_CHECKING:
    from include.api.resources.filters import Filters
    from include.api.resources.resource import Resource
    from include.api.resources.rows import Rows
    from include.sources.moment import Cursor


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its rows, the cursor of the next (None: it is the last), and the mark to go on from afterwards.

    ``as_of`` instead of the mark, where a resource is worked out anew as a whole: when it was, ISO 8601.
    """

    rows: Rows
    cursor: str | None
    modified_until: str | None = None
    as_of: str | None = None


def read_page(resource: Resource, filters: Filters, dsn: str) -> Page:
    """Read the page that a request asks for; ``dsn`` is the API's role's.

    Raises:
        Problem: the cursor or the mark is wrong, or too old.
        SourceNotReady: the store could not be read.
    """
    with one_moment(dsn) as cursor:
        page = _all(resource, filters, cursor) if filters.modified_since is None else _since(resource, filters, cursor)
        if not page.rows.count and filters.department is not None and page.cursor is None:
            _require_department(filters.department, cursor)
    return page


def _all(resource: Resource, filters: Filters, cursor: Cursor) -> Page:
    bound_to = filters.binding(resource.name)
    if filters.cursor is None:
        after, until = None, mark_here(cursor).text(filters.departments)
    else:
        after, until = read_cursor(filters.cursor, bound_to, str, str)
    narrowed = resource.narrow(filters, cursor)
    rows = page_of_rows(resource, narrowed, after, filters.limit, cursor, as_cells=filters.csv)
    more = rows.count == filters.limit
    return Page(rows, write_cursor((rows.keys[-1], until), bound_to) if more else None, until)


def _since(resource: Resource, filters: Filters, cursor: Cursor) -> Page:
    bound_to = filters.binding(resource.name)
    found = changed_page(resource, filters, bound_to, cursor)
    return Page(found.rows, found.cursor, found.until)


def _require_department(department: str, cursor: Cursor) -> None:
    """A mistyped department has no rows, as one that nothing happens in: nobody would notice the difference."""
    known = cursor.execute("SELECT FROM schedule.departments WHERE department_id = %s", [department])
    if not known.rowcount:
        raise wrong_parameters([("department", "is not a department of this store")])

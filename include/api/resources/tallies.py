"""Tallies: who held how much of what, as last worked out. They are replaced whole, and say as of when they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.api.resources.cursors import cursors_of
from include.api.resources.fields import Field
from include.api.resources.gone import gone
from include.api.resources.pages import Page
from include.api.resources.rows import written_rows

if TYPE_CHECKING:
    from typing import Any

    from include.api.reader import Reader
    from include.api.resources.filters import Filters

NAME = "tallies"
MEANING = "Tallies: how much of what each person held in each period, as last worked out by `lightning_bolt_api`."
KEY = ("tally_id", "period_start", "department_id", "emp_id")
FIELDS = (
    Field("tally_id", "text", "The tally: what is counted.", False, "T-CALL-MONTH"),
    Field("name", "text", "The tally's name.", False, "Calls a month"),
    Field("unit", "text", "What `value` is: slots, hours or work_units.", False, "hours"),
    Field("period", "text", "How long a period is: week, month, year or all.", False, "month"),
    Field("period_start", "date", "The first day of the period.", False, "2026-03-01"),
    Field("period_end", "date", "The last day of the period.", False, "2026-03-31"),
    Field("department_id", "text", "The department of the slots that were counted.", False, "CARD"),
    Field("emp_id", "text", "The person who held them.", False, "E0042"),
    Field("slots", "integer", "How many slots they are.", False, 4),
    Field("hours", "decimal", "How many hours they last.", False, 48.5),
    Field("work_units", "decimal", "How many work units they count.", False, 6),
    Field("value", "decimal", "The tally: one of the three, as `unit` says.", False, 48.5),
)
FILTERS = ("start", "end", "department", "person")

_PUBLICATION = "SELECT snapshot, to_json(as_of) #>> '{}' FROM ledger.tally_publication"
_CONDITIONS = {
    "start": "r.period_end >= %(start)s",
    "end": "r.period_start <= %(end)s",
    "person": "r.emp_id = %(person)s",
    "departments": "r.department_id = ANY(%(departments)s)",
}


def read_tallies(filters: Filters, reader: Reader) -> Page:
    """Read the page of tallies that a request asks for; ``start`` and ``end``: of periods that have a day of theirs.

    Raises:
        Problem: 400, the cursor is wrong; 410, the tallies were worked out anew meanwhile.
        SourceNotReady: the database could not be read.
    """
    cursors = cursors_of(reader, filters.binding(NAME))
    conditions = [form for name, form in _CONDITIONS.items() if getattr(filters, name) is not None]
    values: dict[str, Any] = {name: getattr(filters, name) for name in _CONDITIONS}
    values["departments"] = list(filters.departments or ())
    with reader.one_moment() as cursor:
        published = cursor.execute(_PUBLICATION).fetchone()
        snapshot, as_of = published or ("", None)
        if filters.cursor is not None:
            *place, began = cursors.read(filters.cursor, str, str, str, str, str)
            if began != snapshot:
                raise gone("The tallies were worked out anew meanwhile.")
            conditions.append(f"({', '.join(f'r.{name}' for name in KEY)}) > (%(k0)s, %(k1)s::date, %(k2)s, %(k3)s)")
            values |= {f"k{number}": part for number, part in enumerate(place)}
        query = (
            f"SELECT {', '.join(each.cell('r') if filters.csv else each.value('r') for each in FIELDS)}"
            f" FROM ledger.tally_values AS r WHERE {' AND '.join(conditions) or 'true'}"
            f" ORDER BY {', '.join(f'r.{name}' for name in KEY)} LIMIT {filters.limit}"
        )
        rows = written_rows(query, values, [each.name for each in FIELDS], cursor, as_cells=filters.csv)
    more = rows.count == filters.limit
    following = cursors.write((*(rows.last[name] for name in KEY), snapshot)) if more else None
    return Page(rows, following, as_of=as_of, state=snapshot)

"""Personnel: the people of the departments that a caller may see, by membership; of all of them, everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.api.resources.fields import fields_of
from include.api.resources.members import is_member, membership_entries
from include.api.resources.resource import Changes, Narrowed, Resource, department_values, equal_filters

if TYPE_CHECKING:
    from include.api.resources.filters import Filters
    from include.sources.moment import Cursor

# Nobody is removed who still belongs to a department: whoever is seen by membership goes when that does.
_LEFT = """
    SELECT to_jsonb(person) AS old FROM (SELECT log.old ->> 'emp_id' AS emp_id) AS person
    WHERE log.entity = 'memberships' AND log.old IS NOT NULL
"""
_REMOVED = "SELECT log.old WHERE log.entity = 'personnel' AND log.old IS NOT NULL"


def _narrow(filters: Filters, _: Cursor) -> Narrowed:
    ours, values = equal_filters(filters, person="emp_id")
    return Narrowed(ours, is_member(filters), values | department_values(filters))


PERSONNEL = Resource(
    name="personnel",
    meaning="Personnel: providers, and placeholders that stand for whoever holds a pager.",
    key="emp_id",
    fields=fields_of(
        "personnel",
        {
            "emp_id": "E0042",
            "display_name": "Sample, Sam",
            "last_name": "Sample",
            "first_name": "Sam",
            "personnel_type": "MD",
            "unique_id": "0000042",
            "custom1": "SER0042",
            "custom2": "K0042",
            "custom3": "sam.sample@example.org",
            "custom4": "TC0042",
            "npi": "1000000042",
            "email": "sam.sample@example.org",
            "cell_phone": "+1 555 0100",
            "pager": "555-0101",
            "phone": "555-0102",
            "home_coid": "10001",
            "away_coid": "10002",
            "is_placeholder": False,
            "active": True,
        },
    ),
    filters=("department", "person"),
    narrow=_narrow,
    changes=Changes(
        events=lambda filters: f"(e.entity = 'personnel' OR {membership_entries(filters)})",
        keys="""
            SELECT CASE WHEN e.entity = 'personnel' THEN e.entity_id
                        ELSE coalesce(e.new ->> 'emp_id', e.old ->> 'emp_id') END AS key
        """,
        was=lambda filters: _REMOVED if filters.departments is None else _LEFT,
    ),
)

"""Assignments: the kinds of shifts that slots are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.api.resources.fields import fields_of
from include.api.resources.resource import (
    Changes,
    Narrowed,
    Resource,
    department_values,
    entries_of_departments,
    equal_filters,
    of_departments,
)

if TYPE_CHECKING:
    from include.api.resources.filters import Filters
    from include.sources.moment import Cursor


def _narrow(filters: Filters, _: Cursor) -> Narrowed:
    ours, values = equal_filters(filters, assignment="assignment_id")
    departments, of_them = of_departments(filters, "department_id")
    return Narrowed((*ours, *departments), (), values | of_them | department_values(filters))


ASSIGNMENTS = Resource(
    name="assignments",
    meaning="Assignments: the kinds of shifts of each department, used or not.",
    key="assignment_id",
    fields=fields_of(
        "assignments",
        {
            "assignment_id": "1001",
            "department_id": "CARD",
            "name": "Cardiology Call",
            "compact_name": "CC",
            "assignment_type": "Call",
            "information": "Page first",
            "default_start": "19:00",
            "default_stop": "07:00",
            "call_order": 1,
            "active": True,
        },
    ),
    filters=("department", "assignment"),
    narrow=_narrow,
    changes=Changes(
        events=lambda filters: f"e.entity = 'assignments' AND {entries_of_departments(filters)}",
        keys="SELECT e.entity_id AS key",
        was=lambda _: "SELECT log.old WHERE log.old IS NOT NULL",
    ),
)

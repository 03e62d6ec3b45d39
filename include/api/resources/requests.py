"""Requests: of the people of the departments that a caller may see, by membership; of all of them, all requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.api.resources.fields import fields_of
from include.api.resources.members import is_member, membership_entries, was_member
from include.api.resources.resource import (
    Changes,
    Narrowed,
    Resource,
    department_values,
    equal_filters,
    state_before,
)

if TYPE_CHECKING:
    from include.api.resources.filters import Filters
    from include.sources.moment import Cursor

_KEYS = """
    SELECT e.entity_id AS key WHERE e.entity = 'requests'
    UNION ALL
    SELECT request.request_id FROM schedule.requests AS request
    WHERE e.entity = 'memberships' AND request.emp_id = coalesce(e.new ->> 'emp_id', e.old ->> 'emp_id')
"""
_STATE = state_before(
    "requests",
    "item.key",
    "log.change_id",
    "SELECT to_jsonb(q) FROM schedule.requests AS q WHERE request_id = item.key",
)


def _was(filters: Filters) -> str:
    return f"""
        SELECT log.old FROM (
            SELECT coalesce(max(change_id), 0) AS change_id FROM schedule.change_logs
            WHERE entity = 'requests' AND entity_id = item.key AND change_id < log.change_id
        ) AS former
        WHERE log.entity = 'requests' AND log.old IS NOT NULL
          AND {was_member(filters, "(log.old ->> 'emp_id')", "former.change_id", "log.change_id")}
        UNION ALL
        SELECT request.old FROM (SELECT {_STATE} AS old) AS request
        WHERE log.entity = 'memberships' AND log.old IS NOT NULL AND request.old ->> 'emp_id' = log.old ->> 'emp_id'
    """


def _narrow(filters: Filters, _: Cursor) -> Narrowed:
    ours, values = equal_filters(filters, person="emp_id", assignment="assignment_id")
    days: dict[str, Any] = {name: getattr(filters, name) for name in ("start", "end") if getattr(filters, name)}
    window = [form for name, form in (("start", "{r}.end_date >= %(start)s"), ("end", "{r}.start_date <= %(end)s"))
              if name in days]  # fmt: skip
    return Narrowed((*ours, *window), is_member(filters), values | department_values(filters) | days)


REQUESTS = Resource(
    name="requests",
    meaning="Requests for time off, swaps and the like, with their status.",
    key="request_id",
    fields=fields_of(
        "requests",
        {
            "request_id": "R000007",
            "emp_id": "E0042",
            "assignment_id": "1010",
            "request_type": "Time Off",
            "start_date": "2026-03-09",
            "end_date": "2026-03-13",
            "status": "approved",
            "note": "Conference",
            "submitted_at": "2026-02-01T15:00:00+00:00",
            "decided_at": "2026-02-03T16:30:00+00:00",
        },
    ),
    filters=("start", "end", "department", "person", "assignment"),
    narrow=_narrow,
    changes=Changes(
        events=lambda filters: f"(e.entity = 'requests' OR {membership_entries(filters)})", keys=_KEYS, was=_was
    ),
)

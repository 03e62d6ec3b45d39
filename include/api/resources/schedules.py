"""Schedules: the slots of published periods.

A slot is seen while its period is published, by the business clock. What has come and gone since a mark follows from
the change log alone: the entries about slots, those that publish or withdraw a period, and the passing of a time of
publication. Nothing is told of a slot that was never to be seen.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.api.resources.fields import Field, fields_of
from include.api.resources.resource import (
    Changes,
    Narrowed,
    Resource,
    department_values,
    entries_of_departments,
    equal_filters,
    of_departments,
    state_before,
)
from include.api.resources.window import window_condition
from include.clock import business_now, business_time

if TYPE_CHECKING:
    from include.api.resources.filters import Filters
    from include.sources.moment import Cursor

_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
_SOURCE = "schedule.schedules AS r JOIN schedule.schedule_periods AS period ON period.period_id = r.period_id"
_PUBLISHED = "period.published_at <= %(now)s"

#: By when a state must have been published that an entry of this time ended. A transaction may take long, and to tell
#: of a slot's end once too often is better than to leave it standing. A frozen business clock never passed a time.
_BY = "least(%(now)s, CASE WHEN NOT %(frozen)s THEN {} + interval '1 day' END)"

_KEYS = """
    SELECT e.entity_id AS key WHERE e.entity = 'schedules'
    UNION ALL
    SELECT slot.slot_id FROM schedule.schedules AS slot
    WHERE e.entity = 'schedule_periods' AND slot.period_id = e.entity_id
"""
_CAME = "{period}.published_at > %(clock_from)s AND {period}.published_at <= %(clock_to)s"
# Mostly there is none, and that is asked first: else the slots might be walked in their order, to the last of them.
_BY_CLOCK = f"""
    {_CAME.format(period="period")}
    AND EXISTS (SELECT FROM schedule.schedule_periods AS came WHERE {_CAME.format(period="came")})
"""
_STATE = state_before(
    "schedules", "item.key", "log.change_id", "SELECT to_jsonb(s) FROM schedule.schedules AS s WHERE slot_id = item.key"
)
# The period's states while the slot was as this entry found it, which is since the slot's entry before this one.
_WAS = f"""
    SELECT log.old FROM (
        SELECT coalesce(max(change_id), 0) AS change_id FROM schedule.change_logs
        WHERE entity = 'schedules' AND entity_id = item.key AND change_id < log.change_id
    ) AS former
    WHERE log.entity = 'schedules' AND log.old IS NOT NULL AND EXISTS (
        SELECT FROM (
            SELECT state.old ->> 'published_at' AS published_at, state.changed_at FROM schedule.change_logs AS state
            WHERE entity = 'schedule_periods' AND entity_id = log.old ->> 'period_id'
              AND state.change_id > former.change_id AND state.change_id < log.change_id
            UNION ALL
            SELECT {
    state_before(
        "schedule_periods",
        "log.old ->> 'period_id'",
        "log.change_id",
        "SELECT to_jsonb(p) FROM schedule.schedule_periods AS p WHERE p.period_id = log.old ->> 'period_id'",
    )
} ->> 'published_at', log.changed_at
        ) AS state
        WHERE state.published_at::timestamptz <= {_BY.format("state.changed_at")}
    )
    UNION ALL
    SELECT slot.old FROM (SELECT {_STATE} AS old) AS slot
    WHERE log.entity = 'schedule_periods' AND slot.old ->> 'period_id' = log.entity_id
      AND (log.old ->> 'published_at')::timestamptz <= {_BY.format("log.changed_at")}
"""


def _narrow(filters: Filters, cursor: Cursor) -> Narrowed:
    ours, values = equal_filters(filters, person="emp_id", assignment="assignment_id")
    departments, of_them = of_departments(filters, "department_id")
    window, bounds = window_condition(filters, cursor)
    now: dict[str, Any] = {"now": business_now(), "frozen": business_time(_ONCE) != _ONCE}
    return Narrowed(
        (*ours, *departments, *window), (_PUBLISHED,), values | of_them | department_values(filters) | bounds | now
    )


def _events(filters: Filters) -> str:
    return f"""
        (e.entity = 'schedules' OR (e.entity = 'schedule_periods'
         AND e.old ->> 'published_at' IS DISTINCT FROM e.new ->> 'published_at'))
        AND {entries_of_departments(filters)}
    """


SCHEDULES = Resource(
    name="schedules",
    meaning="Slots of published schedule periods: one assignment at one time, held by one person or open.",
    key="slot_id",
    fields=fields_of(
        "schedules",
        {
            "slot_id": "S000123",
            "period_id": "CARD-2026-03",
            "assignment_id": "1001",
            "emp_id": "E0042",
            "slot_date": "2026-03-02",
            "start_local": "2026-03-02T19:00:00",
            "stop_local": "2026-03-03T07:00:00",
            "start_utc": "2026-03-03T01:00:00+00:00",
            "stop_utc": "2026-03-03T13:00:00+00:00",
            "note": "Call the desk first",
            "location": "Tower 3",
            "call_order": 1,
            "is_pending": False,
            "work_units": 1.5,
        },
        (Field("department_id", "text", "The department: that of the assignment.", False, "CARD"),),
    ),
    filters=("start", "end", "department", "person", "assignment"),
    narrow=_narrow,
    changes=Changes(_events, _KEYS, lambda _: _WAS, _BY_CLOCK),
    source=_SOURCE,
)

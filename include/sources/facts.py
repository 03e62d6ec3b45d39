"""What the schedule store knows about slots that a run did not extract, for explanations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.clock import business_now
from include.database import transaction

if TYPE_CHECKING:
    from datetime import date, datetime

# A deleted slot is known from the newest line of the change log about it, while that is kept.
_LIVE = """
    SELECT slot.slot_id, false, coalesce(period.published_at <= :now, false), slot.department_id, slot.slot_date,
        slot.start_utc, slot.stop_utc, greatest(slot.modified_at, period.modified_at)
    FROM schedule.schedules AS slot JOIN schedule.schedule_periods AS period USING (period_id)
"""
_DELETED = """
    SELECT log.entity_id, true, false, log.old ->> 'department_id', (log.old ->> 'slot_date')::date,
        (log.old ->> 'start_utc')::timestamptz, (log.old ->> 'stop_utc')::timestamptz, log.changed_at
    FROM (
        SELECT DISTINCT ON (entity_id) entity_id, action, old, changed_at FROM schedule.change_logs
        WHERE entity = 'schedules' AND {which} ORDER BY entity_id, change_id DESC
    ) AS log
    WHERE log.action = 'delete' AND NOT EXISTS (SELECT FROM schedule.schedules WHERE slot_id = log.entity_id)
"""


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """Where a slot stands at the business clock's now. ``deleted`` slots are as they were last, and not published.

    ``changed_at`` (real time): when the slot or its period was last changed.
    """

    slot_id: str
    deleted: bool
    published: bool
    department_id: str
    slot_date: date
    start_utc: datetime
    stop_utc: datetime
    changed_at: datetime


def locate_slot(dsn: str, slot_id: str) -> SlotFacts | None:
    """Find one slot, in the store or else in the change log; None where neither knows it.

    Raises:
        SourceNotReady: the store could not be read.
    """
    found = _facts(
        dsn,
        f"{_LIVE} WHERE slot.slot_id = :slot_id UNION ALL {_DELETED.format(which='entity_id = :slot_id')}",
        {"slot_id": slot_id},
    )
    return found[0] if found else None


def slots_of_person(dsn: str, emp_id: str, day: date) -> list[SlotFacts]:
    """Find the slots that a person holds, or last held, on ``day``: dated on it, or with local time in it.

    Ordered by start.

    Raises:
        SourceNotReady: the store could not be read.
    """
    touched = "({date} = :day OR ({start} < :day + 1 AND {stop} > :day))"
    live = touched.format(date="slot.slot_date", start="slot.start_local", stop="slot.stop_local")
    deleted = touched.format(
        date="(old ->> 'slot_date')::date",
        start="(old ->> 'start_local')::timestamp",
        stop="(old ->> 'stop_local')::timestamp",
    )
    return _facts(
        dsn,
        f"{_LIVE} WHERE slot.emp_id = :emp_id AND {live} UNION ALL "
        + _DELETED.format(which=f"action = 'delete' AND old ->> 'emp_id' = :emp_id AND {deleted}"),
        {"emp_id": emp_id, "day": day},
    )


def _facts(dsn: str, query: str, values: dict[str, Any]) -> list[SlotFacts]:
    from sqlalchemy import bindparam, text
    from sqlalchemy.types import Date

    statement = text(query)
    if "day" in values:
        statement = statement.bindparams(bindparam("day", type_=Date))
    with transaction(dsn) as connection:
        rows = connection.execute(statement, {"now": business_now()} | values).all()
    return sorted((SlotFacts(*row) for row in rows), key=lambda facts: (facts.start_utc, facts.slot_id))

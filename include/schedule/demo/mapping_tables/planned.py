"""What the mapping tables are made of: each assignment with its duty and department, and rows that change on a day."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from include.schedule.demo.duties import PLANS, Duty, Plan
from include.schedule.demo.model import Hospital
from include.schedule.demo.people import add_departments

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, str]
#: The columns that every assignment table begins with.
COMMON_COLUMNS = ("assignment_id", "ignore", "valid_from", "valid_to")


def planned_assignments() -> Iterator[tuple[str, Duty, Plan, int]]:
    """Yield each assignment's ID, duty and plan, with the plan's number; the order is that of the hospital."""
    hospital = Hospital(today=date.min)
    add_departments(hospital)
    duties = ((duty, plan, number) for number, plan in enumerate(PLANS) for duty in plan.duties)
    for assignment, (duty, plan, number) in zip(hospital.assignments, duties, strict=True):
        yield assignment.assignment_id, duty, plan, number


def ignored(assignment_id: str) -> Row:
    """Answer the row of an assignment that is deliberately not delivered."""
    return {"assignment_id": assignment_id, "ignore": "true"}


def changing(row: Row, first_day: date, changes: Row) -> list[Row]:
    """Answer the row up to the day before ``first_day``, and from then on with the changes."""
    before = {**row, "valid_to": date.fromordinal(first_day.toordinal() - 1).isoformat()}
    return [before, {**row, "valid_from": first_day.isoformat(), **changes}]

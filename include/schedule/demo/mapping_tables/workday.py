"""What the demo hospital's assignments are to Workday, and in which positions people work."""

from __future__ import annotations

from include.schedule.demo.duties import PLANS
from include.schedule.demo.mapping_tables.planned import COMMON_COLUMNS, Row, ignored, planned_assignments
from include.schedule.demo.people import department_id

COLUMNS = (*COMMON_COLUMNS, "integration_type", "integration_category")
POSITION_COLUMNS = ("emp_id", "department_id", "assignment_id", "position_id")
#: Codes of types of assignments; operating rooms have one of their own.
_CODES = {"Call": "ON_CALL", "Shift": "REGULAR", "Clinic": "CLINIC", "OR": "OPERATING_ROOM"}
#: A short break is no time block.
_NOT_TRACKED = frozenset({"lunch"})


def rows() -> list[Row]:
    """Answer one row per assignment: work is a time block, vacation is time off."""
    found: list[Row] = []
    for assignment_id, duty, _, _ in planned_assignments():
        if not duty.active:
            continue
        if duty.key in _NOT_TRACKED:
            found.append(ignored(assignment_id))
        elif duty.type in _CODES:
            found.append(_row(assignment_id, "Time Block", _CODES[duty.type]))
        else:
            found.append(_row(assignment_id, "Time Off", "VACATION"))
    return found


def positions() -> list[Row]:
    """Answer the positions: one for each department, another for call in it, and two people's own."""
    found: list[Row] = [
        {"department_id": department_id(number), "position_id": f"P-{4000 + number * 10}"}
        for number in range(len(PLANS))
    ]
    found += [
        {"assignment_id": assignment_id, "position_id": f"P-{4000 + number * 10}-CALL"}
        for assignment_id, duty, _, number in planned_assignments()
        if duty.key == "primary_call"
    ]
    found += [{"emp_id": emp_id, "position_id": f"P-{emp_id}"} for emp_id in ("20001", "20002")]
    return found


def _row(assignment_id: str, kind: str, category: str) -> Row:
    return {"assignment_id": assignment_id, "integration_type": kind, "integration_category": category}

"""What the demo hospital's assignments are to Epic OpTime."""

from __future__ import annotations

from include.schedule.demo.mapping_tables.planned import COMMON_COLUMNS, Row, ignored, planned_assignments

COLUMNS = (*COMMON_COLUMNS, "import_group", "resource_type", "role", "timezone")

#: Work in operating rooms by duty: what it is to Epic's snapboard.
_STAFF: dict[str, Row] = {
    "or_days": {"resource_type": "1010", "role": "Attending"},
    "or_late": {"resource_type": "1020", "role": "Late Room"},
    "or_residents": {"resource_type": "1030", "role": "Resident"},
    "staff_days": {"resource_type": "1040"},
}
#: The plan's number of a department that also staffs rooms in another zone than its own, and that zone.
_ELSEWHERE = {15: "America/Phoenix"}


def rows() -> list[Row]:
    """Answer one row per assignment: operating rooms go to OpTime, everything else is ignored."""
    found: list[Row] = []
    for assignment_id, duty, plan, number in planned_assignments():
        if not duty.active:
            continue
        surgical = any(other.type == "OR" for other in plan.duties)
        if duty.key not in _STAFF or not surgical:
            found.append(ignored(assignment_id))
            continue
        row = {"assignment_id": assignment_id, "import_group": f"OR{plan.campus + 1:02}", **_STAFF[duty.key]}
        if number in _ELSEWHERE:
            row["timezone"] = _ELSEWHERE[number]
        found.append(row)
    return found

"""What the demo hospital's assignments are to New Innovations."""

from __future__ import annotations

from include.schedule.demo.duties import CAMPUSES
from include.schedule.demo.mapping_tables.planned import COMMON_COLUMNS, Row, ignored, planned_assignments

COLUMNS = (*COMMON_COLUMNS, "ni_duty_hour_name", "ni_assignment_name", "notes", "location", "include_slot_note")

#: Residents' duties by their duty hour name.
_DUTY_HOURS: dict[str, Row] = {
    "resident_days": {"ni_duty_hour_name": "Shift"},
    "resident_call": {"ni_duty_hour_name": "In-House Call", "include_slot_note": "true"},
    "or_residents": {"ni_duty_hour_name": "Shift", "notes": "Operating room"},
    "consults": {"ni_duty_hour_name": "Shift", "notes": "Inpatient consults"},
}


def rows() -> list[Row]:
    """Answer one row per assignment: what residents do goes to New Innovations, everything else is ignored."""
    found: list[Row] = []
    for assignment_id, duty, plan, _ in planned_assignments():
        if not duty.active:
            continue
        if duty.key not in _DUTY_HOURS:
            found.append(ignored(assignment_id))
            continue
        row = {"assignment_id": assignment_id, **_DUTY_HOURS[duty.key]}
        if duty.key != "resident_call":
            row["ni_assignment_name"] = f"{plan.name} {duty.name}"
            row["location"] = CAMPUSES[plan.campus].facility
        found.append(row)
    return found

"""What the demo hospital's assignments are to Outlook."""

from __future__ import annotations

from include.schedule.demo.mapping_tables.planned import COMMON_COLUMNS, Row, planned_assignments

COLUMNS = (
    *COMMON_COLUMNS,
    "send_to_outlook",
    "include_schedule_notes",
    "include_assignment_information",
    "send_as_free",
)


def rows() -> list[Row]:
    """Answer one row per assignment: all but clinics are sent; call tells how to reach whom, and leaves people free."""
    found: list[Row] = []
    for assignment_id, duty, _, _ in planned_assignments():
        if not duty.active:
            continue
        call = duty.type == "Call"
        found.append(
            {
                "assignment_id": assignment_id,
                "send_to_outlook": "false" if duty.type == "Clinic" else "true",
                "include_schedule_notes": "true" if call else "",
                "include_assignment_information": "true" if call else "",
                "send_as_free": "true" if call else "",
            }
        )
    return found

"""What the demo hospital's call is to TigerConnect."""

from __future__ import annotations

from include.schedule.demo.mapping_tables.planned import COMMON_COLUMNS, Row, ignored, planned_assignments

COLUMNS = (*COMMON_COLUMNS, "job_token")
#: A new assignment that nobody has mapped yet: its slots are rejected as `assignment_unmapped`.
_UNKNOWN = frozenset({"surge"})
#: Call by how its job is called; weekend call lasts from Friday to Monday and is sent in parts.
_JOBS = {"primary_call": "FIRST", "weekend_call": "WEEKEND"}


def rows() -> list[Row]:
    """Answer one row per assignment: first and weekend call are jobs, all but new call is ignored."""
    return [
        {"assignment_id": assignment_id, "job_token": f"JT-{plan.campus + 1}{number:02d}-{_JOBS[duty.key]}"}
        if duty.key in _JOBS
        else ignored(assignment_id)
        for assignment_id, duty, plan, number in planned_assignments()
        if duty.active and duty.key not in _UNKNOWN
    ]

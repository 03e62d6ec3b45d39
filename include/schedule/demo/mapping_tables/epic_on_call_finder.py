"""What the demo hospital's assignments are to Epic On Call Finder."""

from __future__ import annotations

from datetime import date

from include.schedule.demo.duties import CAMPUSES, Plan
from include.schedule.demo.mapping_tables.planned import COMMON_COLUMNS, Row, changing, ignored, planned_assignments

#: A new assignment that nobody has mapped yet: its slots are rejected as `assignment_unmapped`.
_UNKNOWN_TO_EPIC = frozenset({"surge"})

COLUMNS = (
    *COMMON_COLUMNS,
    "epic_team_id",
    "team_name",
    "role",
    "note_prefix",
    "team_comment",
    "call_order",
    "include_assignment_information",
)
_EPIC_ROLES = {
    "primary_call": "First Call",
    "backup_call": "Backup Call",
    "weekend_call": "Weekend Call",
    "resident_call": "Resident On Call",
    "staff_call": "Technician On Call",
}
_NEW_TEAM_FROM = date(2027, 1, 1)  # the emergency team of the central campus gets another number in Epic


def rows() -> list[Row]:
    """Answer one row per assignment: call goes to Epic, everything else is ignored, new call is not there yet."""
    found: list[Row] = []
    for assignment_id, duty, plan, number in planned_assignments():
        if duty.key in _UNKNOWN_TO_EPIC or not duty.active:
            continue
        if duty.type != "Call":
            found.append(ignored(assignment_id))
            continue
        row = {
            "assignment_id": assignment_id,
            "epic_team_id": f"{plan.campus + 1}{1000 + number * 10}",
            "team_name": f"{plan.name}, {CAMPUSES[plan.campus].facility}",
            "role": _EPIC_ROLES[duty.key],
        }
        if duty.key == "primary_call":
            row["call_order"] = "1"
            row["include_assignment_information"] = "true"
        if duty.key == "backup_call":
            row["note_prefix"] = "Only if first call does not answer:"
        if duty.key == "staff_call":
            row["note_prefix"] = "Through the OR desk:"
        if plan.name == "Neurology":
            row["team_comment"] = "Stroke alerts: call the operator first"
        found += changing(row, _NEW_TEAM_FROM, {"epic_team_id": "29000"}) if _team_is_renumbered(plan) else [row]
    return found


def _team_is_renumbered(plan: Plan) -> bool:
    return plan.name == "Emergency Medicine" and plan.campus == 1

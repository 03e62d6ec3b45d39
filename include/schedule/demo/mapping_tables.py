"""The demo hospital's mapping tables: what its assignments mean to each partner.

They ship as ``include/mappings/<feed>.csv`` and look like what an analyst keeps in a spreadsheet. They depend on
departments and duties alone, not on a date; ``python -m include.schedule.demo mapping-tables`` writes them again.
"""

from __future__ import annotations

import csv
from datetime import date
from typing import TYPE_CHECKING

from include.schedule.demo.duties import CAMPUSES, PLANS, Duty, Plan
from include.schedule.demo.model import Hospital
from include.schedule.demo.people import add_departments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Rows = list[dict[str, str]]

#: New assignments that nobody has mapped yet: their slots are rejected as `assignment_unmapped`.
_UNKNOWN_TO_EPIC = frozenset({"surge"})
_UNKNOWN_TO_PAYROLL = frozenset({"surge", "outreach"})

_EPIC_COLUMNS = (
    "assignment_id",
    "ignore",
    "valid_from",
    "valid_to",
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

_PAYROLL_COLUMNS = (
    "assignment_id",
    "ignore",
    "valid_from",
    "valid_to",
    "work_rule_transfer",
    "pay_code_edit",
    "segment_type",
    "open_shift",
    "business_structure",
    "cost_center_transfer",
    "labor_categories",
    "comment",
)
#: What a duty is to payroll; call of salaried physicians and residents is not paid by the shift.
_PAYROLL: dict[str, dict[str, str]] = {
    "attending_days": {"comment": "Scheduled shift"},
    "swing": {"comment": "Evening shift", "work_rule_transfer": "Evening"},
    "late": {"comment": "Night shift", "work_rule_transfer": "Night"},
    "resident_days": {"comment": "Resident shift", "labor_categories": "Education"},
    "consults": {"comment": "Resident shift", "labor_categories": "Education|Consult"},
    "or_residents": {"comment": "Resident shift", "labor_categories": "Education|OR"},
    "app_days": {"comment": "Scheduled shift"},
    "staff_days": {"comment": "Scheduled shift", "open_shift": "true", "labor_categories": "Bedside|Days"},
    "staff_nights": {
        "comment": "Night shift",
        "open_shift": "true",
        "work_rule_transfer": "Night Differential",
        "labor_categories": "Bedside|Nights",
    },
    "staff_early": {"comment": "Evening shift", "work_rule_transfer": "Evening", "labor_categories": "Sleep Lab"},
    "staff_late": {
        "comment": "Night shift",
        "work_rule_transfer": "Night Differential",
        "labor_categories": "Sleep Lab",
    },
    "staff_call": {"comment": "On call", "work_rule_transfer": "On Call"},
    "or_days": {"comment": "Operating room", "labor_categories": "OR"},
    "or_late": {"comment": "Operating room, late", "work_rule_transfer": "Evening", "labor_categories": "OR|Late"},
    "lunch": {"comment": "Meal break", "segment_type": "Break"},
    "float": {"comment": "Float to another unit", "segment_type": "Transfer", "open_shift": "true"},
    "clinic": {"comment": "Clinic session"},
    "app_clinic": {"comment": "Clinic session"},
    "vacation": {"comment": "Paid time off", "pay_code_edit": "PTO"},
}
_JOBS = {"attending": "Physician", "resident": "Resident", "app": "Advanced Practice", "staff": "Staff"}
_NEW_RULE_FROM = date(2027, 1, 3)  # a new night rule from the first pay period of the year on


def write_mapping_tables(folder: Path) -> None:
    """Write the demo hospital's mapping tables into ``folder``, over those that are there."""
    _write(folder / "epic_on_call_finder.csv", _EPIC_COLUMNS, epic_on_call_finder_rows())
    _write(folder / "kronos_workforce_dimensions.csv", _PAYROLL_COLUMNS, kronos_workforce_dimensions_rows())
    comments = sorted({row["comment"] for row in kronos_workforce_dimensions_rows() if row.get("comment")})
    _write(folder / "kronos_workforce_dimensions.comments.csv", ("comment",), [{"comment": each} for each in comments])


def epic_on_call_finder_rows() -> Rows:
    """Answer one row per assignment: call goes to Epic, everything else is ignored, new call is not there yet."""
    rows: Rows = []
    for assignment_id, duty, plan, number in _assignments():
        if duty.key in _UNKNOWN_TO_EPIC or not duty.active:
            continue
        if duty.type != "Call":
            rows.append({"assignment_id": assignment_id, "ignore": "true"})
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
        rows += _changing(row, _NEW_TEAM_FROM, {"epic_team_id": "29000"}) if _team_is_renumbered(plan) else [row]
    return rows


def kronos_workforce_dimensions_rows() -> Rows:
    """Answer one row per assignment: work and time off go to payroll, call of physicians is ignored."""
    rows: Rows = []
    for assignment_id, duty, plan, number in _assignments():
        if duty.key in _UNKNOWN_TO_PAYROLL or not duty.active:
            continue
        if duty.key not in _PAYROLL:
            rows.append({"assignment_id": assignment_id, "ignore": "true"})
            continue
        campus = CAMPUSES[plan.campus]
        row = {"assignment_id": assignment_id, "segment_type": "Regular", **_PAYROLL[duty.key]}
        if duty.pool in _JOBS:
            row["business_structure"] = f"{campus.facility}/{plan.name}/{_JOBS[duty.pool]}"
        if row["segment_type"] == "Transfer":
            row["cost_center_transfer"] = f"{campus.coid}-{4000 + number * 10}-FLOAT"
        if duty.key == "staff_nights" and plan.name == "Critical Care":
            rows += _changing(row, _NEW_RULE_FROM, {"work_rule_transfer": "Critical Care Night"})
        else:
            rows.append(row)
    return rows


def _assignments() -> Iterator[tuple[str, Duty, Plan, int]]:
    """Yield each assignment's ID, duty and plan, with the plan's number; the order is that of the hospital."""
    hospital = Hospital(today=date.min)
    add_departments(hospital)
    duties = ((duty, plan, number) for number, plan in enumerate(PLANS) for duty in plan.duties)
    for assignment, (duty, plan, number) in zip(hospital.assignments, duties, strict=True):
        yield assignment.assignment_id, duty, plan, number


def _team_is_renumbered(plan: Plan) -> bool:
    return plan.name == "Emergency Medicine" and plan.campus == 1


def _changing(row: dict[str, str], first_day: date, changes: dict[str, str]) -> Rows:
    """Answer the row up to the day before ``first_day``, and from then on with the changes."""
    before = {**row, "valid_to": date.fromordinal(first_day.toordinal() - 1).isoformat()}
    return [before, {**row, "valid_from": first_day.isoformat(), **changes}]


def _write(path: Path, columns: tuple[str, ...], rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)

"""What the demo hospital's assignments are to Kronos Workforce Dimensions."""

from __future__ import annotations

from datetime import date

from include.schedule.demo.duties import CAMPUSES
from include.schedule.demo.mapping_tables.planned import COMMON_COLUMNS, Row, changing, ignored, planned_assignments

#: New assignments that payroll does not know yet: their slots are rejected as `assignment_unmapped`.
_UNKNOWN_TO_PAYROLL = frozenset({"surge", "outreach"})

COLUMNS = (
    *COMMON_COLUMNS,
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


def rows() -> list[Row]:
    """Answer one row per assignment: work and time off go to payroll, call of physicians is ignored."""
    found: list[Row] = []
    for assignment_id, duty, plan, number in planned_assignments():
        if duty.key in _UNKNOWN_TO_PAYROLL or not duty.active:
            continue
        if duty.key not in _PAYROLL:
            found.append(ignored(assignment_id))
            continue
        campus = CAMPUSES[plan.campus]
        row = {"assignment_id": assignment_id, "segment_type": "Regular", **_PAYROLL[duty.key]}
        if duty.pool in _JOBS:
            row["business_structure"] = f"{campus.facility}/{plan.name}/{_JOBS[duty.pool]}"
        if row["segment_type"] == "Transfer":
            row["cost_center_transfer"] = f"{campus.coid}-{4000 + number * 10}-FLOAT"
        if duty.key == "staff_nights" and plan.name == "Critical Care":
            found += changing(row, _NEW_RULE_FROM, {"work_rule_transfer": "Critical Care Night"})
        else:
            found.append(row)
    return found

"""What the demo hospital's assignments are to Kronos Workforce Central, and its matrix: call and shifts are paid."""

from __future__ import annotations

from include.schedule.demo.duties import CAMPUSES
from include.schedule.demo.mapping_tables.planned import COMMON_COLUMNS, Row, ignored, planned_assignments

COLUMNS = (*COMMON_COLUMNS, "pay_code_home", "pay_code_away")
MATRIX_COLUMNS = ("personnel_type", "assignment_type")
#: Pay codes of a type of assignments at home, and with the company's number in place of ``{coid}`` away from home.
_PAY_CODES = {
    "Call": ("CALL", "CALL-{coid}"),
    "Shift": ("REG", "REG-{coid}"),
    "Clinic": ("REG", "REG-{coid}"),
    "OR": ("OR", "OR-{coid}"),
}
_NIGHTS = {"staff_nights": ("NIGHT", "NIGHT-{coid}"), "staff_late": ("NIGHT", "NIGHT-{coid}")}


def rows() -> list[Row]:
    """Answer one row per assignment; time off goes to payroll by other ways and is ignored."""
    found: list[Row] = []
    for assignment_id, duty, plan, _ in planned_assignments():
        if not duty.active:
            continue
        codes = _NIGHTS.get(duty.key) or _PAY_CODES.get(duty.type)
        if codes is None:
            found.append(ignored(assignment_id))
            continue
        home, away = codes
        away = away.format(coid=CAMPUSES[plan.campus].coid)
        found.append({"assignment_id": assignment_id, "pay_code_home": home, "pay_code_away": away})
    return found


def matrix() -> list[Row]:
    """Answer the pairs that are paid by the hour: what staff do, and the shifts of residents."""
    pairs = [("Non-Exempt", kind) for kind in ("Call", "Shift", "Clinic", "OR")] + [("Resident", "Shift")]
    return [{"personnel_type": person, "assignment_type": kind} for person, kind in pairs]

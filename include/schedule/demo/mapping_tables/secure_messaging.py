"""What the demo hospital's call is to its messaging partners; each campus has two of them, and sends them its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.schedule.demo.duties import CAMPUSES
from include.schedule.demo.mapping_tables.planned import COMMON_COLUMNS, Row, ignored, planned_assignments
from include.schedule.demo.names import MESSAGING_PARTNERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.schedule.demo.duties import Plan

COLUMNS = (*COMMON_COLUMNS, "target_id", "target_name", "role", "priority")
#: How each partner calls a target, after the department's number.
_TARGETS = {
    "perfectserve": "PS-{:04d}",
    "spok": "{:05d}",
    "amtelco": "OC{:04d}",
    "voalte": "voalte-{:03d}",
    "vocera": "G-{:04d}",
    "epic_secure_chat": "{:06d}",
}
_ROLES = {
    "primary_call": ("First Call", "1"),
    "backup_call": ("Backup Call", "2"),
    "weekend_call": ("Weekend Call", ""),
    "resident_call": ("Resident On Call", ""),
}
#: A new assignment that nobody has mapped yet: its slots are rejected as `assignment_unmapped`.
_UNKNOWN = frozenset({"surge"})
#: Departments whose first call stands at a second target, too: the transfer center of their campus.
_ALSO_TRANSFERS = frozenset({"Emergency Medicine", "Neurology", "Critical Care"})
_TRANSFER_CENTER = 900
#: Residents are pages of the emergency department only: the others have their own ways.
_RESIDENTS_OF = frozenset({"Emergency Medicine"})


def rows(partner: str) -> list[Row]:
    """Answer a row or two per assignment: call of the partner's campus goes there, all but new call is ignored."""
    found: list[Row] = []
    for assignment_id, duty, plan, number in planned_assignments():
        if duty.key in _UNKNOWN or not duty.active:
            continue
        here = plan.campus == MESSAGING_PARTNERS.index(partner) % len(CAMPUSES)
        if not here or not _is_sent(plan, duty.key):
            found.append(ignored(assignment_id))
            continue
        role, priority = _ROLES[duty.key]
        found += [
            {
                "assignment_id": assignment_id,
                "target_id": _TARGETS[partner].format(target),
                "target_name": name,
                "role": role,
                "priority": priority,
            }
            for target, name in _targets(plan, number, duty.key)
        ]
    return found


def _is_sent(plan: Plan, duty: str) -> bool:
    return duty in _ROLES and (duty != "resident_call" or plan.name in _RESIDENTS_OF)


def _targets(plan: Plan, number: int, duty: str) -> Iterator[tuple[int, str]]:
    facility = CAMPUSES[plan.campus].facility
    yield 100 + number, f"{plan.name}, {facility}"
    if duty == "primary_call" and plan.name in _ALSO_TRANSFERS:
        yield _TRANSFER_CENTER + plan.campus, f"Transfer Center, {facility}"

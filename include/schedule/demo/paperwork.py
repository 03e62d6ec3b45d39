"""What surrounds the demo schedule: requests, saved views, tallies."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta

from include.schedule.demo.model import Hospital, Request, Tally, ViewSetting

_ONE_IN = 5  # time-off slots with a request on record
_STATUSES = ("approved", "approved", "approved", "pending", "denied", "withdrawn")
_REASONS = ("Family visit", None, "Conference, if covered", 'A "must"', None, "Moving house\n(2 days)")
_VIEWS = (
    "Tonight's call",
    "My month",
    "All campuses, week",
    "Open shifts",
    "Residents",
    "OR board",
    "Holidays",
    "Zoë at night",
)


def add_requests(hospital: Hospital) -> None:
    """Add requests: one for every fifth time-off slot, in every state; only approved ones belong to a slot for good."""
    time_off = {item.assignment_id for item in hospital.assignments if item.assignment_type == "Time Off"}
    slots = [slot for slot in hospital.schedules if slot.assignment_id in time_off and slot.emp_id]
    for index, slot in enumerate(slots[::_ONE_IN]):
        status = _STATUSES[index % len(_STATUSES)]
        submitted = datetime.combine(slot.slot_date - timedelta(days=45), time(9, index % 60), UTC)
        hospital.requests.append(
            Request(
                request_id=f"R{len(hospital.requests) + 1:05d}",
                emp_id=slot.emp_id or "",
                assignment_id=slot.assignment_id if index % 4 else None,
                request_type="Time Off" if index % 7 else "Preference",
                start_date=slot.slot_date,
                end_date=slot.slot_date + timedelta(days=index % 3),
                status=status,
                note=_REASONS[index % len(_REASONS)],
                submitted_at=submitted,
                decided_at=None if status == "pending" else submitted + timedelta(days=3, hours=1),
            )
        )


def add_views_and_tallies(hospital: Hospital) -> None:
    """Add saved views, some of everybody and some of one person, and a tally of every unit and period."""
    departments = [item.department_id for item in hospital.departments]
    for index, name in enumerate(_VIEWS):
        settings = {
            "departments": departments[index :: len(_VIEWS)],
            "columns": ["date", "assignment", "person", "note"],
            "sort": "assignment" if index % 2 else "date",
            "title": f'{name}, "print"',
        }
        owner = hospital.personnel[index * 97].emp_id if index % 2 else None
        hospital.view_settings.append(
            ViewSetting(f"V{index + 1:03d}", name, owner, json.dumps(settings, sort_keys=True))
        )
    for index, (unit, period) in enumerate(
        (unit, period) for unit in ("slots", "hours", "work_units") for period in ("week", "month", "year", "all")
    ):
        kind = ("Call", "Shift", None)[index % 3]
        assignment = None if kind else hospital.assignments[index].assignment_id
        name = f"{kind or 'One assignment'}: {unit.replace('_', ' ')} per {period}"
        hospital.tallies.append(Tally(f"T{index + 1:03d}", name, kind, assignment, unit, period))

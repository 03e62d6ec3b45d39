"""What the demo hospital does: campuses, departments, and the duties of each kind of department.

Tables only. A department has one assignment per duty of its kind; 17 departments with ten duties and two small ones
with five make 180 assignments.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

#: Pay periods, and with them the schedule periods of all departments but one, begin on this Sunday and every 14 days.
PAY_PERIOD_ANCHOR = date(2026, 1, 4)
PAY_PERIOD_DAYS = 14


@dataclass(frozen=True, slots=True)
class Campus:
    """A hospital of the system. ``group``: its pay group; ``coid``: the company that pays for work done there."""

    facility: str
    time_zone: str
    group: str
    coid: str


CAMPUSES = (
    Campus("Cedar Hollow Medical Center", "America/New_York", "east", "03101"),
    Campus("Prairie Gate Hospital", "America/Chicago", "central", "03102"),
    Campus("Harbor Mesa Hospital", "America/Los_Angeles", "west", "03103"),
)


@dataclass(frozen=True, slots=True)
class Duty:
    """A kind of shift that every department of a kind has.

    ``start`` and ``stop`` are wall times, ``stop`` being ``days`` days after the start's. ``weekday`` and ``weekend``
    say how many people hold it on such a day. ``pool`` says who can: ``any`` takes turns through all pools, and
    ``with:<duty>`` means people who hold that duty on the same day. ``only_on``: weekdays (Monday is 0).
    """

    key: str
    name: str
    type: str
    pool: str
    start: str
    stop: str
    days: int
    weekday: int
    weekend: int
    work_units: str = "1"
    call_order: int | None = None
    only_on: frozenset[int] = frozenset(range(7))
    place: str | None = None
    active: bool = True


_FRIDAY = frozenset({4})

#: Emergency rooms and wards, staffed day and night. The swing shift hands over at 01:30, which one night of the year
#: has twice.
ACUTE = (
    Duty("primary_call", "Primary Call", "Call", "attending", "07:00", "07:00", 1, 1, 1, "2", 1),
    Duty("resident_call", "Resident Call", "Call", "resident", "17:00", "07:00", 1, 1, 1, "1.5", 2),
    Duty("attending_days", "Attending Days", "Shift", "attending", "07:00", "19:00", 0, 3, 2),
    Duty("swing", "Attending Swing", "Shift", "attending", "17:30", "01:30", 1, 1, 1),
    Duty("late", "Attending Late", "Shift", "attending", "01:30", "09:30", 0, 1, 1, "1.25"),
    Duty("resident_days", "Resident Days", "Shift", "resident", "06:30", "18:30", 0, 3, 2),
    Duty("app_days", "APP Days", "Shift", "app", "08:00", "18:30", 0, 3, 2),
    Duty("staff_days", "Nurse Days", "Shift", "staff", "07:00", "19:30", 0, 12, 10, place="{wing}, 4 West"),
    Duty("staff_nights", "Nurse Nights", "Shift", "staff", "19:00", "07:30", 1, 10, 8, "1.25", place="{wing}, 4 West"),
    Duty("vacation", "Vacation", "Time Off", "any", "08:00", "16:00", 0, 3, 0, "0"),
)

#: Departments with operating rooms.
SURGICAL = (
    Duty("primary_call", "Primary Call", "Call", "attending", "07:00", "07:00", 1, 1, 1, "2", 1),
    Duty("weekend_call", "Weekend Call", "Call", "attending", "17:00", "07:00", 3, 1, 1, "4.5", 2, _FRIDAY),
    Duty("resident_call", "Resident Call", "Call", "resident", "17:00", "07:00", 1, 1, 1, "1.5", 3),
    Duty("or_days", "OR Days", "OR", "attending", "06:45", "17:00", 0, 4, 0, place="OR {seat}"),
    Duty("or_late", "OR Late Room", "OR", "app", "11:00", "21:30", 0, 2, 0, place="OR {seat}"),
    Duty("or_residents", "OR Residents", "OR", "resident", "06:15", "17:00", 0, 3, 0),
    Duty("staff_days", "Tech Days", "Shift", "staff", "06:45", "15:15", 0, 12, 4),
    Duty("lunch", "Lunch Relief", "Shift", "with:staff_days", "11:00", "11:30", 0, 4, 1, "0"),
    Duty("staff_call", "Tech Call", "Call", "staff", "15:00", "07:00", 1, 2, 2, "1.5", 4),
    Duty("vacation", "Vacation", "Time Off", "any", "08:00", "16:00", 0, 3, 0, "0"),
)

#: Departments with clinics, called in by others.
CONSULT = (
    Duty("primary_call", "Primary Call", "Call", "attending", "17:00", "08:00", 1, 1, 1, "1.5", 1),
    Duty("backup_call", "Backup Call", "Call", "attending", "17:00", "08:00", 1, 1, 1, "1", 2),
    Duty("weekend_call", "Weekend Call", "Call", "attending", "17:00", "07:00", 3, 1, 1, "4.5", 2, _FRIDAY),
    Duty("resident_call", "Resident Call", "Call", "resident", "17:00", "07:00", 1, 1, 1, "1.5", 3),
    Duty("clinic", "Clinic", "Clinic", "attending", "08:00", "17:00", 0, 3, 0, place="Clinic {seat}"),
    Duty("consults", "Inpatient Consults", "Shift", "resident", "08:00", "18:00", 0, 2, 2),
    Duty("app_clinic", "APP Clinic", "Clinic", "app", "08:00", "16:30", 0, 3, 0, place="Clinic {seat}"),
    Duty("staff_days", "Tech Days", "Shift", "staff", "07:00", "15:30", 0, 10, 4),
    Duty("float", "Tech Float", "Shift", "staff", "09:00", "19:30", 0, 2, 1, place="Float, see board"),
    Duty("vacation", "Vacation", "Time Off", "any", "08:00", "16:00", 0, 3, 0, "0"),
)

#: A small department that makes its schedule week by week. Its technicians hand over at 02:30, which one night of the
#: year does not have. `outreach` is new: payroll does not know it yet.
SLEEP = (
    Duty("primary_call", "Sleep Call", "Call", "attending", "17:00", "08:00", 1, 1, 1, "1", 1),
    Duty("clinic", "Sleep Clinic", "Clinic", "attending", "08:00", "17:00", 0, 1, 0, place="Clinic {seat}"),
    Duty("staff_early", "Sleep Lab Early", "Shift", "staff", "18:30", "02:30", 1, 1, 1),
    Duty("staff_late", "Sleep Lab Late", "Shift", "staff", "02:30", "10:30", 0, 1, 1),
    Duty("outreach", "Pop-up Screening", "Clinic", "staff", "10:00", "14:00", 0, 1, 1, "0.5", None, frozenset({0, 3})),
)

#: The laboratory. `surge` is new: nobody mapped it yet. `paper_log` is retired.
LABORATORY = (
    Duty("primary_call", "Pathologist Call", "Call", "attending", "17:00", "08:00", 1, 1, 1, "1", 1),
    Duty("surge", "Surge Call", "Call", "attending", "12:00", "20:00", 0, 0, 1, "1", 2, frozenset({5})),
    Duty("staff_days", "Laboratory Days", "Shift", "staff", "07:00", "15:30", 0, 3, 2),
    Duty("staff_nights", "Laboratory Nights", "Shift", "staff", "23:00", "07:00", 1, 1, 1, "1.25"),
    Duty("paper_log", "Paper Log", "Shift", "staff", "07:00", "15:30", 0, 0, 0, active=False),
)

#: How many people each pool of a department of a kind has.
POOLS: dict[tuple[Duty, ...], dict[str, int]] = {
    ACUTE: {"attending": 16, "resident": 10, "app": 8, "staff": 43},
    SURGICAL: {"attending": 14, "resident": 10, "app": 7, "staff": 37},
    CONSULT: {"attending": 12, "resident": 8, "app": 8, "staff": 24},
    SLEEP: {"attending": 4, "staff": 5},
    LABORATORY: {"attending": 5, "staff": 8},
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A department to be: its campus (index of :data:`CAMPUSES`) and what kind it is."""

    campus: int
    name: str
    duties: tuple[Duty, ...]


PLANS = (
    Plan(0, "Emergency Medicine", ACUTE),
    Plan(0, "Hospital Medicine", ACUTE),
    Plan(0, "Pediatrics", ACUTE),
    Plan(0, "Anesthesiology", SURGICAL),
    Plan(0, "General Surgery", SURGICAL),
    Plan(0, "Cardiology", CONSULT),
    Plan(1, "Emergency Medicine", ACUTE),
    Plan(1, "Hospital Medicine", ACUTE),
    Plan(1, "Anesthesiology", SURGICAL),
    Plan(1, "Obstetrics", SURGICAL),
    Plan(1, "Radiology", CONSULT),
    Plan(1, "Neurology", CONSULT),
    Plan(2, "Emergency Medicine", ACUTE),
    Plan(2, "Hospital Medicine", ACUTE),
    Plan(2, "Critical Care", ACUTE),
    Plan(2, "Anesthesiology", SURGICAL),
    Plan(2, "Orthopedics", SURGICAL),
    Plan(2, "Laboratory", LABORATORY),
    Plan(2, "Sleep Medicine", SLEEP),
)


@dataclass(frozen=True, slots=True)
class Pager:
    """A placeholder: it holds every slot of one seat of a duty, whoever carries the pager that day."""

    plan: int  # index of PLANS
    duty: str
    seat: int
    display_name: str


PAGERS = (
    Pager(0, "resident_call", 0, "Emergency Medicine Resident Pager"),
    Pager(4, "staff_call", 1, "Trauma OR Tech Pager"),
    Pager(5, "backup_call", 0, "Cath Lab Backup Pager"),
    Pager(10, "backup_call", 0, "Radiology Reading Room"),
    Pager(11, "resident_call", 0, "Stroke Team Pager"),
    Pager(14, "resident_call", 0, "Critical Care Resident Pager"),
    Pager(14, "staff_nights", 7, "Agency Nurse 1"),
)

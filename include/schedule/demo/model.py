"""The demo hospital in memory: one class per exchange file, whose attributes bear the names of the file's columns.

The few attributes that no file has are marked; they help to build the hospital and are not written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime


@dataclass(slots=True)
class Department:
    """A row of departments.csv."""

    department_id: str
    name: str
    time_zone: str
    facility: str
    group: str
    kronos_department_id: str
    coid: str
    active: bool = True


@dataclass(slots=True)
class Person:
    """A row of personnel.csv."""

    emp_id: str
    display_name: str
    last_name: str | None
    first_name: str | None
    personnel_type: str
    unique_id: str | None
    custom1: str | None
    custom2: str | None
    home_coid: str
    custom3: str | None = None
    custom4: str | None = None
    npi: str | None = None
    email: str | None = None
    cell_phone: str | None = None
    pager: str | None = None
    phone: str | None = None
    away_coid: str | None = None
    is_placeholder: bool = False
    active: bool = True
    # Not written: until when the person is taken, while slots are handed out.
    busy_until: datetime | None = None


@dataclass(slots=True)
class PersonnelId:
    """A row of personnel_ids.csv."""

    emp_id: str
    system: str
    value: str


@dataclass(slots=True)
class Membership:
    """A row of memberships.csv."""

    emp_id: str
    department_id: str
    is_primary: bool


@dataclass(slots=True)
class Assignment:
    """A row of assignments.csv."""

    assignment_id: str
    department_id: str
    name: str
    compact_name: str
    assignment_type: str
    information: str | None
    default_start: str
    default_stop: str
    call_order: int | None
    active: bool
    duty: str  # not written: which duty of the department's kind it is


@dataclass(slots=True)
class Period:
    """A row of schedule_periods.csv."""

    period_id: str
    department_id: str
    name: str
    start_date: date
    end_date: date
    published_at: datetime | None


@dataclass(slots=True)
class Slot:
    """A row of schedules.csv. Local times are naive wall times of the department's zone, the others aware UTC."""

    slot_id: str
    period_id: str
    assignment_id: str
    emp_id: str | None
    slot_date: date
    start_local: datetime
    stop_local: datetime
    start_utc: datetime
    stop_utc: datetime
    note: str | None
    location: str | None
    work_units: str
    call_order: int | None = None
    is_pending: bool = False


@dataclass(slots=True)
class Request:
    """A row of requests.csv."""

    request_id: str
    emp_id: str
    assignment_id: str | None
    request_type: str
    start_date: date
    end_date: date
    status: str
    note: str | None
    submitted_at: datetime
    decided_at: datetime | None


@dataclass(slots=True)
class ViewSetting:
    """A row of view_settings.csv."""

    view_id: str
    name: str
    owner_emp_id: str | None
    settings: str


@dataclass(slots=True)
class Tally:
    """A row of tallies.csv."""

    tally_id: str
    name: str
    assignment_type: str | None
    assignment_id: str | None
    unit: str
    period: str


@dataclass(slots=True)
class Hospital:
    """All of it: one list per exchange file, named as the file is."""

    today: date
    departments: list[Department] = field(default_factory=list)
    personnel: list[Person] = field(default_factory=list)
    personnel_ids: list[PersonnelId] = field(default_factory=list)
    memberships: list[Membership] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)
    schedule_periods: list[Period] = field(default_factory=list)
    schedules: list[Slot] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    view_settings: list[ViewSetting] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)

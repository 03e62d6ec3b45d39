"""The tables of the schedule store, as SQLAlchemy knows them: named and shaped like the exchange files.

The migrations make them (with their triggers); :mod:`include.schedule.files` says what each column means. A test holds
the three equal. IDs are opaque text, instants are timezone-aware, wall times are naive and in the department's zone.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    MetaData,
    Numeric,
    Table,
    Text,
    Time,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

metadata = MetaData(schema="schedule")

_INSTANT = DateTime(timezone=True)
_WALL_TIME = DateTime(timezone=False)


class TransactionId(UserDefinedType[str]):
    """PostgreSQL's ``xid8``: transactions in the order they began, never wrapping."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the type's name."""
        return "xid8"


def _flag(name: str, default: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text(default))


def _modified_at() -> Column[object]:
    # Kept by a trigger: the time of the transaction that last changed the row.
    return Column("modified_at", _INSTANT, nullable=False, server_default=func.now())


def _reference(target: str) -> ForeignKey:
    return ForeignKey(f"schedule.{target}", deferrable=True)


departments = Table(
    "departments",
    metadata,
    Column("department_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("facility", Text),
    Column("group", Text),
    Column("kronos_department_id", Text),
    Column("coid", Text),
    _flag("active", "true"),
    _modified_at(),
)

personnel = Table(
    "personnel",
    metadata,
    Column("emp_id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("last_name", Text),
    Column("first_name", Text),
    Column("personnel_type", Text, nullable=False),
    Column("unique_id", Text),
    Column("custom1", Text),
    Column("custom2", Text),
    Column("custom3", Text),
    Column("custom4", Text),
    Column("npi", Text),
    Column("email", Text),
    Column("cell_phone", Text),
    Column("pager", Text),
    Column("phone", Text),
    Column("home_coid", Text),
    Column("away_coid", Text),
    _flag("is_placeholder", "false"),
    _flag("active", "true"),
    _modified_at(),
)

personnel_ids = Table(
    "personnel_ids",
    metadata,
    Column("emp_id", Text, _reference("personnel.emp_id"), primary_key=True),
    Column("system", Text, primary_key=True),
    Column("value", Text, nullable=False),
    _modified_at(),
)

memberships = Table(
    "memberships",
    metadata,
    Column("emp_id", Text, _reference("personnel.emp_id"), primary_key=True),
    Column("department_id", Text, _reference("departments.department_id"), primary_key=True),
    _flag("is_primary", "false"),
    _modified_at(),
)

assignments = Table(
    "assignments",
    metadata,
    Column("assignment_id", Text, primary_key=True),
    Column("department_id", Text, _reference("departments.department_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("compact_name", Text),
    Column("assignment_type", Text, nullable=False),
    Column("information", Text),
    Column("default_start", Time),
    Column("default_stop", Time),
    Column("call_order", BigInteger),
    _flag("active", "true"),
    _modified_at(),
    UniqueConstraint("assignment_id", "department_id"),
)

schedule_periods = Table(
    "schedule_periods",
    metadata,
    Column("period_id", Text, primary_key=True),
    Column("department_id", Text, _reference("departments.department_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("start_date", Date, nullable=False),
    Column("end_date", Date, nullable=False),
    Column("published_at", _INSTANT),
    _modified_at(),
    UniqueConstraint("period_id", "department_id"),
    CheckConstraint("end_date >= start_date", name="period_ends_after_it_starts"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("slot_id", Text, primary_key=True),
    Column("period_id", Text, nullable=False),
    Column("assignment_id", Text, nullable=False),
    Column("emp_id", Text, _reference("personnel.emp_id")),
    Column("slot_date", Date, nullable=False),
    Column("start_local", _WALL_TIME, nullable=False),
    Column("stop_local", _WALL_TIME, nullable=False),
    Column("start_utc", _INSTANT, nullable=False),
    Column("stop_utc", _INSTANT, nullable=False),
    Column("note", Text),
    Column("location", Text),
    Column("call_order", BigInteger),
    _flag("is_pending", "false"),
    Column("work_units", Numeric(18, 6)),
    _modified_at(),
    Column("department_id", Text, nullable=False),  # filled by a trigger: the assignment's
    ForeignKeyConstraint(
        ["assignment_id", "department_id"],
        ["schedule.assignments.assignment_id", "schedule.assignments.department_id"],
        deferrable=True,
    ),
    ForeignKeyConstraint(
        ["period_id", "department_id"],
        ["schedule.schedule_periods.period_id", "schedule.schedule_periods.department_id"],
        name="slot_and_period_of_one_department",
        deferrable=True,
    ),
    CheckConstraint("stop_utc >= start_utc", name="slot_stops_after_it_starts"),
    Index("schedules_window", "stop_utc", "start_utc"),
    Index("schedules_slot_date", "slot_date"),
    Index("schedules_emp_id", "emp_id", "slot_date"),
    Index("schedules_period_id", "period_id", "slot_date"),
    Index("schedules_assignment_id", "assignment_id"),
    Index("schedules_department_id", "department_id", "slot_id"),
)

requests = Table(
    "requests",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("emp_id", Text, _reference("personnel.emp_id"), nullable=False),
    Column("assignment_id", Text, _reference("assignments.assignment_id")),
    Column("request_type", Text, nullable=False),
    Column("start_date", Date, nullable=False),
    Column("end_date", Date, nullable=False),
    Column("status", Text, nullable=False),
    Column("note", Text),
    Column("submitted_at", _INSTANT),
    Column("decided_at", _INSTANT),
    _modified_at(),
    CheckConstraint("end_date >= start_date", name="request_ends_after_it_starts"),
    Index("requests_emp_id", "emp_id"),
)

view_settings = Table(
    "view_settings",
    metadata,
    Column("view_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner_emp_id", Text, _reference("personnel.emp_id")),
    Column("settings", JSONB),
    _modified_at(),
)

tallies = Table(
    "tallies",
    metadata,
    Column("tally_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("assignment_type", Text),
    Column("assignment_id", Text, _reference("assignments.assignment_id")),
    Column("unit", Text, nullable=False),
    Column("period", Text, nullable=False),
    _modified_at(),
)

change_logs = Table(
    "change_logs",
    metadata,
    Column("change_id", BigInteger, Identity(), primary_key=True),
    Column("changed_at", _INSTANT, nullable=False, server_default=func.now()),
    Column("changed_by", Text, server_default=text("session_user")),
    Column("entity", Text, nullable=False),
    Column("entity_id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("old", JSONB),
    Column("new", JSONB),
    # Which transaction wrote it, for readers that must lose nothing (a lower change_id may be committed later).
    Column("xid", TransactionId, nullable=False, server_default=text("pg_current_xact_id()")),
    Index("change_logs_xid", "xid", "change_id"),
    Index("change_logs_changed_at", "changed_at"),
    Index("change_logs_entity", "entity", "entity_id", "change_id"),
)

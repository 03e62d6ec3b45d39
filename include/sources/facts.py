"""What the schedule store knows about slots, now and at an earlier moment, for explanations.

The change log makes the store as it was: what a row was at a moment is what the next change after it found, or, where
nothing changed since, what the row is now. It reaches back as far as the change log is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Date, bindparam, text

from include.clock import business_now
from include.database import transaction

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

Standing = Literal["live", "deleted", "not_yet"]

_AT = """
    SELECT wanted.id, to_jsonb(r), next.action, next.old, next.new, last.action, last.old, last.changed_at,
        last.changed_by
    FROM unnest(CAST(:ids AS text[])) AS wanted (id)
    LEFT JOIN schedule.{table} AS r ON r.{key} = wanted.id
    LEFT JOIN LATERAL (
        SELECT action, old, new FROM schedule.change_logs
        WHERE entity = '{table}' AND entity_id = wanted.id AND changed_at > CAST(:at AS timestamptz)
        ORDER BY change_id LIMIT 1
    ) AS next ON true
    LEFT JOIN LATERAL (
        SELECT action, old, changed_at, changed_by FROM schedule.change_logs
        WHERE entity = '{table}' AND entity_id = wanted.id AND changed_at <= CAST(:at AS timestamptz)
        ORDER BY change_id DESC LIMIT 1
    ) AS last ON true
"""
_HELD = """
    SELECT slot_id, NULL::timestamptz FROM schedule.schedules
    WHERE emp_id = :emp_id
        AND (slot_date = :day OR (start_local < :day + 1 AND stop_local > :day))
    UNION ALL
    SELECT * FROM (
        SELECT DISTINCT ON (entity_id) entity_id, changed_at FROM schedule.change_logs
        WHERE entity = 'schedules' AND old ->> 'emp_id' = :emp_id AND (
            (old ->> 'slot_date')::date = :day
            OR ((old ->> 'start_local')::timestamp < :day + 1 AND (old ->> 'stop_local')::timestamp > :day)
        )
        ORDER BY entity_id, change_id DESC
    ) AS once
"""


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """A slot at a moment: ``live``, ``deleted`` by then (all else as it was last), or ``not_yet`` (as entered later).

    ``published_at`` is its period's (None: a draft); ``published``: it has come by the moment's business time. Local
    times are naive and in ``time_zone``, the department's, as is ``pay_group``. ``deleted_by`` is who the change log
    names.
    """

    slot_id: str
    standing: Standing
    department_id: str
    time_zone: str
    pay_group: str | None
    period_id: str
    published: bool
    published_at: datetime | None
    assignment_id: str
    emp_id: str | None
    slot_date: date
    start_local: datetime
    stop_local: datetime
    start_utc: datetime
    stop_utc: datetime
    deleted_at: datetime | None = None
    deleted_by: str | None = None

    @property
    def local_days(self) -> tuple[date, date]:
        """The first and the last local day that it touches; the midnight that it ends at is of the day before."""
        last = max(self.start_local, self.stop_local - timedelta(microseconds=1))
        return self.start_local.date(), last.date()

    def touches(self, day: date) -> bool:
        """Whether it is dated on a day, or some of its local time lies in it."""
        begins = datetime.combine(day, datetime.min.time())
        return self.slot_date == day or (self.start_local < begins + timedelta(days=1) and self.stop_local > begins)


@dataclass(frozen=True, slots=True)
class Former:
    """A slot that was a person's on a day and is not any more: since when, and who holds it (None: nobody)."""

    slot_id: str
    since: datetime
    emp_id: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """The newest change of something that a slot depends on: table, row, what was done (``delete``), when, by whom."""

    entity: str
    entity_id: str
    action: str
    changed_at: datetime
    changed_by: str | None


def slots_at(
    dsn: str, slot_ids: Collection[str], at: datetime | None = None, *, now: datetime | None = None
) -> dict[str, SlotFacts]:
    """Find slots as they were at the moment ``at`` (aware, real time; None: as they are), by slot ID.

    Whatever neither the store nor the change log knows is left out. ``now``: the business time of that moment, which
    decides what is published (None: the business clock).

    Raises:
        SourceNotReady: the store could not be read.
    """
    with transaction(dsn) as connection:
        slots = _rows_at(connection, "schedules", "slot_id", slot_ids, at)
        period_ids = {slot.row["period_id"] for slot in slots.values()}
        periods = _rows_at(connection, "schedule_periods", "period_id", period_ids, at)
        departments = _departments(connection, {slot.row["department_id"] for slot in slots.values()})
    return {slot_id: _facts(slot, periods, departments, now or business_now()) for slot_id, slot in slots.items()}


def slots_of_person(
    dsn: str, emp_id: str, day: date, at: datetime | None = None, *, now: datetime | None = None
) -> tuple[list[SlotFacts], list[Former]]:
    """Find the slots that a person held on a day at the moment ``at`` (as :func:`slots_at`), ordered by start.

    Deleted ones belong to whoever held them last. The second list has those that had been the person's on that day
    before, and were somebody else's, nobody's, or on another day by then.

    Raises:
        SourceNotReady: the store could not be read.
    """
    with transaction(dsn) as connection:
        statement = text(_HELD).bindparams(bindparam("day", type_=Date))
        rows = connection.execute(statement, {"emp_id": emp_id, "day": day}).all()
    left = {slot_id: since for slot_id, since in rows if since is not None}
    facts = slots_at(dsn, {row[0] for row in rows}, at, now=now)
    held = [
        slot for slot in facts.values() if slot.emp_id == emp_id and slot.touches(day) and slot.standing != "not_yet"
    ]
    former = [
        Former(slot_id, since, facts[slot_id].emp_id)
        for slot_id, since in sorted(left.items())
        if slot_id in facts and facts[slot_id] not in held and (at is None or since <= at)
    ]
    return sorted(held, key=lambda slot: (slot.start_utc, slot.slot_id)), former


def changes_since(dsn: str, at: datetime, rows: Collection[tuple[str, str]]) -> list[Change]:
    """Find the newest change of each of the rows, given as table and ID, that was made after ``at`` (aware).

    Raises:
        SourceNotReady: the store could not be read.
    """
    with transaction(dsn) as connection:
        found = connection.execute(
            text(
                """
                SELECT DISTINCT ON (entity, entity_id) entity, entity_id, action, changed_at, changed_by
                FROM unnest(CAST(:entities AS text[]), CAST(:ids AS text[])) AS wanted (entity, entity_id)
                JOIN schedule.change_logs USING (entity, entity_id)
                WHERE changed_at > :at ORDER BY entity, entity_id, change_id DESC
                """
            ),
            {"entities": [entity for entity, _ in rows], "ids": [row_id for _, row_id in rows], "at": at},
        ).all()
    return [Change(*row) for row in found]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a table at a moment; of one that was not there, as it was last or as it came to be."""

    row: dict[str, Any]
    standing: Standing
    gone_at: datetime | None = None
    gone_by: str | None = None


def _rows_at(
    connection: Connection, table: str, key: str, ids: Collection[str], at: datetime | None
) -> dict[str, _Row]:
    found = connection.execute(
        text(_AT.format(table=table, key=key)), {"ids": sorted(ids), "at": "infinity" if at is None else at}
    )
    rows = {}
    for row_id, now, next_action, found_by_next, made_by_next, last_action, before_last, last_at, last_by in found:
        if next_action is None and now is not None:
            rows[row_id] = _Row(now, "live")
        elif found_by_next is not None:
            rows[row_id] = _Row(found_by_next, "live")
        elif last_action == "delete":
            rows[row_id] = _Row(before_last, "deleted", last_at, last_by)
        elif next_action is not None:
            rows[row_id] = _Row(now or made_by_next, "not_yet")
    return rows


def _facts(
    slot: _Row, periods: dict[str, _Row], departments: dict[str, tuple[str, str | None]], now: datetime
) -> SlotFacts:
    row = slot.row
    time_zone, pay_group = departments.get(row["department_id"], ("UTC", None))
    period = periods.get(row["period_id"])
    published_at = period.row["published_at"] if period and period.standing == "live" else None
    published_at = datetime.fromisoformat(published_at) if published_at else None
    return SlotFacts(
        slot_id=row["slot_id"],
        standing=slot.standing,
        department_id=row["department_id"],
        time_zone=time_zone,
        pay_group=pay_group,
        period_id=row["period_id"],
        published=published_at is not None and published_at <= now,
        published_at=published_at,
        assignment_id=row["assignment_id"],
        emp_id=row["emp_id"],
        slot_date=date.fromisoformat(row["slot_date"]),
        start_local=datetime.fromisoformat(row["start_local"]),
        stop_local=datetime.fromisoformat(row["stop_local"]),
        start_utc=datetime.fromisoformat(row["start_utc"]),
        stop_utc=datetime.fromisoformat(row["stop_utc"]),
        deleted_at=slot.gone_at,
        deleted_by=slot.gone_by,
    )


def _departments(connection: Connection, department_ids: Collection[str]) -> dict[str, tuple[str, str | None]]:
    """The time zone and the pay group of departments, by ID."""
    found = connection.execute(
        text('SELECT department_id, time_zone, "group" FROM schedule.departments WHERE department_id = ANY(:ids)'),
        {"ids": sorted(department_ids)},
    )
    return {row[0]: (row[1], row[2]) for row in found}

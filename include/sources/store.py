"""Reads the schedule store: the slots of one feed with their people and assignments, at one point in time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfoNotFoundError

from include.clock import business_date, first_instant
from include.effects import effect
from include.errors import ConfigurationError, DataRejected
from include.frames import (
    ASSIGNMENT_COLUMNS,
    DATE_COLUMNS,
    PEOPLE_COLUMNS,
    SLOT_COLUMNS,
    TALLY_COLUMNS,
    SlotExtract,
)
from include.sources.moment import one_moment
from include.sources.parquet import copy_to_parquet

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from include.frames import Span
    from include.sources.moment import Cursor

ID_COLUMNS = ("unique_id", "custom1", "custom2", "custom3", "custom4")

# Sorted by code points on every server, whatever its collation.
_SLOTS = """
    SELECT slot.slot_id, slot.period_id, slot.assignment_id, slot.department_id, slot.emp_id, slot.slot_date,
        period.start_date, period.end_date, slot.start_utc AT TIME ZONE 'UTC', slot.stop_utc AT TIME ZONE 'UTC',
        slot.note, slot.location, slot.call_order, slot.is_pending, slot.work_units
    {source} ORDER BY slot.slot_id COLLATE "C"
"""
_PUBLISHED = "period.published_at <= %(now)s"
_OF_DEPARTMENTS = "slot.department_id = ANY(%(departments)s)"
_FROM = "FROM schedule.schedules AS slot JOIN schedule.schedule_periods AS period USING (period_id)"
# A slot without length is in the window when its moment is. The outer bounds let the index skip the past.
_WINDOW = """
    JOIN schedule.departments AS department ON department.department_id = slot.department_id
    JOIN unnest(%(zones)s::text[], %(begins)s::timestamptz[], %(ends)s::timestamptz[]) AS bounds (zone, begins, ends)
        ON bounds.zone = department.time_zone
    WHERE slot.stop_utc >= %(first)s AND slot.start_utc < %(last)s
      AND slot.start_utc < bounds.ends AND (slot.stop_utc > bounds.begins OR slot.start_utc = bounds.begins)
"""
# The outer bounds let the index skip all other periods.
_PAY_PERIODS = """
    JOIN schedule.departments AS department ON department.department_id = slot.department_id
    LEFT JOIN unnest(%(groups)s::text[], %(first_days)s::date[], %(last_days)s::date[])
        AS paid (pay_group, first_day, last_day) ON paid.pay_group = department."group"
    WHERE slot.slot_date BETWEEN %(earliest)s AND %(latest)s
      AND slot.slot_date BETWEEN coalesce(paid.first_day, %(first_day)s) AND coalesce(paid.last_day, %(last_day)s)
"""
_PEOPLE = """
    SELECT emp_id, display_name, last_name, first_name, personnel_type, id.value, coalesce(holders.people, 0),
        home_coid, away_coid, email, cell_phone, pager, phone, is_placeholder, active, held.slots
    FROM unnest(%(ids)s::text[], %(slots)s::bigint[]) AS held (emp_id, slots)
    JOIN schedule.personnel USING (emp_id)
    LEFT JOIN ({ids}) AS id USING (emp_id)
    LEFT JOIN (
        SELECT id.value, count(*) AS people
        FROM ({ids}) AS id JOIN schedule.personnel USING (emp_id) WHERE active GROUP BY id.value
    ) AS holders ON holders.value = id.value
    ORDER BY emp_id COLLATE "C"
"""
_ASSIGNMENTS = """
    SELECT assignment_id, assignment.name, compact_name, assignment_type, information, call_order, department_id,
        department.name, time_zone, facility, department."group", kronos_department_id, coid, scheduled.slots
    FROM unnest(%(ids)s::text[], %(slots)s::bigint[]) AS scheduled (assignment_id, slots)
    JOIN schedule.assignments AS assignment USING (assignment_id)
    JOIN schedule.departments AS department USING (department_id)
    ORDER BY assignment_id COLLATE "C"
"""
_TALLIES = """
    SELECT tally_id, name, assignment_type, assignment_id, unit, period FROM schedule.tallies
    ORDER BY tally_id COLLATE "C"
"""
_NUMBERS = frozenset({"call_order", "id_holders", "slots"})
_BOOLEANS = frozenset({"is_pending", "is_placeholder", "active"})


@dataclass(frozen=True, slots=True)
class StoreExtract:
    """One extract as files, each with the columns of :mod:`include.frames` in their order."""

    slots: Path
    people: Path
    assignments: Path
    slot_count: int
    window_begins: datetime | None  # of a window: when it begins in the last of the store's zones
    tallies: Path | None = None


def extract_slots(
    dsn: str,
    folder: Path,
    *,
    personnel_id: str,
    departments: Collection[str] | None,
    span: Span,
    now: datetime,
    tallies: bool = False,
) -> StoreExtract:
    """Read the published slots of ``span``, with the people and assignments they concern, in one snapshot.

    Writes ``slots.parquet``, ``people.parquet`` and ``assignments.parquet`` into ``folder``, each ordered by its ID.
    A window is counted in each department's own local days around its own today at ``now``. ``personnel_id`` is the
    mapping's key: ``unique_id``, ``custom1`` .. ``custom4`` or ``ids.<system>``; empty where the feed knows nobody by
    an ID. ``departments`` are the only ones to be read; None for all. ``tallies``: those of the store go into
    ``tallies.parquet``.

    Raises:
        ConfigurationError: ``personnel_id`` names no ID, or ``departments`` one that the store does not have.
        DataRejected: a department's time zone is unknown to Python.
        SourceNotReady: the store could not be read.
    """
    ids, system = id_query(personnel_id)
    held: Counter[str] = Counter()
    scheduled: Counter[str] = Counter()

    def count(batch: pa.Table) -> None:
        _add(held, batch["emp_id"])
        _add(scheduled, batch["assignment_id"])

    files = {name: folder / f"{name}.parquet" for name in ("slots", "people", "assignments")}
    with one_moment(dsn) as cursor, effect("sources.extract"):
        source, values, window_begins = _span_source(cursor, span, now)
        source += f" AND {_PUBLISHED}"
        values |= {"now": now, "system": system}
        if departments is not None:
            _require_departments(cursor, departments)
            source += f" AND {_OF_DEPARTMENTS}"
            values |= {"departments": sorted(departments)}
        slots = copy_to_parquet(cursor, _SLOTS.format(source=source), values, files["slots"], slot_schema(), count)
        copy_to_parquet(cursor, _PEOPLE.format(ids=ids), values | _listed(held), files["people"], people_schema())
        copy_to_parquet(cursor, _ASSIGNMENTS, _listed(scheduled), files["assignments"], assignment_schema())
        if tallies:
            files["tallies"] = folder / "tallies.parquet"
            copy_to_parquet(cursor, _TALLIES, {}, files["tallies"], _schema(TALLY_COLUMNS))
    return StoreExtract(**files, slot_count=slots, window_begins=window_begins)


def load_extract(
    slots: Path, people: Path, assignments: Path, *, span: Span, as_of: datetime, tallies: Path | None = None
) -> SlotExtract:
    """Load the files of an extract.

    IDs and texts are ``str``, numbers ``Int64`` (``work_units``: ``Float64``), flags ``boolean``, instants
    ``datetime64[us, UTC]``, dates Python's; null is the type's own.
    """
    return SlotExtract(
        slots=_frame(slots),
        people=_frame(people),
        assignments=_frame(assignments),
        span=span,
        as_of=as_of,
        tallies=None if tallies is None else _frame(tallies),
    )


def slot_schema() -> pa.Schema:
    """Return the Arrow schema of ``slots.parquet``."""
    return _schema(SLOT_COLUMNS)


def people_schema() -> pa.Schema:
    """Return the Arrow schema of ``people.parquet``."""
    return _schema(PEOPLE_COLUMNS)


def assignment_schema() -> pa.Schema:
    """Return the Arrow schema of ``assignments.parquet``."""
    return _schema(ASSIGNMENT_COLUMNS)


def _schema(columns: tuple[str, ...]) -> pa.Schema:
    import pyarrow as pa

    def kind(name: str) -> pa.DataType:
        if name in _BOOLEANS:
            return pa.bool_()
        if name in _NUMBERS:
            return pa.int64()
        if name == "work_units":
            return pa.float64()
        if name in DATE_COLUMNS:
            return pa.date32()
        return pa.timestamp("us", "UTC") if name.endswith("_utc") else pa.string()

    return pa.schema([(name, kind(name)) for name in columns])


def _frame(path: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        pa.string(): pd.StringDtype(na_value=float("nan")),
        pa.bool_(): pd.BooleanDtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.float64(): pd.Float64Dtype(),
    }
    frame: pd.DataFrame = pq.read_table(path).to_pandas(types_mapper=kinds.get)
    return frame


def id_query(personnel_id: str) -> tuple[str, str | None]:
    """Return the query of everybody's ID (``emp_id``, ``value``) and the system that it is parameterised with.

    Of the empty name, it is a query without a row.
    """
    if not personnel_id:  # of a feed that delivers no people by an ID
        return "SELECT emp_id, NULL::text AS value FROM schedule.personnel WHERE false", None
    if personnel_id in ID_COLUMNS:
        return f"SELECT emp_id, nullif({personnel_id}, '') AS value FROM schedule.personnel", None
    kind, _, system = personnel_id.partition(".")
    if kind == "ids" and system:
        query = "SELECT emp_id, nullif(value, '') AS value FROM schedule.personnel_ids WHERE system = %(system)s"
        return query, system
    raise ConfigurationError(
        f"personnel_id {personnel_id!r} names no ID of people.",
        next_step=f"write one of {', '.join(ID_COLUMNS)}, or ids.<system>",
    )


def _require_departments(cursor: Cursor, departments: Collection[str]) -> None:
    """A mistyped department would be one whose slots silently go nowhere."""
    known = {row[0] for row in cursor.execute("SELECT department_id FROM schedule.departments").fetchall()}
    unknown = sorted(set(departments) - known)
    if unknown:
        raise ConfigurationError(
            f"The mapping limits the feed to department {unknown[0]!r}, which the schedule does not have"
            + (f" (and {len(unknown) - 1} more)." if unknown[1:] else "."),
            next_step="correct `departments` in the feed's YAML; they are department_id of departments.csv",
        )


def _span_source(cursor: Cursor, span: Span, now: datetime) -> tuple[str, dict[str, Any], datetime | None]:
    """Return FROM and WHERE of the span's slots, drafts included, the values in it, and when its last zone begins."""
    if span.kind == "published":
        return f"{_FROM} WHERE true", {}, None
    if span.kind == "pay_period":
        return _FROM + _PAY_PERIODS, _pay_periods(span), None
    zones = [row[0] for row in cursor.execute("SELECT DISTINCT time_zone FROM schedule.departments").fetchall()]
    bounds = [window_bounds(zone, span.past_days, span.future_days, now) for zone in zones]
    begins, ends = [begin for begin, _ in bounds], [end for _, end in bounds]
    values = {
        "zones": zones,
        "begins": begins,
        "ends": ends,
        "first": min(begins, default=now),
        "last": max(ends, default=now),
    }
    return _FROM + _WINDOW, values, max(begins, default=None)


def _pay_periods(span: Span) -> dict[str, Any]:
    """The values of the statement about pay periods."""
    first_days, last_days = [days.first_day for days in span.groups], [days.last_day for days in span.groups]
    return {
        "groups": [days.group for days in span.groups],
        "first_days": first_days,
        "last_days": last_days,
        "first_day": span.first_day,
        "last_day": span.last_day,
        "earliest": min(day for day in (*first_days, span.first_day) if day is not None),
        "latest": max(day for day in (*last_days, span.last_day) if day is not None),
    }


def window_bounds(zone: str, past_days: int, future_days: int, now: datetime) -> tuple[datetime, datetime]:
    """Return when the local days ``today - past_days`` .. ``today + future_days`` of ``zone`` begin and end, in UTC.

    Each day begins at its first instant, also where the clocks change at midnight; the end is not part of it.

    Raises:
        DataRejected: the zone is unknown to Python.
    """
    try:
        today = business_date(now, zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise DataRejected(
            "A department's time zone is unknown here.", next_step="correct the department, or update package tzdata"
        ) from None
    begin, end = today - timedelta(days=past_days), today + timedelta(days=future_days + 1)
    return first_instant(begin, zone), first_instant(end, zone)


def _add(counter: Counter[str], column: pa.ChunkedArray) -> None:
    for entry in column.value_counts().to_pylist():
        if entry["values"] is not None:
            counter[entry["values"]] += entry["counts"]


def _listed(counter: Counter[str]) -> dict[str, Any]:
    return {"ids": list(counter), "slots": list(counter.values())}

"""Small extracts, written as a person would: a few CSV lines, everything else with a harmless default."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pandas as pd

from include.frames import (
    ASSIGNMENT_COLUMNS,
    DATE_COLUMNS,
    PEOPLE_COLUMNS,
    SLOT_COLUMNS,
    TALLY_COLUMNS,
    SlotExtract,
    Span,
)
from include.integration import Slots
from include.mappings.loader import load_feed
from include.plan.windows import span_of

if TYPE_CHECKING:
    from pathlib import Path

    from include.mappings.schema import FeedMapping

Row = dict[str, Any]

AS_OF = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
#: One tally that counts every slot.
EVERY_SLOT = {"tally_id": "T1", "name": "Every slot", "unit": "slots", "period": "month"}
_BOOLEANS = {"is_pending": False, "is_placeholder": False, "active": True}
_NUMBERS = {"call_order", "id_holders", "slots"}


def rows_of(text: str) -> list[Row]:
    """The rows of a CSV text; empty cells are null."""
    return [
        {name: value if value != "" else None for name, value in row.items()}
        for row in csv.DictReader(io.StringIO(text, newline=""))
    ]


def extract_of(
    slots: list[Row],
    people: list[Row],
    assignments: list[Row],
    span: Span | None = None,
    tallies: list[Row] | None = None,
) -> SlotExtract:
    """An extract of these rows.

    Slots have ``start_local`` and ``stop_local`` (wall times of the assignment's ``time_zone``, the first of two in a
    fall-back night) or ``start_utc`` and ``stop_utc``. ``id_holders`` is counted among the active people given.
    Schedule periods are the span's pay periods, and everybody is at home, unless the rows say otherwise.
    """
    span = span or Span("published")
    zones = {row["assignment_id"]: row["time_zone"] for row in assignments}
    groups = {row["assignment_id"]: row.get("pay_group") for row in assignments}
    ids = [row.get("personnel_id") for row in people if _flag(row.get("active"), default=True)]
    slots = [
        _period(span, groups[row["assignment_id"]], row)
        | {name: value for name, value in row.items() if value is not None or name not in DATE_COLUMNS}
        | {
            f"{end}_utc": _instant(row.get(f"{end}_local"), row.get(f"{end}_utc"), zones[row["assignment_id"]])
            for end in ("start", "stop")
        }
        for row in slots
    ]
    people = [
        {
            "id_holders": ids.count(row["personnel_id"]) if row.get("personnel_id") else 0,
            "personnel_type": "MD",
            "home_coid": "C1",
            "slots": sum(slot.get("emp_id") == row["emp_id"] for slot in slots),
        }
        | row
        for row in people
    ]
    assignments = [
        {
            "name": f"Assignment {row['assignment_id']}",
            "assignment_type": "Shift",
            "department_id": "D1",
            "department_name": "Department D1",
            "kronos_department_id": "K1",
            "coid": "C1",
            "slots": sum(slot["assignment_id"] == row["assignment_id"] for slot in slots),
        }
        | row
        for row in assignments
    ]
    return SlotExtract(
        slots=_frame(sorted(slots, key=lambda row: row["slot_id"]), SLOT_COLUMNS),
        people=_frame(people, PEOPLE_COLUMNS),
        assignments=_frame(assignments, ASSIGNMENT_COLUMNS),
        span=span,
        as_of=AS_OF,
        tallies=None if tallies is None else _frame(tallies, TALLY_COLUMNS),
    )


def read_case(folder: Path, feed: str) -> tuple[SlotExtract, FeedMapping]:
    """The extract and the mapping of a case: ``slots.csv people.csv assignments.csv`` and the feed's own files.

    ``tallies.csv`` where its integration reads them.
    """
    mapping = load_feed(folder, feed)
    slots, people, assignments = (
        rows_of((folder / f"{name}.csv").read_text("utf-8-sig")) for name in ("slots", "people", "assignments")
    )
    file = folder / "tallies.csv"
    tallies = rows_of(file.read_text("utf-8-sig")) if file.is_file() else None
    return extract_of(slots, people, assignments, _span(mapping, slots), tallies), mapping


def _span(mapping: FeedMapping, slots: list[Row]) -> Span:
    """The pay periods on the day of the first slot, for feeds that have pay periods."""
    if not hasattr(mapping.settings, "recurrence"):
        return Span("published")
    day = min((dt.date.fromisoformat(row["slot_date"]) for row in slots), default=AS_OF.date())
    return span_of(Slots("pay_period"), mapping, dt.datetime.combine(day, dt.time(12), dt.UTC), "UTC")


def _period(span: Span, group: str | None, slot: Row) -> Row:
    first, last = span.days_of(group)
    day = slot["slot_date"]
    return {"period_first_day": str(first or day), "period_last_day": str(last or day)}


def _instant(local: str | None, utc: str | None, zone: str) -> dt.datetime | None:
    if utc is not None:
        return dt.datetime.fromisoformat(utc).astimezone(dt.UTC)
    if local is None:
        return None
    return dt.datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)


def _flag(text: str | bool | None, *, default: bool) -> bool:
    return default if text is None else text in {True, "true"}


def _frame(rows: list[Row], columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame({name: _column(name, [row.get(name) for row in rows]) for name in columns})


def _column(name: str, values: list[Any]) -> pd.Series[Any]:
    if name in _BOOLEANS:
        return pd.Series([_flag(value, default=_BOOLEANS[name]) for value in values], dtype="boolean")
    if name in _NUMBERS:
        return pd.Series([None if value is None else int(value) for value in values], dtype="Int64")
    if name == "work_units":
        return pd.Series([None if value is None else float(value) for value in values], dtype="Float64")
    if name in DATE_COLUMNS:
        return pd.Series([dt.date.fromisoformat(str(value)) for value in values], dtype="object")
    if name.endswith("_utc"):
        return pd.Series(pd.to_datetime(values, utc=True)).astype("datetime64[us, UTC]")
    return pd.Series(values, dtype="str")

"""Workday: time blocks, one for each slot, and time off, one record for each day that a slot touches.

Only real people have time: open shifts and placeholders are excluded. One transform serves the file and the endpoints.
"""

from __future__ import annotations

import uuid
from datetime import UTC, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from include.clock import first_instant
from include.frames import Transformed
from include.mappings.positions import positions
from include.mappings.schemas.workday import SCHEMA, TIME_OFF
from include.transforms import common
from include.transforms.lines import join

if TYPE_CHECKING:
    from datetime import date, datetime

    import pandas as pd

    from include.frames import SlotExtract, Verdict
    from include.mappings.schema import FeedMapping
    from include.transforms.lines import Lines

#: IDs of records are made in this namespace; it must never change, or Workday would take all of them for new ones.
_NAMESPACE = uuid.UUID("6c3f4f0e-52d7-5e0b-9b0e-0f6d8f6d7b51")


def time_entries(extract: SlotExtract, mapping: FeedMapping, verdict: Verdict) -> Transformed:
    """Decide about every slot and make the records of each included one.

    Returns:
        decisions and records (fields of the schema's ``record``; ``start``, ``stop``, ``start_utc`` and ``stop_utc`` of
        a day of time off are those of the slot within that day).
    """
    lines = join(extract, mapping, verdict)
    position = _positions(lines, mapping)
    missing = common.Finding("position_missing", (lines.slot("emp_id").notna() & position.isna()).to_numpy(dtype=bool))
    decisions, included = common.decide(lines, [*common.common_findings(lines, SCHEMA), missing])
    included, days, start, stop = _by_day(included, common.zones(included, mapping))
    zone, settings = common.zones(included, mapping), mapping.settings
    is_off = included.row("integration_type").eq(TIME_OFF).to_numpy(dtype=bool)
    in_days = is_off & (settings.time_off_unit == "Days")
    note = common.one_line(included.slot("note"))
    fields = {
        "integration_type": included.row("integration_type"),
        "entry_id": _entry_ids(included, days, is_off),
        "worker_id": included.person("personnel_id"),
        "worker_id_type": _constant(settings.worker_id_type, len(included)),
        "position_id": _positions(included, mapping),
        "integration_category": included.row("integration_category"),
        "date": common.dates(days),
        "start": common.wall_times(start, zone),
        "stop": common.wall_times(stop, zone),
        "in_date_time": _with_offset(start, zone),
        "out_date_time": _with_offset(stop, zone),
        "quantity": common.hours_between(start, stop).mask(in_days, 1.0),
        "unit": _constant("Hours", len(included)).mask(in_days, "Days"),
        "time_zone": zone,
        "comment": note if settings.include_slot_note else note.where(note.isna()),
        "source_slot_id": included.slot("slot_id"),
    }
    records = common.records(SCHEMA, included, fields | {"start_utc": start, "stop_utc": stop})
    return Transformed(decisions, records)


def _positions(lines: Lines, mapping: FeedMapping) -> pd.Series[str]:
    rows = mapping.side_tables["positions"]
    return positions(lines.slot("emp_id"), lines.assignment("department_id"), lines.slot("assignment_id"), rows)


def _by_day(lines: Lines, zone: pd.Series[str]) -> tuple[Lines, pd.Series[Any], pd.Series[Any], pd.Series[Any]]:
    """A line for each day of time off; answers the lines, and of each its day (Python dates), start and stop (UTC)."""
    import numpy as np
    import pandas as pd

    off = lines.row("integration_type").eq(TIME_OFF).to_numpy(dtype=bool)
    blocks = np.flatnonzero(~off)
    day, start, stop = (lines.slot(name) for name in ("slot_date", "start_utc", "stop_utc"))
    days_of = cache(_days_of)  # many are off for the same hours
    spans = zip(np.flatnonzero(off), start[off].tolist(), stop[off].tolist(), zone[off].tolist(), strict=True)
    parts = [(place, *part) for place, begins, ends, name in spans for part in days_of(begins, ends, name)]
    places, days, starts, stops = ([part[side] for part in parts] for side in range(4))

    def instants(of_blocks: pd.Series[Any], of_parts: list[Any]) -> pd.Series[Any]:
        apart = pd.Series(pd.to_datetime(of_parts, utc=True)).astype(of_blocks.dtype)
        return pd.concat([of_blocks.iloc[blocks], apart], ignore_index=True)

    return (
        lines.only(np.concatenate([blocks, np.array(places, dtype="int64")])),
        pd.Series([*day.iloc[blocks], *days], dtype="object"),
        instants(start, starts),
        instants(stop, stops),
    )


def _days_of(start: datetime, stop: datetime, zone: str) -> list[tuple[date, datetime, datetime]]:
    """The local days that a slot touches, each with its part of the slot; one that ends at midnight ends on the day."""
    found = []
    day = start.astimezone(ZoneInfo(zone)).date()
    begins = start
    while begins < stop:
        # Where a day has two midnights, the hour before them comes again after the first.
        ends = max(begins, min(stop, first_instant(day + timedelta(days=1), zone)))
        if begins < ends:
            found.append((day, begins.astimezone(UTC), ends.astimezone(UTC)))
        begins, day = ends, day + timedelta(days=1)
    return found


def _entry_ids(lines: Lines, days: pd.Series[Any], is_off: Any) -> pd.Series[str]:
    """An ID for each record that depends on nothing but type, worker, slot and, of time off, the day."""
    import pandas as pd

    day = days.astype("str").where(is_off, "")
    key = common.record_key(lines.row("integration_type"), lines.person("personnel_id"), lines.slot("slot_id"), day)
    return pd.Series([str(uuid.uuid5(_NAMESPACE, text)) for text in key.to_numpy(dtype=object)], dtype="str")


def _with_offset(instants: pd.Series[Any], zone: pd.Series[str]) -> pd.Series[str]:
    """Instants as ISO 8601 in each line's zone, with its offset, to the second. Each is asked once for a zone."""
    import numpy as np
    import pandas as pd

    told = np.full(len(instants), None, dtype=object)
    codes, names = pd.factorize(zone)
    for code, name in enumerate(names):
        here = codes == code
        places, distinct = pd.factorize(instants[here])
        known = [moment.astimezone(ZoneInfo(name)).isoformat(timespec="seconds") for moment in distinct]
        told[here] = np.array(known, dtype=object)[places]
    return pd.Series(told, dtype="str")


def _constant(text: str, count: int) -> pd.Series[str]:
    import pandas as pd

    return pd.Series([text] * count, dtype="str")

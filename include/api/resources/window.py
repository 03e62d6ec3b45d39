"""A window of local days, as a condition on slots: any part of the slot lies in the days of its own department."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from include.clock import first_instant
from include.errors import DataRejected

if TYPE_CHECKING:
    from include.api.resources.filters import Filters
    from include.sources.moment import Cursor

_EARLIEST, _LATEST = datetime(1890, 1, 1, tzinfo=UTC), datetime(2210, 1, 1, tzinfo=UTC)
#: As an extract's window: a slot without length is in it when its moment is. The outer bounds serve the index.
_CONDITION = """
    {r}.stop_utc >= %(first)s AND {r}.start_utc < %(last)s AND EXISTS (
        SELECT FROM schedule.departments AS department
        JOIN unnest(%(zones)s::text[], %(begins)s::timestamptz[], %(ends)s::timestamptz[])
            AS bounds (zone, begins, ends) ON bounds.zone = department.time_zone
        WHERE department.department_id = {r}.department_id AND {r}.start_utc < bounds.ends
          AND ({r}.stop_utc > bounds.begins OR {r}.start_utc = bounds.begins)
    )
"""


def window_condition(filters: Filters, cursor: Cursor) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The condition of ``start`` and ``end``, as far as they are given, and its values.

    Raises:
        DataRejected: a department's time zone is unknown to Python.
    """
    if filters.start is None and filters.end is None:
        return (), {}
    zones = [row[0] for row in cursor.execute("SELECT DISTINCT time_zone FROM schedule.departments").fetchall()]
    try:
        for zone in zones:
            ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise DataRejected(
            "A department's time zone is unknown here.", next_step="correct the department, or update package tzdata"
        ) from None
    begins = [first_instant(filters.start, zone) if filters.start else _EARLIEST for zone in zones]
    ends = [first_instant(filters.end + timedelta(days=1), zone) if filters.end else _LATEST for zone in zones]
    values = {
        "zones": zones,
        "begins": begins,
        "ends": ends,
        "first": min(begins, default=_EARLIEST),
        "last": max(ends, default=_LATEST),
    }
    return (_CONDITION,), values

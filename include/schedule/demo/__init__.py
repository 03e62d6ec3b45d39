"""The demo hospital: three campuses in three time zones, about 1,200 people, 180 assignments, 120 days around today.

Nobody in it exists. It holds every awkward case that an integration has to survive (:mod:`.awkward`), and is the same,
byte for byte, on every machine and every time for the same day: nothing in it is drawn by lot.
"""

from __future__ import annotations

import csv
from datetime import date, datetime
from typing import TYPE_CHECKING

from include.effects import effect
from include.schedule.demo.awkward import add_awkward_cases
from include.schedule.demo.model import Hospital
from include.schedule.demo.paperwork import add_requests, add_views_and_tallies
from include.schedule.demo.people import add_departments, add_people
from include.schedule.demo.staffing import add_schedule
from include.schedule.files import FILES

if TYPE_CHECKING:
    from pathlib import Path

#: The file that is not written: history is read by a restore only, and a new hospital has none.
_HISTORY = "change_logs"


def write_demo_hospital(folder: Path, today: date) -> Hospital:
    """Write the exchange files of the demo hospital around ``today`` into ``folder``, which is made if it is missing.

    Answers with the hospital that they describe.

    ``./callboard import`` loads them without a fault. Files of these names are overwritten. Local times are wall times
    of the department's zone, with the instant in UTC beside them.
    """
    hospital = build_demo_hospital(today)
    folder.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        if file.table == _HISTORY:
            continue
        with (
            effect("demo.write"),
            (folder / file.file_name).open("w", encoding="utf-8", newline="") as stream,
        ):
            writer = csv.writer(stream, lineterminator="\r\n")
            writer.writerow(file.column_names)
            writer.writerows(
                [_field(getattr(row, name)) for name in file.column_names] for row in getattr(hospital, file.table)
            )
    return hospital


def build_demo_hospital(today: date) -> Hospital:
    """Build the demo hospital around ``today`` in memory."""
    hospital = Hospital(today)
    add_departments(hospital)
    pools, pagers = add_people(hospital)
    add_schedule(hospital, pools, pagers)
    add_requests(hospital)
    add_awkward_cases(hospital)
    add_views_and_tallies(hospital)
    return hospital


def _field(value: object) -> str:
    """Write one value as the exchange files do: empty is null, dates and times are ISO 8601, instants end in Z."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat(timespec="seconds")
        return text if value.tzinfo is None else f"{text}Z"
    return value.isoformat() if isinstance(value, date) else str(value)

"""Schedule Backup: every published slot of the window, open ones too, with all that a person needs to find somebody.

What the CSV says must come back as it was, so that texts stay as they are. Times are told to the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.frames import Transformed
from include.mappings.schemas.schedule_backup import SCHEMA
from include.transforms import common
from include.transforms.lines import join

if TYPE_CHECKING:
    import pandas as pd

    from include.frames import SlotExtract, Verdict
    from include.mappings.schema import FeedMapping


def backed_up_slots(extract: SlotExtract, mapping: FeedMapping, verdict: Verdict) -> Transformed:
    """Decide about every slot and make one record for each included one.

    Returns:
        decisions and records (fields of the schema's ``record``; ``start`` and ``stop`` are naive wall times of the
        department, whatever zone the feed names: an import takes them for that).
    """
    lines = join(extract, mapping, verdict)
    decisions, included = common.decide(lines, common.common_findings(lines, SCHEMA))
    zone = included.assignment("time_zone")
    start, stop = (included.slot(name).dt.floor("s") for name in ("start_utc", "stop_utc"))
    fields = {
        "source_slot_id": included.slot("slot_id"),
        "period_id": included.slot("period_id"),
        "assignment_id": included.slot("assignment_id"),
        "emp_id": included.slot("emp_id"),
        "slot_date": common.dates(included.slot("slot_date")),
        "start": common.wall_times(start, zone),
        "stop": common.wall_times(stop, zone),
        "start_instant": _iso(start),
        "stop_instant": _iso(stop),
        "note": included.slot("note"),
        "location": included.slot("location"),
        "call_order": included.slot("call_order"),
        "is_pending": included.slot("is_pending"),
        "work_units": included.slot("work_units"),
        "department_id": included.assignment("department_id"),
        "department_name": included.assignment("department_name"),
        "facility": included.assignment("facility"),
        "time_zone": zone,
        "assignment_name": included.assignment("name"),
        "assignment_type": included.assignment("assignment_type"),
        "information": included.assignment("information"),
        "person_name": included.person("display_name"),
        "pager": included.person("pager"),
        "cell_phone": included.person("cell_phone"),
        "phone": included.person("phone"),
        "called": included.slot("call_order").astype("Int64").fillna(included.assignment("call_order").astype("Int64")),
    }
    return Transformed(decisions, common.records(SCHEMA, included, fields))


def _iso(instants: pd.Series[Any]) -> pd.Series[str]:
    texts: pd.Series[str] = instants.dt.strftime("%Y-%m-%dT%H:%M:%SZ").astype("str")
    return texts

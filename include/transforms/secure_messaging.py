"""Secure messaging: one record for each slot at each target that its assignment is mapped to.

Placeholders are delivered where they have an ID at the partner: whoever carries the pager is reached by it. Open slots
are not people. Times are instants; the zone beside them says on which clock the partner shows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.frames import Transformed
from include.mappings.schemas.secure_messaging import SCHEMA
from include.transforms import common
from include.transforms.lines import join

if TYPE_CHECKING:
    import pandas as pd

    from include.frames import SlotExtract, Verdict
    from include.mappings.schema import FeedMapping
    from include.transforms.lines import Lines


def messaging_records(extract: SlotExtract, mapping: FeedMapping, verdict: Verdict) -> Transformed:
    """Decide about every slot and make one record for each target of each included one.

    Returns:
        decisions and records (fields of the schema's ``record``; an entry's times are the record's ``start_utc`` and
        ``stop_utc``).
    """
    lines = join(extract, mapping, verdict)
    decisions, included = common.decide(lines, common.common_findings(lines, SCHEMA))
    fields = {
        "target_id": included.row("target_id"),
        "target_name": included.row("target_name", common.one_line),
        "person_id": included.person("personnel_id"),
        "role": included.row("role"),
        "priority": priority(included),
        "note": common.one_line(included.slot("note")),
        "assignment_name": included.assignment("name", common.one_line),
        "time_zone": common.zones(included, mapping),
        "source_slot_id": included.slot("slot_id"),
    }
    return Transformed(decisions, common.records(SCHEMA, included, fields))


def priority(lines: Lines) -> pd.Series[Any]:
    """Who is called first (``Int64``): the mapping row's word, else the slot's call order, else the assignment's."""
    first = lines.row("priority").astype("Int64")
    for other in (lines.slot("call_order"), lines.assignment("call_order")):
        first = first.fillna(other.astype("Int64"))
    return first

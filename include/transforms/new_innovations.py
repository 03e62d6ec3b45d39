"""New Innovations Duty Hours: the duties of everybody whose assignments are mapped.

Duty hours are a person's: open shifts and placeholders are excluded. Whether a record is an add, a change or a delete
is the plan's to say, not the transform's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.frames import Transformed
from include.mappings.schemas.new_innovations import SCHEMA
from include.transforms import common
from include.transforms.lines import join

if TYPE_CHECKING:
    from include.frames import SlotExtract, Verdict
    from include.mappings.schema import FeedMapping


def duty_hours(extract: SlotExtract, mapping: FeedMapping, verdict: Verdict) -> Transformed:
    """Decide about every slot and make one record for each included one.

    Returns:
        decisions and records (fields of the schema's ``record`` except ``action``; ``start`` and ``stop`` are naive
        wall times).
    """
    lines = join(extract, mapping, verdict)
    decisions, included = common.decide(lines, common.common_findings(lines, SCHEMA))
    zone = common.zones(included, mapping)
    slot_note = included.slot("note").where(common.is_true(included.row("include_slot_note")))
    fields = {
        "unique_id": included.person("personnel_id"),
        "duty_hour_name": included.row("ni_duty_hour_name"),
        "assignment_name": included.row("ni_assignment_name"),
        "date": common.dates(included.slot("slot_date")),
        "start": common.wall_times(included.slot("start_utc"), zone),
        "stop": common.wall_times(included.slot("stop_utc"), zone),
        "location": common.location(included),
        "notes": common.phrases(included.row("notes", common.one_line), common.one_line(slot_note)),
        "source_slot_id": included.slot("slot_id"),
    }
    return Transformed(decisions, common.records(SCHEMA, included, fields))

"""Epic OpTime: who works in which facility's operating rooms, as what, and when.

Where a row of the mapping names a time zone, start and stop are told on that zone's clock, with its dates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.frames import Transformed
from include.mappings.schemas.epic_optime import SCHEMA
from include.transforms import common
from include.transforms.lines import join

if TYPE_CHECKING:
    from include.frames import SlotExtract, Verdict
    from include.mappings.schema import FeedMapping


def staff_shifts(extract: SlotExtract, mapping: FeedMapping, verdict: Verdict) -> Transformed:
    """Decide about every slot and make one record for each included one.

    Returns:
        decisions and records (fields of the schema's ``record``; ``start`` and ``stop`` are naive wall times of
        ``timezone``).
    """
    lines = join(extract, mapping, verdict)
    decisions, included = common.decide(lines, common.common_findings(lines, SCHEMA))
    zone = common.zones(included, mapping, field="timezone")
    fields = {
        "provider_id": included.person("personnel_id"),
        "import_group": included.row("import_group"),
        "resource_type": included.row("resource_type"),
        "role": included.row("role"),
        "start": common.wall_times(included.slot("start_utc"), zone),
        "stop": common.wall_times(included.slot("stop_utc"), zone),
        "timezone": zone,
        "provider_name": included.person("display_name", common.one_line),
        "location": common.one_line(included.slot("location")),
        "assignment_name": included.assignment("name", common.one_line),
        "department_name": included.assignment("department_name", common.one_line),
        "source_slot_id": included.slot("slot_id"),
    }
    return Transformed(decisions, common.records(SCHEMA, included, fields))

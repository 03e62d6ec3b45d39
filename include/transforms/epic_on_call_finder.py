"""Epic On Call Finder: who is on call for which team, when, and what whoever calls must know.

Placeholders are delivered, with their contact information in the notes: that is what they are for. Open slots are not
people. Times are the facility's own: the department's zone, unless the feed names another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.frames import Transformed
from include.mappings.schemas.epic_on_call_finder import SCHEMA
from include.transforms import common
from include.transforms.lines import join

if TYPE_CHECKING:
    import pandas as pd

    from include.frames import SlotExtract, Verdict
    from include.mappings.schema import FeedMapping
    from include.transforms.lines import Lines

#: A placeholder's contact information, in the order in which Epic's users read it.
CONTACTS = (("Phone", "phone"), ("Pager", "pager"), ("Cell", "cell_phone"))


def on_call_records(extract: SlotExtract, mapping: FeedMapping, verdict: Verdict) -> Transformed:
    """Decide about every slot and make one record for each included one.

    Returns:
        decisions and records (fields of the schema's ``record``; ``start`` and ``stop`` are naive wall times).
    """
    lines = join(extract, mapping, verdict)
    decisions, included = common.decide(lines, common.common_findings(lines, SCHEMA))
    zone = common.zones(included, mapping)
    fields = {
        "epic_team_id": included.row("epic_team_id"),
        "team_name": included.row("team_name", common.one_line),
        "provider_id": included.person("personnel_id"),
        "provider_name": included.person("display_name", common.one_line),
        "role": included.row("role"),
        "start": common.wall_times(included.slot("start_utc"), zone),
        "stop": common.wall_times(included.slot("stop_utc"), zone),
        "call_order": common.call_order(included),
        "notes": notes(included, mapping.settings.notes_max_length),
        "team_comment": included.row("team_comment", common.one_line),
        "assignment_name": included.assignment("name", common.one_line),
        "department_name": included.assignment("department_name", common.one_line),
        "source_slot_id": included.slot("slot_id"),
    }
    return Transformed(decisions, common.records(SCHEMA, included, fields))


def notes(lines: Lines, max_length: int | None) -> pd.Series[str]:
    """Prefix, slot note, a placeholder's contact information and the assignment's information, as one line.

    ``max_length`` counts characters. What is longer is cut at the end, but a placeholder's contact information is not:
    prefix and note make room for it, because half a phone number is worse than none.
    """
    text = common.phrases(lines.row("note_prefix", common.one_line), common.one_line(lines.slot("note")))
    contact = _contact(lines)
    wanted = common.is_true(lines.row("include_assignment_information"))
    information = lines.assignment("information", common.one_line).where(wanted)
    if max_length is None:
        return common.phrases(text, contact, information)
    room = max_length - (contact.str.len() + 1).fillna(0)
    text = common.phrases(common.shortened(text, room), contact, information)
    return common.shortened(text, max_length)


def _contact(lines: Lines) -> pd.Series[str]:
    """``Phone: ..., Pager: ..., Cell: ...`` of placeholders, as far as they have them; null for people."""
    placeholder = common.is_true(lines.person("is_placeholder"))
    numbers = (f"{label}: " + lines.person(column, common.one_line).where(placeholder) for label, column in CONTACTS)
    return common.phrases(*numbers, between=", ")

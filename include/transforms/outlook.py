"""Outlook: slots as events in their holders' calendars.

Who has no ID has opted out. Placeholders are nobody's calendar. An event lasts from instant to instant: Outlook shows
it on its reader's clock, and no zone's name has to be one that Graph accepts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.frames import Transformed
from include.mappings.schemas.outlook import SCHEMA
from include.transforms import common
from include.transforms.lines import join

if TYPE_CHECKING:
    import pandas as pd

    from include.frames import SlotExtract, Verdict
    from include.mappings.schema import FeedMapping
    from include.transforms.lines import Lines


def calendar_events(extract: SlotExtract, mapping: FeedMapping, verdict: Verdict) -> Transformed:
    """Decide about every slot and make one record for each included one.

    Returns:
        decisions and records (fields of the schema's ``record``; an event's times are the record's ``start_utc`` and
        ``stop_utc``).
    """
    import numpy as np

    lines = join(extract, mapping, verdict)
    findings = [*common.common_findings(lines, SCHEMA), _not_sent(lines)]
    decisions, included = common.decide(lines, findings)
    free = common.is_true(included.row("send_as_free"))
    fields = {
        "mailbox": included.person("personnel_id"),
        "subject": included.assignment("name", common.one_line),
        "body": body(included),
        "show_as": np.where(free, "free", "busy"),
        "source_slot_id": included.slot("slot_id"),
    }
    return Transformed(decisions, common.records(SCHEMA, included, fields))


def body(lines: Lines) -> pd.Series[str]:
    """Paragraphs of plain text: the assignment's name, its information, the slot's note; null where none is wanted.

    Line breaks inside notes and information stay.
    """
    informed = common.is_true(lines.row("include_assignment_information"))
    name = lines.assignment("name", common.one_line).where(informed)
    information = lines.assignment("information").where(informed)
    note = lines.slot("note").where(common.is_true(lines.row("include_schedule_notes")))
    return common.phrases(name, _trimmed(information), _trimmed(note), between="\n")


def _trimmed(texts: pd.Series[str]) -> pd.Series[str]:
    """Without blanks at its ends, with a line feed for every line break; null where nothing is left."""
    tidy = texts.astype("str").str.replace("\r\n", "\n", regex=False).str.replace("\r", "\n", regex=False).str.strip()
    return tidy.where(tidy.ne("").fillna(value=False))


def _not_sent(lines: Lines) -> common.Finding:
    """Slots whose row says that they are not sent. A row that does not say it is incomplete, not a no."""
    said = lines.row("send_to_outlook").astype("boolean")
    return common.Finding("not_sent", said.eq(other=False).fillna(value=False), "send_to_outlook is false")

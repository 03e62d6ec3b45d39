"""Kronos Workforce Dimensions: the shifts and pay code edits of one pay period.

Only real people are paid: open shifts and placeholders are excluded. Whether a record is an add, an update or a delete
is the plan's to say, not the transform's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.frames import Transformed
from include.mappings.schemas.kronos_workforce_dimensions import LABOR_CATEGORIES_IN_TABLE, SCHEMA
from include.transforms import common
from include.transforms.lines import join

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from include.frames import SlotExtract, Verdict
    from include.mappings.schema import FeedMapping
    from include.transforms.lines import Lines


def scheduled_shifts(extract: SlotExtract, mapping: FeedMapping, verdict: Verdict) -> Transformed:
    """Decide about every slot and make one record for each included one.

    A row with a pay code edit carries the pay code and the elapsed hours; any other row carries neither.

    Returns:
        decisions and records (fields of the schema's ``record`` except ``action``; ``start`` and ``stop`` are naive
        wall times).
    """
    lines = join(extract, mapping, verdict)
    findings = [*common.common_findings(lines, SCHEMA), *_mapping_findings(lines, mapping)]
    decisions, included = common.decide(lines, findings)
    zone = common.zones(included, mapping)
    start, stop = included.slot("start_utc"), included.slot("stop_utc")
    pay_code = included.row("pay_code_edit")
    words = mapping.settings.segment_words.model_dump()
    fields = {
        "person_number": included.person("personnel_id"),
        "date": common.dates(included.slot("slot_date")),
        "start": common.wall_times(start, zone),
        "stop": common.wall_times(stop, zone),
        "segment_type": included.row("segment_type").map(words).astype("str"),
        "business_structure": included.row("business_structure"),
        "cost_center_transfer": included.row("cost_center_transfer"),
        "labor_categories": _labor_categories(included, mapping.settings.labor_categories_delimiter),
        "work_rule_transfer": included.row("work_rule_transfer"),
        "pay_code": pay_code,
        "pay_code_amount": common.hours_between(start, stop).where(pay_code.notna()),
        "open_shift": common.is_true(included.row("open_shift")),
        "comment": included.row("comment"),
        "source_slot_id": included.slot("slot_id"),
    }
    return Transformed(decisions, common.records(SCHEMA, included, fields))


def _mapping_findings(lines: Lines, mapping: FeedMapping) -> Iterator[common.Finding]:
    known = mapping.lists.get("comments")
    if known is not None:
        comment = lines.row("comment")
        yield common.Finding("comment_unknown", comment.notna() & ~comment.isin(known))
    delimiter = mapping.settings.labor_categories_delimiter
    if delimiter != LABOR_CATEGORIES_IN_TABLE:
        # The partner would read one entry as two.
        torn = lines.row("labor_categories").str.contains(delimiter, regex=False, na=False)
        yield common.Finding("value_refused", torn, "labor_categories: an entry contains the file's delimiter")


def _labor_categories(lines: Lines, delimiter: str) -> pd.Series[str]:
    """Read the table's entries, parted by ``|``, and join them by the partner's delimiter; drop empty ones."""

    def joined(cell: Any) -> str | None:
        entries = (entry.strip() for entry in cell.split(LABOR_CATEGORIES_IN_TABLE))
        return delimiter.join(entry for entry in entries if entry) or None

    cells = lines.row("labor_categories")
    return cells.map({cell: joined(cell) for cell in cells.dropna().unique()}).astype("str")

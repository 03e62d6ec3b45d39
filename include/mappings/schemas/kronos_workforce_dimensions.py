"""Kronos Workforce Dimensions: what an assignment means to payroll, and the files that carry a pay period's changes.

The fields are those of the integrations catalog, which speaks UKG's vocabulary; headers, their order and the way a
delete is told are per customer, so the default layout is ours and is to be confirmed with the customer's Kronos
representative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator

from include.mappings.changes import ChangeSettings
from include.mappings.pay_periods import Recurrence, unconfirmed_anchor
from include.mappings.schema import (
    AssignmentRow,
    Column,
    Delimiter,
    Flag,
    Layout,
    MappingSchema,
    RecordField,
    Strict,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.mappings.schema import FeedMapping

SEGMENT_TYPES = ("Regular", "Transfer", "Break")
#: Between the labor category entries of a table cell, whatever `labor_categories_delimiter` the partner's file uses.
LABOR_CATEGORIES_IN_TABLE = "|"


def _segment_type(value: object) -> object:
    """Read a segment type in any letter case. The catalog's "Required" is what Kronos calls Regular."""
    if not isinstance(value, str):
        return value
    words = {word.lower(): word for word in SEGMENT_TYPES} | {"required": "Regular"}
    word = words.get(value.strip().lower())
    if word is None:
        raise ValueError("must be Regular (or Required), Transfer or Break")
    return word


SegmentType = Annotated[Literal["Regular", "Transfer", "Break"], BeforeValidator(_segment_type)]


class KronosDimensionsRow(AssignmentRow):
    """One assignment in payroll's terms."""

    work_rule_transfer: Text | None = None  # the work rule that goes with the shift
    pay_code_edit: Text | None = None  # a pay code instead of a worked shift, for time out of office
    segment_type: SegmentType | None = None
    open_shift: Flag = False  # Kronos makes an open shift of an existing one that this row overwrites
    business_structure: Text | None = None  # job transfer
    cost_center_transfer: Text | None = None
    labor_categories: Text | None = None  # entries parted by `|`
    comment: Text | None = None  # must be a comment that Kronos knows


class SegmentWords(Strict):
    """The words that the partner's file uses for the segment types."""

    Regular: Text = "Regular"
    Transfer: Text = "Transfer"
    Break: Text = "Break"


class KronosDimensionsSettings(ChangeSettings):
    """The feed's own settings.

    ``comments`` names a CSV file in the mappings folder with one column ``comment``: the comments that the customer's
    Kronos knows (``FeedMapping.lists["comments"]``).
    """

    recurrence: Recurrence = Recurrence()
    comments: Text | None = None
    labor_categories_delimiter: Delimiter = "|"
    segment_words: SegmentWords = SegmentWords()
    deletes_file_name: Text = "WFD_{period}_{date}_{seq}_deletes.csv"


RECORD = {
    "person_number": RecordField("text", "the person's number in Kronos"),
    "date": RecordField("date", "the day that the shift belongs to"),
    "start": RecordField("local_time", "start of the shift, local time of its department"),
    "stop": RecordField("local_time", "end of the shift, local time of its department"),
    "segment_type": RecordField("text", "Regular, Transfer or Break, in the partner's word for it"),
    "business_structure": RecordField("text", "job transfer"),
    "cost_center_transfer": RecordField("text", "cost center that pays"),
    "labor_categories": RecordField("text", "labor category entries, joined by the partner's delimiter"),
    "work_rule_transfer": RecordField("text", "work rule that applies"),
    "pay_code": RecordField("text", "pay code edit, for time out of office"),
    "pay_code_amount": RecordField("decimal", "hours under the pay code"),
    "open_shift": RecordField("boolean", "make an open shift of an existing one that this row overwrites"),
    "comment": RecordField("text", "a comment that Kronos knows"),
    "action": RecordField("text", "add, update or delete, in the partner's word for it"),
    "source_slot_id": RecordField("text", "the slot that the row comes from"),
}

LAYOUT = Layout(
    columns=(
        Column(header="Employee ID", field="person_number"),
        Column(header="Date", field="date"),
        Column(header="Start Time", field="start", format="HH:MM"),
        Column(header="End Date", field="stop", format="YYYY-MM-DD"),
        Column(header="End Time", field="stop", format="HH:MM"),
        Column(header="Segment Type", field="segment_type"),
        Column(header="Business Structure", field="business_structure"),
        Column(header="Cost Center Transfer", field="cost_center_transfer"),
        Column(header="Labor Categories", field="labor_categories"),
        Column(header="Work Rule Transfer", field="work_rule_transfer"),
        Column(header="Pay Code", field="pay_code"),
        Column(header="Pay Code Amount", field="pay_code_amount"),
        Column(header="Open Shift", field="open_shift"),
        Column(header="Comment", field="comment"),
        Column(header="Action", field="action"),
        Column(header="SourceSlotID", field="source_slot_id"),
    )
)


def _advise(mapping: FeedMapping) -> Iterator[str]:
    yield from unconfirmed_anchor(mapping.settings.recurrence, "settings.recurrence")
    if mapping.settings.deletes == "omit":
        yield "settings.deletes is omit: shifts that are withdrawn stay in Kronos"
    known = mapping.lists.get("comments")
    if known is None:
        return
    unknown = sum(1 for row in mapping.table if not row.ignore and row.comment is not None and row.comment not in known)
    if unknown:
        yield (
            f"{unknown} row(s) of {mapping.feed}.csv have a comment that {mapping.settings.comments} does not list; "
            "their slots are rejected as comment_unknown"
        )


SCHEMA = MappingSchema(
    slug="kronos_workforce_dimensions",
    record=RECORD,
    key=("person_number", "date", "source_slot_id"),
    layout=LAYOUT,
    schedule="0 2 * * *",
    file_name="WFD_{period}_{date}_{seq}.csv",
    publish="rename",
    table=KronosDimensionsRow,
    required=("segment_type", "comment"),
    settings=KronosDimensionsSettings,
    delivers_placeholders=False,
    list_files={"comments": "comment"},
    pay_periods=True,
    unique_file_names=True,
    advise=_advise,
)

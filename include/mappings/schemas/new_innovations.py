"""New Innovations Duty Hours: what an assignment means to residents' duty hours, and the files that carry them.

New Innovations publishes no import specification; the fields are those of the integrations catalog. Layout, and above
all the way a delete is told, are ours and are to be confirmed with New Innovations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.mappings.changes import Actions, ChangeSettings
from include.mappings.schema import AssignmentRow, Column, Flag, Layout, MappingSchema, RecordField, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.mappings.schema import FeedMapping


class NewInnovationsRow(AssignmentRow):
    """One assignment in the terms of New Innovations."""

    ni_duty_hour_name: Text | None = None  # matches the assignment with a Duty Hour Name
    ni_assignment_name: Text | None = None  # matches the assignment with an Assignment Name
    notes: Text | None = None  # free text that goes with each slot
    location: Text | None = None  # ties the assignment to a location; else the slot's own
    include_slot_note: Flag = False  # the slot's own note follows the notes


class NewInnovationsActions(Actions):
    """The words of the action column: a record is added, changed or deleted."""

    add: Text = "A"
    update: Text = "C"
    delete: Text = "D"


class NewInnovationsSettings(ChangeSettings):
    """The feed's own settings: how a file of changes tells what was withdrawn."""

    deletes_file_name: Text = "NI_{date}_{seq}_deletes.csv"
    actions: Actions = NewInnovationsActions()


RECORD = {
    "unique_id": RecordField("text", "the person's ID in New Innovations"),
    "duty_hour_name": RecordField("text", "the Duty Hour Name"),
    "assignment_name": RecordField("text", "the Assignment Name in New Innovations"),
    "date": RecordField("date", "the day that the duty belongs to"),
    "start": RecordField("local_time", "start of the duty, local time of its department"),
    "stop": RecordField("local_time", "end of the duty, local time of its department"),
    "location": RecordField("text", "the location in New Innovations"),
    "notes": RecordField("text", "the mapping's notes, and the slot's note where the row says so, on one line"),
    "action": RecordField("text", "add, change or delete, in the partner's word for it"),
    "source_slot_id": RecordField("text", "the slot that the row comes from"),
}

LAYOUT = Layout(
    columns=(
        Column(header="UniqueID", field="unique_id"),
        Column(header="DutyHourName", field="duty_hour_name"),
        Column(header="AssignmentName", field="assignment_name"),
        Column(header="StartDate", field="start", format="MM/DD/YYYY"),
        Column(header="StartTime", field="start", format="HH:MM"),
        Column(header="EndDate", field="stop", format="MM/DD/YYYY"),
        Column(header="EndTime", field="stop", format="HH:MM"),
        Column(header="Location", field="location"),
        Column(header="Notes", field="notes"),
        Column(header="Action", field="action"),
        Column(header="SourceSlotID", field="source_slot_id"),
    )
)


def _advise(mapping: FeedMapping) -> Iterator[str]:
    nameless = sum(
        1
        for row in mapping.table
        if not row.ignore and row.ni_duty_hour_name is None and row.ni_assignment_name is None
    )
    if nameless:
        yield (
            f"{nameless} row(s) of {mapping.feed}.csv have neither ni_duty_hour_name nor ni_assignment_name: "
            "New Innovations has nothing to match their slots with"
        )
    if mapping.settings.deletes == "omit":
        yield "settings.deletes is omit: duties that are withdrawn stay in New Innovations"


SCHEMA = MappingSchema(
    slug="new_innovations",
    record=RECORD,
    key=("unique_id", "date", "source_slot_id"),
    layout=LAYOUT,
    schedule="0 3 * * *",
    file_name="NI_{date}_{seq}.csv",
    publish="rename",
    table=NewInnovationsRow,
    settings=NewInnovationsSettings,
    delivers_placeholders=False,
    unique_file_names=True,
    advise=_advise,
)

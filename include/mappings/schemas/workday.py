"""Workday: what an assignment means to time tracking, and the two files of time blocks and time off.

The fields are those of the integrations catalog; the names of the columns follow Workday's web services
(``Reported_Time_Block_Data``, ``Time_Off_Entry``). Which of them a tenant's import reads is the customer's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from include.mappings.positions import POSITION_KEY, PositionRow
from include.mappings.schema import (
    AssignmentRow,
    Column,
    FilePart,
    Layout,
    MappingSchema,
    RecordField,
    Strict,
    Text,
    Window,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.mappings.schema import FeedMapping

TIME_BLOCK, TIME_OFF = "Time Block", "Time Off"


def _integration_type(value: object) -> object:
    """Read the type in any letter case, with blanks, hyphens or underscores."""
    if not isinstance(value, str):
        return value
    words = {"timeblock": TIME_BLOCK, "timeoff": TIME_OFF}
    word = words.get("".join(letter for letter in value.lower() if letter.isalnum()))
    if word is None:
        raise ValueError("must be Time Block or Time Off")
    return word


IntegrationType = Annotated[Literal["Time Block", "Time Off"], BeforeValidator(_integration_type)]


class WorkdayRow(AssignmentRow):
    """One assignment in Workday's terms."""

    integration_type: IntegrationType | None = None
    integration_category: Text | None = None  # the time entry code of a time block, the code of a time off


_TIME_OFF_COLUMNS = (
    Column(header="time_off_entry_id", field="entry_id"),
    Column(header="worker_id", field="worker_id"),
    Column(header="worker_id_type", field="worker_id_type"),
    Column(header="position_id", field="position_id"),
    Column(header="time_off_code", field="integration_category"),
    Column(header="date", field="date"),
    Column(header="quantity", field="quantity"),
    Column(header="unit", field="unit"),
    Column(header="comment", field="comment"),
    Column(header="SourceSlotID", field="source_slot_id"),
)


class TimeOffFile(Strict):
    """The file of time off: its name, and its columns; how it is written is the other file's layout."""

    file_name: Text = "workday_time_off.csv"
    columns: tuple[Column, ...] = Field(default=_TIME_OFF_COLUMNS, min_length=1)


class WorkdaySettings(Strict):
    """The feed's own settings.

    ``worker_id_type``: what kind of ID Workday knows workers by. ``time_off_unit``: whether a day of time off counts as
    its hours or as one day.
    """

    worker_id_type: Text = "Employee_ID"
    time_off_unit: Literal["Hours", "Days"] = "Hours"
    include_slot_note: bool = False
    time_off: TimeOffFile = TimeOffFile()


RECORD = {
    "integration_type": RecordField("text", "Time Block or Time Off: which of the two files"),
    "entry_id": RecordField("text", "the record's own ID: the same for the same slot, worker and day"),
    "worker_id": RecordField("text", "the person's ID in Workday"),
    "worker_id_type": RecordField("text", "the kind of that ID"),
    "position_id": RecordField("text", "the position, from the positions table"),
    "integration_category": RecordField("text", "the time entry code, or the code of the time off"),
    "date": RecordField("date", "of a time block the day that it belongs to, of time off the day off"),
    "start": RecordField("local_time", "start, local time of its department; of time off: on this day"),
    "stop": RecordField("local_time", "end, local time of its department; of time off: on this day"),
    "in_date_time": RecordField("text", "the same start, ISO 8601 with offset"),
    "out_date_time": RecordField("text", "the same end, ISO 8601 with offset"),
    "quantity": RecordField("decimal", "elapsed hours; of time off in days, 1"),
    "unit": RecordField("text", "Hours or Days"),
    "time_zone": RecordField("text", "the zone of the local times"),
    "comment": RecordField("text", "the slot's note, where `include_slot_note` says so, on one line"),
    "source_slot_id": RecordField("text", "the slot that the row comes from"),
}

LAYOUT = Layout(
    columns=(
        Column(header="time_block_id", field="entry_id"),
        Column(header="worker_id", field="worker_id"),
        Column(header="worker_id_type", field="worker_id_type"),
        Column(header="position_id", field="position_id"),
        Column(header="time_entry_code", field="integration_category"),
        Column(header="date", field="date"),
        Column(header="in_date_time", field="in_date_time"),
        Column(header="out_date_time", field="out_date_time"),
        Column(header="quantity", field="quantity"),
        Column(header="time_zone", field="time_zone"),
        Column(header="comment", field="comment"),
        Column(header="SourceSlotID", field="source_slot_id"),
    )
)


def _parts(mapping: FeedMapping) -> Iterator[FilePart]:
    layout, time_off = mapping.layout or LAYOUT, mapping.settings.time_off
    yield FilePart("integration_type", TIME_BLOCK, mapping.destination.file_name or "", layout, ())
    of_time_off = layout.model_copy(update={"columns": time_off.columns})
    yield FilePart("integration_type", TIME_OFF, time_off.file_name, of_time_off, ("settings", "time_off"))


SCHEMA = MappingSchema(
    slug="workday",
    record=RECORD,
    key=("worker_id", "integration_type", "date", "source_slot_id"),
    layout=LAYOUT,
    schedule="0 4 * * *",
    file_name="workday_time_blocks.csv",
    window=Window(past_days=31, future_days=366),
    table=WorkdayRow,
    required=("integration_type", "integration_category"),
    settings=WorkdaySettings,
    side_tables={"positions": PositionRow},
    side_keys={"positions": POSITION_KEY},
    delivers_placeholders=False,
    several_records_per_slot=True,
    parts=_parts,
    layout_settings=("time_off",),
)

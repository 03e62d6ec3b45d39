"""Outlook: which assignments stand in their holders' calendars, and how.

The four columns are those of the integrations catalog; the event's fields are those of Microsoft Graph's event resource
(learn.microsoft.com/graph/api/resources/event).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from include.mappings.schema import AssignmentRow, Flag, MappingSchema, RecordField, Strict


class OutlookRow(AssignmentRow):
    """One assignment as an event."""

    send_to_outlook: Flag | None = None  # whether its slots become events at all
    include_schedule_notes: Flag = False  # the slot's note stands in the event's body
    include_assignment_information: Flag = False  # the assignment's name and information stand in the body
    send_as_free: Flag = False  # shown as free, else as busy


class OutlookSettings(Strict):
    """The feed's own settings."""

    lanes: Annotated[int, Field(ge=1, le=8)] = 4
    """How many `$batch` requests are under way at the same time; a mailbox is in one of them only, where Graph does at
    most 4 of its operations at a time."""


RECORD = {
    "mailbox": RecordField("text", "the person's user principal name: the mailbox with the calendar"),
    "subject": RecordField("text", "the assignment's name"),
    "body": RecordField("text", "assignment name and information, and the slot's note, each if its row says so"),
    "show_as": RecordField("text", "`busy` or `free`"),
    "source_slot_id": RecordField("text", "the slot that the event comes from"),
}


SCHEMA = MappingSchema(
    slug="outlook",
    record=RECORD,
    key=("mailbox", "source_slot_id"),
    layout=None,
    schedule="*/15 * * * *",
    status="vendor-documented",
    table=OutlookRow,
    required=("send_to_outlook",),
    settings=OutlookSettings,
    destination_settings=("lanes",),
    missing_id="opted_out",
    delivers_placeholders=False,
    records_to=lambda _: "callboard_sandbox_graph",
)

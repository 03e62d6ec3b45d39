"""Epic On Call Finder: what an assignment means to Epic, and the file that Epic imports.

Epic publishes no import specification; the fields are those of the integrations catalog, the default layout is ours and
is to be confirmed with the customer's Epic analyst.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from include.mappings.schema import (
    AssignmentRow,
    Column,
    Flag,
    Layout,
    MappingSchema,
    RecordField,
    Strict,
    Text,
    WholeNumber,
    Window,
)


class EpicOnCallRow(AssignmentRow):
    """One assignment in Epic's terms."""

    epic_team_id: Text | None = None  # links the assignment to a facility's team in Epic
    team_name: Text | None = None  # only eases searching among the mappings
    role: Text | None = None  # the customer's Epic role
    note_prefix: Text | None = None  # fixed text before the slot's note
    team_comment: Text | None = None  # banner on the team's page
    call_order: Annotated[WholeNumber, Field(ge=0)] | None = None  # overrides the slot's and the assignment's
    include_assignment_information: Flag = False  # append the assignment's information to the notes


class EpicOnCallSettings(Strict):
    """``notes_max_length``: characters that Epic's notes field holds; longer notes are cut there. None = no limit."""

    notes_max_length: Annotated[int, Field(ge=1)] | None = None


RECORD = {
    "epic_team_id": RecordField("text", "the team that is called"),
    "team_name": RecordField("text", "the team's name"),
    "provider_id": RecordField("text", "the person's ID in Epic"),
    "provider_name": RecordField("text", "the person's display name; a placeholder's says whose pager it is"),
    "role": RecordField("text", "the Epic role that the person fills"),
    "start": RecordField("local_time", "start of the duty, local time of the facility"),
    "stop": RecordField("local_time", "end of the duty, local time of the facility"),
    "call_order": RecordField("integer", "who is called first"),
    "notes": RecordField("text", "prefix, slot note, contact and assignment information, on one line"),
    "team_comment": RecordField("text", "the banner of the team's page"),
    "assignment_name": RecordField("text", "the assignment's name in the schedule"),
    "department_name": RecordField("text", "the department's name in the schedule"),
    "source_slot_id": RecordField("text", "the slot that the row comes from"),
}

LAYOUT = Layout(
    columns=(
        Column(header="EpicTeamID", field="epic_team_id"),
        Column(header="TeamName", field="team_name"),
        Column(header="ProviderID", field="provider_id"),
        Column(header="ProviderName", field="provider_name"),
        Column(header="Role", field="role"),
        Column(header="StartDate", field="start", format="MM/DD/YYYY"),
        Column(header="StartTime", field="start", format="HH:MM"),
        Column(header="EndDate", field="stop", format="MM/DD/YYYY"),
        Column(header="EndTime", field="stop", format="HH:MM"),
        Column(header="CallOrder", field="call_order"),
        Column(header="Notes", field="notes"),
        Column(header="TeamComment", field="team_comment"),
        Column(header="SourceSlotID", field="source_slot_id"),
    )
)

SCHEMA = MappingSchema(
    slug="epic_on_call_finder",
    record=RECORD,
    key=("provider_id", "epic_team_id", "source_slot_id"),
    layout=LAYOUT,
    schedule="*/5 * * * *",
    file_name="oncall.csv",
    publish="posix_rename",
    window=Window(past_days=1, future_days=14),
    recommended_window=Window(past_days=7, future_days=60),
    table=EpicOnCallRow,
    required=("epic_team_id", "role"),
    settings=EpicOnCallSettings,
)

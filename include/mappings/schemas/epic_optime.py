"""Epic OpTime: what an assignment means to the snapboard, and the file of staff that Epic imports.

Epic publishes no import specification; the fields are those of the integrations catalog, the default layout is ours and
is to be confirmed with the customer's Epic analyst.
"""

from __future__ import annotations

from include.mappings.schema import AssignmentRow, Column, Layout, MappingSchema, RecordField, Text, Window
from include.mappings.zones import ZoneName  # noqa: TC001 - pydantic reads the annotations of its models


class OpTimeRow(AssignmentRow):
    """One assignment in OpTime's terms."""

    import_group: Text | None = None  # links the assignment to a facility in Epic
    resource_type: Text | None = None  # Epic's resource type ID, such as the one of CRNAs
    role: Text | None = None  # the customer's Epic role
    timezone: ZoneName | None = None  # start and stop are told on this zone's clock, where it is not the department's


RECORD = {
    "provider_id": RecordField("text", "the person's ID in Epic (SER .1)"),
    "import_group": RecordField("text", "the facility in Epic"),
    "resource_type": RecordField("text", "the resource type that the person fills"),
    "role": RecordField("text", "the Epic role that the person fills"),
    "start": RecordField("local_time", "start of the shift, on the clock of `timezone`"),
    "stop": RecordField("local_time", "end of the shift, on the clock of `timezone`"),
    "timezone": RecordField("text", "the zone of start and stop: the row's, else the feed's, else the department's"),
    "provider_name": RecordField("text", "the person's display name"),
    "location": RecordField("text", "the slot's location, such as its room"),
    "assignment_name": RecordField("text", "the assignment's name in the schedule"),
    "department_name": RecordField("text", "the department's name in the schedule"),
    "source_slot_id": RecordField("text", "the slot that the row comes from"),
}

LAYOUT = Layout(
    columns=(
        Column(header="ProviderID", field="provider_id"),
        Column(header="ImportGroup", field="import_group"),
        Column(header="ResourceType", field="resource_type"),
        Column(header="Role", field="role"),
        Column(header="StartDate", field="start", format="MM/DD/YYYY"),
        Column(header="StartTime", field="start", format="HH:MM"),
        Column(header="EndDate", field="stop", format="MM/DD/YYYY"),
        Column(header="EndTime", field="stop", format="HH:MM"),
        Column(header="Timezone", field="timezone"),
        Column(header="SourceSlotID", field="source_slot_id"),
    )
)

SCHEMA = MappingSchema(
    slug="epic_optime",
    record=RECORD,
    key=("provider_id", "import_group", "source_slot_id"),
    layout=LAYOUT,
    schedule="0 * * * *",
    file_name="optime.csv",
    publish="posix_rename",
    window=Window(past_days=0, future_days=30),
    recommended_window=Window(past_days=7, future_days=90),
    table=OpTimeRow,
    required=("import_group", "resource_type"),
)

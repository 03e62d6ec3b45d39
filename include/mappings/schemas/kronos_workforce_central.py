"""Kronos Workforce Central: what an assignment means to payroll, and the file of the pay period.

The fields are those of the integrations catalog. A Kronos representative builds the job that reads the file, so its
layout is per customer: the default is ours, and is to be confirmed with that representative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from include.mappings.matrix import MatrixRow
from include.mappings.pay_periods import Recurrence, unconfirmed_anchor
from include.mappings.schema import AssignmentRow, Column, Layout, MappingSchema, RecordField, Strict, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.mappings.schema import FeedMapping


class KronosCentralRow(AssignmentRow):
    """One assignment in payroll's terms."""

    pay_code_home: Text | None = None  # where the department's COID is the person's home COID
    pay_code_away: Text | None = None  # where it is the away COID; empty: such slots are rejected


class KronosCentralSettings(Strict):
    """The feed's own settings.

    ``recurrence``: the pay periods of all pay groups (``departments.csv`` column ``group``) but those that
    ``pay_periods`` names. ``misaligned_periods``: what becomes of slots whose schedule period is not the pay period;
    they are reported either way.
    """

    recurrence: Recurrence = Recurrence()
    pay_periods: dict[Text, Recurrence] = Field(default_factory=dict)
    misaligned_periods: Literal["reject", "report"] = "reject"
    include_slot_note: bool = False


RECORD = {
    "person_number": RecordField("text", "the person's number in Kronos"),
    "date": RecordField("date", "the day that the shift belongs to"),
    "start": RecordField("local_time", "start of the shift, local time of its department"),
    "stop": RecordField("local_time", "end of the shift, local time of its department"),
    "hours": RecordField("decimal", "elapsed hours: a fall-back night has one more than its clock shows"),
    "pay_code": RecordField("text", "the pay code, at home or away"),
    "kronos_department_id": RecordField("text", "the department's ID in Kronos: who pays for the shift"),
    "home_coid": RecordField("text", "the company ID of the person's home"),
    "away_coid": RecordField("text", "the company ID where the person also works"),
    "assignment_type": RecordField("text", "the assignment's type"),
    "personnel_type": RecordField("text", "the person's type"),
    "comment": RecordField("text", "the slot's note, where `include_slot_note` says so, on one line"),
    "source_slot_id": RecordField("text", "the slot that the row comes from"),
}

LAYOUT = Layout(
    columns=(
        Column(header="PersonNumber", field="person_number"),
        Column(header="ShiftDate", field="date"),
        Column(header="StartTime", field="start", format="HH:MM"),
        Column(header="EndDate", field="stop", format="YYYY-MM-DD"),
        Column(header="EndTime", field="stop", format="HH:MM"),
        Column(header="Hours", field="hours"),
        Column(header="PayCode", field="pay_code"),
        Column(header="DepartmentID", field="kronos_department_id"),
        Column(header="HomeCOID", field="home_coid"),
        Column(header="AwayCOID", field="away_coid"),
        Column(header="AssignmentType", field="assignment_type"),
        Column(header="PersonnelType", field="personnel_type"),
        Column(header="Comment", field="comment"),
        Column(header="SourceSlotID", field="source_slot_id"),
    )
)


def _advise(mapping: FeedMapping) -> Iterator[str]:
    settings = mapping.settings
    yield from unconfirmed_anchor(settings.recurrence, "settings.recurrence")
    for group, recurrence in settings.pay_periods.items():
        yield from unconfirmed_anchor(recurrence, f"settings.pay_periods.{group}")
    if not mapping.side_tables["matrix"]:
        yield f"{mapping.feed}.matrix.csv pairs no types: every slot is left out as not_in_matrix"
    if settings.misaligned_periods == "report":
        yield "settings.misaligned_periods is report: slots are paid although their schedule period is another one"


SCHEMA = MappingSchema(
    slug="kronos_workforce_central",
    record=RECORD,
    key=("person_number", "date", "source_slot_id"),
    layout=LAYOUT,
    schedule="30 2 * * *",
    file_name="WFC_{period}_{date}.csv",
    table=KronosCentralRow,
    required=("pay_code_home",),
    settings=KronosCentralSettings,
    side_tables={"matrix": MatrixRow},
    delivers_placeholders=False,
    pay_periods=True,
    aligned_periods=True,
    advise=_advise,
)

"""Schedule Backup: the published schedule of the next days, for people without a network and for a store to be rebuilt.

There is nothing to map: the CSV is the exchange file ``schedules.csv`` (:mod:`include.schedule.files`), which
``./callboard import --merge`` takes, and the workbook holds the same slots for people.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from include.cron import interval
from include.mappings.file_names import check_file_name, may_meet
from include.mappings.schema import Column, Layout, Limits, MappingSchema, RecordField, Strict, Text, Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.mappings.schema import FeedMapping, KeyPath


#: What the integrations catalog promises: data that was current no longer ago than this.
OLDEST = timedelta(minutes=10)


class ScheduleBackupSettings(Strict):
    """The feed's own settings. ``workbook_name`` may contain what ``destination.file_name`` may."""

    workbook_name: Text = "schedule_backup.xlsx"


RECORD = {
    "source_slot_id": RecordField("text", "the slot"),
    "period_id": RecordField("text", "its schedule period"),
    "assignment_id": RecordField("text", "its assignment"),
    "emp_id": RecordField("text", "who holds it; empty where nobody does"),
    "slot_date": RecordField("date", "the day that it counts for"),
    "start": RecordField("local_time", "start, local time of its department"),
    "stop": RecordField("local_time", "end, local time of its department"),
    "start_instant": RecordField("text", "start in UTC, ISO 8601"),
    "stop_instant": RecordField("text", "end in UTC, ISO 8601"),
    "note": RecordField("text", "the slot's note, as it is"),
    "location": RecordField("text", "where"),
    "call_order": RecordField("integer", "who is called first, if other than the assignment says"),
    "is_pending": RecordField("boolean", "whether a swap waits for approval; such slots are left out"),
    "work_units": RecordField("decimal", "how much work it counts for"),
    "department_id": RecordField("text", "the department"),
    "department_name": RecordField("text", "the department's name"),
    "facility": RecordField("text", "the campus or building"),
    "time_zone": RecordField("text", "the department's time zone"),
    "assignment_name": RecordField("text", "the assignment's name"),
    "assignment_type": RecordField("text", "the assignment's type"),
    "information": RecordField("text", "what whoever holds the assignment must know"),
    "person_name": RecordField("text", "the display name of whoever holds it; a placeholder's says whose pager it is"),
    "pager": RecordField("text", "their pager"),
    "cell_phone": RecordField("text", "their mobile phone"),
    "phone": RecordField("text", "their other phone"),
    "called": RecordField("integer", "who is called first: the slot's call order, else the assignment's"),
}

#: Of the exchange file, column by column; ``tests/golden/schedule_backup`` and the import hold it to that.
LAYOUT = Layout(
    line_end="lf",
    columns=(
        Column(header="slot_id", field="source_slot_id"),
        Column(header="period_id", field="period_id"),
        Column(header="assignment_id", field="assignment_id"),
        Column(header="emp_id", field="emp_id"),
        Column(header="slot_date", field="slot_date"),
        Column(header="start_local", field="start"),
        Column(header="stop_local", field="stop"),
        Column(header="start_utc", field="start_instant"),
        Column(header="stop_utc", field="stop_instant"),
        Column(header="note", field="note"),
        Column(header="location", field="location"),
        Column(header="call_order", field="call_order"),
        Column(header="is_pending", field="is_pending"),
        Column(header="work_units", field="work_units"),
    ),
)


def _check(mapping: FeedMapping) -> Iterator[tuple[KeyPath, str]]:
    name, destination = mapping.settings.workbook_name, mapping.destination
    wrong = check_file_name(name, pay_periods=False, unique=False, replaces=destination.publish != "rename")
    if wrong is None and may_meet(name, destination):
        wrong = "can be the name of the other file, or of its marker"
    if wrong is None and not name.endswith(".xlsx"):
        wrong = "must end in .xlsx"
    if wrong is not None:
        yield ("settings", "workbook_name"), f"'settings.workbook_name' {wrong}"


def _advise(mapping: FeedMapping) -> Iterator[str]:
    if interval(mapping.schedule) > OLDEST:
        minutes = int(OLDEST.total_seconds()) // 60
        yield f"schedule is {mapping.schedule!r}: in an outage the files may be older than {minutes} minutes"


SCHEMA = MappingSchema(
    slug="schedule_backup",
    record=RECORD,
    key=("source_slot_id",),
    layout=LAYOUT,
    schedule="*/5 * * * *",
    file_name="schedules.csv",
    status="community-observed",
    window=Window(past_days=0, future_days=3),
    table=None,
    settings=ScheduleBackupSettings,
    # A backup that waits for somebody's approval is none: only one without any slot does.
    limits=Limits(rejected_percent=100, deletes_percent=100, deletes=10_000_000, updates_percent=100),
    delivers_people=False,
    delivers_open_shifts=True,
    fixed_layout=True,
    check=_check,
    advise=_advise,
)

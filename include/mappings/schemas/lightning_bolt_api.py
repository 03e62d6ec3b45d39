"""The Lightning Bolt API: the tallies that it serves, slot by slot.

Everything else that it serves is read from the schedule store when somebody asks. There is nothing to map: what is
counted, in which unit and over which periods, the store's own tallies say.
"""

from __future__ import annotations

from include.mappings.schema import Limits, MappingSchema, RecordField

RECORD = {
    "tally_id": RecordField("text", "the tally that counts the slot"),
    "tally_name": RecordField("text", "the tally's name"),
    "unit": RecordField("text", "what its value is: slots, hours or work_units"),
    "period": RecordField("text", "over what it counts: week (from Monday), month, year or all"),
    "period_start": RecordField("date", "the first day of the period that the slot's day is in; empty for all"),
    "slot_date": RecordField("date", "the day that the slot counts for"),
    "department_id": RecordField("text", "the slot's department"),
    "emp_id": RecordField("text", "who holds it"),
    "hours": RecordField("decimal", "elapsed hours, to the hundredth; a night on which clocks fall back has one more"),
    "work_units": RecordField("decimal", "how much work it counts for; 0 where the store does not say"),
    "source_slot_id": RecordField("text", "the slot"),
}

SCHEMA = MappingSchema(
    slug="lightning_bolt_api",
    record=RECORD,
    key=("tally_id", "source_slot_id"),
    layout=None,
    schedule="25 * * * *",
    table=None,
    several_records_per_slot=True,
    delivers_people=False,
    delivers_placeholders=False,
    delivers_inactive=True,
    # What a tally loses at once is mostly a period that was unpublished: readers should see that, unless it is most.
    limits=Limits(deletes_percent=50, deletes=10_000_000, updates_percent=100),
    fills="tallies, served by the API",
    seen_through="lightning_bolt_api",
)

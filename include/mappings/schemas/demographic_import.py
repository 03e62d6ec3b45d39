"""Demographic import: what a file of the hospital's source of truth says about people, into the schedule store.

The file's layout is the customer's own: the settings say which of its columns is which field of a person. Facts and
defaults: no vendor document describes such a file; the default columns are named as in the catalog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from include.mappings.schema import Column, Layout, MappingSchema, RecordField, Strict, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.mappings.schema import FeedMapping, KeyPath

Key = Literal["unique_id", "custom1", "custom2", "custom3", "custom4"]
#: What may be set of a person: neither who it is (``emp_id``) nor whether it works here.
PersonField = Literal[
    "display_name",
    "last_name",
    "first_name",
    "personnel_type",
    "unique_id",
    "custom1",
    "custom2",
    "custom3",
    "custom4",
    "npi",
    "email",
    "cell_phone",
    "pager",
    "phone",
    "home_coid",
    "away_coid",
]

DEFAULT_COLUMNS: dict[str, PersonField] = {
    "UniqueID": "unique_id",
    "FirstName": "first_name",
    "LastName": "last_name",
    "Email": "email",
    "CellPhone": "cell_phone",
    "Pager": "pager",
    "Phone": "phone",
    "NPI": "npi",
}


class DemographicSettings(Strict):
    """The feed's own settings."""

    key: Key = "unique_id"
    """The field by which a row of the file finds its person."""
    columns: dict[Text, PersonField] = Field(default_factory=lambda: dict(DEFAULT_COLUMNS))
    """Which column of the file is which field; columns that are not named here are not looked at."""
    clear: Text | None = None
    """What a cell says to clear the field; an empty cell leaves it alone."""
    settle_seconds: int = Field(default=5, ge=1, le=60)
    """How long a file must keep its size, between two looks, before it is taken."""


RECORD = {
    "line": RecordField("integer", "the row's line in the file; empty for a person who is missing from it"),
    "person_key": RecordField("text", "the row's key, as the file has it"),
    "shown_key": RecordField("text", "the key for spreadsheets: an apostrophe before what they would compute"),
    "emp_id": RecordField("text", "the person in the schedule store; empty where none was found"),
    "decision": RecordField("text", "updated, unchanged, unmatched, duplicate_key, refused, missing"),
    "reason": RecordField("text", "why it is not taken over, if it is not"),
    "fields": RecordField("text", "which fields change; their values are not told"),
    "detail": RecordField("text", "what exactly, without a value"),
    "changes": RecordField("text", "the new values by field, as JSON, null to clear: personal data"),
}

LAYOUT = Layout(
    columns=(
        Column(header="Line", field="line"),
        Column(header="Key", field="shown_key"),
        Column(header="EmpID", field="emp_id"),
        Column(header="Decision", field="decision"),
        Column(header="Reason", field="reason"),
        Column(header="Fields", field="fields"),
        Column(header="Detail", field="detail"),
    )
)


def _check(mapping: FeedMapping) -> Iterator[tuple[KeyPath, str]]:
    if mapping.environment != "production":
        yield (
            ("environment",),
            "'environment' must be production: there is one store of people; test by a dry run",
        )
    settings: DemographicSettings = mapping.settings
    named = list(settings.columns.values())
    if settings.key not in named:
        yield ("settings", "columns"), f"'settings.columns' names no column for the key, {settings.key}"
    for field in sorted({field for field in named if named.count(field) > 1}):
        yield ("settings", "columns"), f"'settings.columns' names two columns for {field}"
    if set(named) <= {settings.key}:
        yield ("settings", "columns"), "'settings.columns' names nothing that could be updated, only the key"


SCHEMA = MappingSchema(
    slug="demographic_import",
    record=RECORD,
    key=("line", "emp_id"),
    layout=LAYOUT,
    schedule="*/10 * * * *",
    file_name="demographic_import_report_{date}_{time}_{seq}.csv",
    status="default-unconfirmed",
    table=None,
    settings=DemographicSettings,
    unique_file_names=True,
    delivers_slots=False,
    takes_in=True,
    delivers_people=False,
    check=_check,
)

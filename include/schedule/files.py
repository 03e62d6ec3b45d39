"""The exchange files: every file, column, type and meaning, in one place.

The tables of the schedule store, the import, the enterprise data warehouse zip and the data dictionary are all held to
this specification. A file has the name of its table plus ``.csv``; its columns have the names of the table's columns.

Rules for all files: UTF-8 (a byte-order mark is tolerated), RFC 4180, a header line, LF or CRLF. Empty means null.
IDs are opaque text: leading zeros, case and blanks belong to them. ``FILES`` is ordered so that each file comes after
those it refers to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnType = Literal[
    "text",
    "integer",  # 64 bits, signed
    "decimal",  # at most 12 digits before the point and 6 after it
    "boolean",  # true, false
    "date",  # YYYY-MM-DD
    "local_datetime",  # YYYY-MM-DDTHH:MM:SS: a wall time, in the zone of the slot's department
    "utc_datetime",  # YYYY-MM-DDTHH:MM:SSZ; another offset is converted, none means UTC
    "time_of_day",  # HH:MM, 00:00 to 23:59
    "time_zone",  # IANA name, like America/Chicago
    "json",
]

#: The longest ID, in characters: an index entry must hold it.
MAX_ID_LENGTH = 255
#: The longest other text.
MAX_TEXT_LENGTH = 65_536
#: The longest JSON: a change log's old or new row, with every character of its longest text escaped.
MAX_JSON_LENGTH = 1_048_576

#: Dates and times outside these years are mistakes of typing; zones are not defined far outside them either.
FIRST_YEAR, LAST_YEAR = 1900, 2199

#: The column that the warehouse files add after the table's own. The import ignores it and whatever follows it;
#: only a restore reads it.
MODIFIED_AT = "modified_at"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file and of the table of the same name.

    ``key``: part of the primary key. ``references``: (table, column) that must hold the value. ``choices``: the closed
    set of values, empty where any value will do. ``default``: what is stored, written as in a file, where the field is
    empty or the column is missing; such a column is never null. ``computed``: the import fills it where it is empty, so
    that it is never null in the store although a file may leave it out. ``max_length``: in characters.
    """

    name: str
    type: ColumnType
    meaning: str
    required: bool = False
    key: bool = False
    references: tuple[str, str] | None = None
    choices: tuple[str, ...] = ()
    default: str | None = None
    computed: bool = False
    max_length: int = MAX_TEXT_LENGTH

    @property
    def nullable(self) -> bool:
        """Whether the store may hold null here."""
        return not (self.required or self.computed or self.default is not None)


_MODIFIED_AT_COLUMN = Column(MODIFIED_AT, "utc_datetime", "When the row was last added or changed.", required=True)


@dataclass(frozen=True, slots=True)
class ExchangeFile:
    """One file: ``table`` is its table in schema ``schedule``; columns in the file's order, key first."""

    table: str
    meaning: str
    columns: tuple[Column, ...]

    @property
    def file_name(self) -> str:
        """The name in a directory or zip."""
        return f"{self.table}.csv"

    @property
    def key(self) -> tuple[str, ...]:
        """The names of the primary key's columns, in order."""
        return tuple(column.name for column in self.columns if column.key)

    @property
    def has_modified_at(self) -> bool:
        """Whether its rows say when they were changed last; those of the change log never are."""
        return self.table != "change_logs"

    @property
    def published_columns(self) -> tuple[Column, ...]:
        """The columns of the file in the warehouse zip, in order: today's, then ``modified_at``. Later ones follow."""
        return (*self.columns, _MODIFIED_AT_COLUMN) if self.has_modified_at else self.columns

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of all columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Find the column ``name``.

        Raises:
            KeyError: there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def _key(name: str, meaning: str) -> Column:
    return Column(name, "text", meaning, required=True, key=True, max_length=MAX_ID_LENGTH)


def _id(name: str, meaning: str) -> Column:
    """Describe an optional outside ID: opaque text, short enough to be indexed."""
    return Column(name, "text", meaning, max_length=MAX_ID_LENGTH)


def _reference(
    name: str, target: str, meaning: str, *, required: bool = False, key: bool = False, column: str | None = None
) -> Column:
    return Column(
        name,
        "text",
        meaning,
        required=required,
        key=key,
        references=(target, column or name),
        max_length=MAX_ID_LENGTH,
    )


_DEPARTMENTS = ExchangeFile(
    "departments",
    "Departments: who makes a schedule together, and in which time zone.",
    (
        _key("department_id", "The department's ID."),
        Column("name", "text", "The department's name.", required=True),
        Column(
            "time_zone",
            "time_zone",
            "IANA time zone; fixes the instant of the department's local times.",
            required=True,
        ),
        Column("facility", "text", "The campus or building it works at."),
        Column("group", "text", "The pay group: departments paid by one calendar of pay periods."),
        _id("kronos_department_id", "The department's ID in Kronos."),
        _id("coid", "The company ID that pays work done in this department."),
        Column("active", "boolean", "Whether the department still works.", default="true"),
    ),
)

_PERSONNEL = ExchangeFile(
    "personnel",
    "Personnel: providers, and placeholders that stand for whoever holds a pager.",
    (
        _key("emp_id", "The person's ID in the schedule store."),
        Column("display_name", "text", "The name as schedules show it.", required=True),
        Column("last_name", "text", "Family name."),
        Column("first_name", "text", "Given name."),
        Column("personnel_type", "text", "What kind of provider: MD, DO, CRNA, PA, NP, Resident, ...", required=True),
        _id("unique_id", "Employee number (Workday, New Innovations, key of the demographic import)."),
        _id("custom1", "First ID of a partner; by default the Epic provider ID."),
        _id("custom2", "Second ID of a partner; by default the Kronos person number."),
        _id("custom3", "Third ID of a partner; by default the Microsoft user principal name."),
        _id("custom4", "Fourth ID of a partner; by default the TigerConnect ID."),
        _id("npi", "National provider identifier."),
        Column("email", "text", "E-mail address."),
        Column("cell_phone", "text", "Mobile phone number."),
        Column("pager", "text", "Pager number."),
        Column("phone", "text", "Other phone number."),
        _id("home_coid", "The company ID that usually pays the person."),
        _id("away_coid", "The company ID that pays the person's work away from home."),
        Column(
            "is_placeholder", "boolean", "Whether this stands for whoever holds a pager, not a person.", default="false"
        ),
        Column("active", "boolean", "Whether the person still works here.", default="true"),
    ),
)

_PERSONNEL_IDS = ExchangeFile(
    "personnel_ids",
    "Further IDs of personnel, one per person and system.",
    (
        _reference("emp_id", "personnel", "Whose ID it is.", required=True, key=True),
        _key("system", "The partner that issued it; a mapping names it as ids.<system>."),
        Column("value", "text", "The ID.", required=True, max_length=MAX_ID_LENGTH),
    ),
)

_MEMBERSHIPS = ExchangeFile(
    "memberships",
    "Which departments a person belongs to.",
    (
        _reference("emp_id", "personnel", "The person.", required=True, key=True),
        _reference("department_id", "departments", "The department.", required=True, key=True),
        Column("is_primary", "boolean", "Whether it is the person's home department.", default="false"),
    ),
)

_ASSIGNMENTS = ExchangeFile(
    "assignments",
    "Assignments: the kinds of shift that a department schedules.",
    (
        _key("assignment_id", "The assignment's ID."),
        _reference("department_id", "departments", "The department that schedules it.", required=True),
        Column("name", "text", "The assignment's name.", required=True),
        Column("compact_name", "text", "A short name for narrow views."),
        Column("assignment_type", "text", "What kind of work: Call, Shift, Clinic, OR, Time Off, ...", required=True),
        Column("information", "text", "What whoever holds it must know: duties, phone numbers, place."),
        Column("default_start", "time_of_day", "Usual start, local."),
        Column("default_stop", "time_of_day", "Usual stop, local; not after the start means on a later day."),
        Column("call_order", "integer", "Who is called first: 1 before 2."),
        Column("active", "boolean", "Whether it is still scheduled.", default="true"),
    ),
)

_SCHEDULE_PERIODS = ExchangeFile(
    "schedule_periods",
    "Schedule periods: a department's dates; its slots are delivered once it is published.",
    (
        _key("period_id", "The period's ID."),
        _reference("department_id", "departments", "The department.", required=True),
        Column("name", "text", "The period's name.", required=True),
        Column("start_date", "date", "First day.", required=True),
        Column("end_date", "date", "Last day (included); not before the first.", required=True),
        Column("published_at", "utc_datetime", "Since when it is published; empty or in the future is a draft."),
    ),
)

_SCHEDULES = ExchangeFile(
    "schedules",
    "Slots: one assignment at one time, held by one person or open.",
    (
        _key("slot_id", "The slot's ID; never used again for another department."),
        _reference("period_id", "schedule_periods", "The period, of the assignment's department.", required=True),
        _reference("assignment_id", "assignments", "The assignment; its department is the slot's.", required=True),
        _reference("emp_id", "personnel", "Who holds it (approved); empty is an open slot."),
        Column("slot_date", "date", "The day it counts for, within the period.", required=True),
        Column("start_local", "local_datetime", "Start, in the department's time zone.", required=True),
        Column(
            "stop_local", "local_datetime", "Stop, in the department's time zone; not before the start.", required=True
        ),
        Column(
            "start_utc", "utc_datetime", "Start as an instant; needed where the local time is ambiguous.", computed=True
        ),
        Column(
            "stop_utc", "utc_datetime", "Stop as an instant; needed where the local time is ambiguous.", computed=True
        ),
        Column("note", "text", "The slot's note."),
        Column("location", "text", "Where the work is done."),
        Column("call_order", "integer", "Who is called first, if other than the assignment says."),
        Column("is_pending", "boolean", "Whether a swap of this slot awaits approval.", default="false"),
        Column("work_units", "decimal", "How much work it counts for."),
    ),
)

_REQUESTS = ExchangeFile(
    "requests",
    "Requests: time off, swaps and wishes, with their state.",
    (
        _key("request_id", "The request's ID."),
        _reference("emp_id", "personnel", "Who asks.", required=True),
        _reference("assignment_id", "assignments", "What is asked for, where it is an assignment."),
        Column("request_type", "text", "What kind: Time Off, Swap, Preference, ...", required=True),
        Column("start_date", "date", "First day.", required=True),
        Column("end_date", "date", "Last day (included); not before the first.", required=True),
        Column("status", "text", "How it stands: pending, approved, denied, withdrawn, ...", required=True),
        Column("note", "text", "Why, in the person's words."),
        Column("submitted_at", "utc_datetime", "When it was made."),
        Column("decided_at", "utc_datetime", "When it was decided."),
    ),
)

_VIEW_SETTINGS = ExchangeFile(
    "view_settings",
    "Saved views of the schedule.",
    (
        _key("view_id", "The view's ID."),
        Column("name", "text", "The view's name.", required=True),
        _reference("owner_emp_id", "personnel", "Whose view it is; empty is everybody's.", column="emp_id"),
        Column("settings", "json", "Filters, order and columns.", max_length=MAX_JSON_LENGTH),
    ),
)

_TALLIES = ExchangeFile(
    "tallies",
    "Tallies: what is counted per person.",
    (
        _key("tally_id", "The tally's ID."),
        Column("name", "text", "The tally's name.", required=True),
        Column("assignment_type", "text", "Count only assignments of this type."),
        _reference("assignment_id", "assignments", "Count only this assignment."),
        Column("unit", "text", "What is counted.", required=True, choices=("slots", "hours", "work_units")),
        Column("period", "text", "Over how long.", required=True, choices=("week", "month", "year", "all")),
    ),
)

_CHANGE_LOGS = ExchangeFile(
    "change_logs",
    "Change log: every insert, update and delete of the tables above. Read only by a restore into an empty store.",
    (
        Column("change_id", "integer", "Ascending in the order of the changes.", required=True, key=True),
        Column("changed_at", "utc_datetime", "When.", required=True),
        Column("changed_by", "text", "Who: the user of the application, or the database role."),
        Column("entity", "text", "The table.", required=True, max_length=MAX_ID_LENGTH),
        Column("entity_id", "text", "The key of the row; the parts of a longer key are joined by '/'.", required=True),
        Column("action", "text", "What happened.", required=True, choices=("insert", "update", "delete")),
        Column("old", "json", "The row before; empty for an insert.", max_length=MAX_JSON_LENGTH),
        Column("new", "json", "The row after; empty for a delete.", max_length=MAX_JSON_LENGTH),
    ),
)

#: Every exchange file, each after the files it refers to.
FILES: tuple[ExchangeFile, ...] = (
    _DEPARTMENTS,
    _PERSONNEL,
    _PERSONNEL_IDS,
    _MEMBERSHIPS,
    _ASSIGNMENTS,
    _SCHEDULE_PERIODS,
    _SCHEDULES,
    _REQUESTS,
    _VIEW_SETTINGS,
    _TALLIES,
    _CHANGE_LOGS,
)

#: By table name.
BY_TABLE: dict[str, ExchangeFile] = {file.table: file for file in FILES}

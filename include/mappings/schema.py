"""The shape of mappings: what every feed may say, and what each integration adds to it.

An integration's own part is one module, ``include/mappings/schemas/<slug>.py``, holding a :class:`MappingSchema` named
``SCHEMA``. The loader (:mod:`include.mappings.loader`) reads a feed's files against it; nothing here does I/O.

A mapping is validated as JSON (strict, but JSON has neither dates nor tuples): the same models read a feed's files and
the frozen mapping of a run. Cells of CSV tables are text, which :data:`Flag` and :data:`WholeNumber` read strictly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date  # noqa: TC003 - pydantic reads the annotations of its models when they are built
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from include.reasons import IncidentClass  # noqa: TC001 - likewise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from include.mappings.results import ResultFiles

Audience = Literal["administrators", "customer_it"]
Status = Literal["vendor-documented", "community-observed", "default-unconfirmed"]
Publish = Literal["posix_rename", "rename", "done_marker"]
FieldType = Literal["text", "integer", "decimal", "boolean", "date", "local_time"]
KeyPath = tuple[str | int, ...]
"""Where in a feed's YAML something stands: ``("layout", "columns", 2, "field")``."""


def _true_or_false(value: object) -> object:
    """Read the booleans of a spreadsheet (``TRUE`` too), and none of the words that YAML or Python would also take."""
    if isinstance(value, str):
        word = value.strip().lower()
        if word not in {"true", "false"}:
            raise ValueError("must be true or false")
        return word == "true"
    return value


def _digits(value: object) -> object:
    """Read plain decimal digits; ``1.0`` and ``1_000`` are refused."""
    if isinstance(value, str):
        text = value.strip()
        if not (text.isascii() and text.removeprefix("-").isdigit()):
            raise ValueError("must be a whole number")
        return int(text)
    return value


def _address(value: str) -> str:
    if not _ADDRESS.match(value):
        raise ValueError("is not a mail address")
    return value


def _folder(value: str) -> str:
    if not value.isprintable() or "\\" in value or ".." in value.split("/"):
        raise ValueError("must be a folder like /oncall, parted by '/', without '..'")
    return value


def _delimiter(value: str) -> str:
    if value.isalnum() or value in {'"', "\r", "\n", "\0", " "}:
        raise ValueError("must be a character that parts cells, like ',' or ';'")
    return value


#: Who hears of which class of incidents, unless a feed says otherwise.
AUDIENCES: Mapping[IncidentClass, tuple[Audience, ...]] = {
    "id_matching": ("administrators",),
    "mapping": ("administrators",),
    "connection": ("customer_it",),
    "held": ("administrators", "customer_it"),
    "failed": ("administrators",),
    "stale": ("administrators", "customer_it"),
}

#: The Airflow connection to the sandbox's SFTP server: where files go unless a mapping says otherwise.
SANDBOX_CONNECTION = "callboard_sandbox_sftp"
#: What a done marker's name adds to the name of its file, unless a mapping says otherwise.
DONE_SUFFIX = ".done"

_ADDRESS = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\Z")
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Folder = Annotated[Text, AfterValidator(_folder)]
Address = Annotated[Text, AfterValidator(_address)]
Delimiter = Annotated[str, StringConstraints(min_length=1, max_length=1), AfterValidator(_delimiter)]
Flag = Annotated[bool, BeforeValidator(_true_or_false)]
WholeNumber = Annotated[int, BeforeValidator(_digits)]


class Strict(BaseModel):
    """Unknown keys are refused, values are never coerced silently, instances never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Window(Strict):
    """Rolling window in whole local days around each department's today."""

    past_days: int = Field(ge=0, le=3660)
    """Whole days before today."""
    future_days: int = Field(ge=0, le=3660)
    """Whole days after today."""


class Destination(Strict):
    """Where a feed's files go. Placeholders in names: :mod:`include.mappings.file_names`."""

    connection: Text = SANDBOX_CONNECTION
    """The Airflow connection with the server, the user and the key. Left out: the sandbox's."""
    folder: Folder | None = None
    """The folder on the server. Left out: `/<feed>`, and `/<feed>/test` for a test environment."""
    file_name: Text | None = None
    """May contain `{date}` (YYYYMMDD) and `{time}` (HHMMSS) of the business clock in the feed's zone, `{seq}` (the
    delivery's sequence number, six digits or more), and for feeds of a pay period `{period}` (its first day,
    YYYYMMDD)."""
    publish: Publish | None = None
    """How the final name appears: see [the profiles](runbooks/sftp-profiles.md). With `rename`, `file_name` must
    contain `{seq}`, or `{date}` and `{time}`: a file is never replaced then."""
    done_suffix: Text | None = None
    """What a done marker's name adds to its file's. Left out: `.done`."""


class Recipients(Strict):
    """Who gets the mails about a feed."""

    administrators: tuple[Address, ...] = ()
    """Who answers for schedules, IDs and mappings."""
    customer_it: tuple[Address, ...] = ()
    """Who answers for servers, accounts and the network."""
    classes: dict[IncidentClass, Annotated[tuple[Audience, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """Which of the two groups hears of a class of incidents, such as `connection: [administrators, customer_it]`; else
    [the usual ones](runbooks/incidents.md)."""

    def of(self, kind: IncidentClass) -> tuple[str, ...]:
        """The addresses that hear of a class of incidents; where its groups are empty, the other group's."""
        groups = self.classes.get(kind, AUDIENCES[kind])
        chosen = [address for group in groups for address in getattr(self, group)]
        return tuple(dict.fromkeys(chosen or (*self.administrators, *self.customer_it)))


class Limits(Strict):
    """When a delivery is held instead of sent (:mod:`include.plan.guards`).

    Percentages count from ``floor`` rows on: ``deletes_percent`` and ``updates_percent`` of what the partner holds,
    ``rejected_percent`` of the slots that should be delivered. ``deletes`` is a number of records, at any size.
    """

    rejected_percent: float = Field(default=5, ge=0, le=100)
    """Of the slots that should be delivered, how many percent may be rejected."""
    deletes_percent: float = Field(default=20, ge=0, le=100)
    """Of the records that the partner holds, how many percent may be withdrawn at once."""
    deletes: int = Field(default=500, ge=0)
    """How many records may be withdrawn at once."""
    updates_percent: float = Field(default=30, ge=0, le=100)
    """Of the records that the partner holds, how many percent may be changed at once."""
    floor: int = Field(default=10, ge=0)
    """Percentages count from so many rows on."""


class Column(Strict):
    """One column of a file: its header and the record field in it."""

    header: str
    """The column's name in the file."""
    field: Text
    """One of the integration's [record fields](integrations.md)."""
    format: Text | None = None
    """For dates and local times: `YYYY MM DD HH MM SS` and literals (left out: `YYYY-MM-DD`, `YYYY-MM-DDTHH:MM:SS`).
    `MM` is the month beside `DD` or `YYYY` and the minute after `HH`. For booleans: two words parted by `/` (left out:
    `true/false`)."""


class Layout(Strict):
    """How records become bytes: RFC 4180, minimal quoting, no byte-order mark unless the encoding says so."""

    header: bool = True
    """Whether the first line names the columns."""
    delimiter: Delimiter = ","
    """What parts two cells."""
    line_end: Literal["crlf", "lf"] = "crlf"
    """`crlf` or `lf`."""
    encoding: Literal["utf-8", "utf-8-sig", "latin-1", "cp1252"] = "utf-8"
    """`utf-8`, `utf-8-sig` (with a byte-order mark), `latin-1` or `cp1252`."""
    columns: tuple[Column, ...] = Field(min_length=1)
    """The columns, in their order."""


class NoSettings(Strict):
    """An integration without settings of its own."""


class AssignmentRow(Strict):
    """One row of ``<feed>.csv``: what an assignment means to the partner, between two dates (both inclusive).

    Every field of a subclass is optional here (``Text | None = None``): a row that lacks one of
    ``MappingSchema.required`` is loaded all the same, and its slots are rejected as ``mapping_incomplete`` unless the
    row is ignored.
    """

    assignment_id: Text
    ignore: Flag = False  # deliberately not delivered
    valid_from: date | None = None
    valid_to: date | None = None


@dataclass(frozen=True, slots=True)
class RecordField:
    """One field of an integration's record: its type and what it means (for layouts and the generated page)."""

    type: FieldType
    meaning: str


@dataclass(frozen=True, slots=True)
class FilePart:
    """One of several files of a delivery: the records whose ``field`` is ``value``.

    ``file_name`` is a template, as ``destination.file_name``. ``within`` is where the mapping says how it is called and
    looks (keys ``file_name`` and ``columns``); empty for the one that ``destination`` and ``layout`` describe.
    """

    field: str
    value: str
    file_name: str
    layout: Layout
    within: KeyPath


@dataclass(frozen=True, slots=True)
class MappingSchema:
    """Everything a mapping of one integration may say, with the documented default of each.

    ``record`` lists the fields that a layout may name; ``key`` those of them that identify a record at the partner:
    partner person ID, target, date or part, slot (design section 4). ``required`` are the table's columns without which
    a row is ``mapping_incomplete``. ``target`` are the columns that tell the rows of one assignment apart where it may
    have several at the same time.

    ``list_files``: settings that name a CSV file of one column (setting -> column); the loader hands on the words in it
    as ``FeedMapping.lists[setting]``. ``check`` finds what single keys cannot show: parts of the layout and settings
    that contradict each other (it sees the mapping before its tables are read). ``advise`` says what is allowed but
    probably not meant.

    ``side_keys``: columns of a side table that no two of its rows may share. ``parts``: the files of a delivery, where
    they are more than the one that ``destination.file_name`` and ``layout`` describe; ``layout_settings`` names the
    settings that say how they look. ``destination_settings``: settings that say how a partner of records is asked; they
    change no record.
    """

    slug: str
    record: Mapping[str, RecordField]
    key: tuple[str, ...]
    layout: Layout | None
    schedule: str
    file_name: str | None = None  # None where records are sent, not files
    publish: Publish = "posix_rename"
    status: Status = "default-unconfirmed"
    window: Window | None = None
    table: type[AssignmentRow] | None = AssignmentRow
    required: tuple[str, ...] = ()
    several_rows_per_assignment: bool = False
    target: tuple[str, ...] = ()
    several_records_per_slot: bool = False  # a slot may be one record for each of its days
    settings: type[Strict] = NoSettings
    side_tables: Mapping[str, type[Strict]] = field(default_factory=dict)  # suffix -> row, e.g. "matrix"
    side_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing_id: Literal["id_missing", "opted_out"] = "id_missing"
    limits: Limits = field(default_factory=Limits)
    delivers_slots: bool = True  # `departments` is refused otherwise
    takes_in: bool = False  # files that others send, whose rows are about people
    records_to: Callable[[Any], str] | None = None  # takes records, not files; the sandbox's connection, by settings
    fills: str = ""  # fills tables of our own, neither files nor records: which, in words
    seen_through: str = ""  # the connection through which whoever fills them looks at them as their readers do
    delivers_people: bool = True  # `personnel_id` is then required, and refused otherwise
    delivers_open_shifts: bool = False  # True where the partner must know that nobody holds a slot
    delivers_placeholders: bool = True  # False where people are paid or invited: slots of placeholders are excluded
    delivers_inactive: bool = False  # True where it counts what people have done, also those who have left
    list_files: Mapping[str, str] = field(default_factory=dict)
    recommended_window: Window | None = None  # larger ones draw a warning
    pay_periods: bool = False  # `{period}` may stand in file names
    fixed_layout: bool = False  # the layout is a format of its own: a mapping has no say in it, and no guard watches it
    aligned_periods: bool = False  # schedule periods must begin and end with the pay periods
    unique_file_names: bool = False  # every file must have a name of its own: `{seq}` must stand in it
    parts: Callable[[FeedMapping], Iterable[FilePart]] | None = None
    layout_settings: tuple[str, ...] = ()
    destination_settings: tuple[str, ...] = ()
    check: Callable[[FeedMapping], Iterable[tuple[KeyPath, str]]] | None = None
    advise: Callable[[FeedMapping], Iterable[str]] | None = None


@dataclass(frozen=True, slots=True)
class FeedMapping:
    """One feed's mapping, loaded and complete: every default filled in. Frozen by its hash for the length of a run.

    ``departments``: the only ones whose slots the feed delivers; None for all, also those that are still to come.
    ``table`` rows keep the order of the file. ``lists`` are the words of the files that ``settings`` name (for example
    ``lists["comments"]``; a setting that names no file is absent). ``personnel_id`` is ``""`` where no people are
    delivered. ``results``: how the partner answers, if it does. ``version`` is the SHA-256 of the frozen form
    (:func:`include.mappings.frozen.freeze`).
    """

    feed: str
    integration: str
    status: Status
    environment: Literal["production", "test"]
    personnel_id: str
    personnel_id_pattern: str | None
    personnel_id_roster: frozenset[str] | None
    departments: frozenset[str] | None
    window: Window | None
    schedule: str
    time_zone: str | None
    destination: Destination
    recipients: Recipients
    limits: Limits
    layout: Layout | None
    settings: Any
    table: tuple[Any, ...]
    side_tables: Mapping[str, tuple[Any, ...]]
    version: str
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict)
    results: ResultFiles | None = None

    def serves(self, department_id: str) -> bool:
        """Whether the slots of a department are this feed's business."""
        return self.departments is None or department_id in self.departments

    @property
    def stream(self) -> str:
        """The ledger's name for this feed's baseline: a test environment has one of its own."""
        return self.feed if self.environment == "production" else f"{self.feed}@{self.environment}"

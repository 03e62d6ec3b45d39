"""The frames that pass between the steps of a run: their columns, types and meaning.

All instants are UTC (``timestamp[us, UTC]``), all dates are ``date32``, all IDs are opaque text, empty is null.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

Outcome = Literal["included", "excluded", "rejected"]

#: The columns that hold calendar dates.
DATE_COLUMNS = frozenset({"slot_date", "period_first_day", "period_last_day"})

#: Slots of one extract, ordered by ``slot_id``.
SLOT_COLUMNS = (
    "slot_id",
    "period_id",
    "assignment_id",
    "department_id",
    "emp_id",  # null = open shift
    "slot_date",
    "period_first_day",  # of the schedule period, both days inclusive
    "period_last_day",
    "start_utc",
    "stop_utc",
    "note",
    "location",
    "call_order",
    "is_pending",
    "work_units",
)

#: The distinct people who hold a slot of the extract.
PEOPLE_COLUMNS = (
    "emp_id",
    "display_name",
    "last_name",
    "first_name",
    "personnel_type",
    "personnel_id",  # the ID that this feed delivers people under (mapping key `personnel_id`), null = none
    "id_holders",  # how many active people of the whole store carry that ID; with more than 1 nobody is delivered
    "home_coid",
    "away_coid",
    "email",
    "cell_phone",
    "pager",
    "phone",
    "is_placeholder",
    "active",
    "slots",  # how many slots of the extract this person holds
)

#: The distinct assignments of the extract, with their department.
ASSIGNMENT_COLUMNS = (
    "assignment_id",
    "name",
    "compact_name",
    "assignment_type",
    "information",
    "call_order",
    "department_id",
    "department_name",
    "time_zone",  # IANA; fixes the instant of local times and selects the window
    "facility",
    "pay_group",  # departments.csv column `group`
    "kronos_department_id",
    "coid",
    "slots",
)


#: The store's tallies: what is counted, in which unit, over which periods.
TALLY_COLUMNS = (
    "tally_id",
    "name",
    "assignment_type",  # null = of any type
    "assignment_id",  # null = any assignment
    "unit",  # slots, hours, work_units
    "period",  # week, month, year, all
)


@dataclass(frozen=True, slots=True)
class GroupDays:
    """The pay period of one pay group (``departments.csv`` column ``group``); both days are part of it."""

    group: str
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Span:
    """Which slots an extract holds.

    ``window``: any part of the slot overlaps the local days ``first_day``..``last_day`` of its department.
    ``pay_period``: ``slot_date`` lies in the days of its department's pay group, see ``groups``. ``published``: every
    published slot; both days None. ``tables``, ``inbound``, ``providers``: no span of slots, but whole tables, the rows
    of a file that came in, or what identity providers publish; both days None.
    ``epoch`` names the pay period (its first day, ISO; where pay groups differ, all their first days) where what the
    partner holds is one period's, else "".
    ``groups`` are the pay groups that have pay periods of their own; ``first_day``..``last_day`` hold for all others.
    """

    kind: Literal["window", "pay_period", "published", "tables", "inbound", "providers"]
    first_day: date | None = None
    last_day: date | None = None
    epoch: str = ""
    groups: tuple[GroupDays, ...] = ()
    # `window`: days relative to each department's own today; the dates above are then those of the feed's zone.
    past_days: int = 0
    future_days: int = 0
    # `window`: what ended before this has left the window everywhere; it expires at the partner, it is not deleted.
    expired_before: datetime | None = None

    @property
    def instants(self) -> tuple[datetime, datetime] | None:
        """Between which instants every department's window lies, at least; None where there is no window."""
        if self.expired_before is None or self.last_day is None:
            return None
        return self.expired_before, datetime.combine(self.last_day + timedelta(days=1), time(), UTC)

    def days_of(self, group: object) -> tuple[date | None, date | None]:
        """The first and the last day that hold for departments of a pay group."""
        return next(
            ((own.first_day, own.last_day) for own in self.groups if own.group == group),
            (self.first_day, self.last_day),
        )


def misalignment(department_id: str, begins: object, ends: object, paid_from: object, paid_to: object) -> str:
    """Say how a schedule period of a department differs from the pay period; all days inclusive."""
    return f"department {department_id}: schedule period {begins} to {ends}, pay period {paid_from} to {paid_to}"


@dataclass(frozen=True, slots=True)
class SlotExtract:
    """One consistent, point-in-time read of the schedule store, loaded."""

    slots: pd.DataFrame  # SLOT_COLUMNS
    people: pd.DataFrame  # PEOPLE_COLUMNS
    assignments: pd.DataFrame  # ASSIGNMENT_COLUMNS
    span: Span
    as_of: datetime  # the business clock when the fence was claimed
    tallies: pd.DataFrame | None = None  # TALLY_COLUMNS, of a source that reads them


#: The judged rows of an inbound file, beside a text column for each field of a person that the file has.
INBOUND_COLUMNS = (
    "line",  # in the file, the header is line 1
    "key",  # null = empty
    "emp_id",  # the person who carries the key, null where it is nobody or where it is several
    "reason",  # null, or why the row is not taken over
    "detail",  # what exactly, without a value
)


@dataclass(frozen=True, slots=True)
class InboundExtract:
    """The rows of one inbound file, judged, and the people of the store at the moment they were read."""

    rows: pd.DataFrame  # INBOUND_COLUMNS and the file's fields; empty cells are null
    people: pd.DataFrame  # emp_id, every field that a person has (null = empty), active, is_placeholder
    fields: tuple[str, ...]  # those that the file has, the key among them


@dataclass(frozen=True, slots=True)
class Verdict:
    """What validation found, row by row; the Great Expectations result beside it holds the same in counts.

    ``people_faults``: ``emp_id``, ``reason`` (``id_missing`` ...), one row per person who may not be delivered.
    ``mapped``: ``assignment_id``, ``slot_date``, ``row`` (index into ``mapping.table``, null = none), ``reason`` (null,
    ``assignment_ignored``, ``assignment_unmapped``, ``mapping_incomplete``); one row per distinct assignment and
    date, or
    several where the mapping sends one assignment to several targets.
    ``warnings``: sentences for the run's log, without a person's data.
    """

    people_faults: pd.DataFrame
    mapped: pd.DataFrame
    checks: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transformed:
    """What a transform answers.

    ``decisions``: one row per extracted slot: ``slot_id``, ``outcome`` (see :data:`Outcome`), ``reason`` (null when
    included), ``detail`` (never a person's data), ``also`` (the reasons that would hold if the first one were mended,
    joined by ", "; null for none). Of an included slot, ``also`` and ``detail`` tell what is reported about it although
    it is delivered.
    ``records``: what the partner should hold: ``key``, ``slot_id`` and the integration's record fields, ordered by
    ``key``; keys are unique. A slot may have several records (one-to-many), never none while it is ``included``.
    """

    decisions: pd.DataFrame
    records: pd.DataFrame

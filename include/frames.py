"""The frames that pass between the steps of a run: their columns, types and meaning.

All instants are UTC (``timestamp[us, UTC]``), all dates are ``date32``, all IDs are opaque text, empty is null.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datetime import date, datetime

    import pandas as pd

Outcome = Literal["included", "excluded", "rejected"]

#: Slots of one extract, ordered by ``slot_id``.
SLOT_COLUMNS = (
    "slot_id",
    "period_id",
    "assignment_id",
    "department_id",
    "emp_id",  # null = open shift
    "slot_date",
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


@dataclass(frozen=True, slots=True)
class Span:
    """Which slots an extract holds.

    ``window``: any part of the slot overlaps the local days ``first_day``..``last_day`` of its department.
    ``pay_period``: ``slot_date`` lies in ``first_day``..``last_day``. ``published``: every published slot; both days
    None. ``tables``: no span of slots, but whole tables; both days None.
    ``epoch`` names the pay period (its first day, ISO) where a feed keeps one baseline per period, else "".
    """

    kind: Literal["window", "pay_period", "published", "tables"]
    first_day: date | None = None
    last_day: date | None = None
    epoch: str = ""
    # `window`: days relative to each department's own today; the dates above are then those of the feed's zone.
    past_days: int = 0
    future_days: int = 0
    # `window`: what ended before this has left the window everywhere; it expires at the partner, it is not deleted.
    expired_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class SlotExtract:
    """One consistent, point-in-time read of the schedule store, loaded."""

    slots: pd.DataFrame  # SLOT_COLUMNS
    people: pd.DataFrame  # PEOPLE_COLUMNS
    assignments: pd.DataFrame  # ASSIGNMENT_COLUMNS
    span: Span
    as_of: datetime  # the business clock when the fence was claimed


@dataclass(frozen=True, slots=True)
class Verdict:
    """What validation found, row by row; the Great Expectations result beside it holds the same in counts.

    ``people_faults``: ``emp_id``, ``reason`` (``id_missing`` ...), one row per person who may not be delivered.
    ``mapped``: ``assignment_id``, ``slot_date``, ``row`` (index into ``mapping.table``, null = none), ``reason`` (null,
    ``assignment_ignored``, ``assignment_unmapped``, ``mapping_incomplete``); one row per distinct assignment and
    date, or
    several where the mapping sends one assignment to several targets.
    """

    people_faults: pd.DataFrame
    mapped: pd.DataFrame
    checks: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Transformed:
    """What a transform answers.

    ``decisions``: one row per extracted slot: ``slot_id``, ``outcome`` (see :data:`Outcome`), ``reason`` (null when
    included), ``detail`` (never a person's data), ``also`` (the reasons that would hold if the first one were mended,
    joined by ", "; null for none).
    ``records``: what the partner should hold: ``key``, ``slot_id`` and the integration's record fields, ordered by
    ``key``; keys are unique. A slot may have several records (one-to-many), never none while it is ``included``.
    """

    decisions: pd.DataFrame
    records: pd.DataFrame

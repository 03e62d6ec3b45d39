"""Slots joined with their person, their assignment and their row of the mapping's table.

A *line* is one slot with one mapping row: most slots have one line, a slot whose assignment goes to several targets has
one for each, and a slot without a row has one line all the same. Columns are fetched when they are asked for, so that a
transform pays only for what its partner sees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from include.errors import DataRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from include.frames import SlotExtract, Span, Verdict
    from include.mappings.schema import FeedMapping

    Places = NDArray[np.int64]  # of rows in a frame; -1 = none
    Column = Callable[[pd.Series[Any]], pd.Series[Any]]


def _as_it_is(column: pd.Series[Any]) -> pd.Series[Any]:
    return column


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of an extract, ordered by slot ID (by code point) and, within a slot, as the verdict lists its rows.

    Every Series handed out has one entry per line and the index 0, 1, 2, ...; null where there is no person or row.
    ``slots`` is ordered as the lines are; ``slot_places`` says for each line which of the slots it belongs to.
    """

    span: Span
    slots: pd.DataFrame
    people: pd.DataFrame
    assignments: pd.DataFrame
    table: tuple[Any, ...]
    people_faults: pd.DataFrame
    mapping_reason: pd.Series[str]  # per line: null, assignment_ignored, assignment_unmapped, mapping_incomplete
    slot_places: Places
    person_places: Places
    assignment_places: Places
    row_places: Places

    def __len__(self) -> int:
        return len(self.slot_places)

    def only(self, keep: NDArray[np.bool_] | Places) -> Lines:
        """Keep the lines of the mask ``keep``, or those at its places, as often as they stand there."""
        return replace(
            self,
            mapping_reason=self.mapping_reason.iloc[keep].reset_index(drop=True),
            slot_places=self.slot_places[keep],
            person_places=self.person_places[keep],
            assignment_places=self.assignment_places[keep],
            row_places=self.row_places[keep],
        )

    def slot(self, column: str) -> pd.Series[Any]:
        """Fetch a column of the slots."""
        return _take(self.slots[column], self.slot_places)

    def person(self, column: str, through: Column = _as_it_is) -> pd.Series[Any]:
        """Fetch a column of the people; null for an open shift. ``through``: once for each person, not each line."""
        return _take(through(self.people[column]), self.person_places)

    def assignment(self, column: str, through: Column = _as_it_is) -> pd.Series[Any]:
        """Fetch a column of the assignments; ``through``: once for each assignment."""
        return _take(through(self.assignments[column]), self.assignment_places)

    def row(self, field: str, through: Column = _as_it_is) -> pd.Series[Any]:
        """Fetch a field of the mapping's rows; null where there is no row. ``through``: once for each row."""
        return _take(through(_column([getattr(row, field) for row in self.table])), self.row_places)

    def person_reason(self) -> pd.Series[str]:
        """Tell why the person may not be delivered; null where nothing is wrong."""
        faults = self.people_faults
        of_people = _take(faults["reason"].astype("str"), _places(faults["emp_id"], self.people["emp_id"]))
        return _take(of_people, self.person_places)

    def missing_fields(self, required: Sequence[str]) -> pd.Series[str]:
        """Name the required fields that the mapping row leaves empty, joined by ", "."""
        missing = [", ".join(name for name in required if getattr(row, name) is None) for row in self.table]
        return _take(_column(missing), self.row_places)


def join(extract: SlotExtract, mapping: FeedMapping, verdict: Verdict) -> Lines:
    """Find every slot's person, assignment and mapping rows.

    Raises:
        DataRejected: the extract is not whole: a slot refers to a person or an assignment that it does not hold.
    """
    slots = extract.slots
    if not slots["slot_id"].is_monotonic_increasing:
        slots = slots.sort_values("slot_id", kind="stable")
    slots = slots.reset_index(drop=True)
    person = _places(extract.people["emp_id"], slots["emp_id"])
    assignment = _places(extract.assignments["assignment_id"], slots["assignment_id"])
    if ((person < 0) & slots["emp_id"].notna().to_numpy()).any() or (assignment < 0).any():
        raise DataRejected(
            "The extract is not whole: a slot refers to a person or an assignment that is not in it.",
            next_step="run the feed again; if it happens again, check the references of the schedule store",
        )
    matched = _matched(slots, assignment, extract.assignments, verdict.mapped)
    slot_places: Places = matched["slot"].to_numpy(dtype="int64")
    return Lines(
        span=extract.span,
        slots=slots,
        people=extract.people,
        assignments=extract.assignments,
        table=mapping.table,
        people_faults=verdict.people_faults,
        mapping_reason=matched["reason"],
        slot_places=slot_places,
        person_places=person[slot_places],
        assignment_places=assignment[slot_places],
        row_places=matched["row"].fillna(-1).to_numpy(dtype="int64"),
    )


def day_numbers(dates: pd.Series[Any]) -> NDArray[np.int64]:
    """Count days from 1970-01-01, whatever holds the dates (``datetime.date``, ``datetime64``, Arrow's ``date32``).

    Raises:
        DataRejected: a date is missing.
    """
    import numpy as np
    import pandas as pd

    codes, distinct = pd.factorize(dates)
    if (codes < 0).any():
        raise DataRejected("A slot has no date.", next_step="correct the slot in the schedule store")
    days = np.array([pd.Timestamp(day).to_datetime64() for day in distinct], dtype="datetime64[D]").astype("int64")
    numbers: NDArray[np.int64] = days[codes] if len(days) else np.zeros(0, dtype="int64")
    return numbers


def _matched(slots: pd.DataFrame, assignment: Places, assignments: pd.DataFrame, mapped: pd.DataFrame) -> pd.DataFrame:
    """``slot`` (its place), ``row`` and ``reason``, one row per line; a pair that the verdict lacks is unmapped."""
    import pandas as pd

    pairs = pd.DataFrame({"slot": range(len(slots)), "assignment": assignment, "day": day_numbers(slots["slot_date"])})
    verdicts = pd.DataFrame(
        {
            "assignment": _places(assignments["assignment_id"], mapped["assignment_id"]),
            "day": day_numbers(mapped["slot_date"]),
            "row": pd.array(mapped["row"].to_numpy(dtype="float64", na_value=float("nan")), dtype="Int64"),
            "reason": mapped["reason"].astype("str").to_numpy(),
            "known": True,
        }
    )
    matched = pairs.merge(verdicts, on=["assignment", "day"], how="left")
    reason = matched["reason"].astype("str").mask(matched["known"].isna(), "assignment_unmapped")
    return matched[["slot", "row"]].assign(reason=reason)


def _places(keys: pd.Series[Any], wanted: pd.Series[Any]) -> Places:
    """For each wanted key its place among ``keys`` (unique), or -1."""
    import pandas as pd

    places: Places = pd.Index(keys.astype("str")).get_indexer(pd.Index(wanted.astype("str")))
    places[wanted.isna().to_numpy()] = -1
    return places


def _take(column: pd.Series[Any], places: Places) -> pd.Series[Any]:
    """Fetch the values at ``places``, null for -1; booleans and whole numbers stay what they are beside nulls."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(column.dtype):
        column = column.astype("boolean")
    elif pd.api.types.is_integer_dtype(column.dtype):
        column = column.astype("Int64")
    return pd.Series(pd.api.extensions.take(column.array, places, allow_fill=True))


def _column(values: list[Any]) -> pd.Series[Any]:
    """Make a column of one field of the mapping's rows, typed by what the values are."""
    import pandas as pd

    kinds = {type(value) for value in values if value is not None}
    dtype = "boolean" if kinds == {bool} else "Int64" if kinds == {int} else "str" if kinds <= {str} else "object"
    return pd.Series(values, dtype=dtype)

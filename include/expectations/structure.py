"""Structural faults of an extract: what no single row can answer for, and what makes every row untrustworthy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from include.frames import ASSIGNMENT_COLUMNS, DATE_COLUMNS, PEOPLE_COLUMNS, SLOT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from include.frames import SlotExtract

Kind = Literal["text", "instant", "boolean", "number"]

#: The columns and the key of each frame of an extract.
FRAMES = {
    "slots": (SLOT_COLUMNS, "slot_id"),
    "people": (PEOPLE_COLUMNS, "emp_id"),
    "assignments": (ASSIGNMENT_COLUMNS, "assignment_id"),
}

#: The type of every column that is not text. Dates may come in several types, and are judged by their values.
_KINDS: dict[str, dict[str, Kind]] = {
    "slots": {
        "start_utc": "instant",
        "stop_utc": "instant",
        "is_pending": "boolean",
        "call_order": "number",
        "work_units": "number",
    },
    "people": {"is_placeholder": "boolean", "active": "boolean", "id_holders": "number", "slots": "number"},
    "assignments": {"call_order": "number", "slots": "number"},
}


def missing_columns(extract: SlotExtract) -> Iterator[str]:
    """Name the columns that a frame lacks."""
    for name, (columns, _) in FRAMES.items():
        missing = [column for column in columns if column not in getattr(extract, name)]
        if missing:
            yield f"{name} lacks {', '.join(missing)}"


def broken_keys(extract: SlotExtract) -> Iterator[str]:
    """Count the slots without an ID of their own. The slots are many; Great Expectations checks the small frames."""
    slot_id = extract.slots["slot_id"]
    missing, repeated = int(slot_id.isna().sum()), int(slot_id.dropna().duplicated(keep=False).sum())
    if missing:
        yield f"slots: slot_id present: {missing} row(s)"
    if repeated:
        yield f"slots: slot_id unique: {repeated} row(s)"


def wrong_types(extract: SlotExtract) -> Iterator[str]:
    """Name the columns that hold something else than they should (Great Expectations knows only classes of pandas)."""
    for name, (columns, _) in FRAMES.items():
        frame: pd.DataFrame = getattr(extract, name)
        for column in columns:
            kind = _KINDS[name].get(column, "text")
            if column not in DATE_COLUMNS and not _is(frame[column], kind):
                yield f"{name}.{column} is not of type {kind}"


def broken_references(extract: SlotExtract) -> Iterator[str]:
    """Name the columns whose values are missing, or are not found where they point."""
    slots = extract.slots
    if not slots["emp_id"].dropna().isin(extract.people["emp_id"]).all():
        yield "slots.emp_id holds people that people does not have"
    if not slots["assignment_id"].isin(extract.assignments["assignment_id"]).all():
        yield "slots.assignment_id holds assignments that assignments does not have"
    for column in sorted(DATE_COLUMNS):
        if slots[column].isna().any():
            yield f"slots.{column} is empty"
    if not all(_is_zone(zone) for zone in extract.assignments["time_zone"].unique()):
        yield "assignments.time_zone holds something that is not an IANA zone"


def _is(column: pd.Series[Any], kind: Kind) -> bool:
    import pandas as pd

    types = pd.api.types
    if kind == "text" and isinstance(column.dtype, pd.StringDtype):
        return True  # nothing else fits into it; to look at each value would take as long as all other checks
    filled = column.dropna()
    if kind == "instant":
        return isinstance(column.dtype, pd.DatetimeTZDtype)
    if filled.empty:
        return True  # a column of nulls has whatever type its reader guessed
    if kind == "boolean":
        return types.is_bool_dtype(filled.dtype) or types.infer_dtype(filled) == "boolean"
    if kind == "number":
        return types.is_numeric_dtype(filled.dtype) or types.infer_dtype(filled) in {"decimal", "integer", "floating"}
    return types.infer_dtype(filled) == "string"


def _is_zone(name: object) -> bool:
    try:
        ZoneInfo(str(name))
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError only if the package has no such entry
        return False
    except KeyError:
        return False
    return True

"""Which rows of a feed's table say what an assignment means on a day."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from include.mappings.schemas import schema_for

if TYPE_CHECKING:
    import pandas as pd

    from include.mappings.schema import FeedMapping


def match(mapping: FeedMapping, pairs: pd.DataFrame) -> pd.DataFrame:
    """Find the rows of ``mapping.table`` that are valid for each pair.

    ``pairs``: distinct ``assignment_id``, ``slot_date`` (dates of any pandas kind). The answer has the same two columns
    as they came, ``row`` (``Int64``: place in ``mapping.table``; null = no row is valid on that day) and ``reason``:
    null where the row may be used, else ``assignment_unmapped``, ``assignment_ignored``, or ``mapping_incomplete``
    where one of the schema's required fields is empty. One line per pair, in the order of ``pairs``, or several in the
    order of the table where the mapping sends one assignment to several targets. Where the integration has no table,
    there is nothing that an assignment could lack: both are null.
    """
    import pandas as pd

    wanted = pairs[["assignment_id", "slot_date"]].reset_index(drop=True)
    if schema_for(mapping.integration).table is None:
        nothing = pd.Series(None, index=wanted.index)
        return wanted.assign(row=nothing.astype("Int64"), reason=nothing.astype("str"))
    days = pd.DataFrame(
        {
            "pair": range(len(wanted)),
            "assignment_id": wanted["assignment_id"].astype(object),
            "day": wanted["slot_date"].to_numpy().astype("datetime64[D]").astype("datetime64[s]"),
        }
    )
    found = days.merge(_rows(mapping), on="assignment_id")
    valid = found[(found["day"] >= found["first"]) & (found["day"] <= found["last"])]
    outcome = days[["pair"]].merge(valid[["pair", "row", "reason"]], on="pair", how="left").sort_values(["pair", "row"])
    outcome["row"] = outcome["row"].astype("Int64")
    outcome["reason"] = outcome["reason"].where(outcome["row"].notna(), "assignment_unmapped")
    matched = wanted.iloc[outcome["pair"].to_numpy()].reset_index(drop=True)
    return matched.assign(row=outcome["row"].array, reason=outcome["reason"].astype("str").array)


def _rows(mapping: FeedMapping) -> pd.DataFrame:
    """The table as columns: ``assignment_id``, ``row``, ``first`` and ``last`` day (both inclusive), ``reason``."""
    import numpy as np
    import pandas as pd

    required = schema_for(mapping.integration).required
    table = mapping.table

    def reason(row: object) -> str | None:
        if getattr(row, "ignore", False):
            return "assignment_ignored"
        return "mapping_incomplete" if any(getattr(row, field) is None for field in required) else None

    return pd.DataFrame(
        {
            "assignment_id": pd.Series([row.assignment_id for row in table], dtype=object),
            "row": pd.Series(range(len(table)), dtype="Int64"),
            "first": np.array([row.valid_from or date.min for row in table], dtype="datetime64[s]"),
            "last": np.array([row.valid_to or date.max for row in table], dtype="datetime64[s]"),
            "reason": pd.Series([reason(row) for row in table], dtype=object),
        }
    )

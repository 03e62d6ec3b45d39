"""Judges the rows of a demographic file: Great Expectations counts, the rules here name the rows, and both must agree.

A row finds its person by its key. What may not be taken over is rejected row by row; a file whose form is wrong never
comes so far.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from include.expectations import suites
from include.expectations.runner import check
from include.schedule.files import FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

_PERSONNEL = next(file for file in FILES if file.table == "personnel")
#: Control characters, line and paragraph separators; blanks and marks of any script belong to names.
_CONTROL = frozenset({"Cc", "Zl", "Zp"})
_ADDRESS = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\Z")


def judge_rows(
    rows: pd.DataFrame, people: pd.DataFrame, *, key: str, fields: Sequence[str], clear: str | None
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Find each row's person and what is wrong with it; the judged rows, and what was counted.

    ``rows``: ``line`` and a text column for each of ``fields``; ``people``: ``emp_id`` and all fields of a person. The
    judged rows are described by :data:`include.frames.INBOUND_COLUMNS`. ``clear`` is the word that clears a field.
    """
    import pandas as pd

    judged = rows.copy()
    judged["key"] = judged[key]
    carriers = people.dropna(subset=[key]).groupby(key)["emp_id"]
    holders, first = carriers.size(), carriers.first()
    judged["key_rows"] = judged.groupby("key")["line"].transform("size").fillna(0).astype(int)
    judged["key_holders"] = judged["key"].map(holders).fillna(0).astype(int)
    judged["emp_id"] = judged["key"].map(first).where(judged["key_holders"] == 1).astype("str")
    judged["faulty"] = _faulty_values(judged, fields, clear)
    checks = check(suites.inbound_rows(), judged)
    reason, detail = (pd.Series(index=judged.index, dtype="str") for _ in range(2))
    for mask, name, said in (
        (judged["key"].isna(), "id_missing", f"{key} is empty"),
        (judged["key_holders"] == 0, "unmatched", f"nobody carries this {key}"),
        (judged["key_rows"] > 1, "id_duplicate", f"{key} stands in several rows of the file"),
        (judged["key_holders"] > 1, "id_duplicate", f"{key} is carried by several people of the schedule"),
        (judged["faulty"].notna(), "value_refused", judged["faulty"]),
    ):
        chosen = mask & reason.isna()
        reason, detail = reason.mask(chosen, name), detail.mask(chosen, said)
    judged["reason"], judged["detail"] = reason, detail
    return judged.drop(columns=["key_rows", "key_holders", "faulty"]), checks


def _faulty_values(rows: pd.DataFrame, fields: Sequence[str], clear: str | None) -> pd.Series[Any]:
    """For each row the fields whose values cannot be taken over and why, without the values; null for none."""
    import pandas as pd

    faults: list[list[str]] = [[] for _ in range(len(rows))]
    for field in fields:
        refusal = _refusal_of(field, clear)
        for place, value in enumerate(rows[field]):
            if isinstance(value, str) and (why := refusal(value)) is not None:
                faults[place].append(f"{field} {why}")
    return pd.Series(["; ".join(each) or None for each in faults], index=rows.index, dtype="str")


def _refusal_of(field: str, clear: str | None) -> Callable[[str], str | None]:
    column = _PERSONNEL.column(field)

    def refusal(value: str) -> str | None:
        if value == clear:
            return "cannot be cleared" if column.required else None
        if len(value) > column.max_length:
            return f"is longer than {column.max_length} characters"
        if not value.isprintable() and any(unicodedata.category(each) in _CONTROL for each in value):
            return "holds a line break or another control character"
        if field == "email" and not _ADDRESS.match(value):
            return "is no mail address"
        return None

    return refusal

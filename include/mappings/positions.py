"""The positions table: in which position a person works, by person, department, assignment (``<feed>.positions.csv``).

Every column but the position may be empty, and then means any. Of the rows that fit, the most specific wins: the person
counts more than the assignment, and the assignment more than the department.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.mappings.schema import Strict, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

#: The columns that a row is found by; no two rows may agree in all of them.
POSITION_KEY = ("emp_id", "department_id", "assignment_id")
#: What a row may name, the most specific combination first.
_BY_WEIGHT = (
    ("emp_id", "assignment_id", "department_id"),
    ("emp_id", "assignment_id"),
    ("emp_id", "department_id"),
    ("emp_id",),
    ("assignment_id", "department_id"),
    ("assignment_id",),
    ("department_id",),
    (),
)


class PositionRow(Strict):
    """One row: whom, where and what it is about, and the position."""

    emp_id: Text | None = None
    department_id: Text | None = None
    assignment_id: Text | None = None
    position_id: Text


def positions(
    emp_id: pd.Series[Any], department_id: pd.Series[Any], assignment_id: pd.Series[Any], rows: Sequence[PositionRow]
) -> pd.Series[str]:
    """Find the position of each line; null where no row fits. The Series have one entry per line, in the same order."""
    import pandas as pd

    table = {(row.emp_id, row.department_id, row.assignment_id): row.position_id for row in rows}
    used = [
        names
        for names in _BY_WEIGHT
        if any(tuple(bool(part) for part in key) == tuple(name in names for name in POSITION_KEY) for key in table)
    ]
    lines = pd.DataFrame({"emp_id": emp_id, "department_id": department_id, "assignment_id": assignment_id})
    numbers = lines.groupby(list(POSITION_KEY), sort=False, dropna=False).ngroup()
    distinct = lines[~numbers.duplicated()].astype(object)

    def position(line: tuple[Any, ...]) -> str | None:
        for names in used:
            key = tuple(part if name in names else None for name, part in zip(POSITION_KEY, line, strict=True))
            if key in table:
                return table[key]
        return None

    found = [position(line) for line in distinct.itertuples(index=False, name=None)]
    return pd.Series(pd.array(found, dtype="str").take(numbers.to_numpy()))

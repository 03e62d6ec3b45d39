"""What a new copy of whole tables does to whoever holds the last one: rows counted file by file. Pure arithmetic.

What left one table is not made up for by what came into another. The change log is left out: it grows with every change
and is cut at its retention, and neither says anything about the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.plan.diff import DeltaCounts
from include.plan.guards import Effect

if TYPE_CHECKING:
    from collections.abc import Mapping

_HISTORY = "change_logs.csv"


def change_of_tables(held: Mapping[str, int], wanted: Mapping[str, int]) -> tuple[DeltaCounts, Effect]:
    """How many rows more or less there are than the partner holds; both say how many rows each file has.

    ``held`` is empty where the partner holds nothing. A table that would be left empty counts as if everything would.
    """
    names = [name for name in wanted if name != _HISTORY]
    rows = sum(wanted[name] for name in names)
    adds = sum(max(0, wanted[name] - held.get(name, 0)) for name in names)
    lost = sum(losses(held, wanted).values())
    emptied = any(held.get(name) and not wanted[name] for name in names)
    counts = DeltaCounts(adds, 0, lost, unchanged=rows - adds, expired=0)
    effect = Effect(
        held=sum(held.get(name, 0) for name in names),
        expired=0,
        wanted=0 if emptied else rows,
        lost=lost,
        changed=0,
    )
    return counts, effect


def losses(held: Mapping[str, int], wanted: Mapping[str, int]) -> dict[str, int]:
    """How many rows fewer a file has, of those that have fewer; the greatest loss first."""
    lost = {name: held.get(name, 0) - rows for name, rows in wanted.items() if name != _HISTORY}
    return {name: count for name, count in sorted(lost.items(), key=lambda each: -each[1]) if count > 0}

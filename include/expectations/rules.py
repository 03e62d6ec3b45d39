"""Which people may not be delivered, and why: the row verdicts that Great Expectations' counts are held against.

Great Expectations tells how many rows fail each expectation; it is asked for no values, because they are people's IDs.
These rules tell which rows, and by which of several faults: the first in :data:`include.reasons.REASONS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.expectations import frames
from include.mappings.lookup import match
from include.mappings.schemas import schema_for

if TYPE_CHECKING:
    import pandas as pd

    from include.frames import SlotExtract
    from include.mappings.schema import FeedMapping


@dataclass(frozen=True, slots=True)
class Judged:
    """Row verdicts, and the frame of people that they were made of.

    ``mapped`` and ``faults``: see :class:`include.frames.Verdict` (``faults`` are its ``people_faults``). ``people``:
    see :func:`include.expectations.frames.people`; no rows where the integration delivers no people.
    """

    mapped: pd.DataFrame
    people: pd.DataFrame
    faults: pd.DataFrame


def judge(extract: SlotExtract, mapping: FeedMapping) -> Judged:
    """Match every scheduled assignment with the mapping, and find the people who may not be delivered."""
    schema = schema_for(mapping.integration)
    mapped = match(mapping, frames.pairs(extract))
    people = frames.people(extract, mapping, schema, mapped)
    if not schema.delivers_people:
        people = people.iloc[:0]
    faults = first_fault(people, id_faults(people, frames.id_pattern(mapping)))
    faults["reason"] = faults["reason"].replace({"id_missing": schema.missing_id})
    return Judged(mapped, people, faults)


def id_faults(people: pd.DataFrame, pattern: str) -> dict[str, pd.Series[bool]]:
    """For each fault of an ID, in order of precedence, the mask of the people who have it.

    ``people``: see :func:`include.expectations.frames.people`. A person may have several faults.
    """
    ids = people["personnel_id"]
    well_formed = re.compile(pattern)
    return {
        "id_missing": ids.isna(),
        "id_malformed": ids.notna()
        & ~ids.map(lambda text: bool(well_formed.fullmatch(text)), na_action="ignore").eq(other=True),
        "id_duplicate": people["id_holders"] > 1,
        "id_unknown": people["on_roster"].eq(other=False).fillna(value=False).astype(bool),
    }


def first_fault(people: pd.DataFrame, faults: dict[str, pd.Series[bool]]) -> pd.DataFrame:
    """``emp_id`` and ``reason`` of everybody who has a fault, ordered by ``emp_id``; of several, the first counts."""
    import pandas as pd

    reason = pd.Series(index=people.index, dtype="str")
    for name, mask in faults.items():
        reason = reason.mask(mask & reason.isna(), name)
    found = pd.DataFrame({"emp_id": people["emp_id"], "reason": reason})
    return found[reason.notna()].sort_values("emp_id", ignore_index=True)

"""The small frames that are checked: distinct people and assignments, as far as their slots would be delivered.

A person who holds only slots that are left out anyway (pending, ignored, unmapped, ...) is not looked at: nobody should
be asked to mend an ID that no delivery needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.expectations.suites import DEFAULT_ID_PATTERN
from include.frames import TALLY_COLUMNS, misalignment
from include.mappings.matrix import in_matrix
from include.reasons import names

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from include.frames import SlotExtract
    from include.mappings.schema import FeedMapping, MappingSchema

PAIR = ["assignment_id", "slot_date"]


def pairs(extract: SlotExtract) -> pd.DataFrame:
    """List the distinct pairs of ``assignment_id`` and ``slot_date`` among the slots, in order of appearance."""
    return _first_of_each(extract, _pair_numbers(extract))


def people(extract: SlotExtract, mapping: FeedMapping, schema: MappingSchema, mapped: pd.DataFrame) -> pd.DataFrame:
    """The people whose ID a delivery needs: ``emp_id``, ``personnel_id``, ``id_holders``, ``on_roster`` (null: no ID).

    ``mapped``: see :class:`include.frames.Verdict`.
    """
    import pandas as pd

    everybody = extract.people
    eligible = everybody["active"].astype("boolean").fillna(value=False)
    if not schema.delivers_placeholders:
        eligible &= ~everybody["is_placeholder"].astype("boolean").fillna(value=False)
    holders = extract.slots.loc[_deliverable(extract, mapping, mapped), "emp_id"].unique()
    needed = everybody[eligible & everybody["emp_id"].isin(holders)]
    ids = needed["personnel_id"].astype("str")
    roster = mapping.personnel_id_roster
    return pd.DataFrame(
        {
            "emp_id": needed["emp_id"].astype("str"),
            "personnel_id": ids,
            "id_holders": needed["id_holders"].fillna(0).astype("int64"),
            "on_roster": ids.isin(roster if roster is not None else ids).astype("boolean").mask(ids.isna()),
        }
    ).reset_index(drop=True)


def assignments(mapping: FeedMapping, schema: MappingSchema, mapped: pd.DataFrame) -> pd.DataFrame:
    """The distinct scheduled assignments: ``assignment_id``, ``row`` (of the mapping; null: unmapped), required fields.

    Ignored rows are left out. A required field of an assignment without a row counts as filled: one fault is enough.
    """
    import pandas as pd

    scheduled = mapped.loc[mapped["reason"].ne("assignment_ignored").fillna(value=True), ["assignment_id", "row"]]
    distinct = scheduled.drop_duplicates(ignore_index=True)
    rows = [None if pd.isna(row) else mapping.table[int(row)] for row in distinct["row"]]
    for field in schema.required:
        filled = [True if row is None or getattr(row, field) is not None else None for row in rows]
        distinct[field] = pd.array(filled, dtype="boolean")
    return distinct


def counts(extract: SlotExtract) -> pd.DataFrame:
    """How many slots came, beside how many the store counted: ``of`` (people, assignments), ``rows``, ``stored``."""
    import pandas as pd

    held = int(extract.slots["emp_id"].notna().sum())
    return pd.DataFrame(
        {
            "of": ["people", "assignments"],
            "rows": [held, len(extract.slots)],
            "stored": [int(extract.people["slots"].sum()), int(extract.assignments["slots"].sum())],
        }
    )


def periods(extract: SlotExtract) -> pd.DataFrame:
    """The distinct schedule periods of the slots, by department, beside the pay period of its pay group.

    ``department_id``, ``period_id``, ``period_first_day``, ``period_last_day``, ``pay_first_day``, ``pay_last_day``;
    dates as ISO texts.
    """
    span = extract.span
    departments = extract.assignments.drop_duplicates("department_id").set_index("department_id")["pay_group"]
    distinct = extract.slots.drop_duplicates(["department_id", "period_id"])
    found = distinct[["department_id", "period_id", "period_first_day", "period_last_day"]].astype("str")
    paid = [span.days_of(group) for group in found["department_id"].map(departments)]
    first, last = ([str(days[side]) for days in paid] for side in (0, 1))
    found = found.assign(pay_first_day=first, pay_last_day=last)
    return found.sort_values(["department_id", "period_id"], ignore_index=True)


def tallies(extract: SlotExtract) -> pd.DataFrame:
    """One row per tally: ``tally_id``, ``unit``, ``period``, and how many slots it counts by two ways of counting.

    ``by_assignments`` adds up what the store counted of each assignment; ``by_slots`` counts the slots that were read.
    """
    import pandas as pd

    given = extract.tallies if extract.tallies is not None else pd.DataFrame(columns=list(TALLY_COLUMNS))
    kinds = extract.assignments.set_index("assignment_id")[["assignment_type", "slots"]]
    read = extract.slots["assignment_id"].value_counts()
    counts = []
    for tally in given.to_dict("records"):
        hit = kinds
        if pd.notna(tally["assignment_type"]):
            hit = hit[hit["assignment_type"].eq(tally["assignment_type"])]
        if pd.notna(tally["assignment_id"]):
            hit = hit[hit.index == tally["assignment_id"]]
        counts.append((int(hit["slots"].sum()), int(read.reindex(hit.index).fillna(0).sum())))
    found = given[["tally_id", "unit", "period"]].reset_index(drop=True)
    return found.assign(
        by_assignments=[stored for stored, _ in counts],
        by_slots=[found for _, found in counts],
    ).astype({"by_assignments": "int64", "by_slots": "int64"})


def misaligned(periods: pd.DataFrame) -> list[str]:
    """Say of each schedule period (:func:`periods`) that is not the pay period how the two differ."""
    begins = periods["period_first_day"].ne(periods["pay_first_day"])
    ends = periods["period_last_day"].ne(periods["pay_last_day"])
    wrong = periods[begins | ends].drop(columns="period_id")
    return [misalignment(*map(str, row)) for row in wrong.itertuples(index=False)]


def id_pattern(mapping: FeedMapping) -> str:
    """The regular expression that a whole ID must match."""
    return mapping.personnel_id_pattern or DEFAULT_ID_PATTERN


def _first_of_each(extract: SlotExtract, numbers: pd.Series[int]) -> pd.DataFrame:
    return extract.slots[~numbers.duplicated()][PAIR].reset_index(drop=True)


def _pair_numbers(extract: SlotExtract) -> pd.Series[int]:
    """Number the slots' assignments and dates, from 0, in the order of :func:`pairs`."""
    return extract.slots.groupby(PAIR, sort=False, dropna=False).ngroup()


def _deliverable(extract: SlotExtract, mapping: FeedMapping, mapped: pd.DataFrame) -> NDArray[np.bool_]:
    """Which slots are neither pending nor open, in the feed's matrix, and have a row in the mapping that may be used.

    A slot that one of its rows rejects is delivered to nobody.
    """
    slots = extract.slots
    usable, rejecting = mapped["reason"].isna(), mapped["reason"].isin(names("rejected"))
    targets = (
        mapped[PAIR]
        .assign(usable=usable, sound=~rejecting)
        .groupby(PAIR, sort=False)
        .agg({"usable": "any", "sound": "all"})
    )
    numbers = _pair_numbers(extract)  # once: it takes as long as all else here
    found = _first_of_each(extract, numbers).merge(targets.all(axis=1).rename("matched"), on=PAIR, how="left")
    matched = found["matched"].eq(other=True)
    pending = slots["is_pending"].astype("boolean").fillna(value=False)
    mask: NDArray[np.bool_] = (
        matched.to_numpy(dtype=bool)[numbers]
        & ~pending.to_numpy(dtype=bool)
        & slots["emp_id"].notna().to_numpy(dtype=bool)
        & _paid(extract, mapping)
    )
    return mask


def _paid(extract: SlotExtract, mapping: FeedMapping) -> NDArray[np.bool_]:
    """Which slots pair a type of people and a type of assignments that the feed's matrix has."""
    people = extract.people.set_index("emp_id")["personnel_type"]
    assignments = extract.assignments.set_index("assignment_id")["assignment_type"]
    slots = extract.slots
    return in_matrix(slots["emp_id"].map(people), slots["assignment_id"].map(assignments), mapping)

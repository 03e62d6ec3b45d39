"""The Lightning Bolt API's tallies: which slots each of the store's tallies counts, for whom, and in which period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.frames import Transformed
from include.mappings.schemas.lightning_bolt_api import SCHEMA
from include.transforms import common
from include.transforms.common import Finding
from include.transforms.lines import day_numbers, join

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from include.frames import SlotExtract, Verdict
    from include.mappings.schema import FeedMapping
    from include.transforms.lines import Lines

_THURSDAY = 3  # 1970-01-01 was one, three days after the Monday that its week began with


def counted_slots(extract: SlotExtract, mapping: FeedMapping, verdict: Verdict) -> Transformed:
    """Decide about every slot, and make one record for each tally that counts it.

    A slot counts for the department of its assignment, and in the period that its ``slot_date`` is in. Of several
    departments, a person has a tally in each.

    Returns:
        decisions and records (fields of the schema's ``record``).
    """
    lines = join(extract, mapping, verdict)
    tallies = [] if extract.tallies is None else extract.tallies.sort_values("tally_id").to_dict("records")
    counts = [_counts(lines, tally) for tally in tallies]
    decisions, included = common.decide(lines, _findings(lines, counts))
    counts = [_counts(included, tally) for tally in tallies]
    counted = included.only(_places(counts))
    of_tally = _repeated(tallies, counts)
    days = day_numbers(counted.slot("slot_date"))
    fields = {
        "tally_id": of_tally["tally_id"],
        "tally_name": of_tally["name"],
        "unit": of_tally["unit"],
        "period": of_tally["period"],
        "period_start": _period_starts(days, of_tally["period"]),
        "slot_date": common.dates(counted.slot("slot_date")),
        "department_id": counted.assignment("department_id"),
        "emp_id": counted.slot("emp_id"),
        "hours": common.hours_between(counted.slot("start_utc"), counted.slot("stop_utc")),
        "work_units": counted.slot("work_units").fillna(0),
        "source_slot_id": counted.slot("slot_id"),
    }
    return Transformed(decisions, common.records(SCHEMA, counted, fields))


def _findings(lines: Lines, counts: list[NDArray[np.bool_]]) -> Iterator[Finding]:
    import numpy as np

    yield from common.common_findings(lines, SCHEMA)
    anywhere = np.logical_or.reduce(counts) if counts else np.zeros(len(lines), dtype=bool)
    yield Finding("not_sent", ~anywhere, "no tally counts it")


def _counts(lines: Lines, tally: dict[Any, Any]) -> NDArray[np.bool_]:
    """Which lines a tally counts: those of its type and of its assignment, where it names them."""
    import numpy as np
    import pandas as pd

    hit = np.ones(len(lines), dtype=bool)
    for column in ("assignment_type", "assignment_id"):
        if pd.notna(tally[column]):
            hit &= common.is_true(lines.assignment(column) == tally[column])
    return hit


def _places(counts: list[NDArray[np.bool_]]) -> NDArray[np.int64]:
    """The lines that are counted, tally by tally."""
    import numpy as np

    return np.concatenate([np.flatnonzero(hit) for hit in counts] or [np.empty(0, dtype="int64")]).astype("int64")


def _repeated(tallies: list[dict[Any, Any]], counts: list[NDArray[np.bool_]]) -> dict[str, pd.Series[Any]]:
    """What is known of the tally of each counted line."""
    import numpy as np
    import pandas as pd

    places = np.repeat(np.arange(len(tallies)), np.array([hit.sum() for hit in counts], dtype="int64"))
    return {
        name: pd.Series(pd.array([tally[name] for tally in tallies], dtype="str").take(places))
        for name in ("tally_id", "name", "unit", "period")
    }


def _period_starts(days: NDArray[np.int64], periods: pd.Series[Any]) -> pd.Series[Any]:
    """The first day of each day's period (``date32``); null where the period is everything."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    dates = days.astype("datetime64[D]")
    period = periods.to_numpy(dtype=object)
    starts = np.full(len(days), np.datetime64("NaT"), dtype="datetime64[D]")
    for name, first in (
        ("week", (days - (days + _THURSDAY) % 7).astype("datetime64[D]")),
        ("month", dates.astype("datetime64[M]").astype("datetime64[D]")),
        ("year", dates.astype("datetime64[Y]").astype("datetime64[D]")),
    ):
        starts[period == name] = first[period == name]
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(starts)))

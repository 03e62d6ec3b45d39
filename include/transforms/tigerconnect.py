"""TigerConnect: shifts under job tokens, one for each slot, or several of at most 24 hours where it lasts longer.

Hours are elapsed ones: a call from 07:00 to 07:00 over the night on which an hour comes twice lasts 25 of them and has
a second part of one hour. Placeholders are delivered where they have a TigerConnect ID. Open slots are not people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.frames import Transformed
from include.mappings.schemas.tigerconnect import SCHEMA
from include.transforms import common
from include.transforms.lines import join

if TYPE_CHECKING:
    import pandas as pd

    from include.frames import SlotExtract, Verdict
    from include.mappings.schema import FeedMapping
    from include.transforms.lines import Lines

#: The longest shift, in hours.
LONGEST = 24


def shifts(extract: SlotExtract, mapping: FeedMapping, verdict: Verdict) -> Transformed:
    """Decide about every slot and make the shifts of each included one.

    Returns:
        decisions and records (fields of the schema's ``record``; ``start_utc`` and ``stop_utc`` are those of the part).
    """
    lines = join(extract, mapping, verdict)
    decisions, included = common.decide(lines, common.common_findings(lines, SCHEMA))
    included, part, start, stop = in_parts(included)
    fields = {
        "job_token": included.row("job_token"),
        "user_id": included.person("personnel_id"),
        "part": part,
        "source_slot_id": included.slot("slot_id"),
        "start_utc": start,
        "stop_utc": stop,
    }
    return Transformed(decisions, common.records(SCHEMA, included, fields))


def in_parts(lines: Lines) -> tuple[Lines, pd.Series[Any], pd.Series[Any], pd.Series[Any]]:
    """A line for each part; answers the lines, and of each its number (from 1), start and stop (UTC)."""
    import numpy as np
    import pandas as pd

    whole = pd.Timedelta(hours=LONGEST)
    lasts = lines.slot("stop_utc") - lines.slot("start_utc")
    counts = np.ceil(lasts.dt.total_seconds().to_numpy(dtype="float64") / whole.total_seconds()).astype("int64")
    places = np.repeat(np.arange(len(lines)), counts)
    number = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    parts = lines.only(places)
    start = parts.slot("start_utc") + pd.Series(number) * whole
    stop = pd.concat([start + whole, parts.slot("stop_utc")], axis=1).min(axis=1)
    return parts, pd.Series(number + 1), start, stop

"""Random snapshots, edits of them, and plain dictionaries of what a Parquet file holds."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pyarrow.parquet as pq
from hypothesis import strategies as st

from include.mappings.schema import RecordField
from include.plan.snapshot import write_snapshot

FIELDS = {
    "role": RecordField("text", ""),
    "call_order": RecordField("integer", ""),
    "hours": RecordField("decimal", ""),
    "free": RecordField("boolean", ""),
    "day": RecordField("date", ""),
    "start": RecordField("local_time", ""),
}
MORNING = datetime(2026, 3, 8, 6, tzinfo=UTC)

keys = st.text(st.sampled_from("ab|Zé😀"), min_size=1, max_size=3)
moments = st.integers(0, 6).map(lambda hours: MORNING + timedelta(hours=hours))
records = st.fixed_dictionaries(
    {
        "slot_id": st.sampled_from(["s1", "s2"]),
        "stop_utc": st.none() | moments,
        "role": st.sampled_from([None, "", " ", "Primary", "primary"]),
        "call_order": st.sampled_from([None, 0, 1]),
        "hours": st.sampled_from([None, Decimal("8.5"), Decimal("8.500001")]),
        "free": st.sampled_from([None, True, False]),
        "day": st.sampled_from([None, date(2026, 3, 8)]),
        "start": st.none() | moments.map(lambda moment: moment.replace(tzinfo=None)),
    }
)
snapshots = st.dictionaries(keys, records, max_size=8)


@st.composite
def pairs(draw):
    """A base and a wanted snapshot that share many rows: the second is the first after some edits."""
    base = draw(snapshots)
    wanted = dict(base)
    for key in draw(st.lists(st.sampled_from(sorted(base)), max_size=3)) if base else []:
        wanted.pop(key, None)
    for key in draw(st.lists(st.sampled_from(sorted(base)), max_size=3)) if base else []:
        name = draw(st.sampled_from(sorted(base[key])))
        wanted[key] = base[key] | {name: draw(records)[name]}
    return base, wanted | draw(snapshots)


def write(snapshot, path):
    columns = ["key", "slot_id", "stop_utc", *FIELDS]
    rows = [{"key": key} | record for key, record in snapshot.items()]
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    frame["stop_utc"] = pd.to_datetime(frame["stop_utc"], utc=True)
    write_snapshot(frame, FIELDS, path)
    return path


def read(path):
    return pq.read_table(path).to_pylist()

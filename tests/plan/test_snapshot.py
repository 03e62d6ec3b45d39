from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.errors import DataRejected
from include.mappings.schema import RecordField
from include.plan.snapshot import write_snapshot
from tests.plan.strategies import FIELDS

MOMENT = datetime(2026, 3, 8, 7, 30, tzinfo=UTC)
TYPES = {
    "key": pa.string(),
    "slot_id": pa.string(),
    "start_utc": pa.timestamp("us", tz="UTC"),
    "stop_utc": pa.timestamp("us", tz="UTC"),
    "role": pa.string(),
    "call_order": pa.int64(),
    "hours": pa.decimal128(18, 6),
    "free": pa.bool_(),
    "day": pa.date32(),
    "start": pa.timestamp("us"),
}


def frame(**changes):
    columns = {
        "start": pd.to_datetime(["2026-03-08T02:30", None]),
        "key": ["b", "a"],
        "slot_id": ["s1", "s2"],
        "role": ["Primary", None],
        "call_order": pd.array([1, None], dtype="Int64"),
        "hours": [8.5, None],
        "free": pd.array([True, None], dtype="boolean"),
        "day": [date(2026, 3, 8), None],
        "start_utc": pd.to_datetime(["2026-03-08T07:30Z", "2026-03-08T07:30Z"]),
        "stop_utc": pd.to_datetime(["2026-03-08T08:30Z", None]),
    }
    return pd.DataFrame(columns | changes)


def test_types_and_order_are_those_of_the_fields(tmp_path):
    path = tmp_path / "snapshot.parquet"
    write_snapshot(frame(), FIELDS, path)
    table = pq.read_table(path)
    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == TYPES
    assert list(table.schema.names) == list(TYPES)
    assert table.schema.metadata is None
    assert table.to_pylist()[1] == {
        "key": "b",
        "slot_id": "s1",
        "start_utc": MOMENT,
        "stop_utc": MOMENT.replace(hour=8),
        "role": "Primary",
        "call_order": 1,
        "hours": Decimal("8.500000"),
        "free": True,
        "day": date(2026, 3, 8),
        "start": datetime.fromisoformat("2026-03-08T02:30"),
    }
    assert [row["key"] for row in table.to_pylist()] == ["a", "b"]
    assert set(table.to_pylist()[0].values()) == {"a", "s2", MOMENT, None}


@pytest.mark.parametrize("rows", [frame().head(0), pd.DataFrame(columns=list(TYPES)), frame().tail(1)])
def test_empty_and_unfilled_columns_have_the_same_types(tmp_path, rows):
    path = tmp_path / "snapshot.parquet"
    write_snapshot(rows, FIELDS, path)
    assert dict(zip(pq.read_schema(path).names, pq.read_schema(path).types, strict=True)) == TYPES


def test_equal_records_make_equal_bytes_however_they_are_held(tmp_path):
    as_objects = frame().astype(object).where(frame().notna(), None).iloc[::-1]
    as_categories = frame(role=pd.Categorical(["Primary", None]), hours=[Decimal("8.50"), None])
    in_chunks = pd.concat([frame().head(1), frame().tail(1)])
    contents = set()
    for number, rows in enumerate([frame(), as_objects, as_categories, in_chunks, frame()[sorted(TYPES)]]):
        path = tmp_path / f"{number}.parquet"
        write_snapshot(rows, FIELDS, path)
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_the_action_of_a_delta_is_not_a_column_of_a_snapshot(tmp_path):
    write_snapshot(frame(), {**FIELDS, "action": RecordField("text", "")}, tmp_path / "snapshot.parquet")
    assert "action" not in pq.read_schema(tmp_path / "snapshot.parquet").names


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"key": ["same", "same"]}, "1 record"),
        ({"key": ["a", None]}, "1 record"),
        ({"slot_id": ["s", None]}, "no `slot_id`"),
        ({"secret_column": ["x", "y"]}, "unknown columns ['secret_column']"),
        ({"role": [1, 2]}, "`role`"),
        ({"role": ["Dr. Secret", 1]}, "`role`"),
        ({"role": pd.Series(["\ud800", None], dtype=object)}, "`role`"),
        ({"call_order": ["Dr. Secret", "1"]}, "`call_order`"),
        ({"call_order": [1.5, 2]}, "`call_order`"),
        ({"hours": [float("inf"), 1]}, "`hours`"),
        ({"hours": [Decimal("1.2345678"), None]}, "`hours`"),
        ({"free": [1, 0]}, "`free`"),
        ({"day": ["2026-03-08", None]}, "`day`"),
        ({"day": pd.to_datetime(["2026-03-08T10:00", None])}, "`day`"),
        ({"start": pd.to_datetime(["2026-03-08T02:30Z", None])}, "`start`"),
        ({"start_utc": pd.to_datetime(["2026-03-08T02:30", None])}, "`start_utc`"),
    ],
)
def test_wrong_records_are_refused_without_their_values(tmp_path, changes, says):
    with pytest.raises(DataRejected) as refusal:
        write_snapshot(frame(**changes), FIELDS, tmp_path / "snapshot.parquet")
    assert says in str(refusal.value)
    assert "Secret" not in str(refusal.value)
    assert refusal.value.__context__ is None or refusal.value.__suppress_context__
    assert list(tmp_path.iterdir()) == []


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(DataRejected, match="lack \\['hours'\\]"):
        write_snapshot(frame().drop(columns="hours"), FIELDS, tmp_path / "snapshot.parquet")

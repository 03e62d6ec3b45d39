"""Operations per record against plain Python: a partner that does as it is told ends up with what is wanted."""

import hashlib
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.errors import DataRejected
from include.plan.rows import RowsPlan, plan_rows, write_acknowledged
from tests.plan.strategies import MORNING, moments, pairs, read, snapshots, write

ON_DISK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def netstring(text):
    return f"{len(text.encode())}:".encode() + text.encode() + b","


def canonical(value):
    match value:
        case bool():
            return "b" + str(value).lower()
        case int():
            return f"i{value}"
        case Decimal():
            return "n" + f"{value:f}".rstrip("0").rstrip(".")
        case datetime(tzinfo=None):
            return f"w{(value.replace(tzinfo=UTC) - EPOCH) // (EPOCH.resolution)}"
        case datetime():
            return f"u{(value - EPOCH) // EPOCH.resolution}"
        case date():
            return "d" + value.isoformat()
    return "t" + value


def record_hash(record):
    """The documented hash, written a second time."""
    filled = sorted((name, value) for name, value in record.items() if value is not None)
    return hashlib.sha256(b"".join(netstring(name) + netstring(canonical(value)) for name, value in filled)).hexdigest()


def acknowledged(held, path):
    """What a ledger remembers: fields that have been through JSON."""
    write_acknowledged(
        (
            (key, record["slot_id"], record_hash(record), f"remote-{key}", json.loads(json.dumps(record, default=str)))
            for key, record in held.items()
        ),
        path,
        dict.fromkeys(name for record in held.values() for name in record),
    )
    return path


@ON_DISK
@given(pair=pairs(), refresh=st.sampled_from(["changed", "all"]), moment=st.none() | moments, data=st.data())
def test_a_partner_that_does_as_it_is_told_holds_what_is_wanted(tmp_path, pair, refresh, moment, data):
    held, wanted = pair
    candidates = sorted(wanted)
    refused_now = set(data.draw(st.lists(st.sampled_from(candidates), max_size=3))) if candidates else set()
    refused_before = set(data.draw(st.lists(st.sampled_from(candidates), max_size=2))) if candidates else set()
    refused = {key: record_hash(wanted[key]) for key in refused_now} | dict.fromkeys(
        refused_before - refused_now, "old"
    )

    target = tmp_path / "operations.parquet"
    plan = plan_rows(
        acknowledged(held, tmp_path / "acknowledged.parquet"),
        write(wanted, tmp_path / "wanted.parquet"),
        target,
        refresh=refresh,
        refused=refused,
        expired_before=moment,
    )
    operations = read(target)
    assert [row["key"] for row in operations] == sorted((row["key"] for row in operations), key=str.encode)

    partner = dict(held)
    for row in operations:
        key, operation = row.pop("key"), row.pop("operation")
        sha256, remote_id = row.pop("record_sha256"), row.pop("remote_id")
        assert sha256 == record_hash(row)
        assert remote_id == (None if operation == "add" else f"remote-{key}")
        assert (key in partner) == (operation != "add")
        assert (key in wanted) == (operation != "delete")
        assert refused.get(key) != sha256 or operation == "delete"
        if operation == "delete":
            assert partner.pop(key) == row
        else:
            assert refresh == "all" or partner.get(key) != row
            partner[key] = row

    expired = {
        key
        for key, record in held.items()
        if moment is not None and key not in wanted and record["stop_utc"] is not None and record["stop_utc"] <= moment
    }
    due = {key for key in wanted if refresh == "all" or held.get(key) != wanted[key]}
    for key in wanted.keys() - (due & refused_now):
        assert partner[key] == wanted[key]
    for key in due & refused_now:
        assert partner.get(key) == held.get(key)
    assert partner.keys() - wanted.keys() == expired
    assert plan == RowsPlan(
        adds=len((due - refused_now) - held.keys()),
        updates=len((due - refused_now) & held.keys()),
        changed=sum(held[key] != wanted[key] for key in (due - refused_now) & held.keys()),
        deletes=len(held.keys() - wanted.keys() - expired),
        unchanged=len(wanted) - len(due),
        refused=len(due & refused_now),
        expired=tuple(sorted(expired, key=str.encode)),
    )
    assert len(operations) == plan.adds + plan.updates + plan.deletes


@ON_DISK
@given(wanted=snapshots)
def test_a_partner_that_holds_nothing_gets_everything_once(tmp_path, wanted):
    target = tmp_path / "operations.parquet"
    plan = plan_rows(None, write(wanted, tmp_path / "wanted.parquet"), target)
    assert plan == RowsPlan(adds=len(wanted), updates=0, changed=0, deletes=0, unchanged=0, refused=0, expired=())
    write_acknowledged(
        ((row["key"], row["slot_id"], row["record_sha256"], None, {}) for row in read(target)),
        tmp_path / "ack.parquet",
        ["stop_utc"],
    )
    again = plan_rows(tmp_path / "ack.parquet", tmp_path / "wanted.parquet", target)
    assert again == RowsPlan(adds=0, updates=0, changed=0, deletes=0, unchanged=len(wanted), refused=0, expired=())
    assert read(target) == []


def test_the_hash_of_a_known_record(tmp_path):
    """Pinned: another serialisation would send every record of every feed again."""
    record = {"key": ["k"], "slot_id": ["s1"], "role": ["Primary"], "call_order": [1], "empty": [""]}
    record["none"] = pa.array([None], pa.string())
    pq.write_table(pa.table(record), tmp_path / "wanted.parquet")
    plan_rows(None, tmp_path / "wanted.parquet", tmp_path / "operations.parquet")
    text = b"10:call_order,2:i1,5:empty,1:t,4:role,8:tPrimary,7:slot_id,3:ts1,"
    assert read(tmp_path / "operations.parquet")[0]["record_sha256"] == hashlib.sha256(text).hexdigest()


def test_neighbouring_fields_never_run_together(tmp_path):
    """``a = "x", b = null`` and every other way to spread the same characters over fields are different records."""
    spread = [("x,1:b,2:ty", None), ("x", "y"), ("xy", ""), ("xy", None), (None, "xy"), ("", "xy"), ("x", "y ")]
    table = pa.table(
        {
            "key": [str(place) for place in range(len(spread))],
            "slot_id": ["s"] * len(spread),
            "a": pa.array([a for a, _ in spread], pa.string()),
            "b": pa.array([b for _, b in spread], pa.string()),
        }
    )
    pq.write_table(table, tmp_path / "wanted.parquet")
    plan_rows(None, tmp_path / "wanted.parquet", tmp_path / "operations.parquet")
    assert len({row["record_sha256"] for row in read(tmp_path / "operations.parquet")}) == len(spread)


def test_a_record_whose_content_at_the_partner_is_unknown_is_updated(tmp_path):
    record = {"slot_id": "s1", "stop_utc": MORNING}
    pq.write_table(pa.table({"key": ["k"], "slot_id": ["s1"]}), tmp_path / "wanted.parquet")
    write_acknowledged([("k", "s1", None, "remote-1", record)], tmp_path / "ack.parquet", record)
    plan = plan_rows(tmp_path / "ack.parquet", tmp_path / "wanted.parquet", tmp_path / "operations.parquet")
    assert (plan.adds, plan.updates) == (0, 1)
    assert read(tmp_path / "operations.parquet")[0]["remote_id"] == "remote-1"


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"key": ["a", "a"], "slot_id": ["s", "s"]}, "1 key"),
        ({"key": ["a"], "slot_id": ["s"], "remote_id": ["r"]}, "reserved columns"),
        ({"key": ["a"]}, "lacks `slot_id`"),
        ({"key": ["a"], "slot_id": ["s"], "weight": [1.5]}, "`weight`"),
    ],
)
def test_records_that_cannot_be_planned_are_refused(tmp_path, columns, says):
    pq.write_table(pa.table(columns), tmp_path / "wanted.parquet")
    with pytest.raises(DataRejected, match=says):
        plan_rows(None, tmp_path / "wanted.parquet", tmp_path / "operations.parquet")

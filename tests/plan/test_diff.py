"""The delta against plain Python: whoever applies it to the base holds what was wanted, and no row goes in vain."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.errors import ConfigurationError, DataRejected, StateDamaged
from include.plan.diff import DeltaCounts, diff
from tests.plan.strategies import MORNING, keys, moments, pairs, read, snapshots, write

ON_DISK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = ["slot_id", "stop_utc", "role", "call_order", "hours", "free", "day", "start"]


def applied(base, delta):
    """A receiver that knows only the delta; it refuses an ADD of what it has, and changes of what it has not."""
    held = dict(base)
    for row in delta:
        action, key = row.pop("action"), row.pop("key")
        assert (key in held) == (action != "ADD")
        if action == "DELETE":
            assert held.pop(key) == row
        else:
            held[key] = row
    return held


@ON_DISK
@given(pair=pairs())
def test_a_delta_turns_the_base_into_what_is_wanted_and_is_minimal(tmp_path, pair):
    base, wanted = pair
    target = tmp_path / "delta.parquet"
    counts = diff(write(base, tmp_path / "base.parquet"), write(wanted, tmp_path / "wanted.parquet"), target)
    delta = read(target)
    assert [row["key"] for row in delta] == sorted((row["key"] for row in delta), key=str.encode)
    unchanged = sum(1 for key in base if wanted.get(key) == base[key])
    assert len(delta) == len(base.keys() | wanted.keys()) - unchanged
    assert counts == DeltaCounts(
        adds=len(wanted.keys() - base.keys()),
        updates=sum(1 for key in base.keys() & wanted.keys() if base[key] != wanted[key]),
        deletes=len(base.keys() - wanted.keys()),
        unchanged=unchanged,
        expired=0,
    )
    assert list(pq.read_schema(target).names) == ["action", "key", *NAMES]
    assert applied(base, delta) == wanted


@ON_DISK
@given(pair=pairs(), others=st.lists(keys, max_size=2), pick=st.integers(0, 7), moment=moments)
def test_unoffered_keys_are_left_alone_and_rows_that_left_the_window_are_not_deleted(
    tmp_path, pair, others, pick, moment
):
    base, wanted = pair
    unoffered = {*others, *sorted(base)[:pick:2]}
    target = tmp_path / "delta.parquet"
    counts = diff(
        write(base, tmp_path / "base.parquet"),
        write(wanted, tmp_path / "wanted.parquet"),
        target,
        unoffered=unoffered,
        expired_before=moment,
    )
    known = {key: record for key, record in base.items() if key not in unoffered}
    wanted = {key: record for key, record in wanted.items() if key not in unoffered}
    expired = {
        key
        for key, record in known.items()
        if key not in wanted and record["stop_utc"] is not None and record["stop_utc"] <= moment
    }
    held = applied(known, read(target))
    assert {key: record for key, record in held.items() if key not in expired} == wanted
    assert expired <= held.keys()
    assert counts.expired == len(expired)
    assert counts.deletes == len(known.keys() - wanted.keys() - expired)
    assert counts.updates + counts.deletes + counts.unchanged + counts.expired == len(known)
    assert counts.adds + counts.updates + counts.unchanged == len(wanted)


@ON_DISK
@given(wanted=snapshots)
def test_without_a_base_everything_is_an_add(tmp_path, wanted):
    target = tmp_path / "delta.parquet"
    counts = diff(None, write(wanted, tmp_path / "wanted.parquet"), target)
    assert counts == DeltaCounts(adds=len(wanted), updates=0, deletes=0, unchanged=0, expired=0)
    assert applied({}, read(target)) == wanted


def parquet(path, rows, **columns):
    """Write rows in the order given, as a program might that does not use our writer."""
    names = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(
        pa.table({n: pa.array([row.get(n) for row in rows], columns.get(n, pa.string())) for n in names}), path
    )
    return path


@pytest.mark.parametrize("side", ["base", "wanted"])
@pytest.mark.parametrize(
    ("keys_of_side", "says"),
    [
        (["a", "b", "a", "a"], "1 key(s) of the {side}"),
        (["a", "a", "b"], "1 key(s) of the {side}"),
        (["a", None, None], "2 row(s) of the {side}"),
    ],
)
def test_keys_that_do_not_identify_are_refused_with_counts_only(tmp_path, side, keys_of_side, says):
    good = parquet(tmp_path / "good.parquet", [{"key": "x-secret", "slot_id": "s"}])
    bad = parquet(tmp_path / "bad.parquet", [{"key": key, "slot_id": "s"} for key in keys_of_side])
    base, wanted = (bad, good) if side == "base" else (good, bad)
    with pytest.raises(DataRejected) as refusal:
        diff(base, wanted, tmp_path / "delta.parquet")
    assert says.format(side=side) in str(refusal.value)
    assert not (tmp_path / "delta.parquet").exists()


def test_unordered_snapshots_are_as_good(tmp_path):
    base = parquet(tmp_path / "base.parquet", [{"key": key, "slot_id": "s"} for key in "cab"])
    wanted = parquet(tmp_path / "wanted.parquet", [{"key": key, "slot_id": "s"} for key in "dcb"])
    target = tmp_path / "delta.parquet"
    assert diff(base, wanted, target) == DeltaCounts(adds=1, updates=0, deletes=1, unchanged=2, expired=0)
    assert [(row["action"], row["key"]) for row in read(target)] == [("DELETE", "a"), ("ADD", "d")]
    assert diff(None, wanted, target).adds == 3
    assert [row["key"] for row in read(target)] == ["b", "c", "d"]


def test_a_column_of_one_side_compares_as_null_on_the_other(tmp_path):
    base = parquet(
        tmp_path / "base.parquet",
        [
            {"key": key, "slot_id": "s", "old": old}
            for key, old in [("a", None), ("b", "filled"), ("c", None), ("d", "x")]
        ],
    )
    wanted = parquet(
        tmp_path / "wanted.parquet",
        [{"key": key, "slot_id": "s", "new": new} for key, new in [("a", None), ("b", None), ("c", "")]],
    )
    target = tmp_path / "delta.parquet"
    assert diff(base, wanted, target) == DeltaCounts(adds=0, updates=2, deletes=1, unchanged=1, expired=0)
    assert read(target) == [
        {"action": "UPDATE", "key": "b", "slot_id": "s", "new": None},
        {"action": "UPDATE", "key": "c", "slot_id": "s", "new": ""},
        {"action": "DELETE", "key": "d", "slot_id": "s", "new": None},
    ]


def test_a_column_that_changed_its_type_differs_wherever_it_is_filled(tmp_path):
    """The text ``007`` is not the number 7: what the partner reads would change without an update."""
    base = parquet(
        tmp_path / "base.parquet",
        [
            {"key": key, "slot_id": "s", "n": n}
            for key, n in [("a", "007"), ("b", None), ("c", "7"), ("d", "no number")]
        ],
    )
    wanted = parquet(
        tmp_path / "wanted.parquet",
        [{"key": "a", "slot_id": "s", "n": 7}, {"key": "b", "slot_id": "s", "n": None}],
        n=pa.int64(),
    )
    target = tmp_path / "delta.parquet"
    assert diff(base, wanted, target) == DeltaCounts(adds=0, updates=1, deletes=2, unchanged=1, expired=0)
    assert [row["n"] for row in read(target)] == [7, 7, None]


def test_equal_inputs_make_equal_deltas(tmp_path):
    wanted = parquet(tmp_path / "wanted.parquet", [{"key": f"{n:07d}", "slot_id": "s"} for n in range(200_000)])
    base = parquet(tmp_path / "base.parquet", [{"key": f"{n:07d}", "slot_id": "t"} for n in range(100_000, 300_000)])
    contents = set()
    for attempt in range(3):
        target = tmp_path / f"{attempt}.parquet"
        assert diff(base, wanted, target) == DeltaCounts(100_000, 100_000, 100_000, 0, 0)
        contents.add(target.read_bytes())
    assert len(contents) == 1


def test_expiry_needs_an_aware_moment_and_a_stop(tmp_path):
    base = parquet(tmp_path / "base.parquet", [{"key": "a", "slot_id": "s"}])
    wanted = parquet(tmp_path / "wanted.parquet", [{"key": "b", "slot_id": "s"}])
    target = tmp_path / "delta.parquet"
    assert diff(base, wanted, target, expired_before=datetime(2100, 1, 1, tzinfo=UTC)).deletes == 1
    stopped = parquet(
        tmp_path / "stopped.parquet",
        [
            {"key": "a", "slot_id": "s", "stop_utc": MORNING},
            {"key": "c", "slot_id": "s", "stop_utc": MORNING + timedelta(microseconds=1)},
        ],
        stop_utc=pa.timestamp("us", tz="UTC"),
    )
    counts = diff(stopped, wanted, target, expired_before=MORNING)
    assert (counts.deletes, counts.expired) == (1, 1)
    with pytest.raises(ValueError, match="needs a time zone"):
        diff(stopped, wanted, target, expired_before=MORNING.replace(tzinfo=None))


def test_broken_and_missing_files_are_named_without_their_content(tmp_path):
    wanted = parquet(tmp_path / "wanted.parquet", [{"key": "a", "slot_id": "s"}])
    with pytest.raises(ConfigurationError):
        diff(tmp_path / "nowhere.parquet", wanted, tmp_path / "delta.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"Dr. Secret" * 100)
    with pytest.raises((StateDamaged, ConfigurationError)) as refusal:
        diff(tmp_path / "broken.parquet", wanted, tmp_path / "delta.parquet")
    assert "Secret" not in str(refusal.value)
    with pytest.raises(DataRejected, match="named `action`"):
        diff(None, parquet(tmp_path / "reserved.parquet", [{"key": "a", "action": "x"}]), tmp_path / "delta.parquet")

"""Guards: each limit just below, on and over it; what counts as lost; what an approval covers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.mappings.schema import Limits
from include.plan.guards import Effect, Trip, count_lost, count_soon, covered, lost_slot_ids, trips, without_deletes
from include.plan.snapshot import with_lost

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = Limits()
QUIET = Effect(held=100, expired=0, wanted=100, lost=0, changed=0)
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


def guards(effect: Effect, limits: Limits = LIMITS) -> list[str]:
    return [trip.guard for trip in trips(effect, limits)]


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (QUIET, []),
        (replace(QUIET, lost=20, wanted=80), []),
        (replace(QUIET, lost=21, wanted=79), ["deletes_percent"]),
        (replace(QUIET, held=10_000, lost=500, wanted=9_500), []),
        (replace(QUIET, held=10_000, lost=501, wanted=9_499), ["deletes"]),
        (replace(QUIET, changed=30), []),
        (replace(QUIET, changed=31), ["updates_percent"]),
        (replace(QUIET, due=100, rejected=5), []),
        (replace(QUIET, due=100, rejected=6), ["rejected_percent"]),
        # Below ten rows a percentage says nothing, and nothing at all is left to no size.
        (replace(QUIET, held=9, lost=8, wanted=1), []),
        (replace(QUIET, held=10, lost=3, wanted=7), ["deletes_percent"]),
        (replace(QUIET, held=10, lost=2, wanted=8), []),
        (replace(QUIET, held=1, lost=1, wanted=0), ["to_zero"]),
        (replace(QUIET, held=0, expired=4, wanted=0), ["to_zero"]),
        (replace(QUIET, held=0, wanted=0), []),
        (replace(QUIET, due=9, rejected=9), []),
        (replace(QUIET, due=10, rejected=1), ["rejected_percent"]),
        (replace(QUIET, layout="a", held_layout="a"), []),
        (replace(QUIET, layout="a", held_layout="b"), ["layout"]),
        (replace(QUIET, layout="a", held_layout=None), []),
        (replace(QUIET, lost=600, held=600, wanted=0), ["to_zero", "deletes", "deletes_percent"]),
    ],
)
def test_each_limit_on_both_sides(effect, expected):
    assert guards(effect) == expected


def test_every_limit_of_a_feed_is_its_own():
    effect = replace(QUIET, lost=50, wanted=50, changed=50, due=100, rejected=50)
    wide = Limits(rejected_percent=50, deletes_percent=50, deletes=50, updates_percent=50)
    assert guards(effect, wide) == []
    for name, guard in (
        ("rejected_percent", "rejected_percent"),
        ("deletes_percent", "deletes_percent"),
        ("deletes", "deletes"),
        ("updates_percent", "updates_percent"),
    ):
        assert guards(effect, wide.model_copy(update={name: 49})) == [guard]
    assert guards(effect, wide.model_copy(update={"deletes_percent": 49, "floor": 101})) == []


@given(
    held=st.integers(0, 3000),
    lost=st.integers(0, 3000),
    changed=st.integers(0, 3000),
    limit=st.sampled_from([0, 1, 12.5, 20, 33.3, 100]),
)
def test_a_percentage_trips_exactly_over_its_limit(held, lost, changed, limit):
    lost, changed = min(lost, held), min(changed, held)
    limits = Limits(deletes_percent=limit, updates_percent=limit, deletes=10**6)
    found = guards(Effect(held, 0, held - lost + 1, lost, changed), limits)
    for name, part in (("deletes_percent", lost), ("updates_percent", changed)):
        assert (name in found) == (held >= 10 and part * 1000 > round(limit * 10) * held)


def test_an_approval_covers_what_was_seen_and_nothing_worse():
    seen = [Trip("deletes_percent", 40.0, 20), Trip("layout", "new", "old")]
    assert covered([Trip("deletes_percent", 40.0, 20)], seen)
    assert covered([Trip("deletes_percent", 25.0, 20), Trip("layout", "new", "old")], seen)
    assert not covered([Trip("deletes_percent", 40.1, 20)], seen)
    assert not covered([Trip("layout", "newer", "old")], seen)
    assert not covered([Trip("deletes_percent", 30, 20), Trip("updates_percent", 31, 30)], seen)


def test_without_its_deletes_a_plan_leaves_the_partner_what_it_has():
    effect = replace(QUIET, lost=100, wanted=0, changed=40)
    assert guards(effect) == ["to_zero", "deletes_percent", "updates_percent"]
    assert guards(without_deletes(effect)) == ["updates_percent"]


def delta(path: Path, *rows: tuple[str, str, str, datetime | None, datetime | None]) -> Path:
    names = ("action", "key", "slot_id", "start_utc", "stop_utc")
    instant = pa.timestamp("us", tz="UTC")
    types = (pa.string(), pa.string(), pa.string(), instant, instant)
    columns = [pa.array([row[place] for row in rows], kind) for place, kind in enumerate(types)]
    pq.write_table(pa.table(columns, names=list(names)), path)
    return path


def test_a_slot_under_a_new_key_is_not_lost(tmp_path):
    hour = timedelta(hours=1)
    plan = delta(
        tmp_path / "delta.parquet",
        ("DELETE", "old-1", "S1", NOON, NOON + hour),
        ("ADD", "new-1", "S1", NOON, NOON + hour),
        ("DELETE", "k2", "S2", NOON + 71 * hour, NOON + 72 * hour),
        ("DELETE", "k3", "S3", NOON + 72 * hour, NOON + 73 * hour),
        ("DELETE", "k4", "S4", NOON - 9 * hour, NOON + hour),
        ("DELETE", "k5", "S5", NOON - 9 * hour, NOON),
        ("UPDATE", "k6", "S6", NOON, NOON + hour),
    )
    assert count_lost(plan, "action") == 4
    assert sorted(lost_slot_ids(plan, "action")) == ["S2", "S3", "S4", "S5"]
    # One that runs now counts, one that begins after exactly three days does not, nor one that is over.
    assert count_soon(plan, "action", since=NOON, until=NOON + timedelta(days=3)) == 2


def test_what_would_be_lost_is_kept_beside_what_is_wanted(tmp_path):
    wanted = pa.table({"key": ["b", "new"], "slot_id": ["B", "M"], "role": ["x", None]})
    pq.write_table(wanted, tmp_path / "wanted.parquet")
    plan = pa.table(
        {
            "action": ["DELETE", "ADD", "DELETE"],
            "key": ["a", "new", "old"],
            "slot_id": ["A", "M", "M"],
            "role": ["kept", None, "gone"],
        }
    )
    pq.write_table(plan, tmp_path / "delta.parquet")
    assert with_lost(tmp_path / "wanted.parquet", tmp_path / "delta.parquet", tmp_path / "merged.parquet") == 1
    assert pq.read_table(tmp_path / "merged.parquet").to_pylist() == [
        {"key": "a", "slot_id": "A", "role": "kept"},
        {"key": "b", "slot_id": "B", "role": "x"},
        {"key": "new", "slot_id": "M", "role": None},
    ]

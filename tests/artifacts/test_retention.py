"""Removing content that nobody speaks of: what is referred to or young stays, also while it is stored once more."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from include.artifacts.contents import OWNER_FILE
from include.artifacts.retention import Swept, sweep
from include.artifacts.store import ArtifactStore
from include.effects import observed_by
from include.errors import ConfigurationError
from tests.support.world import Paused, in_child, kill_at

if TYPE_CHECKING:
    from pathlib import Path

MINE = "this ledger"


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def put(store: ArtifactStore, text: str, days_old: float = 0) -> str:
    sha256 = store.put_bytes(text.encode()).sha256
    age(store, sha256, days_old)
    return sha256


def age(store: ArtifactStore, sha256: str, days: float) -> None:
    moment = datetime.now(UTC).timestamp() - days * 86_400
    os.utime(store.path(sha256), (moment, moment))


def two_days_ago() -> datetime:
    return datetime.now(UTC) - timedelta(days=2)


def test_what_is_old_and_not_spoken_of_goes_and_nothing_else(store):
    kept, old, young = put(store, "kept", 9), put(store, "old", 9), put(store, "young", 1)
    stranger = store.path(old).with_name("README")
    stranger.write_text("not ours")
    os.utime(stranger, (0, 0))
    planned = sweep(store, {kept}, two_days_ago(), owner=MINE, dry_run=True)
    assert planned == Swept(removed=1, removed_bytes=3, referenced=1, young=1)
    assert store.exists(old)
    assert sweep(store, {kept}, two_days_ago(), owner=MINE) == planned
    assert [store.exists(each) for each in (kept, old, young)] == [True, False, True]
    assert stranger.exists()
    assert sweep(store, {kept}, two_days_ago(), owner=MINE) == Swept(referenced=1, young=1)


def test_an_empty_store_is_nothing_to_stumble_over(store):
    assert sweep(store, (), two_days_ago(), owner=MINE) == Swept()
    assert not store.root.exists()


def test_content_that_is_stored_once_more_is_new_again(store):
    sha256 = put(store, "again", 9)
    put(store, "again")
    assert sweep(store, (), two_days_ago(), owner=MINE) == Swept(young=1)
    assert store.exists(sha256)


def test_content_that_is_stored_just_before_it_would_be_removed_stays(store):
    """Another process stores the same content between the look and the removal."""
    sha256 = put(store, "again", 9)

    def store_it_again(name: str, moment: str) -> None:
        if (name, moment) == ("artifacts.remove", "before"):
            assert in_child(lambda: store.put_bytes(b"again")) == 0

    with observed_by(store_it_again):
        assert sweep(store, (), two_days_ago(), owner=MINE) == Swept(young=1)
    assert store.exists(sha256)


def test_content_that_waits_for_its_name_is_not_lost_however_long_that_takes(store):
    """A process is stopped between writing and naming, for longer than the time of grace; then retention looks."""
    sha256 = put(store, "again", 9)
    incoming = store.root / "incoming"
    stopped = Paused(2, lambda: store.put_bytes(b"again"))  # before artifacts.rename
    (half,) = incoming.iterdir()
    os.utime(half, (0, 0))
    assert sweep(store, (), two_days_ago(), owner=MINE) == Swept(removed=1, removed_bytes=5)
    assert stopped.wake() == 0
    assert sweep(store, (), two_days_ago(), owner=MINE) == Swept(young=1)
    assert store.exists(sha256)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_anywhere_it_does_the_rest_the_next_time(store, moment):
    names = [put(store, f"old {number}", 9) for number in range(4)]
    kept = put(store, "kept", 9)
    for number in range(1, 4):
        assert in_child(lambda: sweep(store, {kept}, two_days_ago(), owner=MINE), kill_at(1, moment)) < 0
        left = sum(store.exists(name) for name in names)
        assert left == (4 if moment == "before" else 4 - number)
    sweep(store, {kept}, two_days_ago(), owner=MINE)
    assert [store.exists(name) for name in (kept, *names)] == [True, *[False] * 4]


def test_two_sweeps_at_once_remove_everything_once(store):
    for number in range(6):
        put(store, f"old {number}", 9)
    totals = []

    def other_sweep(name: str, moment: str) -> None:
        if (name, moment) == ("artifacts.remove", "before") and not totals:
            totals.append(0)
            totals[0] = sweep(store, (), two_days_ago(), owner=MINE).removed

    with observed_by(other_sweep):
        mine = sweep(store, (), two_days_ago(), owner=MINE).removed
    assert (mine, totals) == (0, [6])


def test_the_references_of_another_ledger_remove_nothing(store):
    """Somebody points the ledger's address at another database: every baseline would be gone."""
    sha256 = put(store, "baseline", 9)
    sweep(store, {sha256}, two_days_ago(), owner=MINE)
    for dry_run in (True, False):
        with pytest.raises(ConfigurationError, match="another ledger"):
            sweep(store, (), two_days_ago(), owner="a fresh ledger", dry_run=dry_run)
    assert store.exists(sha256)
    (store.root / OWNER_FILE).unlink()  # the ledger has moved, says the operator
    assert sweep(store, (), two_days_ago(), owner="a fresh ledger").removed == 1

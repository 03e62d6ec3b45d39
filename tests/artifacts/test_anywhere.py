"""What holds wherever artifacts lie: in a folder, on S3, on Azure; for the machine that stored them and for others."""

from __future__ import annotations

import hashlib

import pytest

from include.artifacts.retention import Swept, sweep
from include.artifacts.store import Artifact
from include.effects import observed_by
from include.errors import ConfigurationError, StateDamaged
from tests.support.world import Paused, in_child

DATA = b"slot_id,emp_id\r\n1,E1\r\n" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()
MINE = "this ledger"
#: aiohttp says so to Azure's library.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")


def test_content_is_found_under_its_hash_on_every_machine(place, tmp_path):
    source = tmp_path / "payload.csv"
    source.write_bytes(DATA)
    one, two = place.store("one"), place.store("two")
    assert not one.exists(DIGEST)
    assert one.put_file(source) == Artifact(DIGEST, len(DATA)) == two.put_bytes(DATA)
    assert source.exists()
    for store in (one, two, place.store("three")):
        assert store.exists(DIGEST)
        assert store.path(DIGEST).read_bytes() == DATA
        assert store.verify(DIGEST) == Artifact(DIGEST, len(DATA))
        assert store.place(DIGEST) == f"artifacts/sha256/{DIGEST[:2]}/{DIGEST}"
        with store.open(DIGEST) as stored:
            assert stored.read() == DATA


def test_nothing_at_all_can_be_stored(place):
    empty = place.store().put_bytes(b"")
    assert empty == Artifact(hashlib.sha256(b"").hexdigest(), 0) == place.store("two").verify(empty.sha256)


def test_missing_and_changed_content_is_damage(place):
    store = place.store()
    artifact = store.put_bytes(DATA)
    place.write(DIGEST, DATA[:-1] + b"x")
    with pytest.raises(StateDamaged, match=f"{DIGEST} is not what was stored"):
        store.verify(DIGEST)
    store.put_bytes(DATA)
    assert store.verify(DIGEST) == artifact, "storing again mends"
    place.lose(DIGEST)
    for read in (place.store("two").verify, place.store("two").open):
        with pytest.raises(StateDamaged, match=f"{DIGEST} is missing"):
            read(DIGEST)
    assert not store.exists(DIGEST)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_only_a_hash_names_an_artifact(place, name):
    for ask in (place.store().exists, place.store().path, place.store().place, place.store().verify):
        with pytest.raises(StateDamaged, match="no SHA-256"):
            ask(name)


def test_what_is_old_and_not_spoken_of_goes_and_nothing_else(place):
    store = place.store()
    kept, old = (store.put_bytes(text).sha256 for text in (b"kept", b"old"))
    place.write(f"{old[:2]}README", b"not ours") if place.storage else None
    before = place.now()
    young = place.store("two").put_bytes(b"young").sha256
    planned = sweep(store, {kept}, before, owner=MINE, dry_run=True)
    assert planned == Swept(removed=1, removed_bytes=3, referenced=1, young=1)
    assert store.exists(old)
    assert sweep(store, {kept}, before, owner=MINE) == planned
    assert [store.exists(each) for each in (kept, old, young)] == [True, False, True]
    assert sweep(store, {kept}, before, owner=MINE) == Swept(referenced=1, young=1)
    if place.storage:
        assert place.key(f"{old[:2]}README") in place.storage.objects()


def test_an_empty_store_is_nothing_to_stumble_over(place):
    assert sweep(place.store(), (), place.now(), owner=MINE) == Swept()


def test_many_shards_are_swept(place):
    store = place.store()
    names = {store.put_bytes(b"%d" % number).sha256: number for number in range(40)}
    kept = {name for name, number in names.items() if number % 4 == 0}
    assert sweep(store, kept, place.now(), owner=MINE) == Swept(
        removed=30, removed_bytes=sum(len(str(number)) for number in range(40) if number % 4), referenced=10
    )
    assert {name for name in names if store.exists(name)} == kept


def test_content_that_is_stored_once_more_is_new_again(place):
    sha256 = place.store().put_bytes(b"again").sha256
    before = place.now()
    place.store("two").put_bytes(b"again")
    assert sweep(place.store(), (), before, owner=MINE) == Swept(young=1)
    assert place.store("three").verify(sha256)


def test_content_that_is_stored_just_before_it_would_be_removed_stays(place):
    """Another process stores the same content between the list and the look."""
    sha256 = place.store().put_bytes(b"again").sha256
    before = place.now()

    def store_it_again(name: str, moment: str) -> None:
        if (name, moment) == ("artifacts.remove", "before"):
            assert in_child(lambda: place.store("two").put_bytes(b"again")) == 0

    with observed_by(store_it_again):
        assert sweep(place.store(), (), before, owner=MINE) == Swept(young=1)
    assert place.store("three").verify(sha256)


@pytest.mark.parametrize("effect", [1, 2, 3])
def test_content_that_waits_anywhere_is_not_lost_however_long_that_takes(place, effect):
    """A process is stopped before it writes, names or sends what is there already; meanwhile retention removes that."""
    sha256 = place.store().put_bytes(b"again").sha256
    before = place.now()
    stopped = Paused(effect, lambda: place.store("two").put_bytes(b"again"))
    swept = sweep(place.store(), (), before, owner=MINE)
    assert stopped.wake() == 0
    assert swept == (Swept(removed=1, removed_bytes=5) if place.storage or effect < 3 else Swept(young=1))
    assert place.store("three").verify(sha256)


def test_the_references_of_another_ledger_remove_nothing(place):
    """Somebody points the ledger's address at another database: every baseline would be gone."""
    store = place.store()
    sha256 = store.put_bytes(b"baseline").sha256
    before = place.now()
    sweep(store, {sha256}, before, owner=MINE)
    for dry_run in (True, False):
        with pytest.raises(ConfigurationError, match="another ledger"):
            sweep(place.store("two"), (), before, owner="a fresh ledger", dry_run=dry_run)
    assert store.exists(sha256)
    place.drop_owner()  # the ledger has moved, says the operator
    assert sweep(store, (), before, owner="a fresh ledger").removed == 1


def test_a_scratch_folder_is_of_this_machine(place):
    with place.store().scratch("run/1") as folder, place.store().scratch("run/1") as second:
        assert folder.is_dir()
        assert folder != second
    assert not folder.exists()
    assert not (place.storage and place.storage.objects())

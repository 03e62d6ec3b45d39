"""Content-addressed storage: whole or absent, private, safe beside other writers, clear when the disk is full."""

from __future__ import annotations

import hashlib
import multiprocessing
import resource
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from include.artifacts.store import Artifact, ArtifactStore
from include.effects import observed_by
from include.errors import ConfigurationError, StateDamaged

DATA = b"slot_id,emp_id\r\n1,E1\r\n" * 1000


def _files(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and p.name != ".lock")


def test_content_is_found_under_its_hash(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    source = tmp_path / "payload.csv"
    source.write_bytes(DATA)
    digest = hashlib.sha256(DATA).hexdigest()

    assert not store.exists(digest)
    assert store.put_file(source) == Artifact(digest, len(DATA)) == store.put_bytes(DATA)
    assert store.exists(digest)
    assert source.exists()
    assert store.path(digest) == tmp_path / "artifacts" / "sha256" / digest[:2] / digest
    assert store.verify(digest) == Artifact(digest, len(DATA))
    with store.open(digest) as stored:
        assert stored.read() == DATA
    assert _files(store.root) == [f"sha256/{digest[:2]}/{digest}"]


def test_everything_is_private(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    store.put_bytes(DATA)
    with store.scratch("run"):
        for path in [store.root, *store.root.rglob("*")]:
            wanted = 0o700 if path.is_dir() else 0o600
            assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_missing_and_changed_content_is_damage(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    artifact = store.put_bytes(DATA)
    store.path(artifact.sha256).write_bytes(DATA[:-1] + b"x")
    with pytest.raises(StateDamaged, match="not what was stored"):
        store.verify(artifact.sha256)
    store.put_bytes(DATA)
    assert store.verify(artifact.sha256) == artifact, "storing again mends"
    store.path(artifact.sha256).unlink()
    for read in (store.verify, store.open):
        with pytest.raises(StateDamaged, match="missing"):
            read(artifact.sha256)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_only_a_hash_names_an_artifact(tmp_path: Path, name: str) -> None:
    with pytest.raises(StateDamaged, match="no SHA-256"):
        ArtifactStore(tmp_path).exists(name)


class _Cut(BaseException):
    """Stands for the death of the process at one effect."""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", ["artifacts.write", "artifacts.rename"])
def test_content_is_whole_or_absent_wherever_it_is_cut(tmp_path: Path, name: str, moment: str) -> None:
    store = ArtifactStore(tmp_path)
    seen: list[tuple[str, str]] = []

    def observer(effect_name: str, effect_moment: str) -> None:
        seen.append((effect_name, effect_moment))
        if (effect_name, effect_moment) == (name, moment):
            raise _Cut

    with observed_by(observer), pytest.raises(_Cut):
        store.put_bytes(DATA)
    assert seen[-1] == (name, moment)
    digest = hashlib.sha256(DATA).hexdigest()
    renamed = (name, moment) == ("artifacts.rename", "after")
    assert _files(store.root) == ([f"sha256/{digest[:2]}/{digest}"] if renamed else [])
    assert store.exists(digest) == renamed
    store.put_bytes(DATA)
    store.verify(digest)


def _put_often(root: Path, start: int) -> None:
    store = ArtifactStore(root)
    for number in range(40):
        store.put_bytes(b"%d" % ((start + number) % 20) * 100_000)
        with store.scratch("run") as folder:
            (folder / "frame").write_bytes(b"x")
            assert (folder / "frame").exists()


def test_many_writers_and_sweepers_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_put_often, args=(tmp_path, start)) for start in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    stored = _files(tmp_path)
    assert len(stored) == 20
    for name in stored:
        ArtifactStore(tmp_path).verify(Path(name).name)


def test_scratch_is_removed_and_what_the_dead_left_is_swept(tmp_path: Path) -> None:
    dead = textwrap.dedent(f"""
        import os, pathlib
        from include.artifacts.store import ArtifactStore
        from include.effects import observed_by
        store = ArtifactStore(pathlib.Path({str(tmp_path)!r}))
        with store.scratch("run/1") as folder:
            (folder / "frame").write_bytes(b"left behind")
            with observed_by(lambda *seen: os._exit(9) if seen == ("artifacts.rename", "before") else None):
                store.put_bytes(b"half way")
    """)
    assert subprocess.run([sys.executable, "-c", dead], check=False).returncode == 9
    assert [Path(f).parts[0] for f in _files(tmp_path)] == ["incoming", "scratch"]

    store = ArtifactStore(tmp_path)
    with store.scratch("run/1") as mine, store.scratch("run/1") as second:
        assert mine != second, "a second try of the same run has its own"
        assert mine.is_dir(), "the sweep leaves the living alone"
        assert _files(tmp_path) == []
    assert not mine.exists()
    assert not second.exists()


def test_a_full_disk_says_so_and_leaves_nothing_half(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    kept = store.put_bytes(DATA)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(ConfigurationError, match=r"No space left .* MiB free.*Next step: free disk space"):
            store.put_bytes(b"x" * 5_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert _files(tmp_path) == [f"sha256/{kept.sha256[:2]}/{kept.sha256}"]


def test_a_file_where_the_folder_should_be_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        ArtifactStore(tmp_path / "artifacts").put_bytes(DATA)

"""Stores of every kind for the tests of artifacts: a folder, S3 and Azure, each with machines that share it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from include.run.services import Services, no_connections
from include.settings import Settings
from tests.support import object_stores
from tests.support.object_stores import VARIABLE, ObjectStorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.artifacts.interface import Artifacts
    from tests.conftest import Database


@pytest.fixture(scope="session")
def s3_service() -> Iterator[ObjectStorage]:
    with object_stores.s3() as running:
        yield running


@pytest.fixture(scope="session")
def azure_service() -> Iterator[ObjectStorage]:
    with object_stores.azure() as running:
        yield running


@dataclass
class Place:
    """Where artifacts lie: ``storage`` is None for a folder. Machines are told apart by their state directories."""

    folder: Path
    storage: ObjectStorage | None
    database: Database
    machines: dict[str, Services] = field(default_factory=dict)

    def services(self, machine: str = "one") -> Services:
        if machine not in self.machines:
            settings = Settings(
                var=self.folder / (machine if self.storage else "only"),
                mappings=self.folder,
                schedule_dsn=self.database.schedule_dsn,
                ledger_dsn=self.database.ledger_dsn,
                time_zone="UTC",
                artifacts_url=self.storage.url if self.storage else "",
            )
            self.machines[machine] = Services(settings, no_connections)
        return self.machines[machine]

    def store(self, machine: str = "one") -> Artifacts:
        return self.services(machine).artifacts

    def key(self, sha256: str) -> str:
        return f"some/where/sha256/{sha256[:2]}/{sha256}"

    def copy(self, sha256: str, machine: str = "one") -> Path:
        """This machine's copy, which may or may not be there."""
        return self.services(machine).settings.artifacts / "cache" / "sha256" / sha256[:2] / sha256

    def copies(self, machine: str = "one") -> list[str]:
        """All files of this machine but locks."""
        root = self.services(machine).settings.artifacts / "cache"
        return sorted(str(f.relative_to(root)) for f in root.rglob("*") if f.is_file() and not f.name.startswith("."))

    def write(self, sha256: str, data: bytes) -> None:
        """Change what is stored, behind the store's back."""
        if self.storage:
            self.storage.write(self.key(sha256), data)
        else:
            self.store().path(sha256).write_bytes(data)

    def lose(self, sha256: str) -> None:
        """Remove what is stored, behind the store's back."""
        if self.storage:
            self.storage.delete(self.key(sha256))
        else:
            self.store().path(sha256).unlink()

    def drop_owner(self) -> None:
        if self.storage:
            self.storage.delete("some/where/ledger")
        else:
            (self.folder / "only" / "artifacts" / "ledger").unlink()

    def now(self) -> datetime:
        """A moment after everything that was stored so far, and before whatever is stored from here on."""
        if self.storage is None:
            return datetime.fromtimestamp(self._passed(), UTC)
        first = self._probe()
        while (second := self._probe()) == first:
            time.sleep(0.02)
        return datetime.fromtimestamp(second + 0.5, UTC)

    def _passed(self) -> float:
        probe, moment = self.folder / "probe", time.time()
        while True:  # files are dated by a clock that ticks every few milliseconds
            probe.touch()
            os.utime(probe)
            if probe.stat().st_mtime > moment:
                return moment

    def _probe(self) -> float:
        assert self.storage is not None
        self.storage.write("probe", b"")
        return self.storage.modified("probe")


def _place(kind: str, request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    storage = None if kind == "folder" else request.getfixturevalue(f"{kind}_service").elsewhere()
    if storage is not None:
        storage.create_bucket()
        monkeypatch.setenv(VARIABLE, storage.connection)
    return Place(folder, storage, request.getfixturevalue("database"))


@pytest.fixture(params=["folder", "s3", "azure"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return _place(request.param, request, tmp_path, monkeypatch)


@pytest.fixture(params=["s3", "azure"])
def remote(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return _place(request.param, request, tmp_path, monkeypatch)


@pytest.fixture
def azure(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return _place("azure", request, tmp_path, monkeypatch)

"""Artifacts in object storage: what every machine reads and writes, with copies on each for engines that read files.

``<prefix>/sha256/ab/<64 hex digits>``, as in a folder. Content is stored beside the other local copies first, so that
its hash is known and its size does not matter, and then sent under its name. An object appears whole or not at all, and
sending it again replaces it by its equal: it is then new again for retention, and mended if it was damaged.

Between machines there is no lock of a file system. ``gate`` is one of the ledger: shared for whoever has just stored
content and looks whether it is still there, alone for retention, which looks once more and removes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

from include.artifacts.contents import NAME, OWNER_FILE, Stored
from include.artifacts.refusals import translated
from include.effects import effect
from include.errors import StateDamaged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from include.artifacts.cache import Cache
    from include.artifacts.objects import Found, Objects
    from include.artifacts.store import Artifact


class Gate(Protocol):
    """Keeps two from the same content on any machines: ``alone``, or together with all that are not alone."""

    def __call__(self, sha256: str, *, alone: bool) -> AbstractContextManager[None]:
        """Hold the gate of this content while the block runs."""


class RemoteArtifactStore:
    """One installation's artifacts in object storage, with ``cache`` for the copies of this machine."""

    def __init__(self, objects: Objects, cache: Cache, gate: Gate) -> None:
        self._objects = objects
        self._cache = cache
        self._gate = gate

    def put_bytes(self, data: bytes) -> Artifact:
        """Store ``data``.

        Raises:
            ConfigurationError: the storage refuses, or the local disk is full.
            SourceNotReady: the storage does not answer. Nothing half is left.
        """
        return self._put(self._cache.put_bytes(data))

    def put_file(self, path: Path) -> Artifact:
        """Store a copy of the file ``path``; the file itself stays.

        Raises:
            ConfigurationError: the storage refuses, or the local disk is full.
            SourceNotReady: the storage does not answer. Nothing half is left.
        """
        return self._put(self._cache.put_file(path))

    def open(self, sha256: str) -> BinaryIO:
        """Open stored content for reading.

        Raises:
            StateDamaged: it is not there, or not what was stored.
        """
        return self.path(sha256).open("rb")

    def path(self, sha256: str) -> Path:
        """Answer this machine's copy, which is fetched if there is none. Never write to it.

        Raises:
            StateDamaged: it is not there, or not what was stored.
        """
        if copy := self._cache.find(sha256):
            return copy
        self.verify(sha256)
        return self._cache.path(sha256)

    def place(self, sha256: str) -> str:
        """Where content of this hash lies, as people are told: as if it were on this machine's disk."""
        return f"artifacts/{self._name(sha256)}"

    def exists(self, sha256: str) -> bool:
        """Whether content of this hash is in the object storage."""
        return self._objects.find(self._name(sha256)) is not None

    def verify(self, sha256: str) -> Artifact:
        """Read what is in the object storage and hash it again; the copy is then this.

        Raises:
            StateDamaged: it is missing, or no longer what was stored.
        """
        name = self._name(sha256)
        found = self._objects.find(name)
        if found is None:
            raise self._missing(sha256)
        return self._cache.admit(
            sha256, lambda file: self._fetch(found, file, sha256), f"The artifact {self._objects.address.where}/{name}"
        )

    def scratch(self, run: str) -> AbstractContextManager[Path]:
        """Lend a private, empty folder of this machine for the staging of ``run``; it is removed at the end.

        Whatever dead processes left behind, and copies that nobody used for long, are swept first.
        """
        return self._cache.scratch(run)

    def contents(self) -> ObjectContents:
        """Everything that is stored, for retention."""
        return ObjectContents(self._objects, self._gate)

    def _put(self, stored: Artifact) -> Artifact:
        name, copy = self._name(stored.sha256), self._cache.path(stored.sha256)
        with effect("artifacts.upload"):
            self._objects.send(copy, name)
        # Retention may have looked at older content of this name, and removed what has just arrived. From here on it
        # has not: whoever comes now waits, and then sees that this is new.
        with self._gate(stored.sha256, alone=False):
            there = self._objects.find(name)
            if there is None or there.bytes != stored.bytes:
                with effect("artifacts.upload"):
                    self._objects.send(copy, name)
        return stored

    def _fetch(self, found: Found, file: Path, sha256: str) -> None:
        try:
            self._objects.fetch(found, file)
        except FileNotFoundError:
            raise self._missing(sha256) from None

    def _name(self, sha256: str) -> str:
        return str(self._cache.path(sha256).relative_to(self._cache.root))

    def _missing(self, sha256: str) -> StateDamaged:
        return StateDamaged(
            f"Artifact {sha256} is missing from {self._objects.address.where}.",
            next_step=f"restore it from a backup or an earlier version in the bucket {self._objects.address.bucket}",
        )


class ObjectContents:
    """The contents of object storage. Shards are looked at several at a time: each request is a journey."""

    at_once = 8

    def __init__(self, objects: Objects, gate: Gate) -> None:
        self._objects = objects
        self._gate = gate

    @property
    def where(self) -> str:
        """The bucket and the prefix."""
        return self._objects.address.where

    @property
    def owner_place(self) -> str:
        """The object that names the ledger."""
        return f"{self._objects.address.where}/{OWNER_FILE}"

    def owner(self) -> str:
        """Name the ledger that the content belongs to; empty where that is not noted yet."""
        return self._objects.read(OWNER_FILE).decode("ascii", "replace")

    def note_owner(self, owner: str) -> None:
        """Note which ledger the content belongs to."""
        self._objects.write(OWNER_FILE, owner.encode("ascii"))

    def shards(self) -> Iterable[str]:
        """List the shards that there are."""
        return self._objects.folders("sha256")

    def stored(self, shard: str) -> Iterator[Stored]:
        """List what is stored in one shard."""
        for found in self._objects.list(f"sha256/{shard}"):
            sha256 = found.name.rpartition("/")[2]
            if NAME.match(sha256):
                yield Stored(sha256, found.bytes, _since(found))

    def remove(self, sha256: str, limit: float) -> bool:
        """Remove content, unless it was stored (once more) at or after ``limit`` or is gone; tells whether it did."""
        name = f"sha256/{sha256[:2]}/{sha256}"
        with effect("artifacts.remove"), self._gate(sha256, alone=True):
            found = self._objects.find(name)
            if found is None or _since(found) >= limit:
                return False
            with effect("artifacts.delete"):
                self._objects.remove(name)
            return True

    def translated(self) -> AbstractContextManager[None]:
        """Say what a refusal means, and what to do."""
        return translated(self._objects.address)


def _since(found: Found) -> float:
    return found.stored.timestamp() + 1  # the storage tells whole seconds: this is the end of that one

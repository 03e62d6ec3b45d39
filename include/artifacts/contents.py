"""Everything that a store holds, as retention looks at it: shard by shard, with sizes and ages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from include.effects import effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from include.artifacts.store import ArtifactStore

#: What content is named by. Files that are named by anything else are none of ours, and stay.
NAME = re.compile(r"[0-9a-f]{64}\Z")
OWNER_FILE = "ledger"


@dataclass(frozen=True, slots=True)
class Stored:
    """Content that is there: its SHA-256, its size in bytes, and since when (seconds of the epoch, UTC)."""

    sha256: str
    bytes: int
    since: float


class Contents(Protocol):
    """What retention needs of a store, wherever it is."""

    #: How many shards are worth being looked at at the same time.
    at_once: int

    @property
    def where(self) -> str:
        """The store, as people name it."""

    @property
    def owner_place(self) -> str:
        """Where it is noted which ledger the content belongs to."""

    def owner(self) -> str:
        """Name the ledger that the content belongs to; empty where that is not noted yet."""

    def note_owner(self, owner: str) -> None:
        """Note which ledger the content belongs to."""

    def shards(self) -> Iterable[str]:
        """List the first two digits of the hashes of what is stored."""

    def stored(self, shard: str) -> Iterable[Stored]:
        """List what is stored in one shard."""

    def remove(self, sha256: str, limit: float) -> bool:
        """Remove content, unless it was stored (once more) at or after ``limit`` or is gone; tells whether it did."""

    def translated(self) -> AbstractContextManager[None]:
        """Say what a refusal means, and what to do."""


class FolderContents:
    """The contents of a folder of this machine."""

    at_once = 1

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._note = store.root / OWNER_FILE

    @property
    def where(self) -> str:
        """The folder."""
        return str(self._store.root)

    @property
    def owner_place(self) -> str:
        """The file that names the ledger."""
        return str(self._note)

    def owner(self) -> str:
        """Name the ledger that the folder belongs to; empty where that is not noted yet."""
        return self._note.read_text("ascii") if self._note.is_file() else ""

    def note_owner(self, owner: str) -> None:
        """Note which ledger the folder belongs to; nothing is created for that."""
        if self._store.root.is_dir():
            self._note.touch(mode=0o600)
            self._note.write_text(owner, "ascii")

    def shards(self) -> Iterable[str]:
        """List the shards that there are."""
        return [folder.name for folder in _sorted(self._store.root / "sha256") if folder.is_dir()]

    def stored(self, shard: str) -> Iterator[Stored]:
        """List what is stored in one shard."""
        for file in _sorted(self._store.root / "sha256" / shard):
            if NAME.match(file.name) and (found := _look(file)):
                yield found

    def remove(self, sha256: str, limit: float) -> bool:
        """Remove content, unless it was stored (once more) at or after ``limit`` or is gone; tells whether it did."""
        file = self._store.path(sha256)
        with effect("artifacts.remove"), self._store.gate():  # between this look and the removal nobody may
            found = _look(file)
            if found is None or found.since >= limit:
                return False
            file.unlink()
            return True

    def translated(self) -> AbstractContextManager[None]:
        """Say what a refusal of the disk means, and what to do."""
        return self._store.translated()


def _look(file: Path) -> Stored | None:
    try:
        found = file.stat()
    except FileNotFoundError:  # another sweep was faster
        return None
    return Stored(file.name, found.st_size, found.st_mtime)


def _sorted(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []

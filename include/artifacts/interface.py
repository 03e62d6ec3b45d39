"""What a step can ask of stored content, wherever it lies: on this machine's disk, or in object storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from include.artifacts.contents import Contents
    from include.artifacts.store import Artifact


class Artifacts(Protocol):
    """One installation's artifacts. Any number of processes and threads may use them.

    Every method raises ConfigurationError where the storage refuses, or is full. Object storage that does not answer
    raises SourceNotReady, after a bounded time.
    """

    def put_bytes(self, data: bytes) -> Artifact:
        """Store ``data``."""

    def put_file(self, path: Path) -> Artifact:
        """Store a copy of the file ``path``; the file itself stays."""

    def open(self, sha256: str) -> BinaryIO:
        """Open stored content for reading; raises StateDamaged if it is not there."""

    def path(self, sha256: str) -> Path:
        """Answer a local file with this content, for readers that need one. Never write to it.

        It stays for an hour at least. Content that is missing is told by whoever opens the file, or by StateDamaged.
        """

    def place(self, sha256: str) -> str:
        """Where content of this hash lies, as people are told."""

    def exists(self, sha256: str) -> bool:
        """Whether content of this hash is stored."""

    def verify(self, sha256: str) -> Artifact:
        """Read what is stored and hash it again; raises StateDamaged if it is missing or something else."""

    def scratch(self, run: str) -> AbstractContextManager[Path]:
        """Lend a private, empty folder of this machine for the staging of ``run``; it is removed at the end."""

    def contents(self) -> Contents:
        """Everything that is stored, for retention."""

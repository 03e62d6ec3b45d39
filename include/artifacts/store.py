"""Files under the name of their content: extracts, snapshots, payloads, frozen mappings.

``<root>/sha256/ab/<64 hex digits>`` holds exactly the bytes of that SHA-256, or does not exist: content is written and
synced under ``incoming/`` and then renamed. Writing the same content again replaces a file by its equal, so that a
retry, a second process or a repair after damage need no special case. Nothing is ever changed in place.

Object storage stands behind the same methods (:mod:`include.artifacts.remote`); :meth:`ArtifactStore.path` is for
engines that read a local file.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from include.artifacts.contents import FolderContents
from include.effects import effect
from include.errors import ConfigurationError, StateDamaged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from include.artifacts.contents import Contents

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_CHUNK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOCK_FILE = ".lock"


@dataclass(frozen=True, slots=True)
class Artifact:
    """Stored content: its SHA-256 in hex, and its size in bytes."""

    sha256: str
    bytes: int


class ArtifactStore:
    """One installation's artifacts under ``root``, private to the service account (files 0600, folders 0700).

    Any number of processes may use the same root. Nothing is created before something is stored.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put_bytes(self, data: bytes) -> Artifact:
        """Store ``data``.

        Raises:
            ConfigurationError: the disk is full, or the folder cannot be written; nothing half is left.
        """
        return self._put([data])

    def put_file(self, path: Path) -> Artifact:
        """Store a copy of the file ``path``; the file itself stays.

        Raises:
            ConfigurationError: the disk is full, or the folder cannot be written; nothing half is left.
        """
        with path.open("rb") as source:
            return self._put(iter(lambda: source.read(_CHUNK), b""))

    def open(self, sha256: str) -> BinaryIO:
        """Open stored content for reading.

        Raises:
            StateDamaged: it is not there.
        """
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError:
            raise self._missing(sha256) from None

    def path(self, sha256: str) -> Path:
        """Where content of this hash is, or would be, for readers that need a local file. Never write to it."""
        if not _DIGEST.match(sha256):
            raise StateDamaged("An artifact is named by something that is no SHA-256.", next_step="restore the ledger")
        return self.root / "sha256" / sha256[:2] / sha256

    def place(self, sha256: str) -> str:
        """Where content of this hash lies, as people are told: relative to the state directory."""
        return str(self.path(sha256).relative_to(self.root.parent))

    def exists(self, sha256: str) -> bool:
        """Whether content of this hash is stored."""
        return self.path(sha256).is_file()

    def verify(self, sha256: str) -> Artifact:
        """Read stored content and hash it again.

        Raises:
            StateDamaged: it is missing, or no longer what was stored.
        """
        with self.open(sha256) as stored:
            return require_hash(sha256, stored, f"Artifact {sha256}")

    def contents(self) -> Contents:
        """Everything that is stored, for retention."""
        return FolderContents(self)

    @contextmanager
    def scratch(self, run: str) -> Iterator[Path]:
        """Lend a private, empty folder for the staging of ``run``; it is removed at the end.

        Whatever dead processes left behind (they hold no lock any more) is swept first.
        """
        with self.translated():
            self.sweep_dead()
            name = re.sub(r"[^A-Za-z0-9._-]", "_", run)[:80]
            folder = self._folder("scratch") / f"{name}.{secrets.token_hex(8)}"
            with effect("artifacts.scratch"), self.gate():  # who stops here keeps nobody else waiting
                folder.mkdir(mode=0o700)
                lock = _create_locked(folder / _LOCK_FILE)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)

    def _put(self, chunks: Iterable[bytes]) -> Artifact:
        with self.translated():
            digest, size = hashlib.sha256(), 0
            with self.incoming() as (incoming, descriptor), os.fdopen(descriptor, "wb", closefd=False) as target:
                with effect("artifacts.write"):
                    for chunk in chunks:
                        digest.update(chunk)
                        size += len(chunk)
                        target.write(chunk)
                    target.flush()
                with effect("artifacts.rename"):
                    self.name(incoming, descriptor, digest.hexdigest())
            return Artifact(digest.hexdigest(), size)

    @contextmanager
    def incoming(self) -> Iterator[tuple[Path, int]]:
        """Lend a new file and its descriptor, for content that :meth:`name` gives its name; else it is removed.

        Its lock keeps the sweep away meanwhile.
        """
        incoming = self._folder("incoming") / secrets.token_hex(16)
        with self.gate():
            descriptor = _create_locked(incoming)
        try:
            yield incoming, descriptor
        except BaseException:
            incoming.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def name(self, incoming: Path, descriptor: int, sha256: str) -> None:
        """Give incoming content its name, durably. Its hash must be right."""
        os.fsync(descriptor)
        final = self._folder("sha256", sha256[:2]) / sha256
        with self.gate():  # not while retention looks at the old content of this name, and removes it
            os.utime(incoming)  # new from here on, however long this process slept
            incoming.replace(final)
        _sync_folder(final.parent)

    def _folder(self, *parts: str) -> Path:
        """Answer a folder under the root, made durable when it is new."""
        folder = self.root
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in parts:
            parent, folder = folder, folder / part
            if not folder.is_dir():
                folder.mkdir(exist_ok=True, mode=0o700)
                _sync_folder(parent)
        return folder

    @contextmanager
    def gate(self) -> Iterator[None]:
        """Keep others from looking, for a moment: at what exists but is not locked yet, or has just got its name."""
        descriptor = os.open(self._folder() / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def sweep_dead(self) -> None:
        """Remove what dead processes left half done."""
        with self.gate():
            for folder in _entries(self.root / "scratch"):
                if _owner_is_dead(folder / _LOCK_FILE):
                    shutil.rmtree(folder, ignore_errors=True)
            for file in _entries(self.root / "incoming"):
                if _owner_is_dead(file):
                    file.unlink(missing_ok=True)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Say what a refusal of the disk means, and what to do."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise ConfigurationError(
                    f"No space left for artifacts in {self.root}{self._free()}; nothing was stored.",
                    next_step="free disk space or move CALLBOARD_VAR to a larger disk, then run the feed again",
                ) from error
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
                raise ConfigurationError(
                    f"The artifacts folder {self.root} cannot be written ({os.strerror(error.errno)}).",
                    next_step="give it to the account that Callboard runs as",
                ) from error
            raise

    def _free(self) -> str:
        with suppress(OSError):
            return f" ({shutil.disk_usage(self.root).free // (1 << 20)} MiB free)"
        return ""

    def _missing(self, sha256: str) -> StateDamaged:
        return StateDamaged(
            f"Artifact {sha256} is missing from {self.root}.",
            next_step="restore it from a backup of the artifacts folder",
        )


def require_hash(sha256: str, stored: BinaryIO, what: str) -> Artifact:
    """Read ``stored`` to its end; ``what`` names it.

    Raises:
        StateDamaged: it is not the content of this hash.
    """
    digest, size = hashlib.sha256(), 0
    while chunk := stored.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    if digest.hexdigest() != sha256:
        raise StateDamaged(
            f"{what} is not what was stored: it has {size} bytes that hash to something else.",
            next_step="restore it from a backup; storing the same content again also mends it",
        )
    return Artifact(sha256, size)


def _create_locked(path: Path) -> int:
    """Create ``path`` (0600) and hold its lock until the descriptor is closed, or the process dies."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _owner_is_dead(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

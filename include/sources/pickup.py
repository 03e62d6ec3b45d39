"""Inbound files: which one is whole and next, fetching it, and putting it away.

A file is taken when its size and time stay the same between two looks a few seconds apart, or when a marker beside it
(``<name>.done``) that is no older says that it is whole. Somebody may be writing at any moment: whatever changes is
left for the next run. Nothing is ever overwritten; a file that is done with is renamed into the archive.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from include.mappings.schema import DONE_SUFFIX

if TYPE_CHECKING:
    from pathlib import Path

    from include.file_sessions import FileSession, RemoteFile

#: How file transfer programs call what they have not finished.
_UNFINISHED = (".part", ".filepart", ".partial", ".tmp", ".temp", ".crdownload", ".uploading")


@dataclass(frozen=True, slots=True)
class Folders:
    """The three folders in a feed's own, which is ``of``."""

    of: str

    @property
    def inbound(self) -> str:
        """Where files come in."""
        return f"{self.of.rstrip('/')}/inbound"

    @property
    def archive(self) -> str:
        """Where they go once they are done with."""
        return f"{self.of.rstrip('/')}/archive"

    @property
    def outbound(self) -> str:
        """Where reports go."""
        return f"{self.of.rstrip('/')}/outbound"


@dataclass(frozen=True, slots=True)
class Picked:
    """A file that was fetched: its name, what the server said of it, and its SHA-256.

    ``sha256`` is None where it is longer than it may be; then not all of it was fetched. ``waiting``: how many more
    files lie there.
    """

    name: str
    told: RemoteFile
    sha256: str | None
    waiting: int


def pick_up(session: FileSession, local: Path, *, settle_seconds: float, most_bytes: int) -> Picked | None:
    """Fetch the oldest file of the session's folder that is whole into ``local``; None if there is none.

    Raises:
        DestinationUnavailable, DeliveryRefused: the server did not answer, or said no.
    """
    listed = session.files()
    first = {name: told for name, told in listed.items() if not name.endswith(DONE_SUFFIX) and not _is_unfinished(name)}
    marked = {name for name, told in first.items() if _is_older(told, listed.get(f"{name}{DONE_SUFFIX}"))}
    if first and marked != first.keys():
        time.sleep(settle_seconds)
    second = first if marked == first.keys() else session.files()
    for name in sorted(first, key=lambda name: (first[name].modified or 0, name)):
        told = first[name]
        if second.get(name) != told:
            continue  # it grows, or was replaced: the next run looks again
        sha256 = session.download(name, local, most_bytes=most_bytes)
        if session.stat(name) != told:
            continue
        if sha256 is None and told.size is not None and told.size <= most_bytes:
            continue
        if sha256 is not None and told.size not in (None, local.stat().st_size):
            continue
        return Picked(name, told, sha256, len(first) - 1)
    return None


def _is_older(file: RemoteFile, marker: RemoteFile | None) -> bool:
    """Whether a marker stands for the file that lies there now, and not for one that it has taken the place of."""
    return marker is not None and (file.modified or 0) <= (marker.modified or 0)


def put_away(
    session: FileSession, folders: Folders, name: str, told: RemoteFile, sha256: str, *, refused: bool = False
) -> str | None:
    """Rename a file that is done with into the archive; the name it has there.

    None: it does not lie there any more, or another file does by now, which the next run takes. A name that the archive
    has already gets a number. ``sha256`` is what was read of it, '' if nothing was. ``refused``: the name says so.

    Raises:
        DestinationUnavailable, DeliveryRefused, DeliveryUncertain: look again.
    """
    if session.stat(name) != told:
        return None
    # Before the file goes: a marker that outlived it would call the next file of that name whole.
    session.remove(f"{name}{DONE_SUFFIX}")
    archive = session.beside(folders.archive)
    archive.make_folder()
    taken, path, number = archive.files(), PurePosixPath(name), 1
    new_name = _archived(path, number, refused=refused)
    while new_name in taken or not session.move(name, folders.archive, new_name):
        if new_name not in taken and session.stat(name) is None:
            return None
        number += 1
        new_name = _archived(path, number, refused=refused)
    if archive.stat(new_name) != told or (sha256 and archive.sha256(new_name) not in (sha256, None)):
        archive.move(new_name, folders.inbound, name)  # another file had just taken its place: nobody has read that one
        return None
    return new_name


def _archived(path: PurePosixPath, number: int, *, refused: bool) -> str:
    stem = path.stem if number == 1 else f"{path.stem}.{number}"
    return f"{stem}{path.suffix}{'.refused' if refused else ''}"


def _is_unfinished(name: str) -> bool:
    return name.startswith(".") or name.lower().endswith(_UNFINISHED)

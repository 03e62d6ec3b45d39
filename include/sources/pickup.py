"""Inbound files: which one is whole and next, fetching it, and putting it away.

A file is taken when its size and time stay the same between two looks a few seconds apart, or when a marker beside it
(``<name>.done``) says that it is whole. Somebody may be writing at any moment: whatever changes is left for the next
run. Nothing is ever removed or overwritten; a file that is done with is renamed into the archive.
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

#: The folders in a feed's own folder: where files come in, where they go once they are done with, and reports to.
INBOUND, ARCHIVE, OUTBOUND = "inbound", "archive", "outbound"
#: How file transfer programs call what they have not finished.
_UNFINISHED = (".part", ".filepart", ".partial", ".tmp", ".temp", ".crdownload", ".uploading")


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
    names = session.names("")
    marked = {name.removesuffix(DONE_SUFFIX) for name in names if name.endswith(DONE_SUFFIX)}
    files = [name for name in names if not name.endswith(DONE_SUFFIX) and not _is_unfinished(name)]
    first = {name: told for name in files if (told := session.stat(name)) is not None}
    if not first:
        return None
    if not marked.issuperset(first):
        time.sleep(settle_seconds)
    for name in sorted(first, key=lambda name: (first[name].modified or 0, name)):
        if name not in marked and session.stat(name) != first[name]:
            continue  # it grows, or was replaced: the next run looks again
        sha256 = session.download(name, local, most_bytes=most_bytes)
        now = session.stat(name)
        if now is None or (name not in marked and now != first[name]):
            continue
        too_long = sha256 is None and (now.size is None or now.size > most_bytes)
        if sha256 is None and not too_long:
            continue
        if sha256 is not None and now.size not in (None, local.stat().st_size):
            continue
        return Picked(name, now, sha256, len(first) - 1)
    return None


def put_away(session: FileSession, archive: str, name: str, told: RemoteFile, *, refused: bool = False) -> str | None:
    """Rename a file that is done with into the folder ``archive``; the name it has there.

    None: it does not lie there any more, or another file does by now, which the next run takes. A name that the archive
    has already gets a number. ``refused``: the name says so.

    Raises:
        DestinationUnavailable, DeliveryRefused, DeliveryUncertain: look again.
    """
    path, number = PurePosixPath(name), 1
    while session.stat(name) == told:
        # Before the file goes: a marker that outlived it would call the next file of that name whole.
        session.remove(f"{name}{DONE_SUFFIX}")
        stem = path.stem if number == 1 else f"{path.stem}.{number}"
        new_name = f"{stem}{path.suffix}{'.refused' if refused else ''}"
        if session.move(name, archive, new_name):
            return new_name
        number += 1
    return None


def _is_unfinished(name: str) -> bool:
    return name.startswith(".") or name.lower().endswith(_UNFINISHED)

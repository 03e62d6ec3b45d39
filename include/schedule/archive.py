"""Opens what is to be imported, a directory or a zip, and trusts nothing about it.

A zip comes from outside. Nothing of it is written to disk; members are read as streams, and limits are counted on the
bytes that really come out, never on the sizes that the zip announces. All files lie at the top, or in one folder.
"""

from __future__ import annotations

import difflib
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from include.errors import Fault, ImportRejected
from include.schedule.files import FILES
from include.zips import Budget, shown, trusted_members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from include.zips import ByteStream

#: Written by exports beside the tables, and of no interest to an import.
IGNORED = frozenset({"manifest.json", "datapackage.json"})

MAX_TOTAL_BYTES = 8 * 1024**3

_KNOWN = {file.file_name: file.table for file in FILES}
_NEXT_STEP = "mend the files and import again; nothing was loaded"


@dataclass(frozen=True, slots=True)
class Source:
    """An opened import: ``open_table[table]()`` gives the bytes of ``<table>.csv``, for each file that is present."""

    open_table: dict[str, Callable[[], ByteStream]]


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a directory or zip file for the length of the block.

    The streams may raise :class:`ImportRejected` while they are read: a cut or forged member and a decompression bomb
    show themselves only then.

    Raises:
        ImportRejected: with every fault of the names, kinds and places of its files.
    """
    if path.is_dir():
        yield _open_directory(path)
    elif path.is_file():
        with path.open("rb") as file:
            yield _open_zip(file, path.name)
    else:
        raise _rejected([Fault(shown(path.name), None, None, "there is no such directory or zip file")])


def nearest(name: str, candidates: Iterator[str] | list[str]) -> str:
    """Return ``; did you mean 'x'?`` for the most similar candidate, or nothing where none resembles ``name``."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    found = difflib.get_close_matches(name.lower()[:100], list(by_lower), n=1, cutoff=0.6)
    return f"; did you mean {by_lower[found[0]]}?" if found else ""


def _rejected(faults: list[Fault]) -> ImportRejected:
    return ImportRejected(faults, next_step=_NEXT_STEP)


def _is_ignored(name: str) -> bool:
    # The schedule backup puts a workbook for people beside its exchange file.
    return name in IGNORED or name.startswith(".") or name.endswith(".xlsx")


def _unknown(name: str) -> Fault:
    return Fault(shown(name), None, None, "is no file that Callboard knows" + nearest(name, list(_KNOWN)))


# --- directory -------------------------------------------------------------------------------------------------------


def _open_directory(path: Path) -> Source:
    faults: list[Fault] = []
    budget = Budget(MAX_TOTAL_BYTES, _rejected)
    tables: dict[str, Callable[[], ByteStream]] = {}
    for entry in sorted(path.iterdir()):
        if _is_ignored(entry.name):
            continue
        mode = entry.lstat().st_mode
        if stat.S_ISLNK(mode):
            faults.append(Fault(shown(entry.name), None, None, "is a symbolic link; put the file itself here"))
        elif stat.S_ISDIR(mode):
            faults.append(Fault(shown(entry.name), None, None, "is a folder; all files lie at the top"))
        elif not stat.S_ISREG(mode):
            faults.append(Fault(shown(entry.name), None, None, "is not a regular file"))
        elif entry.name not in _KNOWN:
            faults.append(_unknown(entry.name))
        else:
            tables[_KNOWN[entry.name]] = _directory_opener(entry, budget)
    if not faults and not tables:
        faults.append(Fault(shown(path.name), None, None, "holds no file that Callboard knows"))
    if faults:
        raise _rejected(faults)
    return Source(tables)


def _directory_opener(path: Path, budget: Budget) -> Callable[[], ByteStream]:
    def open_file() -> ByteStream:
        try:
            # O_NOFOLLOW: what was a file a moment ago may be a link by now.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            raise _rejected([Fault(shown(path.name), None, None, message)]) from error
        return _DirectoryFile(os.fdopen(descriptor, "rb"), path.name, budget)

    return open_file


class _DirectoryFile:
    def __init__(self, stream: BinaryIO, name: str, budget: Budget) -> None:
        self._stream, self._name, self._budget = stream, name, budget

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._budget.spend(len(data), self._name)
        return data

    def close(self) -> None:
        self._stream.close()


# --- zip -------------------------------------------------------------------------------------------------------------


def _open_zip(file: BinaryIO, archive_name: str) -> Source:
    """All tables lie at the top, or in one folder."""
    faults: list[Fault] = []
    budget = Budget(MAX_TOTAL_BYTES, _rejected)
    members = trusted_members(file, archive_name, is_ignored=_is_ignored, budget=budget, rejected=_rejected)
    tables: dict[str, Callable[[], ByteStream]] = {}
    tops = {member.path.parent for member in members}
    top = next(iter(tops)) if len(tops) == 1 else PurePosixPath()
    if len(top.parts) > 1:
        top = PurePosixPath()
    for member in members:
        path = member.path
        table = _KNOWN.get(path.name)
        if path.parent != top:
            faults.append(Fault(shown(str(path)), None, None, "lies in another folder than the rest"))
        elif table is None:
            faults.append(_unknown(path.name))
        elif table in tables:
            faults.append(Fault(shown(path.name), None, None, "is in the zip more than once"))
        else:
            tables[table] = member.open
    if not faults and not tables:
        faults.append(Fault(shown(archive_name), None, None, "holds no file that Callboard knows"))
    if faults:
        raise _rejected(faults)
    return Source(tables)

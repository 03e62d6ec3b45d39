"""Opens what is to be imported, a directory or a zip, and trusts nothing about it.

A zip comes from outside. Nothing of it is written to disk; members are read as streams, and limits are counted on the
bytes that really come out, never on the sizes that the zip announces. All files lie at the top, or in one folder.
"""

from __future__ import annotations

import difflib
import os
import stat
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol

from include.errors import Fault, ImportRejected
from include.schedule.files import FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Written by exports beside the tables, and of no interest to an import.
IGNORED = frozenset({"manifest.json", "datapackage.json"})

MAX_MEMBERS = 64
MAX_TOTAL_BYTES = 8 * 1024**3
#: Real schedules compress 5 to 30 times. Checked once a member has shown some weight: little files may be repetitive.
MAX_RATIO = 250
RATIO_CHECKED_FROM = 8 * 1024**2

_KNOWN = {file.file_name: file.table for file in FILES}
_NEXT_STEP = "mend the files and import again; nothing was loaded"
#: What zipfile and zlib raise for archives that are cut, forged or of an unknown kind.
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


class ByteStream(Protocol):
    """What the readers need of an open file."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, ``b""`` at the end."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


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


def shown(name: str) -> str:
    """Make a file's or column's name fit to print: no control characters, no endless length."""
    printable = "".join(character if character.isprintable() else "?" for character in name)
    return printable if len(printable) <= 80 else printable[:77] + "..."


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


class _Budget:
    """Bytes that really came out of the whole source."""

    def __init__(self) -> None:
        self._left = MAX_TOTAL_BYTES

    def spend(self, size: int, name: str) -> None:
        self._left -= size
        if self._left < 0:
            limit = f"{MAX_TOTAL_BYTES // 1024**3} GiB"
            raise _rejected([Fault(shown(name), None, None, f"the files together hold more than {limit}")])


# --- directory -------------------------------------------------------------------------------------------------------


def _open_directory(path: Path) -> Source:
    faults: list[Fault] = []
    budget = _Budget()
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


def _directory_opener(path: Path, budget: _Budget) -> Callable[[], ByteStream]:
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
    def __init__(self, stream: BinaryIO, name: str, budget: _Budget) -> None:
        self._stream, self._name, self._budget = stream, name, budget

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._budget.spend(len(data), self._name)
        return data

    def close(self) -> None:
        self._stream.close()


# --- zip -------------------------------------------------------------------------------------------------------------


def _open_zip(file: BinaryIO, archive_name: str) -> Source:
    try:
        archive = zipfile.ZipFile(file)
    except _BROKEN_ZIP as error:
        raise _rejected([Fault(shown(archive_name), None, None, "is not a zip file, or a damaged one")]) from error
    members = [member for member in archive.infolist() if not _is_clutter(member)]
    if len(archive.infolist()) > MAX_MEMBERS:
        raise _rejected([Fault(shown(archive_name), None, None, f"holds more than {MAX_MEMBERS} members")])
    faults = [fault for member in archive.infolist() for fault in _member_faults(member)]
    faults += _overlaps(archive)
    if faults:  # names that are not even safe say nothing about tables
        raise _rejected(faults)
    return _tables_of(archive, members, archive_name)


def _is_clutter(member: zipfile.ZipInfo) -> bool:
    """Tell what desktop systems add to every zip: folders' own entries, resource forks, hidden files."""
    parts = PurePosixPath(member.filename).parts
    return member.is_dir() or (bool(parts) and (parts[0] == "__MACOSX" or _is_ignored(parts[-1])))


def _member_faults(member: zipfile.ZipInfo) -> Iterator[Fault]:
    """Judge one member by its own name and kind. ``orig_filename`` is what the zip says; ``filename`` is cleaned."""
    name = member.orig_filename
    place = shown(name) or "(no name)"
    parts = name.replace("\\", "/").split("/")
    kind = member.external_attr >> 16
    if not name or any(not character.isprintable() for character in name):
        yield Fault(place, None, None, "has a name with control characters, or none")
    if name.startswith(("/", "\\")) or name[1:2] == ":":
        yield Fault(place, None, None, "has an absolute path")
    if ".." in parts:
        yield Fault(place, None, None, "leads out of the zip ('..')")
    elif "\\" in name:
        yield Fault(place, None, None, "has a backslash in its name")
    if stat.S_ISLNK(kind):
        yield Fault(place, None, None, "is a symbolic link")
    elif stat.S_IFMT(kind) not in (0, stat.S_IFREG, stat.S_IFDIR):
        yield Fault(place, None, None, "is not a regular file")
    if member.flag_bits & 0x1 or member.flag_bits & 0x40:
        yield Fault(place, None, None, "is encrypted")
    elif member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield Fault(place, None, None, "is compressed in an unusual way; only 'store' and 'deflate' are read")


def _overlaps(archive: zipfile.ZipFile) -> list[Fault]:
    """Find members that share bytes: a few megabytes can stand for petabytes that way."""
    faults = []
    members = sorted(archive.infolist(), key=lambda member: member.header_offset)
    ends = [member.header_offset for member in members[1:]] + [archive.start_dir]
    for member, next_start in zip(members, ends, strict=True):
        shortest = 30 + len(member.orig_filename) + member.compress_size  # local header, name, data
        if member.header_offset < 0 or member.header_offset + shortest > next_start:
            faults.append(Fault(shown(member.orig_filename), None, None, "overlaps another member"))
    return faults


def _tables_of(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], archive_name: str) -> Source:
    faults: list[Fault] = []
    budget = _Budget()
    tables: dict[str, Callable[[], ByteStream]] = {}
    tops = {PurePosixPath(member.filename).parent for member in members}
    top = next(iter(tops)) if len(tops) == 1 else PurePosixPath()
    if len(top.parts) > 1:
        top = PurePosixPath()
    for member in members:
        path = PurePosixPath(member.filename)
        table = _KNOWN.get(path.name)
        if path.parent != top:
            faults.append(Fault(shown(member.filename), None, None, "lies in another folder than the rest"))
        elif table is None:
            faults.append(_unknown(path.name))
        elif table in tables:
            faults.append(Fault(shown(path.name), None, None, "is in the zip more than once"))
        else:
            tables[table] = _member_opener(archive, member, path.name, budget)
    if not faults and not tables:
        faults.append(Fault(shown(archive_name), None, None, "holds no file that Callboard knows"))
    if faults:
        raise _rejected(faults)
    return Source(tables)


def _member_opener(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, budget: _Budget
) -> Callable[[], ByteStream]:
    def open_member() -> ByteStream:
        try:
            return _ZipMember(archive.open(member), member, name, budget)
        except _BROKEN_ZIP as error:
            raise _rejected([Fault(name, None, None, "is damaged in the zip")]) from error

    return open_member


class _ZipMember:
    """A member's bytes, counted as they come out."""

    def __init__(self, stream: IO[bytes], member: zipfile.ZipInfo, name: str, budget: _Budget) -> None:
        self._stream = stream
        self._compressed = max(member.compress_size, 1)  # true: members do not overlap and lie within the file
        self._name, self._budget, self._produced = name, budget, 0

    def read(self, size: int, /) -> bytes:
        try:
            data = self._stream.read(size)
        except _BROKEN_ZIP as error:
            raise _rejected([Fault(self._name, None, None, "is damaged in the zip")]) from error
        self._produced += len(data)
        self._budget.spend(len(data), self._name)
        if self._produced > max(RATIO_CHECKED_FROM, MAX_RATIO * self._compressed):
            raise _rejected([Fault(self._name, None, None, f"unpacks to more than {MAX_RATIO} times its size")])
        return data

    def close(self) -> None:
        self._stream.close()

"""Opens a zip that comes from outside, and trusts nothing about it.

Nothing of it is written to disk; members are read as streams, and limits are counted on the bytes that really come out,
never on the sizes that the zip announces. Names, kinds and places of members are judged before any of them is read.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol

from include.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.errors import InputFaults

    Rejecting = Callable[[list[Fault]], InputFaults]

MAX_MEMBERS = 64
#: Names, kinds and places of that many members need much less.
_MOST_DIRECTORY_BYTES = 256 * 1024
#: Real tables compress 5 to 30 times. Checked once a member has shown some weight: little files may be repetitive.
MAX_RATIO = 250
RATIO_CHECKED_FROM = 8 * 1024**2

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


class Budget:
    """Bytes that really came out of the whole source: ``most`` of them, then it is ``rejected``."""

    def __init__(self, most: int, rejected: Rejecting) -> None:
        self._most, self._left, self._rejected = most, most, rejected

    def spend(self, size: int, name: str) -> None:
        """Take ``size`` bytes of the file ``name`` off it.

        Raises:
            InputFaults: there are not so many left.
        """
        self._left -= size
        if self._left < 0:
            unit, label = (1024**3, "GiB") if self._most >= 1024**3 else (1024**2, "MiB")
            limit = f"{self._most // unit} {label}"
            raise self._rejected([Fault(shown(name), None, None, f"the files together hold more than {limit}")])


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a zip: where it lies, and how its bytes are read."""

    path: PurePosixPath
    open: Callable[[], ByteStream]


def shown(name: str) -> str:
    """Make a file's or column's name fit to print: no control characters, no endless length."""
    printable = "".join(character if character.isprintable() else "?" for character in name)
    return printable if len(printable) <= 80 else printable[:77] + "..."


def trusted_members(
    file: BinaryIO, archive_name: str, *, is_ignored: Callable[[str], bool], budget: Budget, rejected: Rejecting
) -> list[Member]:
    """The files of a zip whose members are all safe to read, but for those whose names are ``ignored``.

    The streams may raise what ``rejected`` makes while they are read: a cut or forged member and a decompression bomb
    show themselves only then.

    Raises:
        InputFaults: (as ``rejected`` makes it) with every fault of the names, kinds and places of its members.
    """
    if _directory_bytes(file) > _MOST_DIRECTORY_BYTES:  # each entry of it becomes an object before it can be judged
        raise rejected([Fault(shown(archive_name), None, None, f"holds more than {MAX_MEMBERS} members")])
    try:
        archive = zipfile.ZipFile(file)
    except _BROKEN_ZIP as error:
        raise rejected([Fault(shown(archive_name), None, None, "is not a zip file, or a damaged one")]) from error
    if len(archive.infolist()) > MAX_MEMBERS:
        raise rejected([Fault(shown(archive_name), None, None, f"holds more than {MAX_MEMBERS} members")])
    faults = [fault for member in archive.infolist() for fault in _member_faults(member)]
    faults += _overlaps(archive)
    if faults:  # names that are not even safe say nothing about what is in it
        raise rejected(faults)
    return [
        Member(PurePosixPath(member.filename), _opener(archive, member, budget, rejected))
        for member in archive.infolist()
        if not _is_clutter(member, is_ignored)
    ]


def _directory_bytes(file: BinaryIO) -> int:
    """How long the zip says its directory is, at its very end; 0 where it does not say.

    APPNOTE.TXT 4.3.16: the record has 22 bytes and a comment of at most 65,535; 4.3.14: a long zip says it before that.
    """
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - 22 - 65_535))
    end = file.read()
    place = end.rfind(b"PK\x05\x06")
    file.seek(0)
    if not 0 <= place <= len(end) - 22:
        return 0
    said = int.from_bytes(end[place + 12 : place + 16], "little")
    longer = end.rfind(b"PK\x06\x06", 0, place)
    return int.from_bytes(end[longer + 40 : longer + 48], "little") if said == 0xFFFFFFFF and longer >= 0 else said


def _is_clutter(member: zipfile.ZipInfo, is_ignored: Callable[[str], bool]) -> bool:
    """Tell what desktop systems add to every zip: folders' own entries, resource forks, hidden files."""
    parts = PurePosixPath(member.filename).parts
    return member.is_dir() or (bool(parts) and (parts[0] == "__MACOSX" or is_ignored(parts[-1])))


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
    ends = [member.header_offset for member in members[1:]] + [archive.start_dir for _ in members[:1]]
    for member, next_start in zip(members, ends, strict=True):
        shortest = 30 + len(member.orig_filename) + member.compress_size  # local header, name, data
        if member.header_offset < 0 or member.header_offset + shortest > next_start:
            faults.append(Fault(shown(member.orig_filename), None, None, "overlaps another member"))
    return faults


def _opener(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, budget: Budget, rejected: Rejecting
) -> Callable[[], ByteStream]:
    name = PurePosixPath(member.filename).name

    def open_member() -> ByteStream:
        try:
            return _ZipMember(archive.open(member), member, name, budget, rejected)
        except _BROKEN_ZIP as error:
            raise rejected([Fault(name, None, None, "is damaged in the zip")]) from error

    return open_member


class _ZipMember:
    """A member's bytes, counted as they come out."""

    def __init__(
        self, stream: IO[bytes], member: zipfile.ZipInfo, name: str, budget: Budget, rejected: Rejecting
    ) -> None:
        self._stream = stream
        self._compressed = max(member.compress_size, 1)  # true: members do not overlap and lie within the file
        self._name, self._budget, self._rejected, self._produced = name, budget, rejected, 0

    def read(self, size: int, /) -> bytes:
        try:
            data = self._stream.read(size)
        except _BROKEN_ZIP as error:
            raise self._rejected([Fault(self._name, None, None, "is damaged in the zip")]) from error
        self._produced += len(data)
        self._budget.spend(len(data), self._name)
        if self._produced > max(RATIO_CHECKED_FROM, MAX_RATIO * self._compressed):
            raise self._rejected([Fault(self._name, None, None, f"unpacks to more than {MAX_RATIO} times its size")])
        return data

    def close(self) -> None:
        self._stream.close()

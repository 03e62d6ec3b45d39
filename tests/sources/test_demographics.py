"""Demographic files that are broken or hostile: refused with place and fault, in bounded memory."""

from __future__ import annotations

import io
import stat
import struct
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest

from include.errors import InboundRejected
from include.sources import demographics
from include.sources.demographics import MOST_BYTES, read_rows
from include.zips import MAX_MEMBERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLUMNS = {"Key": "unique_id", "Mail": "email", "Pager": "pager"}
GOOD = b"Key,Mail\n007,a@b.example\n"


def packed(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return whole.getvalue()


def special(mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("people.csv")
    info.external_attr = mode << 16
    return info


def patched(data: bytes, *places: tuple[bytes, int, bytes]) -> bytes:
    """The zip with bytes of its headers overwritten: after the first ``signature``, at ``offset``."""
    changed = bytearray(data)
    for signature, offset, new in places:
        at = changed.index(signature) + offset
        changed[at : at + len(new)] = new
    return bytes(changed)


def overlapping() -> bytes:
    whole = bytearray(packed(("people.csv", GOOD * 100), ("other.csv", b"x")))
    second = whole.index(b"PK\x01\x02", whole.index(b"PK\x01\x02") + 1)
    whole[second + 42 : second + 46] = struct.pack("<I", 0)
    return bytes(whole)


def thousands(members: int) -> bytes:
    """A directory of very many entries, all of one member."""
    whole = packed((".x", b""))
    place, end = whole.index(b"PK\x01\x02"), whole.index(b"PK\x05\x06")
    entry = whole[place:end]
    record = whole[end : end + 8] + struct.pack("<HHIIH", 0xFFFF, 0xFFFF, members * len(entry), place, 0)
    return whole[:place] + entry * members + record


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty": ("p.csv", lambda: b"", "is empty; it needs a header line"),
    "only a mark": ("p.csv", lambda: b"\xef\xbb\xbf", "is empty"),
    "no header": ("p.csv", lambda: b"007,a@b.example\n", "is no header"),
    "no key column": ("p.csv", lambda: b"Mail\na@b.example\n", "is missing; it is required"),
    "a misspelt key column": ("p.csv", lambda: b"key,Mail\n7,a\n", "did you mean key?"),
    "a column twice": ("p.csv", lambda: b"Key,Mail,Mail\n7,a,b\n", "is in the header twice"),
    "the key alone": ("p.csv", lambda: b"Key\n007\n", "has no column that could be taken over"),
    "too many cells": ("p.csv", lambda: GOOD + b"7,a,b\n", "has 3 fields, the header has 2"),
    "too few cells": ("p.csv", lambda: GOOD + b"7\n", "has 1 fields, the header has 2"),
    "an open quote": ("p.csv", lambda: GOOD + b'7,"a@b.example\n' + GOOD * 50, "unbalanced quote"),
    "a quote inside": ("p.csv", lambda: GOOD + b'7,a"b\n', "unbalanced quote"),
    "a lone carriage return": ("p.csv", lambda: b"Key,Mail\n7,a\r8,b\r", "carriage return"),
    "NUL": ("p.csv", lambda: GOOD + b"7,a\0b\n", "holds a NUL character"),
    "another encoding": ("p.csv", lambda: GOOD + "7,Zoë@b.example\n".encode("latin-1"), "is not UTF-8 text"),
    "UTF-16": ("p.csv", lambda: GOOD.decode().encode("utf-16"), "is not UTF-8 text"),
    "an endless line": ("p.csv", lambda: b"Key,Mail\n" + b"x" * (16 * 1024**2), "is longer than"),
    "an endless record": ("p.csv", lambda: b'Key,Mail\n7,"' + b"x\n" * (1024**2), "unbalanced quote"),
    "a zip called csv": ("p.csv", lambda: packed(("people.csv", GOOD)), "is not UTF-8 text"),
    "a csv called zip": ("p.zip", lambda: GOOD, "is not a zip file, or a damaged one"),
    "an empty zip": ("p.zip", packed, "holds 0 .csv files"),
    "two files": ("p.zip", lambda: packed(("a.csv", GOOD), ("b.csv", GOOD)), "holds 2 .csv files"),
    "something else in it": ("p.zip", lambda: packed(("a.csv", GOOD), ("run.exe", b"MZ")), "is no .csv file"),
    "a zip in a zip": ("p.zip", lambda: packed(("a.zip", packed(("a.csv", GOOD)))), "is no .csv file"),
    "an absolute path": ("p.zip", lambda: packed(("/etc/people.csv", GOOD)), "has an absolute path"),
    "a path out of it": ("p.zip", lambda: packed(("../../people.csv", GOOD)), "leads out of the zip"),
    "a drive": ("p.zip", lambda: packed(("C:/people.csv", GOOD)), "has an absolute path"),
    "a name with a line break": ("p.zip", lambda: packed(("peo\nple.csv", GOOD)), "control characters"),
    "a symbolic link": ("p.zip", lambda: packed((special(stat.S_IFLNK | 0o777), b"/etc/passwd")), "symbolic link"),
    "a pipe": ("p.zip", lambda: packed((special(stat.S_IFIFO | 0o600), b"")), "is not a regular file"),
    "encrypted": (
        "p.zip",
        lambda: patched(packed(("a.csv", GOOD)), (LOCAL, 6, b"\x01"), (CENTRAL, 8, b"\x01")),
        "is encrypted",
    ),
    "an unusual compression": ("p.zip", lambda: packed(("a.csv", GOOD), method=zipfile.ZIP_LZMA), "unusual way"),
    "thousands of members": (
        "p.zip",
        lambda: packed(*((f".{number}", b"") for number in range(MAX_MEMBERS + 1))),
        "members",
    ),
    "two hundred thousand members": ("p.zip", lambda: thousands(200_000), "members"),
    "thousands of columns": (
        "p.csv",
        lambda: b"Key,Mail," + b"x," * 30_000 + b"x\n" + (b"7,a," + b"y," * 30_000 + b"y\n") * 60 + b"7\n",
        "has 1 fields",
    ),
    "members that overlap": ("p.zip", overlapping, "overlaps another member"),
    "a bomb": (
        "p.zip",
        lambda: packed(("a.csv", b"Key,Mail\n" + (b"7," + b"a" * 998 + b"\n") * 20_000)),
        "unpacks to more than",
    ),
    "a bomb that says it is small": (
        "p.zip",
        lambda: patched(
            packed(("a.csv", b"Key,Mail\n" + b"7,a\n" * 100_000)),
            (LOCAL, 22, struct.pack("<I", 100)),
            (CENTRAL, 24, struct.pack("<I", 100)),
        ),
        "is damaged in the zip",
    ),
    "too much in it": (
        "p.zip",
        lambda: packed(("a.csv", b"Key,Mail\n" + b"x" * MOST_BYTES), method=zipfile.ZIP_STORED),
        "is longer than",
    ),
    "a cut zip": ("p.zip", lambda: packed(("a.csv", GOOD * 1000))[:-30], "is not a zip file, or a damaged one"),
    "a wrong checksum": (
        "p.zip",
        lambda: patched(packed(("a.csv", GOOD), method=zipfile.ZIP_STORED), (b"007,", 0, b"008,")),
        "is damaged in the zip",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_and_leaves_nothing(case: str, tmp_path: Path) -> None:
    name, make, message = HOSTILE[case]
    local, target = tmp_path / "inbound", tmp_path / "rows.parquet"
    local.write_bytes(make())
    size = local.stat().st_size
    tracemalloc.start()
    try:
        with pytest.raises(InboundRejected) as caught:
            read_rows(local, name, COLUMNS, "unique_id", target)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert any(message in fault.message for fault in caught.value.faults), caught.value.faults
    assert all(fault.file.isprintable() for fault in caught.value.faults)
    assert "a@b.example" not in str(caught.value)
    assert caught.value.next_step
    assert most < 64 * 1024**2, "whatever the file says of itself"
    left = sum(file.stat().st_size for file in tmp_path.iterdir()) - size
    assert left < 1024**2, "nothing is unpacked to the disk"


def test_thirty_cases_at_least() -> None:
    assert len(HOSTILE) >= 30


def test_a_long_file_is_read_in_pieces(tmp_path: Path) -> None:
    """What is in memory at once does not depend on how many people there are."""

    def most_of(people: int) -> int:
        local = tmp_path / "inbound"
        with local.open("w") as file:
            file.write("Key,Mail,Other\n")
            for number in range(people):
                file.write(f"{number:08},person{number}@hospital.example,{'x' * 100}\n")
        tracemalloc.start()
        try:
            assert read_rows(local, "p.csv", COLUMNS, "unique_id", tmp_path / "rows.parquet") == people
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    most_of(1)  # libraries are read once
    assert most_of(120_000) < 1.3 * most_of(40_000)


def test_the_rows_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demographics, "MOST_ROWS", 1000)
    local = tmp_path / "inbound"
    local.write_bytes(b"Key,Mail\n" + b"7,a\n" * 1001)
    with pytest.raises(InboundRejected, match="has more than 1,000 rows"):
        read_rows(local, "p.csv", COLUMNS, "unique_id", tmp_path / "rows.parquet")
    local.write_bytes(b"Key,Mail\n" + b"7,a\n" * 1000)
    assert read_rows(local, "p.csv", COLUMNS, "unique_id", tmp_path / "rows.parquet") == 1000


def test_the_most_that_comes_out_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demographics, "MOST_BYTES", 1500)
    local = tmp_path / "inbound"
    local.write_bytes(packed(("a.csv", b"Key,Mail\n" + b"7,aXb\n" * 400)))
    with pytest.raises(InboundRejected, match="together hold more than 0 MiB"):
        read_rows(local, "p.zip", COLUMNS, "unique_id", tmp_path / "rows.parquet")

"""Hostile and broken sources: refused with the file's name, before anything is loaded."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest

from include.errors import ImportRejected
from include.schedule import archive
from include.schedule.archive import open_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from include.errors import Fault

Member = tuple[str | zipfile.ZipInfo, bytes]
TEXT = b"department_id,name,time_zone\n"


def make_zip(path: Path, *members: Member, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


def read_all(path: Path) -> dict[str, bytes]:
    """Open a source and read every table of it to its end."""
    content = {}
    with open_source(path) as source:
        for table, open_table in source.open_table.items():
            stream = open_table()
            parts = []
            while data := stream.read(1 << 16):
                parts.append(data)
            stream.close()
            content[table] = b"".join(parts)
    return content


def refused(path: Path) -> list[Fault]:
    with pytest.raises(ImportRejected) as caught:
        read_all(path)
    return list(caught.value.faults)


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


NAMES = [
    ("/departments.csv", "absolute"),
    ("//server/departments.csv", "absolute"),
    ("C:/departments.csv", "absolute"),
    ("../departments.csv", "leads out"),
    ("export/../../departments.csv", "leads out"),
    ("..\\departments.csv", "leads out"),
    ("export\\departments.csv", "backslash"),
    ("departments.csv\n", "control characters"),
    ("deparments.csv", "did you mean departments.csv"),
    ("Departments.csv", "did you mean departments.csv"),
    ("notes.txt", "no file that Callboard knows"),
    ("a/b/departments.csv", "another folder"),
]


@pytest.mark.parametrize(("name", "message"), NAMES, ids=[repr(name) for name, _ in NAMES])
def test_names(name: str, message: str, tmp_path: Path) -> None:
    (fault,) = refused(make_zip(tmp_path / "x.zip", (name, TEXT)))
    assert message in fault.message
    assert fault.file.isprintable()


KINDS = [(stat.S_IFLNK | 0o777, "symbolic link"), (stat.S_IFIFO | 0o600, "not a regular file")]


@pytest.mark.parametrize(("mode", "message"), KINDS, ids=[message for _, message in KINDS])
def test_kinds(mode: int, message: str, tmp_path: Path) -> None:
    (fault,) = refused(make_zip(tmp_path / "x.zip", (special("departments.csv", mode), b"/etc/passwd")))
    assert (fault.file, message in fault.message) == ("departments.csv", True)


def test_two_folders(tmp_path: Path) -> None:
    faults = refused(make_zip(tmp_path / "x.zip", ("a/departments.csv", TEXT), ("b/personnel.csv", TEXT)))
    assert [fault.file for fault in faults] == ["a/departments.csv", "b/personnel.csv"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice(tmp_path: Path) -> None:
    (fault,) = refused(make_zip(tmp_path / "x.zip", ("departments.csv", TEXT), ("departments.csv", TEXT)))
    assert "more than once" in fault.message


def test_nothing_known(tmp_path: Path) -> None:
    (fault,) = refused(make_zip(tmp_path / "x.zip", ("manifest.json", b"{}"), ("export/", b"")))
    assert (fault.file, fault.message) == ("x.zip", "holds no file that Callboard knows")


def test_an_empty_zip(tmp_path: Path) -> None:
    (fault,) = refused(make_zip(tmp_path / "x.zip"))
    assert (fault.file, fault.message) == ("x.zip", "holds no file that Callboard knows")


def test_too_many_members(tmp_path: Path) -> None:
    (fault,) = refused(make_zip(tmp_path / "x.zip", *[(f".{number}", b"") for number in range(65)]))
    assert "more than 64 members" in fault.message


def changed(path: Path, change: Callable[[bytearray], None]) -> Path:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
    return path


def test_encrypted(tmp_path: Path) -> None:
    def encrypt(data: bytearray) -> None:
        for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            data[data.index(signature) + offset] |= 1

    (fault,) = refused(changed(make_zip(tmp_path / "x.zip", ("departments.csv", TEXT)), encrypt))
    assert fault.message == "is encrypted"


def test_unusual_compression(tmp_path: Path) -> None:
    (fault,) = refused(make_zip(tmp_path / "x.zip", ("departments.csv", TEXT), method=zipfile.ZIP_LZMA))
    assert "unusual" in fault.message


def test_every_cut_of_a_zip_is_refused(tmp_path: Path) -> None:
    whole = make_zip(
        tmp_path / "x.zip", ("departments.csv", TEXT * 50), ("personnel.csv", os.urandom(500))
    ).read_bytes()
    cut = tmp_path / "cut.zip"
    for length in range(len(whole) - 1):
        cut.write_bytes(whole[:length])
        assert refused(cut)


def test_every_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", ("departments.csv", TEXT * 50))
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            content = read_all(path)
        except ImportRejected:
            continue
        assert content == {"departments": TEXT * 50}


def test_a_bomb_is_stopped_by_what_really_comes_out(tmp_path: Path) -> None:
    """The announced size says nothing: it may be forged to look harmless."""
    path = make_zip(tmp_path / "x.zip", ("departments.csv", b"\0" * 64 * 1024**2))
    (fault,) = refused(path)
    assert fault.message == "unpacks to more than 250 times its size"

    def announce_little(data: bytearray) -> None:
        for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
            place = data.index(signature) + offset
            data[place : place + 4] = struct.pack("<I", 100)

    (fault,) = refused(changed(path, announce_little))
    assert fault.message == "is damaged in the zip"


def test_the_files_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 1500)
    path = make_zip(tmp_path / "x.zip", ("departments.csv", os.urandom(1000)), ("personnel.csv", os.urandom(1000)))
    (fault,) = refused(path)
    assert "together" in fault.message


def test_overlapping_members(tmp_path: Path) -> None:
    """Two directory entries that share one member's bytes."""
    path = make_zip(tmp_path / "x.zip", ("departments.csv", TEXT * 100), ("assignments.csv", b"x"))

    def share(data: bytearray) -> None:
        second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
        data[second + 42 : second + 46] = struct.pack("<I", 0)  # where its local header is: the first one's

    assert any("overlaps" in fault.message for fault in refused(changed(path, share)))


def test_no_zip(tmp_path: Path) -> None:
    path = tmp_path / "departments.csv"
    path.write_bytes(TEXT)
    (fault,) = refused(path)
    assert "not a zip" in fault.message


def test_nothing_there(tmp_path: Path) -> None:
    (fault,) = refused(tmp_path / "nowhere")
    assert (fault.file, fault.message) == ("nowhere", "there is no such directory or zip file")


def test_a_directory_is_judged_as_strictly(tmp_path: Path) -> None:
    (tmp_path / "departments.csv").write_bytes(TEXT)
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / ".DS_Store").write_bytes(b"")
    assert read_all(tmp_path) == {"departments": TEXT}
    (tmp_path / "personnel.csv").symlink_to("/etc/passwd")
    (tmp_path / "schedule.csv").write_bytes(TEXT)
    (tmp_path / "more").mkdir()
    os.mkfifo(tmp_path / "tallies.csv")
    assert {fault.file: fault.message.split(";")[0] for fault in refused(tmp_path)} == {
        "more": "is a folder",
        "personnel.csv": "is a symbolic link",
        "schedule.csv": "is no file that Callboard knows",
        "tallies.csv": "is not a regular file",
    }

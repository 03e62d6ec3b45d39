"""Reads one file that was sent to us as CSV: records with the physical line each starts on, and the faults of its form.

The form is what can be wrong before a value means anything: encoding, quotes, header, number of fields. Reading goes on
after a fault, so that all of them are told at once.
"""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.schedule.archive import nearest
from include.schedule.files import MAX_JSON_LENGTH, MODIFIED_AT, ExchangeFile
from include.zips import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.schedule.faults import FaultList
    from include.zips import ByteStream

CHUNK_ROWS = 20_000
#: A file of very many columns is read in shorter pieces.
CHUNK_CELLS = 500_000
_BLOCK_BYTES = 1 << 20
#: One physical line, and one record over several lines: more is no schedule.
_MAX_RECORD_BYTES = 8 * MAX_JSON_LENGTH
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive records: ``lines[i]`` is where ``rows[i]`` starts (the header is line 1).

    Rows have one field per header column. ``suspect``: some field may hold NUL or broken UTF-8 (as lone surrogates).
    """

    lines: list[int]
    rows: list[list[str]]
    suspect: bool


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a file before it is read: the ``name`` it is told by, the columns that it may have, and must.

    ``others``: it may have more columns, which are not looked at, and blanks around their names. ``most_bytes``: the
    longest line, and the longest record over several lines.
    """

    name: str
    columns: tuple[str, ...]
    required: tuple[str, ...]
    others: bool = False
    most_bytes: int = _MAX_RECORD_BYTES

    @classmethod
    def exchange(cls, file: ExchangeFile) -> Expected:
        """An exchange file; what follows ``modified_at`` belongs to later versions."""
        required = tuple(column.name for column in file.columns if column.required)
        return cls(file.file_name, (*file.column_names, MODIFIED_AT), required)


@dataclass(frozen=True, slots=True)
class Header:
    """Where each known column stands: ``positions[column name]`` is its index in every row."""

    positions: dict[str, int]
    width: int


class _OverlongRecord(Exception):
    pass


class _Lines:
    """Physical lines (ended by LF), numbered, with those of the current record at hand to be read again."""

    def __init__(self, stream: ByteStream, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._blocks = self._decoded_blocks(stream)
        self._lines: Iterator[str] = iter(())
        self._again: list[str] = []
        self.of_record: list[str] = []
        self._record_size = 0
        self.number = 0
        self.suspect = False
        self.overlong = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._again:
            line = self._again.pop()
        else:
            line = next(self._lines, "")
            while not line:
                self._lines = io.StringIO(next(self._blocks), newline="\n")  # "\n" only: a lone CR ends no line
                line = next(self._lines, "")
        self.number += 1
        self.of_record.append(line)
        if len(self.of_record) > 1:
            self._record_size += len(line)
            if self._record_size > self._most_bytes:
                raise _OverlongRecord
        return line

    def start_record(self) -> None:
        """Forget the lines of the last record."""
        self.of_record.clear()
        self._record_size = 0

    def step_back_to_second_line(self) -> None:
        """Read the lines of the current record again, save its first."""
        self._again.extend(reversed(self.of_record[1:]))
        self.number -= len(self.of_record) - 1
        self.start_record()

    def _decoded_blocks(self, stream: ByteStream) -> Iterator[str]:
        rest = b""
        first = True
        while block := stream.read(_BLOCK_BYTES):
            whole, newline, tail = block.rpartition(b"\n")
            if not newline:
                rest += block
                if len(rest) > self._most_bytes:
                    self.overlong = True
                    return
                continue
            yield self._decode(rest + whole + newline, first=first)
            rest, first = tail, False
        if rest:
            yield self._decode(rest, first=first)

    def _decode(self, data: bytes, *, first: bool) -> str:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("utf-8", "surrogateescape")
            self.suspect = True
        if b"\0" in data:
            self.suspect = True
        return text.removeprefix(_BYTE_ORDER_MARK) if first else text


@contextmanager
def _field_limit() -> Iterator[None]:
    """Let csv read our longest JSON; its own limit is one for the whole process."""
    before = csv.field_size_limit(MAX_JSON_LENGTH + 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


class CsvFile:
    """One file being read.

    ``header`` is set after construction; ``None`` where no row can be understood. ``guessed`` are the fields of records
    with faults of form, as far as they can be guessed: good enough to know which keys the file has.
    """

    def __init__(self, expected: Expected, stream: ByteStream, faults: FaultList) -> None:
        self._name = expected.name
        self._faults = faults
        self._lines = _Lines(stream, expected.most_bytes)
        self._most_bytes = expected.most_bytes
        self._reader = csv.reader(self._lines, strict=True)
        self.guessed: list[list[str]] = []
        with _field_limit():
            self.header = self._read_header(expected)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the records in chunks; records with faults of form are reported and left out."""
        if self.header is None:
            return
        width = self.header.width
        while True:
            lines: list[int] = []
            rows: list[list[str]] = []
            with _field_limit():
                more = self._fill(lines, rows, width)
            yield Chunk(lines, rows, self._lines.suspect)
            if not more:
                return

    def _fill(self, lines: list[int], rows: list[list[str]], width: int) -> bool:
        """Read up to ``CHUNK_ROWS`` records; answer whether there may be more."""
        source, name, faults = self._lines, self._name, self._faults
        for _ in range(min(CHUNK_ROWS, max(1, CHUNK_CELLS // width))):
            row = self._next_record()
            if row is None:
                return False
            if len(row) == width:
                lines.append(source.number - len(source.of_record) + 1)
                rows.append(row)
            elif row:  # an empty line is no record
                line = source.number - len(source.of_record) + 1
                faults.add(name, line, None, f"has {len(row)} fields, the header has {width}")
                self.guessed.append(row)
        return True

    def _next_record(self) -> list[str] | None:
        """Return the next record, ``[]`` for an empty or unreadable line, ``None`` at the end."""
        source = self._lines
        source.start_record()
        try:
            row = next(self._reader)
        except StopIteration:
            if source.overlong:
                message = f"is longer than {self._most_bytes} bytes; the rest of the file was not read"
                self._faults.add(self._name, source.number + 1, None, message)
            return None
        except (csv.Error, _OverlongRecord) as error:
            self._unreadable(error)
            return []
        if sum([line.count('"') for line in source.of_record]) % 2:
            # csv takes a quote inside an unquoted field for a character; RFC 4180 does not.
            self._faults.add(self._name, source.number - len(source.of_record) + 1, None, "has an unbalanced quote")
            self.guessed.append(row)
            return []
        return row

    def _unreadable(self, error: Exception) -> None:
        source = self._lines
        line = source.number - len(source.of_record) + 1
        if "new-line" in str(error):
            message = "has a carriage return without line feed outside quotes"
        elif isinstance(error, _OverlongRecord) or "field limit" in str(error):
            message = "has an unbalanced quote, or a field that is too long"
        else:
            message = "has an unbalanced quote"
        self._faults.add(self._name, line, None, message)
        if source.of_record:
            self.guessed.append([field.strip('"') for field in source.of_record[0].rstrip("\r\n").split(",")])
        # A quote that is never closed swallows the lines after it: they are read again, for their own faults.
        source.step_back_to_second_line()
        self._reader = csv.reader(source, strict=True)

    def _read_header(self, expected: Expected) -> Header | None:
        names: list[str] = []
        before = self._faults.count(self._name)
        while not names:
            record = self._next_record()
            if record is None or self._faults.count(self._name) > before:
                if self._faults.count(self._name) == before:
                    self._faults.add(self._name, 1, None, "is empty; it needs a header line")
                return None
            names = record
        if expected.others:
            names = [name.strip() for name in names]
        if self._lines.suspect and any("\0" in name or not _is_text(name) for name in names):
            self._faults.add(self._name, 1, None, "is not UTF-8 text")
            return None
        if not set(names) & set(expected.columns) - {MODIFIED_AT}:
            # Perhaps a row without a header: its fields are values, and values are not told.
            self._faults.add(self._name, 1, None, "is no header: it names none of the file's columns")
            return None
        return self._understand(expected, names)

    def _understand(self, expected: Expected, names: list[str]) -> Header:
        positions: dict[str, int] = {}
        free = [name for name in expected.columns if name not in names]
        for position, name in enumerate(names):
            if name in positions:
                self._faults.add(self._name, 1, shown(name), "is in the header twice")
            elif name in expected.columns:
                positions[name] = position
            elif not expected.others and MODIFIED_AT not in positions:
                self._faults.add(self._name, 1, shown(name), "is no column of this file" + nearest(name, free))
        for name in expected.required:
            if name not in positions:
                self._faults.add(
                    self._name,
                    1,
                    name,
                    "is missing; it is required" + (nearest(name, names) if expected.others else ""),
                )
        return Header(positions, len(names))


def _is_text(value: str) -> bool:
    """Tell whether the bytes were UTF-8: what was not is kept as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in value)

"""Read a mapping's CSV tables: rows with their lines, and every fault with file, line and column.

RFC 4180 as spreadsheets write it: UTF-8 (byte-order mark tolerated), a header in the first line, quoted cells may hold
line breaks, empty lines are skipped, an empty cell is null. A line number is that of the line on which a row begins.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import ValidationError

from include.errors import Fault, MappingError
from include.mappings.schema import Strict
from include.mappings.wording import nearest, sentence
from include.mappings.yaml_lines import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from include.mappings.schema import AssignmentRow, MappingSchema

Row = TypeVar("Row", bound=Strict)


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """The rows of a file in its order, the line of each, and what is wrong with the file."""

    rows: tuple[Row, ...]
    lines: tuple[int, ...]
    faults: tuple[Fault, ...]


def read_table(path: Path, model: type[Row], required: tuple[str, ...]) -> Table[Row]:
    """Read the table at ``path`` as rows of ``model``; the columns ``required`` must stand in its header."""
    name = path.name
    rows: list[Row] = []
    lines: list[int] = []
    faults: list[Fault] = []
    try:
        records = list(_records(name, path.read_bytes()))
        header = _header(name, records, frozenset(model.model_fields), required)
    except MappingError as error:
        return Table((), (), error.faults)
    except OSError:
        return Table((), (), (Fault(name, None, None, "cannot be read; look at its permissions"),))
    for line, cells in records[1:]:
        if len(cells) != len(header):
            faults.append(Fault(name, line, None, f"has {len(cells)} cells, the header has {len(header)}"))
            continue
        filled = {column: cell for column, cell in zip(header, cells, strict=True) if cell}
        try:
            rows.append(model.model_validate_strings(filled))
            lines.append(line)
        except ValidationError as error:
            for details in error.errors(include_url=False, include_input=False):
                place = str(details["loc"][0]) if details["loc"] else None
                said = "is empty" if details["type"] == "missing" else sentence(details)
                faults.append(Fault(name, line, place, said))
    return Table(tuple(rows), tuple(lines), tuple(faults))


def read_words(path: Path, column: str) -> tuple[frozenset[str], tuple[Fault, ...]]:
    """Read a file of one column: the words in it, and what is wrong with the file."""
    try:
        records = list(_records(path.name, path.read_bytes()))
        _header(path.name, records, frozenset({column}), (column,))
    except MappingError as error:
        return frozenset(), error.faults
    except OSError:
        return frozenset(), (Fault(path.name, None, None, "cannot be read; look at its permissions"),)
    faults = tuple(
        Fault(path.name, line, None, f"has {len(cells)} cells, the header has 1")
        for line, cells in records[1:]
        if len(cells) != 1
    )
    return frozenset(cells[0] for _, cells in records[1:]), faults


def repeated_keys(name: str, table: Table[Row], columns: tuple[str, ...]) -> Iterator[Fault]:
    """Rows that have the same cells in all of ``columns``: nobody could tell which of them counts."""
    seen: dict[tuple[object, ...], int] = {}
    for line, row in zip(table.lines, table.rows, strict=True):
        key = tuple(getattr(row, column) for column in columns)
        if columns and seen.setdefault(key, line) != line:
            yield Fault(name, line, columns[0], f"line {seen[key]} has the same {', '.join(columns)}")


def validity_faults(name: str, table: Table[AssignmentRow], schema: MappingSchema) -> Iterator[Fault]:
    """Dates that end before they begin, and rows of one assignment that are valid on the same day.

    Where an integration allows several rows per assignment, only those for the same target exclude each other, and an
    ignored row excludes all others.
    """
    sound: dict[str, list[tuple[int, AssignmentRow]]] = defaultdict(list)
    for line, row in zip(table.lines, table.rows, strict=True):
        if row.valid_from is not None and row.valid_to is not None and row.valid_to < row.valid_from:
            yield Fault(name, line, "valid_to", "is before valid_from")
        else:
            sound[row.assignment_id].append((line, row))
    for rows in sound.values():
        if len(rows) > 1:
            yield from _overlaps(name, rows, schema)


def _overlaps(name: str, rows: list[tuple[int, AssignmentRow]], schema: MappingSchema) -> Iterator[Fault]:
    if not schema.several_rows_per_assignment:
        yield from _same_day(name, rows, "the same assignment")
        return
    by_target: dict[tuple[object, ...], list[tuple[int, AssignmentRow]]] = defaultdict(list)
    for line, row in rows:
        if not row.ignore:
            by_target[tuple(getattr(row, column) for column in schema.target)].append((line, row))
    for same in by_target.values():
        yield from _same_day(name, same, "the same assignment and target")
    ignored = [(line, row) for line, row in rows if row.ignore]
    yield from _same_day(name, ignored, "the same assignment")
    for line, row in ignored:
        for other_line, other in rows:
            if not other.ignore and _first(row) <= _last(other) and _first(other) <= _last(row):
                yield Fault(name, line, "ignore", f"line {other_line} maps the same assignment on the same days")


def _same_day(name: str, rows: list[tuple[int, AssignmentRow]], what: str) -> Iterator[Fault]:
    ordered = sorted(rows, key=lambda entry: _first(entry[1]))
    longest_line, longest = ordered[0] if ordered else (0, None)
    for line, row in ordered[1:]:
        if longest is not None and _first(row) <= _last(longest):
            first, later = sorted((longest_line, line))
            yield Fault(name, later, "valid_from", f"is valid on days on which line {first} maps {what}")
        if longest is None or _last(row) > _last(longest):
            longest_line, longest = line, row


def _first(row: AssignmentRow) -> date:
    return row.valid_from or date.min


def _last(row: AssignmentRow) -> date:
    return row.valid_to or date.max


def _records(name: str, data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Each line's number and cells, header included, without empty lines.

    Raises:
        MappingError: the text is not a CSV file.
    """
    reader = csv.reader(io.StringIO(decode(name, data), newline=""), strict=True)
    begins = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield begins, stripped
            begins = reader.line_num + 1
    except csv.Error:
        message = "a quoted cell is not closed properly; save the file as CSV with commas and double quotes"
        raise MappingError([Fault(name, begins, None, message)]) from None


def _header(
    name: str, records: Sequence[tuple[int, list[str]]], known: frozenset[str], required: tuple[str, ...]
) -> list[str]:
    """The header's columns.

    Raises:
        MappingError: a column is unknown, missing or stands twice.
    """
    if not records:
        raise MappingError(
            [Fault(name, None, None, f"is empty; its first line names the columns {', '.join(required)}")]
        )
    line, header = records[0]
    if len(header) == 1 and len(known) > 1:
        for delimiter, what in ((";", "semicolons"), ("\t", "tabs")):
            if delimiter in header[0]:
                raise MappingError([Fault(name, line, None, f"is parted by {what}; save it with commas")])
    faults = [
        Fault(name, line, column or None, f"unknown column {column!r}: {nearest(column, known)}")
        for column in dict.fromkeys(header)
        if column not in known
    ]
    faults += [
        Fault(name, line, column, f"stands {times} times") for column, times in Counter(header).items() if times > 1
    ]
    faults += [Fault(name, line, column, "this column is missing") for column in required if column not in header]
    if faults:
        raise MappingError(faults)
    return header

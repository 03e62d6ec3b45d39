"""Reads what a demographic import needs: the rows of the file, and the people of the schedule store.

A file is a CSV (UTF-8, a byte-order mark is tolerated, RFC 4180, a header line), or a zip with one in it. It comes from
outside: nothing that it says about itself is believed, and memory and disk stay bounded whatever is in it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from include.effects import effect
from include.errors import Fault, InboundRejected
from include.schedule.demographics import FIELDS
from include.schedule.faults import FaultList
from include.schedule.reading import CsvFile, Expected
from include.sources.moment import one_moment
from include.sources.parquet import copy_to_parquet
from include.zips import Budget, shown, trusted_members

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from include.schedule.reading import Chunk, Header
    from include.zips import ByteStream

#: What files are called that are taken in; the second holds one of the first.
TAKEN_IN = (".csv", ".zip")
#: The longest file that is fetched, and the most that may come out of a zip: 100,000 people with everything about them.
MOST_BYTES = 64 * 1024**2
#: The longest row: whatever is longer says more than who somebody is.
_MOST_BYTES_OF_A_ROW = 256 * 1024
#: Nobody employs more people; the rows are held in memory when they are judged.
MOST_ROWS = 500_000
#: A file with more of them is not what it seems; the rest of it is not looked at.
_FAULTS_TOLD = 1000
_NEXT_STEP = "have the file made anew at its source and sent again; nothing of it was taken over"
#: Who carries which values. Sorted by code points on every server, whatever its collation.
_PEOPLE = (
    f'SELECT emp_id, {", ".join(FIELDS)}, is_placeholder, active FROM schedule.personnel ORDER BY emp_id COLLATE "C"'
)


def rejected(faults: Sequence[Fault]) -> InboundRejected:
    """The error about a file that cannot be taken."""
    return InboundRejected(faults, next_step=_NEXT_STEP)


def read_people(dsn: str, target: Path) -> None:
    """Write everybody with their fields to ``target`` (Parquet), as they are at one moment. Empty is null.

    Raises:
        SourceNotReady: the store could not be read.
    """
    import pyarrow as pa

    text = [(name, pa.string()) for name in ("emp_id", *FIELDS)]
    schema = pa.schema([*text, ("is_placeholder", pa.bool_()), ("active", pa.bool_())])
    with one_moment(dsn) as cursor, effect("sources.people"):
        copy_to_parquet(cursor, _PEOPLE, {}, target, schema)


def read_rows(local: Path, name: str, columns: Mapping[str, str], key: str, target: Path) -> int:
    """Write the rows of the file ``local`` to ``target`` (Parquet), and answer how many there are.

    ``name`` is what the file is called by whoever sent it; ``columns`` says which of its columns is which field, and
    ``key`` which field finds the person. ``target`` has ``line`` and a text column for each of the fields that the file
    has: without blanks at the ends, null where there is nothing. Rows without any value are no rows.

    Raises:
        InboundRejected: with every fault of the file's form; then none of its rows can be trusted.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    faults = FaultList()
    key_column = next(header for header, field in columns.items() if field == key)
    expected = Expected(shown(name), tuple(columns), (key_column,), others=True, most_bytes=_MOST_BYTES_OF_A_ROW)
    rows = 0
    with _opened(local, name) as stream, _removed_unless_whole(target):
        csv_file = CsvFile(expected, stream, faults)
        header = csv_file.header
        if header is None or faults:
            raise rejected(faults.listed([expected.name], {}))
        found = {columns[each]: position for each, position in header.positions.items()}
        if set(found) == {key}:
            raise rejected([Fault(expected.name, 1, None, "has no column that could be taken over, only the key")])
        schema = pa.schema([("line", pa.int64()), *((field, pa.string()) for field in found)])
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for chunk in csv_file.chunks():
                _unreadable(chunk, header, expected.name, faults)
                if faults.count(expected.name) > _FAULTS_TOLD:
                    break
                if faults:
                    continue  # to the end of the file: all faults are told at once
                table = _table(chunk, found, schema)
                writer.write_table(table)
                rows += len(table)
                if rows > MOST_ROWS:
                    raise rejected([Fault(expected.name, None, None, f"has more than {MOST_ROWS:,} rows")])
        if faults:
            raise rejected(faults.listed([expected.name], {}))
    return rows


@contextmanager
def _removed_unless_whole(target: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        target.unlink(missing_ok=True)
        raise


@contextmanager
def _opened(local: Path, name: str) -> Iterator[ByteStream]:
    """The bytes of the CSV, out of its zip if it is in one."""
    budget = Budget(MOST_BYTES, rejected)
    with local.open("rb") as file:
        if not name.lower().endswith(TAKEN_IN[1]):
            yield file
            return
        members = trusted_members(
            file, name, is_ignored=lambda member: member.startswith("."), budget=budget, rejected=rejected
        )
        strange = [shown(str(each.path)) for each in members if not each.path.name.lower().endswith(TAKEN_IN[0])]
        if strange:
            raise rejected([Fault(each, None, None, "is no .csv file") for each in strange])
        if len(members) != 1:
            raise rejected([Fault(shown(name), None, None, f"holds {len(members)} .csv files; it must be one")])
        stream = members[0].open()
        try:
            yield stream
        finally:
            stream.close()


def _unreadable(chunk: Chunk, header: Header, name: str, faults: FaultList) -> None:
    """Find the rows whose bytes are no text: a file of another encoding would turn names into others."""
    if not chunk.suspect:
        return
    by_position = {position: column for column, position in header.positions.items()}
    for line, row in zip(chunk.lines, chunk.rows, strict=True):
        for position, cell in enumerate(row):
            if "\0" in cell:
                faults.add(name, line, by_position.get(position), "holds a NUL character")
            elif any("\ud800" <= character <= "\udfff" for character in cell):
                faults.add(name, line, by_position.get(position), "is not UTF-8 text")


def _table(chunk: Chunk, found: Mapping[str, int], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    kept = [place for place, row in enumerate(chunk.rows) if any(cell.strip() for cell in row)]
    values = {"line": [chunk.lines[place] for place in kept]}
    cells = {
        field: [chunk.rows[place][position].strip() or None for place in kept] for field, position in found.items()
    }
    return pa.table({**values, **cells}, schema=schema)

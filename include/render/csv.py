"""Records become a CSV file, byte for byte the same for the same records and layout.

The rules, all of RFC 4180 where it says something:

* A cell is quoted only if it contains the delimiter, a quote, CR or LF; quotes inside are doubled. Leading and trailing
  spaces are part of a value and need no quotes.
* Null and the empty text are both an empty cell. A line that would be empty, because its only cell is, is ``""``:
  readers skip blank lines.
* Text is never rewritten: line breaks stay, and a leading ``=`` stays, since machines read these files. NUL is refused.
* Every line ends with the layout's line end, the last one too. Without records the file is its header.
* Rows are ordered by the bytes of ``key``, rows of one key as they come.
* Numbers have no exponent, no thousands mark and no trailing zeros. Times are written as they are: naive wall times.

DuckDB builds each line as one text, and the buffers of its answer are written as they are.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from include.duck import column_types, connect, literal, quoted, scan
from include.errors import ConfigurationError, DataRejected
from include.files import written_whole
from include.render.cells import Dialect, cell
from include.rising import keys_rise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from include.mappings.schema import Layout, RecordField

_ROWS_AT_A_TIME = 100_000
_LINE_ENDS = {"crlf": "\r\n", "lf": "\n"}
_CODECS = {"utf-8": "utf-8", "utf-8-sig": "utf-8", "latin-1": "latin-1", "cp1252": "cp1252"}
_NUL = re.compile(b"\x00")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished file: its rows without the header, its size in bytes, and the SHA-256 of its content."""

    rows: int
    bytes: int
    sha256: str


def render_csv(records: Path, fields: Mapping[str, RecordField], layout: Layout, target: Path) -> Rendered:
    """Write the records of a Parquet file (a snapshot, or a delta) to ``target`` as the layout says.

    ``fields``: the record fields that the layout may name, with their types.

    Raises:
        ConfigurationError: the layout contradicts the fields, or its own texts cannot be written in its encoding.
        DataRejected: a column is missing or of another type, or texts cannot be written: a character that the encoding
            does not have, or NUL. Names the column and counts its rows.
    """
    texts = [
        column.field for column in layout.columns if column.field in fields and fields[column.field].type == "text"
    ]
    codec = _CODECS[layout.encoding]
    digest, size, rows = sha256(), 0, 0
    with connect(beside=target) as db, written_whole(target, "render.write_csv") as part, part.open("wb") as file:
        query = _lines_query(db, records, fields, layout)

        def write(piece: bytes | memoryview) -> int:
            digest.update(piece)
            return file.write(piece)

        size += write(_opening(layout, codec))
        for lines in db.sql(query).to_arrow_reader(_ROWS_AT_A_TIME):
            piece: bytes | memoryview = _content(lines.column(0))
            if _NUL.search(piece):
                raise _unwritable(db, records, texts, lambda text: "\x00" not in text, "contain NUL")
            if codec != "utf-8":
                try:
                    piece = str(piece, "utf-8").encode(codec)
                except UnicodeEncodeError:
                    raise _unwritable(
                        db, records, texts, _encodable(codec), f"have characters that {layout.encoding} lacks"
                    ) from None
            size += write(piece)
            rows += len(lines)
    return Rendered(rows, size, digest.hexdigest())


def _lines_query(db: DuckDBPyConnection, records: Path, fields: Mapping[str, RecordField], layout: Layout) -> str:
    """One text per record: the whole line with its end."""
    stored = column_types(db, records)
    dialect = Dialect(layout.delimiter)
    cells = [cell(column, fields, stored, dialect) for column in layout.columns]
    if len(cells) == 1:
        cells = [f"""coalesce(nullif({cells[0]}, ''), '""')"""]
    # concat() takes null for the empty text.
    line = f"concat({f', {literal(layout.delimiter)}, '.join(cells)}, {literal(_LINE_ENDS[layout.line_end])})"
    if keys_rise(records):
        return f"SELECT {line} AS line FROM {scan(records)}"
    return f"SELECT {line} AS line FROM {scan(records, numbered=True)} ORDER BY key, file_row_number"


def _opening(layout: Layout, codec: str) -> bytes:
    """What stands before the records: the byte-order mark and the header, where the layout has them."""
    mark = codecs.BOM_UTF8 if layout.encoding == "utf-8-sig" else b""
    headers = [Dialect(layout.delimiter).text(column.header) for column in layout.columns]
    line = (layout.delimiter.join(headers) or '""') + _LINE_ENDS[layout.line_end]
    own_texts = line + "".join(column.format or "" for column in layout.columns)
    if not _encodable(codec)(own_texts) or "\x00" in own_texts:
        raise ConfigurationError(
            f"The layout's headers, formats or delimiter have characters that {layout.encoding} lacks.",
            next_step="correct `layout` in the feed's mapping",
        )
    return mark + (line.encode(codec) if layout.header else b"")


def _content(column: Any) -> memoryview:
    """The bytes of an Arrow text column, end to end, without copying them."""
    _, offsets, content = column.buffers()
    if content is None:
        return memoryview(b"")
    ends = memoryview(offsets)[: (column.offset + len(column) + 1) * 4].cast("i")
    return memoryview(content)[ends[column.offset] : ends[-1]]


def _encodable(codec: str) -> Callable[[str], bool]:
    def test(text: str) -> bool:
        try:
            text.encode(codec)
        except UnicodeEncodeError:
            return False
        return True

    return test


def _unwritable(
    db: DuckDBPyConnection, records: Path, texts: list[str], writable: Callable[[str], bool], what: str
) -> DataRejected:
    """Find the columns to blame, after the fact: the fast way does not know them."""
    found = []
    for name in dict.fromkeys(texts):
        count = sum(rows for text, rows in _values(db, records, name) if not writable(text))
        if count:
            found.append(f"{count} value(s) of `{name}`")
    return DataRejected(
        f"{' and '.join(found)} {what}.",
        next_step="mend the texts in the schedule store, or choose utf-8 in the feed's layout if the partner reads it",
    )


def _values(db: DuckDBPyConnection, records: Path, name: str) -> Iterator[tuple[str, int]]:
    cursor = db.cursor()
    cursor.execute(f"SELECT {quoted(name)}, count(*) FROM {scan(records)} WHERE {quoted(name)} IS NOT NULL GROUP BY 1")
    while page := cursor.fetchmany(10_000):
        yield from page

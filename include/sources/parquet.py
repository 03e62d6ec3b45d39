"""Streams the rows of a query into a Parquet file: COPY, Arrow's CSV parser, zstd. Memory stays at one batch."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import psycopg
    import pyarrow as pa

_BATCH_BYTES = 8 * 1024 * 1024


def copy_to_parquet(
    cursor: psycopg.Cursor[tuple[object, ...]],
    query: str,
    values: Mapping[str, object],
    path: Path,
    schema: pa.Schema,
    seen: Callable[[pa.Table], None] = lambda _: None,
) -> int:
    """Write the rows of ``query`` to ``path`` with the columns of ``schema``; return how many there were.

    The query's columns are those of the schema, in order; instants must come as timestamps without zone, in UTC. An
    empty result leaves a file with the schema and no rows. ``seen`` is shown each batch.
    """
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:

        def write(lines: list[bytes]) -> int:
            batch = _parse(b"".join(lines), schema)
            seen(batch)
            writer.write_table(batch)
            return len(batch)

        lines: list[bytes] = []
        size = 0
        cursor.execute("SET LOCAL datestyle = 'ISO'")
        with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv)", values):
            for line in _rows_that_come(cursor):
                lines.append(line)
                size += len(line)
                if size >= _BATCH_BYTES:
                    rows += write(lines)
                    lines, size = [], 0
        if lines:
            rows += write(lines)
    return rows


def _rows_that_come(cursor: psycopg.Cursor[tuple[object, ...]]) -> Iterator[bytes]:
    """Each row of a COPY as the server sends it, by libpq's own functions.

    psycopg's own way starts a generator and waits for the socket for each row: two microseconds of Python, more than
    the server takes for it.

    Raises:
        psycopg.Error: what the server broke the COPY off with.
    """
    from psycopg import errors, pq

    connection = cursor.connection.pgconn
    readable = select.poll()
    readable.register(connection.socket, select.POLLIN)

    def wait() -> None:  # in Python, where a signal can interrupt it
        readable.poll()
        connection.consume_input()

    while True:
        size, row = connection.get_copy_data(1)
        if size > 0:
            yield bytes(row)
        elif size == 0:  # nothing has come yet
            wait()
        else:
            break
    results = []
    while True:  # libpq wants to be asked until there is nothing
        while connection.is_busy():
            wait()
        if (result := connection.get_result()) is None:
            break
        results.append(result)
    result = results[0] if results else None
    if result is None or result.status != pq.ExecStatus.COMMAND_OK:
        raise errors.OperationalError if result is None else errors.error_from_result(result)


def _parse(text: bytes, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    table = csv.read_csv(
        pa.BufferReader(text),
        read_options=csv.ReadOptions(column_names=schema.names, block_size=len(text) + 1, use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types={
                field.name: pa.timestamp("us") if pa.types.is_timestamp(field.type) else field.type for field in schema
            },
            # COPY writes null as nothing and an empty text as "".
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    return table.cast(schema)

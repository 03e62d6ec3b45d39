"""Reads whole tables of the schedule store as the exchange files that they are published as: COPY, piece by piece.

All tables come from one moment. Memory stays at one piece, whatever a table holds. Rows come in the order of their
key, so that equal tables give equal files, and two days' files can be compared line by line.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.effects import effect
from include.sources.moment import one_moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.sql import Composed, Identifier

    from include.schedule.files import Column, ExchangeFile
    from include.sources.moment import Cursor

_PIECE_BYTES = 256 * 1024


@contextmanager
def tables_at_one_moment(dsn: str) -> Iterator[StoredTables]:
    """Lend the tables of the schedule store as they are at one moment.

    Raises:
        SourceNotReady: the store could not be read.
    """
    with one_moment(dsn) as cursor, effect("sources.tables"):
        cursor.execute("SET LOCAL datestyle = 'ISO'")
        cursor.execute("SET LOCAL work_mem = '64MB'")  # slots are sorted: fewer runs on disk
        yield StoredTables(cursor)


@dataclass(frozen=True, slots=True)
class StoredTables:
    """The store's tables at one moment. ``copied``: of each table that was read to its end, how many rows came."""

    cursor: Cursor
    copied: dict[str, int] = field(default_factory=dict)

    def csv(self, file: ExchangeFile) -> Iterator[bytes]:
        """The file with its header line, in pieces of some hundred KiB: UTF-8, RFC 4180 with LF, empty is null."""
        lines: list[bytes] = []
        size = 0
        with self.cursor.copy(copy_statement(file)) as copy:
            for line in copy:
                lines.append(bytes(line))
                size += len(line)
                if size >= _PIECE_BYTES:
                    yield b"".join(lines)
                    lines, size = [], 0
        self.copied[file.table] = self.cursor.rowcount
        if lines:
            yield b"".join(lines)

    def count(self, file: ExchangeFile) -> int:
        """How many rows the table has."""
        from psycopg.sql import SQL

        return self._number(SQL("SELECT count(*) FROM {}").format(_table(file.table)))

    def broken_references(self, file: ExchangeFile) -> int:
        """How many values of the table refer to a row that is not there."""
        from psycopg.sql import SQL, Identifier

        broken = 0
        for column in file.columns:
            if column.references is None:
                continue
            target, key = column.references
            statement = SQL(
                "SELECT count(*) FROM {table} AS child WHERE {column} IS NOT NULL"
                " AND NOT EXISTS (SELECT FROM {target} AS parent WHERE parent.{key} = child.{column})"
            ).format(
                table=_table(file.table),
                column=Identifier(column.name),
                target=_table(target),
                key=Identifier(key),
            )
            broken += self._number(statement)
        return broken

    def _number(self, statement: Composed) -> int:
        row = self.cursor.execute(statement).fetchone()
        return int(row[0]) if row else 0


def _table(name: str) -> Identifier:
    from psycopg.sql import Identifier

    return Identifier("schedule", name)


def copy_statement(file: ExchangeFile) -> str:
    """The statement that writes a file. Sessions must run in UTC, with ISO dates."""
    from psycopg.sql import SQL, Identifier

    columns = SQL(", ").join(
        SQL("{} AS {}").format(_written(column), Identifier(column.name)) for column in file.published_columns
    )
    key = SQL(", ").join(SQL("stored.{}").format(Identifier(name)) for name in file.key)
    statement = SQL("COPY (SELECT {} FROM {} AS stored ORDER BY {}) TO STDOUT (FORMAT csv, HEADER)")
    return statement.format(columns, _table(file.table), key).as_string()


#: How a value of each type is written. A text that is empty is null to whoever reads the file: so it is written.
_WRITTEN = {
    "boolean": "{}::text",
    "decimal": "trim_scale({})",
    "local_datetime": "replace({}::text, ' ', 'T')",
    "utc_datetime": "replace(timezone('UTC', {})::text, ' ', 'T') || 'Z'",
    "time_of_day": "to_char({}, 'HH24:MI')",
}


def _written(column: Column) -> Composed:
    from psycopg.sql import SQL, Identifier

    form = "nullif({}, '')" if column.type == "text" and column.nullable else _WRITTEN.get(column.type, "{}")
    return SQL(form).format(Identifier(column.name))

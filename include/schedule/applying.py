"""Brings checked records into the store: COPY into a temporary table, then whole sets at once.

Only rows that differ are touched, so that change capture records changes and nothing else.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from include.schedule.files import MODIFIED_AT, ExchangeFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

    Connection = psycopg.Connection[tuple[object, ...]]

Mode = Literal["replace", "merge", "restore"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What an import did to one table, in rows."""

    added: int
    updated: int
    removed: int
    unchanged: int


class Staged:
    """The records of one file in a temporary table ``pg_temp.staged_<table>`` that lives as long as the transaction."""

    def __init__(self, connection: Connection, file: ExchangeFile, present: Sequence[str]) -> None:
        """``present``: the columns that the file has; all others are null or their default."""
        self._connection, self.file = connection, file
        self._table, self._staged = f"schedule.{file.table}", f"pg_temp.staged_{file.table}"
        self._present = [*present]
        self._present += [column.name for column in file.columns if column.computed and column.name not in present]
        self._all = [*file.column_names]
        if MODIFIED_AT in self._present:
            self._all.append(MODIFIED_AT)
        self.rows = 0
        connection.execute(
            f"CREATE TEMPORARY TABLE staged_{file.table} ON COMMIT DROP AS"
            f" SELECT {_names(self._all)} FROM {self._table} WITH NO DATA"
        )
        for column in file.columns:
            if column.default is not None:
                connection.execute(
                    f"""ALTER TABLE {self._staged} ALTER "{column.name}" SET DEFAULT '{column.default}'"""
                )

    def copy(self, columns: dict[str, Sequence[str]], count: int) -> None:
        """Add records, given as columns of PostgreSQL's text; ``''`` is null."""
        prepared = [_copy_text(columns[name]) for name in self._present]
        text = "\n".join(map("\t".join, zip(*prepared, strict=True))) + "\n"
        with self._connection.cursor().copy(f"COPY {self._staged} ({_names(self._present)}) FROM STDIN") as copy:
            copy.write(text)
        self.rows += count

    def add_and_update(self, mode: Mode) -> tuple[int, int]:
        """Update the rows that differ and insert the new ones; return how many were added and updated.

        A merge leaves columns alone that the file does not have.
        """
        keys = self.file.key
        compared = [name for name in (self._present if mode == "merge" else self._all) if name not in keys]
        same_key = _same_key(keys)
        self._connection.execute(f"ANALYZE {self._staged}")
        updated = 0
        if compared and mode != "restore":
            updated = self._connection.execute(
                f"UPDATE {self._table} AS target"
                f" SET {', '.join(f'{_names([name])} = staged.{_names([name])}' for name in compared)}"
                f" FROM {self._staged} AS staged WHERE {same_key}"
                f" AND ROW({_names(compared, 'target')}) IS DISTINCT FROM ROW({_names(compared, 'staged')})"
            ).rowcount
        # A slot's department is its assignment's; a trigger says so too, but not while a restore goes on.
        derived, assignments = "", ""
        if self.file.table == "schedules":
            derived, assignments = ", department_id", " JOIN schedule.assignments USING (assignment_id)"
        added = self._connection.execute(
            f"INSERT INTO {self._table} ({_names(self._all)}{derived})"
            f" SELECT {_names(self._all, 'staged')}{derived} FROM {self._staged} AS staged{assignments}"
            f" WHERE NOT EXISTS (SELECT FROM {self._table} AS target WHERE {same_key})"
        ).rowcount
        return added, updated

    def remove_absent(self) -> int:
        """Delete the rows that the file does not have; return how many."""
        return self._connection.execute(
            f"DELETE FROM {self._table} AS target"
            f" WHERE NOT EXISTS (SELECT FROM {self._staged} AS staged WHERE {_same_key(self.file.key)})"
        ).rowcount


@contextmanager
def triggers_off(connection: Connection, triggers: Sequence[tuple[str, str]]) -> Iterator[None]:
    """Switch triggers, given as (table, trigger), off for the block; ``USER`` is all of a table's but its references.

    Part of the transaction: nobody else ever sees them off. References are checked at the end of the block.
    """
    connection.execute("SET CONSTRAINTS ALL DEFERRED")  # what is refused between two files may be right after the last
    for table, trigger in triggers:
        connection.execute(f"ALTER TABLE schedule.{table} DISABLE TRIGGER {trigger}")
    yield
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")  # PostgreSQL alters no table with checks pending
    for table, trigger in triggers:
        connection.execute(f"ALTER TABLE schedule.{table} ENABLE TRIGGER {trigger}")


def _same_key(keys: Sequence[str]) -> str:
    return " AND ".join(f'target."{key}" = staged."{key}"' for key in keys)


def _names(names: Sequence[str], table: str = "") -> str:
    prefix = f"{table}." if table else ""
    return ", ".join(f'{prefix}"{name}"' for name in names)


def _copy_text(values: Sequence[str]) -> list[str]:
    """Write one column in COPY's text format."""
    joined = "".join(values)
    if "\\" in joined:
        values = [value.replace("\\", "\\\\") for value in values]
    for character, escaped in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        if character in joined:
            values = [value.replace(character, escaped) for value in values]
    return [value or "\\N" for value in values]

"""Rows as the database writes them: finished JSON objects, or finished lines of CSV. Nothing is built row by row."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from include.api.resources.resource import Narrowed, Resource
    from include.sources.moment import Cursor


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows, written: JSON objects parted by commas, or lines of CSV with CRLF, each in UTF-8.

    ``keys`` are those of the rows, in order; of a page that only its last one matters for, that one alone.
    """

    content: bytes
    count: int
    keys: tuple[str, ...]


def page_of_rows(
    resource: Resource, narrowed: Narrowed, after: str | None, limit: int, cursor: Cursor, *, as_cells: bool
) -> Rows:
    """Read one page in the order of the key, from behind ``after``; of the keys, it answers the last."""
    conditions = [] if after is None else [f"r.{resource.key} > %(after)s"]
    query = resource.row_query(narrowed, conditions, as_cells=as_cells)
    query += f" ORDER BY r.{resource.key} LIMIT {limit}"
    values = {**narrowed.values, "after": after}
    filtered = bool(narrowed.matches)
    return _read(resource, query, values, cursor, as_cells=as_cells, keys="max", filtered=filtered)


def visible_keys(resource: Resource, narrowed: Narrowed, keys: list[str], cursor: Cursor) -> frozenset[str]:
    """Which of some keys are those of rows that may be seen."""
    condition = f"{narrowed.visible('r')} AND r.{resource.key} = ANY(%(keys)s)"
    query = f"SELECT r.{resource.key} FROM {resource.table} WHERE {condition}"
    found = cursor.execute(query, {**narrowed.values, "keys": keys}, prepare=False).fetchall()
    return frozenset(key for (key,) in found)


def rows_of_keys(resource: Resource, narrowed: Narrowed, keys: list[str], cursor: Cursor, *, as_cells: bool) -> Rows:
    """Read the rows of some keys, as far as they may be seen, in the order of the key."""
    query = resource.row_query(narrowed, [f"r.{resource.key} = ANY(%(keys)s)"], as_cells=as_cells)
    query += f" ORDER BY r.{resource.key}"
    return _read(resource, query, {**narrowed.values, "keys": keys}, cursor, as_cells=as_cells, keys="array_agg")


def _read(
    resource: Resource,
    query: str,
    values: Mapping[str, Any],
    cursor: Cursor,
    *,
    as_cells: bool,
    keys: str,
    filtered: bool = True,
) -> Rows:
    if as_cells:
        return _lines(query, values, cursor)
    # One value for the whole page: the driver has nothing to do for each row. Without filters, one plan is good for all
    # pages, and planning takes as long as reading; with them, a plan for any values would not know how few they leave.
    statement = f"SELECT string_agg(row_to_json(x)::text, ','), count(*), {keys}(x.{resource.key}) FROM ({query}) AS x"
    [(content, count, found)] = cursor.execute(statement, values, prepare=not filtered).fetchall()
    listed = found if isinstance(found, list) else [] if found is None else [found]
    return Rows((content or "").encode(), count, tuple(listed))


def _lines(query: str, values: Mapping[str, Any], cursor: Cursor) -> Rows:
    with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv)", values) as copy:
        lines = [bytes(line)[:-1] for line in copy]  # one whole row each, with LF
    content = b"".join(line + b"\r\n" for line in lines)
    keys = tuple(row[0] for row in csv.reader(io.StringIO(content.decode(), newline="")))
    return Rows(content, len(lines), keys)


def tombstones(resource: Resource, gone: Iterable[tuple[str, str]], *, as_cells: bool) -> Rows:
    """Write what is gone: key, and when it went (ISO 8601 with offset)."""
    written = []
    for key, at in gone:
        told = {resource.key: key, "deleted": True, "modified_at": at}
        if as_cells:
            written.append(csv_line(["true" if name == "deleted" else told.get(name) for name in resource.columns]))
        else:
            written.append(json.dumps(told, ensure_ascii=False))
    return Rows(("" if as_cells else ",").join(written).encode(), len(written), ())


def csv_line(cells: Iterable[Any]) -> str:
    """One line of RFC 4180, with CRLF; None is an empty cell."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(list(cells))
    return line.getvalue()


def together(first: Rows, second: Rows, *, as_cells: bool) -> Rows:
    """Both, one behind the other."""
    between = b"" if as_cells or not first.count or not second.count else b","
    return Rows(first.content + between + second.content, first.count + second.count, first.keys + second.keys)

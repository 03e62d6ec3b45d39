"""Rows as the database writes them: finished JSON objects, or finished lines of CSV. Nothing is built row by row."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.types.string import ByteaBinaryLoader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from include.api.resources.resource import Narrowed, Resource
    from include.sources.moment import Cursor


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows, written: JSON objects parted by commas, or lines of CSV with CRLF, each in UTF-8.

    ``last``: the fields of the last row, as JSON has them, or as cells; empty where there is none.
    """

    content: bytes
    count: int
    last: Mapping[str, Any]


def page_of_rows(
    resource: Resource, narrowed: Narrowed, after: str | None, limit: int, cursor: Cursor, *, as_cells: bool
) -> Rows:
    """Read one page in the order of the key, from behind ``after``."""
    conditions = [] if after is None else [f"r.{resource.key} > %(after)s"]
    query = resource.row_query(narrowed, conditions, as_cells=as_cells)
    query += f" ORDER BY r.{resource.key} LIMIT {limit}"
    values = {**narrowed.values, "after": after}
    # Without filters, one plan is good for all pages, and planning takes as long as reading; with them, a plan for any
    # values would not know how few they leave.
    prepare = not narrowed.matches
    return written_rows(query, values, resource.columns, cursor, as_cells=as_cells, prepare=prepare)


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
    return written_rows(query, {**narrowed.values, "keys": keys}, resource.columns, cursor, as_cells=as_cells)


def written_rows(
    query: str,
    values: Mapping[str, Any],
    columns: Sequence[str],
    cursor: Cursor,
    *,
    as_cells: bool,
    prepare: bool = False,
) -> Rows:
    """Read the rows of a query, whose ``columns`` are those of the rows, or their cells."""
    if as_cells:
        with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv)", values) as copy:
            lines = [bytes(line)[:-1] for line in copy]  # one whole row each, with LF
        cells = csv.reader(io.StringIO(lines[-1].decode() if lines else "", newline=""))
        last = next((dict(zip(columns, row, strict=True)) for row in cells), {})
        return Rows(b"".join(line + b"\r\n" for line in lines), len(lines), last)
    # Bytes as they come, in the binary form: neither the server nor the driver turns a page into something else first.
    # One value for the whole page (string_agg, json_agg) would have the server copy it again and again.
    cursor.adapters.register_loader("json", ByteaBinaryLoader)
    found = cursor.execute(f"SELECT row_to_json(x) FROM ({query}) AS x", values, prepare=prepare, binary=True)
    objects = [written for (written,) in found.fetchall()]
    return Rows(b",".join(objects), len(objects), json.loads(objects[-1]) if objects else {})


def tombstones(resource: Resource, gone: Iterable[tuple[str, str]], *, as_cells: bool) -> Rows:
    """Write what is gone: key, and when it went (ISO 8601 with offset)."""
    written = []
    for key, at in gone:
        told = {resource.key: key, "deleted": True, "modified_at": at}
        if as_cells:
            written.append(csv_line(["true" if name == "deleted" else told.get(name) for name in resource.columns]))
        else:
            written.append(json.dumps(told, ensure_ascii=False))
    return Rows(("" if as_cells else ",").join(written).encode(), len(written), {})


def csv_line(cells: Iterable[Any]) -> str:
    """One line of RFC 4180, with CRLF; None is an empty cell."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(list(cells))
    return line.getvalue()


def together(first: Rows, second: Rows, *, as_cells: bool) -> Rows:
    """Both, one behind the other."""
    between = b"" if as_cells or not first.count or not second.count else b","
    return Rows(first.content + between + second.content, first.count + second.count, second.last or first.last)

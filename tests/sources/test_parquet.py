"""Rows of a query in a Parquet file: each value as it stands, and a broken COPY as the error of the server."""

from __future__ import annotations

import select
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.sources import parquet
from include.sources.parquet import copy_to_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Database

SCHEMA = pa.schema([("number", pa.int64()), ("text", pa.string())])
_MANY = "SELECT g, repeat('x', 100) FROM generate_series(1, 50000) AS g"


@pytest.fixture
def cursor(module_database: Database) -> Iterator[psycopg.Cursor[Any]]:
    with psycopg.connect(module_database.schedule_dsn) as connection, connection.cursor() as lent:
        yield lent


def test_every_value_arrives_as_it_stands(cursor: psycopg.Cursor[Any], tmp_path: Path) -> None:
    schema = pa.schema(
        [
            ("text", pa.string()),
            ("day", pa.date32()),
            ("at", pa.timestamp("us", tz="UTC")),
            ("yes", pa.bool_()),
            ("number", pa.int64()),
        ]
    )
    texts = ["0042", "", None, 'He said "no", twice', "one\ntwo\r\nthree", "\\N", "é 漢 😀", " spaces ", "\t"]
    query = """
        SELECT text, '2026-03-08'::date, timestamp '2026-11-01 06:30:00.000001', true, 2 ^ 53 + 1
        FROM unnest(%(texts)s::text[]) WITH ORDINALITY AS each (text, place) ORDER BY place
    """
    query = query.replace("2 ^ 53 + 1", "9007199254740993::bigint")
    assert copy_to_parquet(cursor, query, {"texts": texts}, tmp_path / "file", schema) == len(texts)
    found = pq.read_table(tmp_path / "file")
    assert found.schema.equals(schema)
    assert found["text"].to_pylist() == texts
    assert found.to_pylist()[0] == {
        "text": "0042",
        "day": date(2026, 3, 8),
        "at": datetime(2026, 11, 1, 6, 30, 0, 1, tzinfo=UTC),
        "yes": True,
        "number": 2**53 + 1,
    }


def test_no_row_leaves_a_file_with_the_columns(cursor: psycopg.Cursor[Any], tmp_path: Path) -> None:
    assert copy_to_parquet(cursor, "SELECT 1, 'x' WHERE false", {}, tmp_path / "file", SCHEMA) == 0
    assert pq.read_table(tmp_path / "file").schema.equals(SCHEMA)


def test_rows_that_come_later_are_waited_for(
    cursor: psycopg.Cursor[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []

    class Poll:
        def __init__(self) -> None:
            self._poll = select.poll()
            self.register = self._poll.register

        def poll(self) -> None:
            waited.append(self._poll.poll())

    monkeypatch.setattr(parquet, "select", SimpleNamespace(poll=Poll, POLLIN=select.POLLIN))
    # Longer than what the server collects before it sends.
    query = "SELECT g, repeat('x', 100000) || pg_sleep(0.2)::text FROM generate_series(1, 3) AS g"
    assert copy_to_parquet(cursor, query, {}, tmp_path / "file", SCHEMA) == 3
    assert len(waited) >= 3


def test_many_rows_are_written_batch_by_batch_and_in_order(
    cursor: psycopg.Cursor[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_BATCH_BYTES", 100_000)
    batches: list[int] = []
    rows = copy_to_parquet(cursor, _MANY, {}, tmp_path / "file", SCHEMA, lambda batch: batches.append(len(batch)))
    assert rows == sum(batches) == 50_000
    assert len(batches) > 10
    assert max(batches) < 2000
    assert pq.read_table(tmp_path / "file")["number"].to_pylist() == list(range(1, 50_001))
    assert cursor.execute("SELECT 1").fetchall() == [(1,)]  # the connection is free for the next one


def test_what_the_server_breaks_off_with_is_told_and_the_connection_goes_on(
    cursor: psycopg.Cursor[Any], tmp_path: Path
) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        copy_to_parquet(
            cursor, "SELECT 1 / (g - 40000), 'x' FROM generate_series(1, 50000) AS g", {}, tmp_path / "file", SCHEMA
        )
    cursor.connection.rollback()
    assert cursor.execute("SELECT 1").fetchall() == [(1,)]
    cursor.execute("SET LOCAL statement_timeout = 200")
    with pytest.raises(psycopg.errors.QueryCanceled):
        copy_to_parquet(cursor, "SELECT 1, pg_sleep(60)::text", {}, tmp_path / "file", SCHEMA)


def test_a_server_that_goes_away_in_the_midst_is_an_operational_error(
    cursor: psycopg.Cursor[Any], module_database: Database, tmp_path: Path
) -> None:
    def kill(_: pa.Table) -> None:
        with psycopg.connect(module_database.admin_dsn, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [cursor.connection.info.backend_pid])

    endless = "SELECT g, repeat('x', 1000) FROM generate_series(1, 5000000) AS g"
    with pytest.raises(psycopg.OperationalError):
        copy_to_parquet(cursor, endless, {}, tmp_path / "file", SCHEMA, kill)


def test_whatever_stops_the_reader_ends_the_copy(cursor: psycopg.Cursor[Any], tmp_path: Path) -> None:
    def stop(_: pa.Table) -> None:
        raise RuntimeError("the disk is full")

    endless = "SELECT g, repeat('x', 1000) FROM generate_series(1, 100000000) AS g"
    with pytest.raises(RuntimeError, match="the disk is full"):
        copy_to_parquet(cursor, endless, {}, tmp_path / "file", SCHEMA, stop)
    cursor.connection.rollback()
    assert cursor.execute("SELECT 1").fetchall() == [(1,)]

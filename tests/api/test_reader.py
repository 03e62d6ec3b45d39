"""What one request reads: over one connection, of one moment, and without a trace left behind."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import event

from include.api.reader import Reader
from include.database import dispose_engines, engine
from include.errors import SourceNotReady
from tests.support.api_clients import HTTP, build_app, new_client, serving, tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database


@contextmanager
def connections_taken(dsn: str) -> Iterator[list[object]]:
    """The connections that are taken of the pool of an address meanwhile, in their order."""
    found: list[object] = []
    pooled = engine(dsn)

    def note(driver: object, *_: object) -> None:
        found.append(driver)

    event.listen(pooled, "checkout", note)
    try:
        yield found
    finally:
        event.remove(pooled, "checkout", note)


def test_whatever_is_read_comes_over_one_connection_and_who_reads_nothing_takes_none(database: Database) -> None:
    with connections_taken(database.api_dsn) as taken:
        with Reader(database.api_dsn):
            pass
        assert taken == []
        with Reader(database.api_dsn) as reader:
            found = [pid_of(reader), pid_of(reader, at_one_moment=True), pid_of(reader)]
        assert (len(set(found)), len(taken)) == (1, 1)


def test_a_connection_that_was_given_back_is_taken_again(database: Database) -> None:
    with connections_taken(database.api_dsn) as taken, Reader(database.api_dsn) as reader:
        pid_of(reader)
        reader.give_back()
        assert engine(database.api_dsn).pool.checkedout() == 0  # type: ignore[attr-defined]
        pid_of(reader, at_one_moment=True)
        assert len(taken) == 2


def pid_of(reader: Reader, *, at_one_moment: bool = False) -> int:
    with reader.one_moment() if at_one_moment else reader.one_statement() as cursor:
        [(pid,)] = cursor.execute("SELECT pg_backend_pid()").fetchall()
    return int(pid)


def test_a_moment_stays_while_others_write_and_is_for_reading(database: Database) -> None:
    count = "SELECT count(*) FROM schedule.departments"
    with Reader(database.api_dsn) as reader:
        with reader.one_moment() as cursor:
            before = cursor.execute(count).fetchall()
            with psycopg.connect(database.schedule_dsn) as other:
                other.execute("INSERT INTO departments (department_id, name, time_zone) VALUES ('D', 'D', 'UTC')")
            assert cursor.execute(count).fetchall() == before
        with reader.one_moment() as cursor:
            assert cursor.execute(count).fetchall() == [(before[0][0] + 1,)]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), reader.one_moment() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE t ()")


@pytest.mark.parametrize("fails", [False, True])
def test_the_next_who_gets_the_connection_finds_it_as_it_was(database: Database, fails: bool) -> None:
    dispose_engines()  # so that there is one connection
    with Reader(database.api_dsn) as reader:
        pid = pid_of(reader)
        if fails:
            with pytest.raises(psycopg.errors.DivisionByZero), reader.one_moment() as cursor:
                cursor.execute("SELECT 1 / 0")
        else:
            pid_of(reader, at_one_moment=True)
    with engine(database.api_dsn).begin() as connection:
        driver: Any = connection.connection.driver_connection
        asked = "SELECT pg_backend_pid(), current_setting('transaction_isolation'),"
        asked += " current_setting('transaction_read_only')"
        assert driver.autocommit is False
        assert driver.execute(asked).fetchall() == [(pid, "read committed", "off")]


@pytest.mark.parametrize("in_the_pool", [False, True])
def test_a_connection_that_died_is_not_handed_on(database: Database, in_the_pool: bool) -> None:
    with Reader(database.api_dsn) as reader:
        died = pid_of(reader)
        if in_the_pool:
            reader.give_back()
        with psycopg.connect(database.admin_dsn, autocommit=True) as server:
            server.execute("SELECT pg_terminate_backend(%s, 10000)", [died])
        if not in_the_pool:
            with pytest.raises(SourceNotReady):
                pid_of(reader)
    with Reader(database.api_dsn) as reader:
        assert pid_of(reader) != died


def test_a_request_takes_one_connection_and_one_without_a_token_none(database: Database) -> None:
    client, app = new_client(database.api_dsn), build_app(database.api_dsn)
    with serving(app) as url:
        bearer = {"Authorization": f"Bearer {tokens_of(url, client)['access_token']}"}
        path = f"{url}/v1/tallies"
        assert HTTP.get(path, headers=bearer).status_code == 200  # and what is done once a minute is done
        with connections_taken(app.state.api.settings.dsn) as taken:
            assert HTTP.get(path).status_code == 401
            assert taken == []
            assert HTTP.get(path, headers=bearer).status_code == 200
            assert len(taken) == 1

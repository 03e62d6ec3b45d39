"""Engines, roles and the translation of errors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from include.database import dispose_engines, engine, prepare_database, transaction, upgrade
from include.errors import SourceNotReady

if TYPE_CHECKING:
    from pathlib import Path


def test_plain_sql_needs_no_schema_prefix(database):
    for schema in ("schedule", "ledger", "api"):
        dsn = getattr(database, f"{schema}_dsn")
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT current_schema()").fetchone() == (schema,)
            connection.execute("CREATE TABLE probe (a int)")
            assert connection.execute(f"SELECT FROM {schema}.probe").rowcount == 0


def test_the_ledger_reads_the_schedule_and_no_more(database):
    with psycopg.connect(database.schedule_dsn) as connection:
        connection.execute("CREATE TABLE probe (a int)")
    with psycopg.connect(database.ledger_dsn, autocommit=True) as connection:
        connection.execute("SELECT * FROM schedule.probe")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO schedule.probe VALUES (1)")
    with psycopg.connect(database.schedule_dsn) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE ledger.probe (a int)")


def test_the_api_reads_the_schedule_and_of_the_ledger_what_it_publishes(database):
    with psycopg.connect(database.api_dsn, autocommit=True) as connection:
        connection.execute("SELECT * FROM schedule.schedules")
        connection.execute("SELECT * FROM ledger.tally_values")
        for statement in (
            "DELETE FROM schedule.schedules",
            "SELECT * FROM ledger.run",
            "DELETE FROM ledger.tally_values",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_databases_are_fresh_and_preparing_again_changes_nothing(database):
    again = prepare_database(
        database.admin_dsn, schedule_password="schedule", ledger_password="ledger", api_password="api"
    )
    assert (again.schedule_dsn, again.ledger_dsn) == (database.schedule_dsn, database.ledger_dsn)
    assert again.api_dsn == database.api_dsn
    with psycopg.connect(database.schedule_dsn) as connection:
        assert connection.execute("SELECT to_regclass('probe')").fetchone() == (None,)


def test_an_unreachable_database_is_not_ready(postgres):
    with pytest.raises(SourceNotReady) as caught, transaction("postgresql://nobody:secret@127.0.0.1:1/none"):
        pytest.fail("there is no such server")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    dispose_engines()


def test_a_wrong_statement_stays_what_it_is_and_shows_no_values(database):
    with pytest.raises(ProgrammingError) as caught, transaction(database.schedule_dsn) as connection:
        connection.execute(text("SELECT * FROM nowhere WHERE name = :name"), {"name": "Dr. Somebody"})
    assert "Somebody" not in str(caught.value)


def test_a_connection_that_died_is_replaced(database):
    with transaction(database.schedule_dsn) as connection:
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with psycopg.connect(database.admin_dsn) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
    with transaction(database.schedule_dsn) as connection:
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != backend


def test_a_forked_child_gets_its_own_engine(database):
    parents = engine(database.schedule_dsn)
    child = os.fork()
    if child == 0:
        os._exit(0 if engine(database.schedule_dsn) is not parents else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_failed_migration_leaves_nothing(database, tmp_path: Path):
    versions = tmp_path / "versions"
    versions.mkdir()
    (versions / "0001_bad.py").write_text(
        "from alembic import op\nrevision='bad'\ndown_revision=None\n"
        "def upgrade():\n    op.execute('CREATE TABLE half (a int)')\n    op.execute('SELECT nonsense')\n"
    )
    with psycopg.connect(database.admin_dsn) as connection:
        connection.execute("CREATE SCHEMA other AUTHORIZATION callboard_ledger")
    with pytest.raises(ProgrammingError):
        upgrade(database.ledger_dsn, tmp_path, "other")
    with psycopg.connect(database.admin_dsn) as connection:
        assert connection.execute("SELECT to_regclass('other.half')").fetchone() == (None,)

    (versions / "0001_bad.py").write_text(
        "from alembic import op\nrevision='good'\ndown_revision=None\n"
        "def upgrade():\n    op.execute('CREATE TABLE whole (a int)')\n"
    )
    upgrade(database.ledger_dsn, tmp_path, "other")
    upgrade(database.ledger_dsn, tmp_path, "other")
    with psycopg.connect(database.admin_dsn) as connection:
        assert connection.execute("SELECT version_num FROM other.alembic_version").fetchone() == ("good",)
        assert connection.execute("SELECT count(*) FROM other.whole").fetchone() == (0,)

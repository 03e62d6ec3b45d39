"""Connections to the database `callboard`: engines, roles and schemas, migrations, and the translation of its errors.

Addresses are ``postgresql://`` URIs. Sessions run in UTC. Nothing here knows a table.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import SourceNotReady

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from sqlalchemy import Connection, Engine

SCHEDULE_ROLE, LEDGER_ROLE, API_ROLE = "callboard_schedule", "callboard_ledger", "callboard_api"

_SESSION = "-c timezone=UTC -c lock_timeout=30s -c statement_timeout=10min -c idle_in_transaction_session_timeout=10min"
_engines: dict[tuple[str, int], Engine] = {}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the owners of the three schemas connect."""

    schedule_dsn: str
    ledger_dsn: str
    api_dsn: str


def engine(dsn: str) -> Engine:
    """Return this process's engine for ``dsn``: psycopg 3, a pool that grows on demand and notices dead connections.

    A forked child gets an engine of its own. Error messages never show the values of a statement. The address may have
    ``options`` of its own, as :func:`with_statement_timeout` gives it; they count more than those of all sessions.
    """
    from sqlalchemy import create_engine, make_url

    key = (dsn, os.getpid())  # a connection must never be shared with a forked child
    if key not in _engines:
        url = make_url(dsn).set(drivername="postgresql+psycopg")
        _engines[key] = create_engine(
            url,
            pool_pre_ping=True,
            pool_size=10,  # grows on demand; who serves requests needs them, and opening one takes longer than a page
            max_overflow=10,
            hide_parameters=True,
            connect_args={
                "application_name": "callboard",
                "connect_timeout": 10,
                "tcp_user_timeout": 60_000,  # milliseconds without an answer to what was sent
                "options": f"{_SESSION} {url.query.get('options', '')}".rstrip(),  # of two, the last one counts
            },
        )
    return _engines[key]


def with_statement_timeout(dsn: str, seconds: int) -> str:
    """``dsn`` for whoever must not wait long: its statements are broken off after ``seconds``, as if it did not answer.

    The engine is another than that of ``dsn``.
    """
    from sqlalchemy import make_url

    url = make_url(dsn)
    options = f"{url.query.get('options', '')} -c statement_timeout={seconds}s".lstrip()
    return url.update_query_dict({"options": options}).render_as_string(hide_password=False)


def dispose_engines() -> None:
    """Close the idle connections of this process, whatever their address."""
    for (_, process), connected in list(_engines.items()):
        if process == os.getpid():
            connected.dispose()
    _engines.clear()


@contextmanager
def transaction(dsn: str, *, user: str | None = None) -> Iterator[Connection]:
    """Run the block in one transaction; ``user`` is who the change log will name (default: the database role).

    Raises:
        SourceNotReady: the database could not be reached, or broke off.
    """
    from sqlalchemy import text

    with not_ready_errors(), engine(dsn).begin() as connection:
        if user is not None:
            connection.execute(text("SELECT set_config('callboard.user', :user, true)"), {"user": user})
        yield connection


@contextmanager
def not_ready_errors() -> Iterator[None]:
    """Translate what the database's absence raises, and nothing else: a wrong statement stays what it is.

    Raises:
        SourceNotReady: it could not be reached, broke off, timed out, or asked to try again (a deadlock).
    """
    import psycopg
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    try:
        yield
    except (OperationalError, PoolTimeout, psycopg.OperationalError) as error:
        original = getattr(error, "orig", error)
        state = getattr(original, "sqlstate", None)
        raise SourceNotReady(
            f"The database did not answer ({type(original).__name__}{f', SQLSTATE {state}' if state else ''}).",
            next_step="look whether PostgreSQL runs and CALLBOARD_*_DSN points at it; the task tries again",
        ) from None  # the original quotes rows and addresses


def upgrade(dsn: str, script_location: Path, schema: str) -> None:
    """Apply what is missing of the migrations below ``script_location``/versions to ``schema``. Safe to repeat.

    All or nothing, one process at a time. The version is kept in the schema's own table ``alembic_version``.

    Raises:
        SourceNotReady: the database could not be reached.
    """
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import text

    config = Config()
    # One env.py serves all schemas: it only runs the migrations on the connection that is handed over here.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(script_location / "versions").replace("%", "%%"))
    with transaction(dsn) as connection:
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtext(:what))"), {"what": f"callboard.migrate.{schema}"}
        )
        connection.execute(text("SELECT set_config('search_path', quote_ident(:schema), true)"), {"schema": schema})
        config.attributes.update(connection=connection, schema=schema)
        command.upgrade(config, "head")


def prepare_database(admin_dsn: str, *, schedule_password: str, ledger_password: str, api_password: str) -> Addresses:
    """Create the database that ``admin_dsn`` names, with a role and a schema of its own for each owner.

    The roles find their schema without a prefix. The ledger's and the API's may read the schedule, and the API's
    of the ledger what its migrations say. Safe to repeat; passwords are set to those given.

    Raises:
        SourceNotReady: the server could not be reached.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    name = str(conninfo_to_dict(admin_dsn)["dbname"])
    with not_ready_errors():
        with psycopg.connect(admin_dsn, dbname="postgres", autocommit=True) as server:
            _create_database(server, name)
        with psycopg.connect(admin_dsn) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('callboard.prepare'))")
            _create_owner(connection, name, SCHEDULE_ROLE, "schedule", schedule_password)
            _create_owner(connection, name, LEDGER_ROLE, "ledger", ledger_password)
            _create_owner(connection, name, API_ROLE, "api", api_password)
            readers = f"{LEDGER_ROLE}, {API_ROLE}"
            connection.execute(
                f"GRANT USAGE ON SCHEMA schedule TO {readers};"
                f"GRANT SELECT ON ALL TABLES IN SCHEMA schedule TO {readers};"
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {SCHEDULE_ROLE} IN SCHEMA schedule"
                f" GRANT SELECT ON TABLES TO {readers};"
                f"GRANT USAGE ON SCHEMA ledger TO {API_ROLE}"
            )
    return Addresses(
        schedule_dsn=_address(admin_dsn, SCHEDULE_ROLE, schedule_password),
        ledger_dsn=_address(admin_dsn, LEDGER_ROLE, ledger_password),
        api_dsn=_address(admin_dsn, API_ROLE, api_password),
    )


def _create_database(server: psycopg.Connection[tuple[object, ...]], name: str) -> None:
    from psycopg import errors, sql

    if server.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount:
        return
    try:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except (errors.DuplicateDatabase, errors.UniqueViolation):
        pass  # another process was faster
    else:
        server.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def _create_owner(
    connection: psycopg.Connection[tuple[object, ...]], database: str, role: str, schema: str, password: str
) -> None:
    from psycopg import sql

    parts = {
        "role": sql.Identifier(role),
        "schema": sql.Identifier(schema),
        "database": sql.Identifier(database),
        "password": sql.Literal(password),
    }
    if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount:
        connection.execute(sql.SQL("CREATE ROLE {role} LOGIN").format(**parts))
    connection.execute(
        sql.SQL(
            "ALTER ROLE {role} PASSWORD {password};"
            "GRANT {role} TO CURRENT_USER;"  # without it only a superuser could hand the schema over
            "CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {role};"
            "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role};"
            "ALTER ROLE {role} IN DATABASE {database} SET search_path = {schema}"
        ).format(**parts)
    )


def _address(admin_dsn: str, role: str, password: str) -> str:
    from sqlalchemy import make_url

    return make_url(admin_dsn).set(username=role, password=password).render_as_string(hide_password=False)

"""What tests of several rooms share: a real PostgreSQL, and a fresh, migrated database for each test that asks."""

from __future__ import annotations

import shutil
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.platform.postgres import EmbeddedPostgres

_PASSWORDS = {"schedule_password": "schedule", "ledger_password": "ledger", "api_password": "api"}
_TEMPLATE = "callboard_template"
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Database:
    """One test's database, migrated and empty: the addresses of the superuser and of the three owners."""

    admin_dsn: str
    schedule_dsn: str
    ledger_dsn: str
    api_dsn: str


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One server for the tests of this process (each pytest-xdist worker has its own); it starts in under a second."""
    from include.database import dispose_engines
    from include.errors import ConfigurationError
    from include.platform.postgres import EmbeddedPostgres

    folder = tmp_path_factory.mktemp("postgres")
    for attempt in range(5):
        server = EmbeddedPostgres(folder / "server", free_port(), durable=False)
        try:
            server.start()
            break
        except ConfigurationError as error:  # somebody took the port meanwhile
            if "Port" not in str(error) or attempt == 4:
                raise
    yield server
    dispose_engines()
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _template(postgres: EmbeddedPostgres) -> str:
    from include.database import dispose_engines
    from include.platform.databases import prepare_and_migrate

    prepare_and_migrate(postgres.admin_dsn(_TEMPLATE), **_PASSWORDS)
    dispose_engines()  # a database with connections cannot be a template
    return _TEMPLATE


@pytest.fixture
def database(postgres: EmbeddedPostgres, _template: str) -> Iterator[Database]:
    """Clone a fresh, migrated, empty database; it is dropped afterwards."""
    with _clone(postgres) as clone:
        yield clone


@pytest.fixture(scope="module")
def module_database(postgres: EmbeddedPostgres, _template: str) -> Iterator[Database]:
    """The same, one for all tests of a module: where filling it is dear, and they do not disturb each other."""
    with _clone(postgres) as clone:
        yield clone


@contextmanager
def _clone(postgres: EmbeddedPostgres) -> Iterator[Database]:
    import psycopg

    from include.database import dispose_engines, prepare_database

    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres.admin_dsn(), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY file_copy")
        addresses = prepare_database(postgres.admin_dsn(name), **_PASSWORDS)  # a clone has no role settings yet
        yield Database(postgres.admin_dsn(name), addresses.schedule_dsn, addresses.ledger_dsn, addresses.api_dsn)
        dispose_engines()
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")

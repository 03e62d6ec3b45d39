"""Airflow's own database: made by :func:`create_airflow_database`, then brought up to date by this module as a program.

`python -m include.platform.airflow_database` is a process of its own, because importing Airflow takes seconds that
other preparations can use. In one go: the tables, the administrator's account (without building FAB's whole web
application for it), and the end of jobs that were killed. That end is for `make run` alone, which knows that nothing of
Airflow lives; where schedulers may be at work, :mod:`include.platform.prepare` does the rest.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg


def create_airflow_database(admin_dsn: str, name: str, password: str, *, owner: str | None = None) -> None:
    """Create the database ``name`` and its ``owner`` where they are missing; set the owner's password. Safe to repeat.

    The owner is called like the database unless it is named.

    Its commits do not wait for the disk: Airflow makes thousands of small ones. A killed server may forget its last
    half second of Airflow's bookkeeping, and a task then runs again, which the ledger makes harmless.
    """
    import psycopg
    from psycopg import sql

    role, database = sql.Identifier(owner or name), sql.Identifier(name)
    with psycopg.connect(admin_dsn, autocommit=True) as server:
        if not server.execute("SELECT FROM pg_roles WHERE rolname = %s", [owner or name]).rowcount:
            server.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        server.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(password)))
        if not server.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount:
            server.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))  # a managed server has no real superuser
            server.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
            server.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        server.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(database))


def main() -> int:
    """Prepare it for ``CALLBOARD_AIRFLOW_USER`` with ``CALLBOARD_AIRFLOW_PASSWORD``, and end the jobs of the dead."""
    import psycopg

    dsn = os.environ["CALLBOARD_AIRFLOW_DSN"]
    bring_up_to_date(dsn, os.environ["CALLBOARD_AIRFLOW_USER"], os.environ["CALLBOARD_AIRFLOW_PASSWORD"])
    with psycopg.connect(dsn, autocommit=True) as connection:
        end_jobs_of_dead_processes(connection)
    return 0


def bring_up_to_date(dsn: str, user: str, password: str) -> None:
    """Migrate, and let ``user`` sign in with ``password`` as an administrator.

    Which versions made the tables is noted in the database itself, so that a later start of the same versions costs a
    fraction of a second.
    """
    import psycopg
    from psycopg import errors, sql

    with psycopg.connect(dsn, autocommit=True) as connection:
        if _noted(connection) == _versions() and _signs_in(connection, user, password):
            return
        migrate()
        set_administrator(user, password)
        name = sql.Identifier(connection.info.dbname)
        with suppress(errors.InsufficientPrivilege):  # somebody else owns the database: it is looked through each time
            connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(_versions())))


def _versions() -> str:
    packages = ("apache-airflow-core", "apache-airflow-providers-fab")
    return "Tables of " + ", ".join(f"{package} {version(package)}" for package in packages)


def _noted(connection: psycopg.Connection[Any]) -> str | None:
    statement = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
    row = connection.execute(statement).fetchone()
    return row[0] if row else None


def _signs_in(connection: psycopg.Connection[Any], user: str, password: str) -> bool:
    from werkzeug.security import check_password_hash

    row = connection.execute("SELECT password FROM ab_user WHERE username = %s AND active", [user]).fetchone()
    return row is not None and row[0] is not None and check_password_hash(row[0], password)


def migrate() -> None:
    """Bring the tables up to date, those of the FAB auth manager too."""
    from airflow.utils.db import upgradedb
    from airflow.utils.providers_configuration_loader import providers_configuration_loaded

    providers_configuration_loaded(upgradedb)()


def set_administrator(user_name: str, password: str) -> None:
    """Create the account with the role Admin, or give it this password.

    Airflow's API server fills the role with its permissions when it starts.
    """
    from airflow.providers.fab.auth_manager.models import Role, User
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from werkzeug.security import check_password_hash, generate_password_hash

    with create_session() as session:
        role = session.scalar(select(Role).where(Role.name == "Admin"))
        if role is None:
            role = Role(name="Admin")
            session.add(role)
        user = session.scalar(select(User).where(User.username == user_name))
        if user is None:
            user = User(
                username=user_name, first_name="Callboard", last_name="Administrator", email=f"{user_name}@localhost"
            )
            session.add(user)
        if not user.password or not check_password_hash(user.password, password):
            user.password = generate_password_hash(password, method="scrypt")
        user.active = True
        if role not in user.roles:
            user.roles.append(role)


def end_jobs_of_dead_processes(connection: psycopg.Connection[Any]) -> None:
    """Mark every running job as failed: this is called while no process of Airflow lives.

    A new scheduler then takes the killed one's tasks over at once, instead of waiting for missed heartbeats.
    """
    connection.execute("UPDATE job SET state = 'failed' WHERE state = 'running'")


if __name__ == "__main__":
    sys.exit(main())

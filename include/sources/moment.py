"""One moment of the database: whatever is read in the block belongs together."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from include.database import engine, not_ready_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    Cursor = psycopg.Cursor[tuple[Any, ...]]


@contextmanager
def one_moment(dsn: str) -> Iterator[Cursor]:
    """One REPEATABLE READ, read-only transaction: everything in the block sees the store at one moment.

    Raises:
        SourceNotReady: the store could not be read.
    """
    options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with not_ready_errors(), engine(dsn).connect().execution_options(**options) as connection, connection.begin():
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor:
            yield cursor

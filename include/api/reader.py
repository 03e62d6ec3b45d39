"""What one request reads of the database: over one connection, which is taken when it is needed first.

What a request writes (Workday's records, nonces that are forgotten) goes by transactions of its own.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

from include.database import engine, not_ready_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from include.sources.moment import Cursor

_AT_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class Reader:
    """Reads for one request; the connection goes back to its pool at the end of the block ``with Reader(dsn)``.

    ``dsn`` is the API's role's. A request that is refused before anything is read takes no connection.
    """

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._taken = ExitStack()
        self._driver: psycopg.Connection[tuple[Any, ...]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Give the connection back, before something that takes long; the next reading takes one again."""
        self._driver = None
        self._taken.close()

    @contextmanager
    def one_statement(self) -> Iterator[Cursor]:
        """For a block that reads by one statement: what that sees is one moment without a transaction around it.

        It goes to the server and back once for the statement, instead of four times.

        Raises:
            SourceNotReady: the database could not be read.
        """
        with not_ready_errors(), self._connection().cursor() as cursor:
            yield cursor

    @contextmanager
    def one_moment(self) -> Iterator[Cursor]:
        """One REPEATABLE READ, read-only transaction: everything in the block sees the database at one moment.

        As :func:`include.sources.moment.one_moment`, over this connection. Not for a block within another.

        Raises:
            SourceNotReady: the database could not be read.
        """
        with not_ready_errors(), self._connection().transaction(), self._connection().cursor() as cursor:
            cursor.execute(_AT_ONE_MOMENT)
            yield cursor

    def _connection(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._driver is None:
            connection = self._taken.enter_context(engine(self.dsn).connect())
            driver: Any = connection.execution_options(isolation_level="AUTOCOMMIT").connection.driver_connection
            self._driver = driver
        return self._driver

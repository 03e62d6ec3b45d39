"""Waiting for a database that is still coming up, and one after the other where two want the same of it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from include.database import not_ready_errors
from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Whoever starts everything at once starts the database, too; one that is not there by then will not come.
PATIENCE_SECONDS = 120.0
_LOOK_SECONDS = 0.5
_TURN_SECONDS = 900  # another's whole preparation on a slow machine
#: What a server says of an account or a database; waiting changes nothing.
_REFUSALS = ("28P01", "28000", "3D000")
_REFUSED_WORDS = ("password authentication failed", "does not exist", "no pg_hba.conf entry")


def wait_for_database(dsn: str, say: Callable[[str], None], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Return when the server answers; ``say`` hears once that it has to be waited for.

    Raises:
        ConfigurationError: it refuses the account or has no such database, or does not answer in ``seconds``.
    """
    import psycopg

    deadline = time.monotonic() + seconds
    place = _place(dsn)
    waited = False
    while True:
        try:
            psycopg.connect(dsn, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if error.sqlstate in _REFUSALS or any(words in str(error) for words in _REFUSED_WORDS):
                raise ConfigurationError(
                    f"The database server at {place} refuses this account, or has no such database.",
                    next_step="compare user, password and database with the server's, or set CALLBOARD_ADMIN_DSN "
                    "to have them made",
                ) from None
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"No database answers at {place} after {seconds:.0f} s.",
                    next_step="start it, or correct the address",
                ) from None
            if not waited:
                say(f"waiting for the database at {place}")
                waited = True
            time.sleep(_LOOK_SECONDS)
        else:
            return


@contextmanager
def one_at_a_time(dsn: str, what: str) -> Iterator[None]:
    """Run the block while no other process is in one of the same name; the server lets go of it however this one ends.

    Raises:
        SourceNotReady: the database could not be reached, or another takes longer than a preparation can.
    """
    import psycopg

    with not_ready_errors(), psycopg.connect(dsn, autocommit=True, application_name=f"callboard {what}") as connection:
        connection.execute(f"SET lock_timeout = '{_TURN_SECONDS}s'")
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [f"callboard.{what}"])
        yield


def _place(dsn: str) -> str:
    """Where it is, without user and password."""
    parts = urlsplit(dsn)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}"

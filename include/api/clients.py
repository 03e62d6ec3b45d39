"""The clients of the API: who they are, their secrets, and what they may read.

A client's secret is known to whoever was given it, and to nobody here: what is kept is its hash
(:mod:`include.api.tokens`). Every function works in the caller's transaction, but :func:`ensure_client`.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import TYPE_CHECKING

from sqlalchemy import text

from include.api import tokens
from include.api.families import revoke_all
from include.api.scopes import SCOPES, Grant
from include.database import transaction
from include.errors import ConfigurationError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

#: How long a rotated secret is still good: its client is told the new one meanwhile.
GRACE = timedelta(hours=24)
_LONGEST_NAME = 100
_SHORTEST_SECRET = 32  # characters of one that was made elsewhere


@dataclass(frozen=True, slots=True)
class Client:
    """A client as people see it. ``departments`` ``None``: all. Times are UTC; the last one is of its newest tokens."""

    client_id: str
    name: str
    scopes: tuple[str, ...]
    departments: tuple[str, ...] | None
    refreshes: bool
    created_at: datetime
    revoked_at: datetime | None
    last_token_at: datetime | None


@dataclass(frozen=True, slots=True)
class Known:
    """What the token endpoint needs of a client that was not revoked."""

    client_id: str
    grant: Grant
    refreshes: bool
    hashes: tuple[bytes, ...] = field(repr=False)

    def has_secret(self, secret: str) -> bool:
        """Whether this is one of its secrets; takes as long for every wrong one."""
        hashed, found = tokens.digest(secret), False
        for known in self.hashes:
            found |= hmac.compare_digest(hashed, known)
        return found

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether it may come with this ``grant_type``; Authlib's grants ask."""
        return grant_type == "client_credentials" or (grant_type == "refresh_token" and self.refreshes)


def hold(connection: Connection, client_id: str) -> None:
    """Let nobody change a client or its secrets before this transaction ends; waits for whoever is at it.

    What :func:`find` answers afterwards is still true when the transaction is committed: tokens are either there when
    a leaked secret's tokens are ended, or not made at all.
    """
    connection.execute(text("SELECT FROM client WHERE client_id = :client_id FOR SHARE"), {"client_id": client_id})


def find(connection: Connection, client_id: str, now: datetime) -> Known | None:
    """Look up a client that may have tokens, with the secrets that are good now."""
    if not tokens.plausible(client_id):
        return None
    row = connection.execute(
        text(
            """
            SELECT client_id, scopes, departments, refreshes, ARRAY(
                SELECT hash FROM client_secret s
                WHERE s.client_id = client.client_id AND (expires_at IS NULL OR expires_at > :now)
            ) AS hashes
            FROM client WHERE client_id = :client_id AND revoked_at IS NULL
            """
        ),
        {"client_id": client_id, "now": now},
    ).one_or_none()
    if row is None:
        return None
    departments = None if row.departments is None else frozenset(row.departments)
    return Known(
        row.client_id,
        Grant(frozenset(row.scopes), departments),
        row.refreshes,
        tuple(bytes(one) for one in row.hashes),
    )


def add(
    connection: Connection,
    name: str,
    scopes: Sequence[str] = (),
    departments: Sequence[str] = (),
    *,
    refreshes: bool = True,
) -> tuple[Client, str]:
    """Make a client for some scopes and departments, all of them where none are named; it, and its secret.

    Raises:
        ConfigurationError: its name is empty, too long or cannot be shown.
        UnknownName: there is no such scope or department.
    """
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ConfigurationError(
            f"A client's name has 1 to {_LONGEST_NAME} characters on one line.",
            next_step="name it after the system and the people who run it",
        )
    _check_scopes(scopes)
    missing = unknown_departments(connection, departments)
    if missing:
        raise UnknownName(
            f"There is no department {', '.join(missing)}.",
            next_step="take the department_id of departments.csv, or import the department first",
        )
    client_id, secret, now = f"cbc_{token_hex(8)}", tokens.new(tokens.SECRET), datetime.now(UTC)
    _write(connection, client_id, name.strip(), scopes, departments or None, now, refreshes=refreshes)
    _add_secret(connection, client_id, secret, now)
    return get(connection, client_id), secret


def rotate(connection: Connection, client_id: str, grace: timedelta = GRACE) -> tuple[Client, str]:
    """Give a client a new secret; the ones it has end after ``grace``. It, and the new secret.

    Without any grace, as after a leak, all its tokens end with the old secret.

    Raises:
        UnknownName: there is no such client, or it was revoked.
    """
    # Waits for the tokens that are just being given, so that they end with the others.
    connection.execute(text("SELECT FROM client WHERE client_id = :client_id FOR UPDATE"), {"client_id": client_id})
    now, secret = datetime.now(UTC), tokens.new(tokens.SECRET)
    client = get(connection, client_id)
    if client.revoked_at is not None:
        raise UnknownName(
            f"The client {client_id} was revoked.", next_step="add a new one with `callboard clients add`"
        )
    if grace:
        _end_secrets(connection, client_id, now + grace)
    else:
        # Not by a time: the clock of whoever gives tokens may be behind this one.
        connection.execute(text("DELETE FROM client_secret WHERE client_id = :client_id"), {"client_id": client_id})
        revoke_all(connection, client_id, "secret", now)
    _add_secret(connection, client_id, secret, now)
    return client, secret


def revoke(connection: Connection, client_id: str) -> Client:
    """End a client for good: its secrets and tokens open nothing from the next request on. Safe to repeat.

    Raises:
        UnknownName: there is no such client.
    """
    now = datetime.now(UTC)
    # Before anything else of it: waits for the tokens that are just being given.
    connection.execute(
        text("UPDATE client SET revoked_at = :now WHERE client_id = :client_id AND revoked_at IS NULL"),
        {"client_id": client_id, "now": now},
    )
    _end_secrets(connection, client_id, now)
    revoke_all(connection, client_id, "asked", now)
    return get(connection, client_id)


def every(connection: Connection, client_id: str | None = None) -> list[Client]:
    """All clients, the revoked ones too, by name; or the one that is asked for."""
    rows = connection.execute(
        text(
            """
            SELECT client_id, name, scopes, departments, refreshes, created_at, revoked_at, (
                SELECT max(at) FROM access_log l
                WHERE l.client_id = client.client_id AND event IN ('issued', 'refreshed')
            ) AS last_token_at
            FROM client WHERE CAST(:client_id AS text) IS NULL OR client_id = :client_id ORDER BY name, client_id
            """
        ),
        {"client_id": client_id},
    )
    return [
        Client(
            row.client_id,
            row.name,
            tuple(scope for scope in SCOPES if scope in row.scopes),
            None if row.departments is None else tuple(row.departments),
            row.refreshes,
            row.created_at,
            row.revoked_at,
            row.last_token_at,
        )
        for row in rows
    ]


def get(connection: Connection, client_id: str) -> Client:
    """One client.

    Raises:
        UnknownName: there is no such client.
    """
    found = every(connection, client_id)
    if not found:
        raise UnknownName(f"There is no client {client_id}.", next_step="see `callboard clients list` for their IDs")
    return found[0]


def unknown_departments(connection: Connection, departments: Sequence[str] | frozenset[str]) -> list[str]:
    """Which of these departments the schedule store does not have."""
    if not departments:
        return []
    known = connection.execute(
        text("SELECT department_id FROM schedule.departments WHERE department_id = ANY(:asked)"),
        {"asked": list(departments)},
    ).scalars()
    return sorted(set(departments) - set(known))


def ensure_client(
    dsn: str,
    client_id: str,
    secret: str,
    name: str,
    scopes: Sequence[str] = (),
    departments: Sequence[str] | None = None,
) -> None:
    """Make a client exist under a given id with the given secret, and no other; for the platform's own. Safe to repeat.

    Scopes left out mean all of them, departments ``None`` likewise. One that was revoked is good again.

    Raises:
        ConfigurationError: the secret is too short, or secret or id have characters that cannot be sent.
        UnknownName: there is no such scope.
        SourceNotReady: the database could not be reached.
    """
    if len(secret) < _SHORTEST_SECRET or not (tokens.plausible(secret) and tokens.plausible(client_id)):
        raise ConfigurationError(
            f"A client's id and secret are printable ASCII without spaces, the secret {_SHORTEST_SECRET} characters or"
            " more.",
            next_step="make the secret with `python -c 'import secrets; print(secrets.token_urlsafe(32))'`",
        )
    _check_scopes(scopes)
    now = datetime.now(UTC)
    with transaction(dsn) as connection:
        _write(connection, client_id, name, scopes, departments, now, refreshes=True)
        connection.execute(
            text("DELETE FROM client_secret WHERE client_id = :client_id AND hash <> :hash"),
            {"client_id": client_id, "hash": tokens.digest(secret)},
        )
        _add_secret(connection, client_id, secret, now)


def _check_scopes(scopes: Sequence[str]) -> None:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise UnknownName(f"There is no scope {', '.join(unknown)}.", next_step=f"choose of {', '.join(SCOPES)}")


def _write(
    connection: Connection,
    client_id: str,
    name: str,
    scopes: Sequence[str],
    departments: Sequence[str] | None,
    now: datetime,
    *,
    refreshes: bool,
) -> None:
    connection.execute(
        text(
            """
            INSERT INTO client (client_id, name, scopes, departments, refreshes, created_at)
            VALUES (:client_id, :name, :scopes, :departments, :refreshes, :now)
            ON CONFLICT (client_id) DO UPDATE SET name = excluded.name, scopes = excluded.scopes,
                departments = excluded.departments, refreshes = excluded.refreshes, revoked_at = NULL
            """
        ),
        {
            "client_id": client_id,
            "name": name,
            "scopes": sorted(set(scopes or SCOPES)),
            "departments": None if departments is None else sorted(set(departments)),
            "refreshes": refreshes,
            "now": now,
        },
    )


def _add_secret(connection: Connection, client_id: str, secret: str, now: datetime) -> None:
    connection.execute(
        text(
            """
            INSERT INTO client_secret (hash, client_id, created_at) VALUES (:hash, :client_id, :now)
            ON CONFLICT (client_id, hash) DO UPDATE SET expires_at = NULL
            """
        ),
        {"hash": tokens.digest(secret), "client_id": client_id, "now": now},
    )


def _end_secrets(connection: Connection, client_id: str, at: datetime) -> None:
    connection.execute(
        text(
            """
            UPDATE client_secret SET expires_at = :at
            WHERE client_id = :client_id AND (expires_at IS NULL OR expires_at > :at)
            """
        ),
        {"client_id": client_id, "at": at},
    )

"""Families of tokens: what one use of a client's credentials gave, and everything that was refreshed from it.

A refresh token is used once. For ``tokens.SAME_ANSWER`` seconds it gets the answer of that first use again, so that an
answer that was lost on its way costs nothing; afterwards its use means that two have it, and ends the whole family.
Whoever needs a family's rows locks the family first: of a hundred uses at the same moment one rotates, and the others
find what it did. Every function works in the caller's transaction, but :func:`find_access`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from sqlalchemy import text

from include.api import nonces, tokens
from include.api.scopes import Grant

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Connection

    from include.api.reader import Reader
    from include.api.settings import ApiSettings

_LASTS = timedelta(seconds=tokens.LASTS)
#: How long a family is remembered after all of it has ended; until then its refresh tokens are known as used.
_REMEMBERED = timedelta(days=1)
_ACCESS = """
    SELECT t.scopes, t.departments, c.scopes, c.departments, c.client_id
    FROM access_token t JOIN family f USING (family_id) JOIN client c USING (client_id)
    WHERE t.hash = %(hash)s AND t.expires_at > %(now)s
        AND t.revoked_at IS NULL AND f.revoked_at IS NULL AND c.revoked_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token that may be used, with its family locked; ``nonce`` if it was used just now already."""

    token: str = field(repr=False)
    family_id: UUID
    client_id: str
    grant: Grant
    ends_at: datetime
    nonce: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Issued:
    """Tokens as they are handed out, and never stored."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)


class Reused(Exception):
    """A refresh token came back too late; its family has ended."""


def start(
    connection: Connection, client_id: str, grant: Grant, now: datetime, settings: ApiSettings, *, refresh: bool
) -> Issued:
    """Begin a family; the tokens of a client's grant, with a refresh token if it is to have one."""
    _forget(connection, client_id, now)
    issued = Issued(tokens.new(tokens.ACCESS), tokens.new(tokens.REFRESH) if refresh else None)
    family_id, ends_at = uuid4(), now + settings.family
    connection.execute(
        text(
            """
            INSERT INTO family (family_id, client_id, scopes, departments, created_at, ends_at, idle_at)
            VALUES (:family_id, :client_id, :scopes, :departments, :now, :ends_at, :now)
            """
        ),
        {"family_id": family_id, "client_id": client_id, **_columns(grant), "now": now, "ends_at": ends_at},
    )
    if issued.refresh:
        _insert_refresh(connection, issued.refresh, family_id, min(now + settings.idle, ends_at))
    _insert_access(connection, issued.access, family_id, grant, now)
    return issued


def present(connection: Connection, token: str, client_id: str, now: datetime) -> Presented | None:
    """Find a refresh token that ``client_id`` may use now; ``None`` where there is none.

    Raises:
        Reused: it was used before, and not just now; its family is over, which the caller must commit.
    """
    if not tokens.plausible(token):
        return None
    hashed = tokens.digest(token)
    family = (
        connection.execute(
            text(
                """
                SELECT * FROM family WHERE family_id = (SELECT family_id FROM refresh_token WHERE hash = :hash)
                FOR UPDATE
                """
            ),
            {"hash": hashed},
        )
        .mappings()
        .one_or_none()
    )
    if family is None or family["client_id"] != client_id or family["revoked_at"] is not None:
        return None
    # Read after the lock was got: whoever had it before may have used the token.
    row = (
        connection.execute(text("SELECT * FROM refresh_token WHERE hash = :hash"), {"hash": hashed})
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    if row["used_at"] is not None:
        if row["nonce"] is None or now > row["used_at"] + nonces.OF_USE:
            _revoke(connection, family["family_id"], "reuse", now)
            raise Reused
    elif now >= row["expires_at"]:
        return None
    departments = family["departments"]
    grant = Grant(frozenset(family["scopes"]), None if departments is None else frozenset(departments))
    return Presented(token, family["family_id"], client_id, grant, family["ends_at"], row["nonce"])


def rotate(connection: Connection, presented: Presented, grant: Grant, now: datetime, settings: ApiSettings) -> Issued:
    """Use a refresh token for ``grant``, a part of its own: its successors, the same ones if it was used just now."""
    nonce = presented.nonce or tokens.new_nonce()
    issued = Issued(
        tokens.successor(tokens.ACCESS, presented.token, nonce, grant.text()),
        tokens.successor(tokens.REFRESH, presented.token, nonce),
    )
    if presented.nonce is None:
        connection.execute(
            text("UPDATE refresh_token SET used_at = :now, nonce = :nonce WHERE hash = :hash"),
            {"now": now, "nonce": nonce, "hash": tokens.digest(presented.token)},
        )
        # Used refresh tokens stay as long as their family: however old one is, its reuse must end it.
        connection.execute(
            text("DELETE FROM access_token WHERE family_id = :family_id AND expires_at <= :now"),
            {"family_id": presented.family_id, "now": now},
        )
        _insert_refresh(
            connection, str(issued.refresh), presented.family_id, min(now + settings.idle, presented.ends_at)
        )
    _insert_access(connection, issued.access, presented.family_id, grant, now)
    return issued


def revoke_token(connection: Connection, token: str, client_id: str, now: datetime) -> bool | None:
    """End an access token, or a refresh token with its whole family (RFC 7009).

    Answers whether there was one; ``None`` where it is another client's, and stays as it is.
    """
    if not tokens.plausible(token):
        return False
    found = connection.execute(
        text(
            """
            SELECT f.family_id, f.client_id, false AS is_access FROM refresh_token JOIN family f USING (family_id)
            WHERE hash = :hash
            UNION ALL
            SELECT f.family_id, f.client_id, true FROM access_token JOIN family f USING (family_id)
            WHERE hash = :hash
            """
        ),
        {"hash": tokens.digest(token)},
    ).one_or_none()
    if found is None:
        return False
    if found.client_id != client_id:
        return None
    if not found.is_access:
        _revoke(connection, found.family_id, "asked", now)
    connection.execute(
        text("UPDATE access_token SET revoked_at = :now WHERE hash = :hash AND revoked_at IS NULL"),
        {"now": now, "hash": tokens.digest(token)},
    )
    return True


def revoke_all(connection: Connection, client_id: str, why: Literal["asked", "secret"], now: datetime) -> None:
    """End all tokens of a client: somebody wants it so, or its secret is known to others."""
    connection.execute(
        text(
            """
            UPDATE family SET revoked_at = :now, revoked_for = :why
            WHERE client_id = :client_id AND revoked_at IS NULL
            """
        ),
        {"client_id": client_id, "why": why, "now": now},
    )


def find_access(reader: Reader, token: str, now: datetime) -> tuple[Grant, str] | None:
    """What an access token allows at this moment, and whose it is; ``None`` where it allows nothing.

    Never more than its client may have now, whatever it was given then.

    Raises:
        SourceNotReady: the database could not be reached.
    """
    with reader.one_statement() as cursor:
        row = cursor.execute(_ACCESS, {"hash": tokens.digest(token), "now": now}, prepare=True).fetchone()
    if row is None:
        return None
    given, may = (
        Grant(frozenset(scopes), None if departments is None else frozenset(departments))
        for scopes, departments in (row[:2], row[2:4])
    )
    return given.within(may), str(row[4])


def _forget(connection: Connection, client_id: str, now: datetime) -> None:
    """Remove some of a client's ended families, so that a client that never refreshes leaves no heap behind."""
    connection.execute(
        text(
            """
            DELETE FROM family WHERE family_id IN (
                SELECT family_id FROM family
                WHERE client_id = :client_id AND (idle_at < :before OR revoked_at < :before)
                ORDER BY created_at LIMIT 20 FOR UPDATE SKIP LOCKED
            )
            """
        ),
        {"client_id": client_id, "before": now - _REMEMBERED},
    )


def _insert_refresh(connection: Connection, token: str, family_id: UUID, expires_at: datetime) -> None:
    connection.execute(
        text("INSERT INTO refresh_token (hash, family_id, expires_at) VALUES (:hash, :family_id, :expires_at)"),
        {"hash": tokens.digest(token), "family_id": family_id, "expires_at": expires_at},
    )
    _keep(connection, family_id, expires_at)


def _insert_access(connection: Connection, token: str, family_id: UUID, grant: Grant, now: datetime) -> None:
    """Note an access token; one that is handed out again lasts an hour from now, as the same answer says."""
    connection.execute(
        text(
            """
            INSERT INTO access_token (hash, family_id, scopes, departments, expires_at)
            VALUES (:hash, :family_id, :scopes, :departments, :expires_at)
            ON CONFLICT (hash) DO UPDATE SET expires_at = greatest(access_token.expires_at, excluded.expires_at)
            """
        ),
        {"hash": tokens.digest(token), "family_id": family_id, **_columns(grant), "expires_at": now + _LASTS},
    )
    _keep(connection, family_id, now + _LASTS)


def _keep(connection: Connection, family_id: UUID, until: datetime) -> None:
    connection.execute(
        text("UPDATE family SET idle_at = greatest(idle_at, :until) WHERE family_id = :family_id"),
        {"family_id": family_id, "until": until},
    )


def _revoke(connection: Connection, family_id: UUID, why: str, now: datetime) -> None:
    connection.execute(
        text(
            """
            UPDATE family SET revoked_at = :now, revoked_for = :why
            WHERE family_id = :family_id AND revoked_at IS NULL
            """
        ),
        {"family_id": family_id, "why": why, "now": now},
    )


def _columns(grant: Grant) -> dict[str, list[str] | None]:
    departments = None if grant.departments is None else sorted(grant.departments)
    return {"scopes": sorted(grant.scopes), "departments": departments}

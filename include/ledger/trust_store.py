"""The trust store: every version of what identity providers said of themselves, and who has signed in with them.

The newest version of a provider is in force. A version is written only where the document really differs, so that its
number says how often a provider changed its keys; :data:`VERSIONS_KEPT` of them stay, to look back at.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Connection

VERSIONS_KEPT = 10


@dataclass(frozen=True, slots=True)
class Trusted:
    """What is in force of one provider, since ``kept_at``, and when it was last found to be so (the database's clock).

    ``document``: of ``oidc`` ``metadata`` (its discovery document) and ``jwks`` (the keys that may sign, and no
    others); of ``saml`` ``idp``, as ``OneLogin_Saml2_IdPMetadataParser.parse`` answers it.
    """

    provider: str
    protocol: Literal["oidc", "saml"]
    version: int
    document: dict[str, Any]
    checked_at: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who has signed in. ``matched_by``: what the matched claim said, None where it said nothing."""

    username: str
    provider: str
    matched_by: str | None
    groups: tuple[str, ...]


def canonical(document: Mapping[str, Any]) -> str:
    """The one text of a document: sorted keys, no spaces."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def fill_trust(connection: Connection, snapshot: Path, as_of: datetime) -> int:  # noqa: ARG001 - trust goes by real time
    """Make the store trust a snapshot: ``provider``, ``protocol``, ``document`` (:func:`canonical`), one row for each.

    A provider that is not in it stays as it is. Answers how many were found to be in force.
    """
    rows = list(_rows(snapshot))
    for row in rows:
        values = row | {"sha256": hashlib.sha256(row["document"].encode()).hexdigest(), "kept": VERSIONS_KEPT}
        for statement in (_ADD, _CHECKED, _FORGET):
            connection.execute(text(statement), values)
    return len(rows)


def in_force(connection: Connection) -> dict[str, Trusted]:
    """The newest version of each provider that was ever trusted, by name."""
    found = connection.execute(
        text(
            """
            SELECT provider, protocol, version, document, checked_at FROM trust_checked
            JOIN trust_version USING (provider, version) ORDER BY provider
            """
        )
    )
    return {row.provider: Trusted(*row) for row in found}


def signed_in(
    connection: Connection,
    *,
    username: str,
    provider: str,
    matched_by: str | None,
    groups: Collection[str],
    roles: Collection[str],
) -> None:
    """Remember a sign-in: whoever signs in for the first time, and what the provider said of them this time."""
    connection.execute(
        text(
            """
            INSERT INTO sign_in_account AS a (username, provider, matched_by, groups, roles)
            VALUES (:username, :provider, :matched_by, :groups, :roles)
            ON CONFLICT (username) DO UPDATE SET provider = excluded.provider, matched_by = excluded.matched_by,
                groups = excluded.groups, roles = excluded.roles, last_at = now()
            """
        ),
        {
            "username": username,
            "provider": provider,
            "matched_by": matched_by or None,
            "groups": sorted(groups),
            "roles": sorted(roles),
        },
    )


def accounts(connection: Connection) -> Sequence[Account]:
    """Everybody who has signed in, by user name."""
    found = connection.execute(
        text('SELECT username, provider, matched_by, groups FROM sign_in_account ORDER BY username COLLATE "C"')
    )
    return [Account(row.username, row.provider, row.matched_by, tuple(row.groups)) for row in found]


def _rows(snapshot: Path) -> Iterator[dict[str, str]]:
    import pyarrow.parquet as pq

    yield from pq.ParquetFile(snapshot).read(["provider", "protocol", "document"]).to_pylist()


_ADD = """
    INSERT INTO trust_version (provider, version, protocol, document, sha256)
    SELECT :provider, coalesce(max(version), 0) + 1, :protocol, CAST(:document AS jsonb), :sha256
    FROM trust_version WHERE provider = :provider
    HAVING NOT coalesce(
        (array_agg(sha256 ORDER BY version DESC))[1] = :sha256
        AND (array_agg(protocol ORDER BY version DESC))[1] = :protocol, false
    )
"""
_CHECKED = """
    INSERT INTO trust_checked (provider, checked_at, version)
    SELECT :provider, now(), max(version) FROM trust_version WHERE provider = :provider
    ON CONFLICT (provider) DO UPDATE SET checked_at = excluded.checked_at, version = excluded.version
"""
_FORGET = """
    DELETE FROM trust_version WHERE provider = :provider
    AND version <= (SELECT max(version) FROM trust_version WHERE provider = :provider) - :kept
"""

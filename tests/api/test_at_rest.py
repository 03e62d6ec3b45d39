"""Whoever gets a copy of the database gets nothing that opens anything."""

from __future__ import annotations

import logging
from base64 import urlsafe_b64decode
from hashlib import sha256
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import text

from include.api import clients
from include.api.tokens import REFRESH, successor
from include.database import transaction
from tests.support.api_clients import HTTP, Credentials

if TYPE_CHECKING:
    import pytest

    from tests.api.conftest import Api


def dump(dsn: str) -> tuple[str, list[str]]:
    """All rows of all tables of the schema ``api`` as text, and every single value."""
    with psycopg.connect(dsn) as connection:
        tables = [
            row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'api'").fetchall()
        ]
        assert {"client", "client_secret", "family", "refresh_token", "access_token", "access_log"} <= set(tables)
        whole, values = [], []
        for table in tables:
            for row in connection.execute(f"SELECT * FROM api.{table}").fetchall():
                whole.append(repr(row))
                values += [value for value in row if value is not None]
            with connection.cursor().copy(f"COPY api.{table} TO STDOUT") as copy:
                whole += [bytes(line).decode() for line in copy]
    return "".join(whole), [value.hex() if isinstance(value, bytes) else str(value) for value in values]


def test_a_dump_of_the_database_holds_no_usable_token_or_secret(api: Api) -> None:
    client = api.client()
    first = api.tokens(client)
    second = api.refresh(client, first["refresh_token"]).json()
    api.refresh(client, first["refresh_token"])
    with transaction(api.dsn) as connection:
        _, newer = clients.rotate(connection, client.client_id)
    third = api.tokens(Credentials(client.client_id, newer))
    HTTP.post(
        f"{api.url}/oauth/token", data={"grant_type": "client_credentials"}, auth=("a stranger", "typed a secret")
    )

    whole, values = dump(api.dsn)
    live = [client.secret, newer] + [
        answer[kind] for answer in (first, second, third) for kind in ("access_token", "refresh_token")
    ]
    for token in live:
        assert sha256(token.encode()).hexdigest() in whole  # the dump is one, and what is looked for could be found
        for form in (token, token[4:], urlsafe_b64decode(token[4:] + "=").hex(), token.encode().hex()):
            assert form not in whole
    assert "stranger" not in whole
    assert "typed" not in whole

    guesses = [value for value in dict.fromkeys(values) if value.isascii() and value.isprintable() and value.strip()]
    assert len(guesses) > 20
    for value in guesses:
        assert not api.reaches(value)
        refused = HTTP.post(
            f"{api.url}/oauth/token",
            data={"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": value},
        )
        assert refused.status_code == 401
        assert api.refresh(Credentials(client.client_id, newer), value).json()["error"] == "invalid_grant"
    assert api.reaches(second["access_token"])


def test_a_used_refresh_token_gives_its_successor_only_together_with_what_is_soon_forgotten(api: Api) -> None:
    client = api.client()
    token = api.tokens(client)["refresh_token"]
    following = api.refresh(client, token).json()["refresh_token"]
    with transaction(api.dsn) as connection:
        nonces = list(connection.execute(text("SELECT nonce FROM refresh_token WHERE nonce IS NOT NULL")).scalars())
    assert following in {successor(REFRESH, token, bytes(nonce)) for nonce in nonces}
    assert following != successor(REFRESH, token, b"\0" * 32)
    assert following not in {successor(REFRESH, "cbr_guessed", bytes(nonce)) for nonce in nonces}


def test_nothing_is_logged_that_opens_anything_at_whatever_level(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    client = api.client()
    with caplog.at_level(logging.DEBUG):
        first = api.tokens(client)
        second = api.refresh(client, first["refresh_token"]).json()
        api.refresh(client, "cbr_unknown")
        api.revoke(client, second["refresh_token"])
        assert not api.reaches(second["access_token"])
    assert client.client_id in caplog.text  # the libraries were heard
    for secret in (client.secret, *first.values(), *second.values()):
        assert not str(secret).startswith("cb") or str(secret) not in caplog.text

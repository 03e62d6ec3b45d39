"""The trust store as the sign-in sees it: the newest version, soon after it was written, whatever the database does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import psycopg
import pytest

from include.database import dispose_engines, transaction
from include.errors import SourceNotReady
from include.ledger.trust_store import VERSIONS_KEPT, accounts, canonical, fill_trust, signed_in
from include.sign_in import trust
from include.sign_in.settings import OidcProvider, SamlProvider
from include.sign_in.trust import Trusted, forget, is_of, trusted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Database


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    trust._known.clear()


class Store:
    """The trust store of one database."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self.file = folder / "snapshot.parquet"

    def fill(self, now: datetime | None = None, **documents: dict[str, Any]) -> int:
        rows = [
            {"provider": name, "protocol": "saml" if "idp" in document else "oidc", "document": canonical(document)}
            for name, document in documents.items()
        ]
        pd.DataFrame(rows, columns=["provider", "protocol", "document"]).astype("str").to_parquet(self.file)
        with transaction(self.dsn) as connection:
            return fill_trust(connection, self.file, now)  # type: ignore[arg-type]  # it goes by real time

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def store(database: Database, tmp_path: Path) -> Store:
    return Store(database.ledger_dsn, tmp_path)


def test_nothing_is_trusted_that_was_never_looked_at(store: Store) -> None:
    assert trusted(store.dsn) == {}


def test_what_was_trusted_of_another_provider_of_the_same_name_is_not_this_ones() -> None:
    now = datetime.now(UTC)
    ping = Trusted("ping", "saml", 1, {"idp": {"entityId": "https://old.example.org"}}, now)
    okta = Trusted("okta", "oidc", 1, {"metadata": {"issuer": "https://old.example.org"}}, now)
    saml: dict[str, Any] = {"protocol": "saml", "name": "ping", "title": "P", "metadata_url": "https://e.org/m"}
    oidc: dict[str, Any] = {
        "protocol": "oidc",
        "name": "okta",
        "title": "O",
        "client_id": "c",
        "client_secret_env": "S",
    }
    assert is_of(SamlProvider(**saml), ping), "who pins no entity ID takes what the metadata say"
    for place, right in (("https://old.example.org", True), ("https://new.example.org", False)):
        assert is_of(SamlProvider(**saml, entity_id=place), ping) is right
        assert is_of(OidcProvider(**oidc, issuer=place), okta) is right
    assert not is_of(OidcProvider(**oidc, issuer="https://old.example.org"), ping)


def test_the_newest_version_is_in_force(store: Store) -> None:
    assert store.fill(okta={"jwks": 1}, ping={"idp": 1}) == 2
    store.fill(okta={"jwks": 2})
    found = trusted(store.dsn)
    assert {name: (each.provider, each.protocol, each.version, each.document) for name, each in found.items()} == {
        "okta": ("okta", "oidc", 2, {"jwks": 2}),
        "ping": ("ping", "saml", 1, {"idp": 1}),
    }
    assert found["okta"].checked_at > found["ping"].checked_at, "one that is not told of stays as it is"


def test_the_same_again_is_only_noted(store: Store) -> None:
    store.fill(okta={"a": 1, "b": [1, 2]})
    before = store.rows(
        "SELECT version, kept_at, checked_at FROM trust_version JOIN trust_checked USING (provider, version)"
    )
    store.fill(okta={"b": [1, 2], "a": 1})
    after = store.rows(
        "SELECT version, kept_at, checked_at FROM trust_version JOIN trust_checked USING (provider, version)"
    )
    assert before[0][:2] == after[0][:2]
    assert before[0][2] < after[0][2]


def test_what_was_trusted_once_is_a_new_version_when_it_comes_back(store: Store) -> None:
    for value in (1, 2, 1):
        store.fill(okta={"value": value})
    assert store.rows("SELECT version, document ->> 'value' FROM trust_version ORDER BY 1") == [
        (1, "1"),
        (2, "2"),
        (3, "1"),
    ]


def test_a_provider_that_changes_its_protocol_is_a_new_version(store: Store) -> None:
    store.fill(okta={"idp": 1})
    with transaction(store.dsn) as connection:
        connection.exec_driver_sql("UPDATE trust_version SET protocol = 'oidc'")
    store.fill(okta={"idp": 1})
    assert trusted(store.dsn)["okta"].version == 2


def test_the_last_versions_stay(store: Store) -> None:
    for value in range(VERSIONS_KEPT + 5):
        store.fill(okta={"value": value}, ping={"idp": 0})
    kept = store.rows("SELECT version FROM trust_version WHERE provider = 'okta' ORDER BY 1")
    assert [row[0] for row in kept] == list(range(6, VERSIONS_KEPT + 6))
    assert store.rows("SELECT version FROM trust_version WHERE provider = 'ping'") == [(1,)]


def test_a_fill_is_whole_or_has_not_been(store: Store) -> None:
    store.fill(okta={"value": 1})
    with pytest.raises(RuntimeError), transaction(store.dsn) as connection:
        pd.DataFrame([{"provider": "okta", "protocol": "oidc", "document": '{"value":2}'}]).to_parquet(store.file)
        fill_trust(connection, store.file, None)  # type: ignore[arg-type]
        raise RuntimeError
    assert trusted(store.dsn)["okta"].version == 1


class TestMemory:
    def test_the_database_is_asked_at_most_every_thirty_seconds(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [1000.0]
        monkeypatch.setattr(trust.time, "monotonic", lambda: now[0])
        store.fill(okta={"value": 1})
        assert trusted(store.dsn)["okta"].version == 1
        store.fill(okta={"value": 2})
        now[0] += 29.9
        assert trusted(store.dsn)["okta"].version == 1
        now[0] += 0.2
        assert trusted(store.dsn)["okta"].version == 2

    def test_a_key_that_is_not_known_may_be_looked_for_at_once(self, store: Store) -> None:
        store.fill(okta={"value": 1})
        trusted(store.dsn)
        store.fill(okta={"value": 2})
        forget()
        assert trusted(store.dsn)["okta"].version == 2

    def test_whoever_gets_it_cannot_change_it(self, store: Store) -> None:
        store.fill(okta={"value": 1})
        trusted(store.dsn).clear()
        assert set(trusted(store.dsn)) == {"okta"}

    def test_what_is_known_is_used_while_the_database_is_gone(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.fill(okta={"value": 1})
        trusted(store.dsn)

        def gone(_: str) -> Any:
            raise SourceNotReady("The database did not answer.")

        monkeypatch.setattr(trust, "transaction", gone)
        forget()
        assert trusted(store.dsn)["okta"].version == 1

    def test_without_a_database_and_a_memory_nothing_is_trusted(self) -> None:
        with pytest.raises(SourceNotReady):
            trusted("postgresql://nobody@127.0.0.1:1/nothing")
        dispose_engines()


def test_an_account_is_remembered_with_what_was_said_last(database: Database) -> None:
    with transaction(database.ledger_dsn) as connection:
        for said, groups in (("a@example.org", ["x"]), ("b@example.org", ["z", "y"])):
            known = {"username": "okta_1", "provider": "okta", "roles": ["Viewer"]}
            signed_in(connection, matched_by=said, groups=groups, **known)  # type: ignore[arg-type]
        signed_in(connection, username="ping_1", provider="ping", matched_by="", groups=[], roles=[])
        first, second = accounts(connection)
        assert (first.username, first.matched_by, first.groups) == ("okta_1", "b@example.org", ("y", "z"))
        assert (second.username, second.matched_by) == ("ping_1", None)
        times = "SELECT last_at >= first_at FROM sign_in_account"
        assert connection.exec_driver_sql(times).scalars().all() == [True, True]

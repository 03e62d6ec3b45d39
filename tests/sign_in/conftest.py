"""One Airflow and five identity providers for all tests of this folder; they take half a minute to start, once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import _clone, free_port
from tests.sign_in import airflow
from tests.sign_in.hostile import HostileProvider
from tests.sign_in.people import Person
from tests.support.identity_providers import KeyPair, RunningProvider, key_pair, openid_providers, saml_providers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from include.platform.postgres import EmbeddedPostgres
    from tests.sign_in.airflow import RunningAirflow

GROUPS = {"alice": ["sched-admins", "everyone"], "bob": ["sched-viewers", "everyone"], "eve": ["everyone"]}


@dataclass(frozen=True, slots=True)
class World:
    """Everything that runs. ``pair`` is what the SAML providers sign with, ``own`` this installation's."""

    airflow: RunningAirflow
    providers: dict[str, RunningProvider]
    hostile: HostileProvider
    pair: KeyPair
    own: KeyPair
    folder: Path

    def trust(self, **documents: dict[str, Any]) -> None:
        """Put documents into the trust store, as a run of the Dag does."""
        import pandas as pd

        from include.database import transaction
        from include.ledger.trust_store import canonical, fill_trust

        rows = [
            {"provider": name, "protocol": "saml" if "idp" in document else "oidc", "document": canonical(document)}
            for name, document in documents.items()
        ]
        snapshot = self.folder / "trust.parquet"
        pd.DataFrame(rows).to_parquet(snapshot)
        with transaction(self.airflow.ledger_dsn) as connection:
            fill_trust(connection, snapshot, datetime.now(UTC))

    def everybody(self, name: str) -> None:
        """Who is who at a provider, at the beginning."""
        self.providers[name].people(**{login: person(name, login) for login in GROUPS})


def person(provider: str, login: str, **different: Any) -> dict[str, Any]:
    """What a provider says of somebody."""
    return {
        "groups": GROUPS[login],
        "given_name": login.title(),
        "family_name": "Example",
        "email": f"{login}@{provider}.example.org",
        **different,
    }


@pytest.fixture(scope="session")
def world(postgres: EmbeddedPostgres, _template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Start everything; the trust store knows every provider but ``stranger``."""
    from include.platform.airflow_database import create_airflow_database

    folder, port = tmp_path_factory.mktemp("sign_in"), free_port()
    pair, own = key_pair(folder, "idp"), key_pair(folder, "callboard")
    create_airflow_database(postgres.admin_dsn(), "sign_in_airflow", "pw")
    airflow_dsn = f"postgresql://sign_in_airflow:pw@127.0.0.1:{postgres.port}/sign_in_airflow"
    back = f"http://localhost:{port}/auth/oauth-authorized/"
    with (
        _clone(postgres) as database,
        openid_providers(back, {"ping": "generic", "okta": "okta", "entra": "entra"}) as openid,
        saml_providers(pair, ["entra-saml", "ping-saml"]) as saml,
        HostileProvider.running() as hostile,
    ):
        providers = openid | saml
        settings = _settings(folder, providers, hostile, own)
        with airflow.running(folder, port, database, airflow_dsn, settings) as started:
            made = World(started, providers, hostile, pair, own, folder)
            for name in providers:
                made.everybody(name)
            made.trust(**{name: each.document() for name, each in providers.items()}, hostile=hostile.document())
            yield made
            logged = started.logged()
            assert "status_code=500" not in logged
            assert "Traceback" not in logged


def _settings(
    folder: Path, providers: dict[str, RunningProvider], hostile: HostileProvider, own: KeyPair
) -> dict[str, Any]:
    def openid(name: str, issuer: str, **more: Any) -> dict[str, Any]:
        secret = folder / f"{name}.secret"
        secret.write_text(f"secret-of-{name}\n")
        about = {"protocol": "oidc", "name": name, "title": f"The {name} people", "issuer": issuer}
        return about | {"client_id": "callboard", "client_secret_file": secret.name, **more}

    def saml(name: str) -> dict[str, Any]:
        address = f"{providers[name].url}/metadata"
        return {"protocol": "saml", "name": name, "title": f"The {name} people", "metadata_url": address}

    return {
        "providers": [
            openid("ping", providers["ping"].url, scopes=["openid", "profile", "email", "groups"]),
            openid("okta", providers["okta"].url, scopes=["openid", "profile", "email", "groups"], userinfo=True),
            openid("entra", providers["entra"].url, id_claim="oid", groups_claim="roles"),
            openid("hostile", hostile.issuer, userinfo=True),
            openid("stranger", "http://127.0.0.1:9/"),
            saml("entra-saml"),
            saml("ping-saml"),
        ],
        "roles": airflow.ROLES,
        "own_roles": ["No Such Role"],
        "break_glass": [airflow.RESCUE[0]],
        "saml_key_file": own.key.name,
        "saml_certificate_file": own.certificate.name,
    }


@pytest.fixture
def browser(world: World) -> Iterator[Callable[..., Person]]:
    """Open another person's browser."""
    opened: list[Person] = []

    def another(address: str = "127.0.0.1") -> Person:
        opened.append(Person(world.airflow.url, address))
        return opened[-1]

    yield another
    for each in opened:
        each.http.close()

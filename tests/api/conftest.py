"""One server of the API for the tests of a module, with a clock that stands still until a test turns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from include.database import transaction
from tests.support import api_clients
from tests.support.api_clients import Clock, Credentials, build_app, new_client, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.conftest import Database

#: One of them has an ID that no scope value can hold as it is.
DEPARTMENTS = ("ICU", 'Radiologie d\'été "Nord"')


@dataclass(frozen=True)
class Api:
    """A served API: its address, its database, its clock."""

    url: str
    dsn: str
    clock: Clock

    def client(self, **options: Any) -> Credentials:
        """A new client."""
        return new_client(self.dsn, **options)

    def tokens(self, credentials: Credentials, **form: str) -> dict[str, Any]:
        """Tokens for a client's credentials."""
        return api_clients.tokens_of(self.url, credentials, **form)

    def refresh(self, credentials: Credentials, token: str, **form: str) -> httpx.Response:
        """The answer to a refresh token."""
        return api_clients.refreshed(self.url, credentials, token, **form)

    def revoke(self, credentials: Credentials, token: str, **form: str) -> httpx.Response:
        """The answer to a wish to revoke a token."""
        return api_clients.HTTP.post(f"{self.url}/oauth/revoke", data={"token": token, **form}, auth=credentials.basic)

    def reaches(self, token: str) -> bool:
        """Whether an access token opens anything."""
        status = api_clients.reaches(self.url, token)
        assert status in (200, 401)
        return status == 200

    def rows(self, query: str, **values: Any) -> list[Any]:
        """What the database says."""
        from sqlalchemy import text

        with transaction(self.dsn) as connection:
            return list(connection.execute(text(query), values))


def add_departments(database: Database) -> None:
    """Put the departments of these tests into the schedule store."""
    from sqlalchemy import text

    with transaction(database.schedule_dsn) as connection:
        for department in DEPARTMENTS:
            connection.execute(
                text("INSERT INTO schedule.departments (department_id, name, time_zone) VALUES (:id, :id, 'UTC')"),
                {"id": department},
            )


@pytest.fixture(scope="module")
def api(module_database: Database) -> Iterator[Api]:
    """The API on loopback."""
    add_departments(module_database)
    clock = Clock()
    with serving(build_app(module_database.api_dsn, clock)) as url:
        yield Api(url, module_database.api_dsn, clock)

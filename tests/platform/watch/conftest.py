"""A small installation to watch: a real ledger, mappings of its own, and a server that stands in for Airflow."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from include.database import transaction
from include.errors import ConfigurationError
from include.ledger import fence, runs
from include.ledger.records import Claim, Counts
from include.platform.airflow_api import AirflowApi
from include.run.services import Services
from include.settings import Settings
from tests.support.airflow_server import PASSWORD, WatchedAirflow, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.ledger.records import RunState

FEED, DAILY = "epic_on_call_finder", "kronos_workforce_dimensions"
_YAML = {
    FEED: "schedule: '*/5 * * * *'\nrecipients: {administrators: [feed@example.org]}\n",
    DAILY: "schedule: '0 2 * * *'\nsettings: {recurrence: {anchor: 2026-01-04, days: 14}}\n",
}


@dataclass
class Installation:
    """Where everything is, and short ways to make things happen in the ledger."""

    services: Services
    admin_dsn: str
    airflow: WatchedAirflow = field(default_factory=WatchedAirflow)
    url: str = ""

    @property
    def var(self) -> Path:
        return self.services.settings.var

    def api(self) -> AirflowApi:
        return AirflowApi(self.url, "admin", PASSWORD, timeout=5)

    def claims(self, run_id: str, feed: str = FEED) -> Claim:
        """A run begins."""
        with self.services.ledger("claim") as connection:
            return fence.claim(connection, feed, feed, run_id)

    def ends(
        self, claim: Claim, state: RunState = "delivered", *, error: str | None = None, ago: timedelta = timedelta()
    ) -> None:
        """A run ends, and did so some time ago."""
        counts = Counts(10, *((7, 0) if state in ("delivered", "unchanged") else (0, 7)), excluded=2, rejected=1)
        with self.services.ledger("finish") as connection:
            runs.finish(connection, claim, state, counts=counts, error=error)
        self.sql("UPDATE run SET finished_at = finished_at - %s WHERE run_id = %s", ago, claim.run_id)

    def runs(self, run_id: str, state: RunState = "delivered", *, feed: str = FEED, **more: Any) -> None:
        """A whole run."""
        self.ends(self.claims(run_id, feed), state, **more)

    def state(self, run_id: str) -> str | None:
        """How a run stands in the ledger."""
        found = self.sql("SELECT state FROM run WHERE run_id = %s", run_id)
        return found[0][0] if found else None

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.services.settings.ledger_dsn) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def now(self) -> datetime:
        """The ledger's time."""
        with transaction(self.services.settings.ledger_dsn) as connection:
            from sqlalchemy import text

            found: datetime = connection.execute(text("SELECT now()")).scalar_one()
            return found


def _no_connections(name: str) -> Any:
    raise ConfigurationError(f"The watch does not connect to {name}.")


@pytest.fixture
def installation(module_database: Any, tmp_path: Path) -> Iterator[Installation]:
    database = module_database
    with psycopg.connect(database.ledger_dsn) as connection:
        connection.execute("TRUNCATE stream, incident, mail CASCADE")
    mappings, var = tmp_path / "mappings", tmp_path / "var"
    mappings.mkdir()
    var.mkdir(mode=0o700)
    for feed, yaml in _YAML.items():
        (mappings / f"{feed}.yaml").write_text(f"integration: {feed}\npersonnel_id: custom1\n{yaml}", encoding="utf-8")
    settings = Settings(
        var=var,
        mappings=mappings,
        schedule_dsn=database.schedule_dsn,
        ledger_dsn=database.ledger_dsn,
        time_zone="UTC",
    )
    installation = Installation(Services(settings, _no_connections), database.admin_dsn)
    with served(installation.airflow.answer) as url:
        installation.url = url
        yield installation

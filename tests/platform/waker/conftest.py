"""The watch's small installation, with a schedule in its store and a feed that waits to be woken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.platform.watch.conftest import FEED, installation  # noqa: F401 - a fixture
from tests.support.store import add_slot, fill

if TYPE_CHECKING:
    from tests.platform.watch.conftest import Installation

NOW = "2026-06-01T12:00:00Z"
ASSET = f"callboard.feeds.{FEED}"


@pytest.fixture
def hospital(installation: Installation, module_database: Any, monkeypatch: pytest.MonkeyPatch) -> Installation:  # noqa: F811
    """A slot of the feed today, and an Airflow whose Dag waits for the feed's asset; the feed has run once."""
    monkeypatch.setenv("CALLBOARD_NOW", NOW)
    dsn = module_database.schedule_dsn
    with psycopg.connect(module_database.admin_dsn) as store:
        store.execute("SET search_path = schedule")
        for table in ("schedules", "schedule_periods", "assignments", "personnel", "departments"):
            store.execute(f"DELETE FROM {table}")
    with psycopg.connect(module_database.ledger_dsn) as ledger:
        ledger.execute("DELETE FROM wake_mark")
    fill(dsn)
    add_slot(dsn, "S1", "ny", start_local="2026-06-01T07:00", stop_local="2026-06-01T19:00")
    table = "assignment_id,epic_team_id,role\nny-call,T,R\n"
    (installation.services.settings.mappings / f"{FEED}.csv").write_text(table)
    installation.airflow.assets = {ASSET: 7, "something else": 8}
    installation.runs("first")
    return installation

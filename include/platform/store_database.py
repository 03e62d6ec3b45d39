"""Bring the databases of Callboard up to date: `python -m include.platform.store_database`.

A process of its own, so that it runs beside the preparation of Airflow's database. Reads ``CALLBOARD_*_DSN`` and prints
what it does, a line each.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from include.clock import business_date, business_now
from include.errors import CallboardError
from include.settings import load_settings

if TYPE_CHECKING:
    from include.settings import Settings

#: Where the demo hospital's human resources put their file, and what they call it.
_INBOUND_FEED, _DEMOGRAPHICS = "demographic_import", "people.csv"


def main() -> int:
    """Migrate the schedule store, the ledger and what the API keeps; load the demo hospital into an empty store."""
    try:
        settings = load_settings()
        _migrate(settings)
        _make_own_client(settings)
        if store_is_empty(settings.schedule_dsn):
            _load_demo_hospital(settings)
    except CallboardError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def store_is_empty(schedule_dsn: str) -> bool:
    """Whether nothing was ever imported: no department, without which there is nothing else."""
    from sqlalchemy import text

    from include.database import transaction

    with transaction(schedule_dsn) as connection:
        return connection.scalar(text("SELECT NOT EXISTS (SELECT FROM departments)")) is True


def _migrate(settings: Settings) -> None:
    from include.api import migrate as api
    from include.ledger import migrate as ledger
    from include.schedule import migrate as schedule

    schedule.migrate(settings.schedule_dsn)
    ledger.migrate(settings.ledger_dsn)
    api.migrate(settings.api_dsn)


def _make_own_client(settings: Settings) -> None:
    """The platform reads its own API with credentials that `make run` made, and with no others."""
    from include.api.clients import ensure_client
    from include.platform.access import API_CLIENT

    secret = os.environ.get("CALLBOARD_API_CLIENT_SECRET")
    if secret:
        ensure_client(settings.api_dsn, API_CLIENT, secret, "This platform")


def _load_demo_hospital(settings: Settings) -> None:
    """Load it, and put the file of its human resources where the demographic import takes it in."""
    from include.schedule.demo import write_demo_hospital
    from include.schedule.demo.demographics import write_demographic_file
    from include.schedule.importing import import_files

    today = business_date(business_now(), settings.time_zone)
    with tempfile.TemporaryDirectory(dir=settings.var / "run") as folder:
        _say("writing the demo hospital")
        hospital = write_demo_hospital(Path(folder), today)
        _say("loading the demo hospital")
        import_files(settings.schedule_dsn, Path(folder), mode="replace", user="demo hospital")
    if (settings.mappings / f"{_INBOUND_FEED}.yaml").is_file():
        inbound = settings.sandbox_folder / _INBOUND_FEED / "inbound"
        inbound.mkdir(parents=True, exist_ok=True)
        (inbound / f"{_DEMOGRAPHICS}.done").touch()
        write_demographic_file(inbound / _DEMOGRAPHICS, hospital)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

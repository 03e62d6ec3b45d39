"""Bring the databases of Callboard up to date: `python -m include.platform.store_database`.

A process of its own, so that it runs beside the preparation of Airflow's database. Reads ``CALLBOARD_*_DSN`` and prints
what it does, a line each.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from include.clock import business_date, business_now
from include.errors import CallboardError
from include.settings import load_settings

if TYPE_CHECKING:
    from include.settings import Settings


def main() -> int:
    """Migrate the schedule store and the ledger; load the demo hospital into an empty store."""
    try:
        settings = load_settings()
        _migrate(settings)
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
    from include.ledger import migrate as ledger
    from include.schedule import migrate as schedule

    schedule.migrate(settings.schedule_dsn)
    ledger.migrate(settings.ledger_dsn)


def _load_demo_hospital(settings: Settings) -> None:
    from include.schedule.demo import write_demo_hospital
    from include.schedule.importing import import_files

    today = business_date(business_now(), settings.time_zone)
    with tempfile.TemporaryDirectory(dir=settings.var / "run") as folder:
        _say("writing the demo hospital")
        write_demo_hospital(Path(folder), today)
        _say("loading the demo hospital")
        import_files(settings.schedule_dsn, Path(folder), mode="replace", user="demo hospital")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

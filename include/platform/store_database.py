"""Bring the databases of Callboard up to date: `python -m include.platform.store_database`.

What `make run` starts, a process of its own, so that it runs beside the preparation of Airflow's database. Reads
``CALLBOARD_*_DSN`` and prints what it does, a line each.
"""

from __future__ import annotations

import os
import sys

from include.errors import CallboardError
from include.platform.demo_store import load_demo_hospital, store_is_empty
from include.platform.store_schemas import ensure_own_client, migrate_all
from include.settings import load_settings


def main() -> int:
    """Migrate the schedule store, the ledger and what the API keeps; load the demo hospital into an empty store."""
    try:
        settings = load_settings()
        migrate_all(schedule_dsn=settings.schedule_dsn, ledger_dsn=settings.ledger_dsn, api_dsn=settings.api_dsn)
        ensure_own_client(settings.api_dsn, os.environ.get("CALLBOARD_API_CLIENT_SECRET", ""))
        if store_is_empty(settings.schedule_dsn):
            load_demo_hospital(settings, _say)
    except CallboardError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

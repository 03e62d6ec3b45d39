"""Make the database `callboard` ready for use: roles, schemas, and the newest tables of both."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from include.database import prepare_database

if TYPE_CHECKING:
    from include.database import Addresses


def prepare_and_migrate(admin_dsn: str, *, schedule_password: str, ledger_password: str) -> Addresses:
    """Create what is missing of the database that ``admin_dsn`` names, and migrate both schemas. Safe to repeat.

    Raises:
        SourceNotReady: the server could not be reached.
    """
    addresses = prepare_database(admin_dsn, schedule_password=schedule_password, ledger_password=ledger_password)
    # The schedule first: what lies below it comes before what uses it.
    for room, dsn in (("schedule", addresses.schedule_dsn), ("ledger", addresses.ledger_dsn)):
        if find_spec(f"include.{room}.migrate"):
            import_module(f"include.{room}.migrate").migrate(dsn)
    return addresses

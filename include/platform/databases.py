"""Make the database `callboard` ready for use: roles, schemas, and the newest tables of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.database import prepare_database
from include.platform.store_schemas import migrate_all

if TYPE_CHECKING:
    from include.database import Addresses


def prepare_and_migrate(
    admin_dsn: str, *, schedule_password: str, ledger_password: str, api_password: str
) -> Addresses:
    """Create what is missing of the database that ``admin_dsn`` names, and migrate the schemas. Safe to repeat.

    Raises:
        SourceNotReady: the server could not be reached.
    """
    addresses = prepare_database(
        admin_dsn,
        schedule_password=schedule_password,
        ledger_password=ledger_password,
        api_password=api_password,
    )
    migrate_all(schedule_dsn=addresses.schedule_dsn, ledger_dsn=addresses.ledger_dsn, api_dsn=addresses.api_dsn)
    return addresses

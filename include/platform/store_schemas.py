"""The three schemas of Callboard brought up to date, and the API's client of the installation itself."""

from __future__ import annotations

from include.platform.access import API_CLIENT


def migrate_all(*, schedule_dsn: str, ledger_dsn: str, api_dsn: str) -> None:
    """Apply what is missing of each schema's migrations. Safe to repeat, and to do twice at once.

    Raises:
        SourceNotReady: the database could not be reached.
    """
    from include.api import migrate as api
    from include.ledger import migrate as ledger
    from include.schedule import migrate as schedule

    # The schedule first: what lies below it comes before what uses it.
    schedule.migrate(schedule_dsn)
    ledger.migrate(ledger_dsn)
    api.migrate(api_dsn)


def ensure_own_client(api_dsn: str, secret: str) -> None:
    """The installation reads its own API with credentials that it made, and with no others; without any, not at all."""
    from include.api.clients import ensure_client

    if secret:
        ensure_client(api_dsn, API_CLIENT, secret, "This platform")

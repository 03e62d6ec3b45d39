"""`callboard waker`: the process that wakes the feeds that a change concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.cli.installation import local_services
from include.cli.service import become_a_service, service_airflow
from include.platform.signals import Signals

if TYPE_CHECKING:
    import typer


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    app.command("waker")(waker_command)


def waker_command() -> None:
    """Wake feeds within seconds of a change that concerns them, until stopped. `make run` starts one."""
    from include.platform.waker.service import go_on, stand_by
    from include.platform.waker.waking import Waking
    from include.settings import wakes

    become_a_service()
    signals = Signals()
    if not wakes():
        stand_by(signals)
        return
    services = local_services()
    go_on(services.settings.ledger_dsn, Waking(services, service_airflow), signals)

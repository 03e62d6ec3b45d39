"""`callboard waker`: the process that wakes the feeds that a change concerns."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from include.cli.installation import airflow_api, local_services
from include.platform.signals import Signals

if TYPE_CHECKING:
    import typer

    from include.platform.airflow_api import AirflowApi

_ANSWER_SECONDS = 10  # of Airflow: while the waker waits it does not listen


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    app.command("waker")(waker_command)


def waker_command() -> None:
    """Wake feeds within seconds of a change that concerns them, until stopped. `make run` starts one."""
    from include.platform.waker.service import go_on
    from include.platform.waker.waking import Waking

    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    services, signals = local_services(), Signals()
    go_on(services.settings.ledger_dsn, Waking(services, _airflow), signals)


def _airflow() -> AirflowApi:
    return airflow_api(timeout=_ANSWER_SECONDS)

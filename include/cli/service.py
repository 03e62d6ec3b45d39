"""What the commands that run until they are stopped have in common."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from include.cli.installation import airflow_api

if TYPE_CHECKING:
    from include.platform.airflow_api import AirflowApi

_ANSWER_SECONDS = 10  # of Airflow: while a service waits for it, it does nothing else


def become_a_service() -> None:
    """Log to standard error, with the time, and write files for this account alone."""
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would tell addresses, the ping's among them


def service_airflow() -> AirflowApi:
    """Airflow's API, for a service. Raises as :func:`include.cli.installation.airflow_api`."""
    return airflow_api(timeout=_ANSWER_SECONDS)

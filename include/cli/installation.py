"""Finds the installation that a command is about: its addresses and credentials.

The environment comes first (a distributed deployment sets ``CALLBOARD_*``), then ``var/access.json``, which `make run`
writes.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from include.errors import ConfigurationError, StateDamaged
from include.settings import var_folder

if TYPE_CHECKING:
    from include.platform.airflow_api import AirflowApi
    from include.run.services import Services


def schedule_dsn() -> str:
    """Return the ``postgresql://`` address of the schedule store's owner.

    Raises:
        ConfigurationError: nobody says where it is.
        StateDamaged: ``access.json`` is not as it was written.
    """
    return _address("CALLBOARD_SCHEDULE_DSN", "schedule_dsn")


def ledger_dsn() -> str:
    """Return the ``postgresql://`` address of the ledger's owner. Raises as :func:`schedule_dsn`."""
    return _address("CALLBOARD_LEDGER_DSN", "ledger_dsn")


def api_dsn() -> str:
    """Return the ``postgresql://`` address of the API's owner. Raises as :func:`schedule_dsn`."""
    return _address("CALLBOARD_API_DSN", "api_dsn")


def local_services() -> Services:
    """What the steps' functions need, for commands that look things up: they open no connection to a partner.

    Raises as :func:`schedule_dsn`.
    """
    from include.run.services import Services, no_connections
    from include.settings import load_settings

    return Services(load_settings(schedule_dsn=schedule_dsn(), ledger_dsn=ledger_dsn()), no_connections)


def airflow_api(*, timeout: float = 30) -> AirflowApi:
    """Airflow's API, under the account of ``CALLBOARD_AIRFLOW_URL``, ``_USER`` and ``_PASSWORD``, or of access.json.

    Raises:
        ConfigurationError: nobody says where it is.
    """
    from include.platform.airflow_api import AirflowApi

    said = [os.environ.get(f"CALLBOARD_AIRFLOW_{name}") for name in ("URL", "USER", "PASSWORD")]
    if all(said):
        url, user, password = (str(word) for word in said)
        return AirflowApi(url, user, password, timeout=timeout)
    access()  # says better than Airflow's client what is missing
    return AirflowApi.of_access_file(var_folder() / "access.json", timeout=timeout)


def access() -> dict[str, Any]:
    """Return ``access.json``: the platform's addresses and credentials.

    Raises:
        ConfigurationError: there is none, or it may not be read.
        StateDamaged: it is not as it was written.
    """
    path = var_folder() / "access.json"
    next_step = (
        "start the platform with `make run`, or set CALLBOARD_VAR to its state directory; in a container, set what "
        "docs/deploy/settings.md lists"
    )
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"There is no {path}.", next_step=next_step) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.", next_step=next_step) from None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise StateDamaged(f"{path} is not as it was written.", next_step="start the platform again with `make run`")
    return content


def _address(variable: str, name: str) -> str:
    address = os.environ.get(variable) or access().get(name)
    if not address:
        raise ConfigurationError(
            f"{variable} is not set, and access.json has no {name}.",
            next_step=f"start the platform with `make run`, or set {variable}",
        )
    return str(address)

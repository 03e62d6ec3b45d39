"""``python -m include.platform.prepare``: make everything ready that an installation's processes find when they start.

Roles and databases (where ``CALLBOARD_ADMIN_DSN`` is given), Airflow's tables and those of the three schemas, the
administrator's account, the API's own client. A one-shot program of deployments; `make run` does the same in its own
order. It waits for a database that is coming up, may be repeated at every start beside schedulers that are at work, and
two of them take turns.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from include.errors import CallboardError, ConfigurationError
from include.platform.addresses import password_of
from include.platform.given import installation_of, take_settings
from include.platform.patience import one_at_a_time, wait_for_database

if TYPE_CHECKING:
    from include.platform.installation import Installation

_NEEDED = {
    "schedule_dsn": "CALLBOARD_SCHEDULE_DSN",
    "ledger_dsn": "CALLBOARD_LEDGER_DSN",
    "api_dsn": "CALLBOARD_API_DSN",
    "airflow_dsn": "CALLBOARD_AIRFLOW_DSN",
    "airflow_password": "CALLBOARD_AIRFLOW_PASSWORD",
    "fernet_key": "CALLBOARD_FERNET_KEY",
}


def main() -> int:
    """Prepare the installation that the environment describes; answers 1 with one line where that is impossible."""
    try:
        take_settings()  # before anything of Airflow is imported
        prepare(installation_of(os.environ))
    except CallboardError as error:
        sys.stderr.write(f"callboard: {error}\n")
        return 1
    return 0


def prepare(installation: Installation) -> None:
    """Make it ready. The process's environment is the installation's.

    Raises:
        ConfigurationError: a setting is missing or wrong, or no database answers.
        SourceNotReady: the database broke off.
    """
    for field, variable in _NEEDED.items():
        if not getattr(installation, field):
            raise ConfigurationError(f"{variable} is not set.", next_step=f"set it, or {variable}_FILE (settings.md)")
    first = installation.admin_dsn or installation.airflow_dsn
    wait_for_database(first, _say)
    with one_at_a_time(first, "prepare_installation"):
        if installation.admin_dsn:
            _say("roles and databases")
            _create(installation)
        for dsn in (installation.schedule_dsn, installation.airflow_dsn):
            wait_for_database(dsn, _say)
        _say("Callboard's tables")
        _migrate(installation)
        _say("Airflow's tables")
        _prepare_airflow(installation)
    _say("ready")


def _create(installation: Installation) -> None:
    from include.database import API_ROLE, LEDGER_ROLE, SCHEDULE_ROLE, not_ready_errors, prepare_database
    from include.platform.airflow_database import create_airflow_database

    roles = {"schedule_dsn": SCHEDULE_ROLE, "ledger_dsn": LEDGER_ROLE, "api_dsn": API_ROLE}
    passwords: dict[str, str] = {}
    for field, role in roles.items():
        user, passwords[field], _ = _account(_NEEDED[field], getattr(installation, field))
        if user != role:
            raise ConfigurationError(f"{_NEEDED[field]} has another user than {role}.", next_step="correct it")
    databases = {_account(_NEEDED[field], getattr(installation, field))[2] for field in roles}
    if len(databases) > 1:
        raise ConfigurationError(
            "The three databases of Callboard are not one.",
            next_step="let CALLBOARD_SCHEDULE_DSN, CALLBOARD_LEDGER_DSN and CALLBOARD_API_DSN name the same database",
        )
    admin = urlsplit(installation.admin_dsn)
    prepare_database(
        admin._replace(path=f"/{databases.pop()}").geturl(),
        schedule_password=passwords["schedule_dsn"],
        ledger_password=passwords["ledger_dsn"],
        api_password=passwords["api_dsn"],
    )
    owner, password, database = _account("CALLBOARD_AIRFLOW_DSN", installation.airflow_dsn)
    with not_ready_errors():
        create_airflow_database(installation.admin_dsn, database, password, owner=owner)


def _account(variable: str, dsn: str) -> tuple[str, str, str]:
    """User, password and database of an address."""
    parts = urlsplit(dsn)
    user, password, database = parts.username or "", password_of(dsn), parts.path.lstrip("/")
    if not (user and password and database):
        raise ConfigurationError(
            f"{variable} lacks its user, its password or its database.",
            next_step="write it like postgresql://user@host:5432/database, the password into its secret",
        )
    return user, password, database


def _migrate(installation: Installation) -> None:
    from include.platform.store_schemas import ensure_own_client, migrate_all

    migrate_all(
        schedule_dsn=installation.schedule_dsn, ledger_dsn=installation.ledger_dsn, api_dsn=installation.api_dsn
    )
    ensure_own_client(installation.api_dsn, installation.api_client_secret)


def _prepare_airflow(installation: Installation) -> None:
    from include.database import not_ready_errors
    from include.platform.airflow_database import bring_up_to_date

    with not_ready_errors():
        bring_up_to_date(installation.airflow_dsn, installation.airflow_user, installation.airflow_password)


def _say(text: str) -> None:
    sys.stdout.write(f"prepare: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

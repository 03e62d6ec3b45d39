"""What an installation consists of, and the environment of its processes: the one place that derives ``AIRFLOW__*``.

`make run` builds an :class:`Installation` from its plan (:mod:`include.platform.environment`), containers from their
environment and files (:mod:`include.platform.given`). Both hand the same variables to every process.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.platform.access import AIRFLOW_USER, API_CLIENT
from include.platform.addresses import plaintext
from include.settings import PROJECT_ROOT
from include.sign_in.environment import airflow_settings
from include.sign_in.settings import load_sign_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Which class of Airflow's runs the tasks, by ``CALLBOARD_EXECUTOR``; for ``local`` config/airflow.cfg names ours.
EXECUTORS = {"local": "", "celery": "CeleryExecutor", "kubernetes": "KubernetesExecutor"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One installation. What is empty is not told to its processes.

    ``*_dsn`` are ``postgresql://`` URIs with their passwords. ``airflow_url`` is where processes reach Airflow's API
    server, ``public_url`` where browsers do and what mails link to. ``host`` and ``port`` are what the API server
    listens on (empty and None: what config/airflow.cfg and Airflow say). ``executor`` is a key of
    :data:`EXECUTORS`; ``broker_url`` is for ``celery`` alone. ``connections`` are Airflow's, by the names of their
    variables. ``sign_in`` is the file of that name's settings.
    """

    var: Path
    mappings: Path
    time_zone: str
    airflow_home: Path
    airflow_url: str
    public_url: str
    airflow_user: str = AIRFLOW_USER
    host: str = ""
    port: int | None = None
    executor: str = "local"
    sign_in: Path | None = None
    schedule_dsn: str = field(default="", repr=False)
    ledger_dsn: str = field(default="", repr=False)
    api_dsn: str = field(default="", repr=False)
    airflow_dsn: str = field(default="", repr=False)
    admin_dsn: str = field(default="", repr=False)
    broker_url: str = field(default="", repr=False)
    airflow_password: str = field(default="", repr=False)
    api_client_secret: str = field(default="", repr=False)
    fernet_key: str = field(default="", repr=False)
    jwt_secret: str = field(default="", repr=False)
    session_key: str = field(default="", repr=False)
    sandbox_password: str = field(default="", repr=False)
    connections: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def api_url(self) -> str:
        """Where the Lightning Bolt API answers: plugins/callboard_api.py mounts it there."""
        return f"{self.airflow_url}/lightning-bolt"


def process_environment(installation: Installation) -> dict[str, str]:
    """The variables of every process of ``installation``, beside what its container or shell hands on anyway.

    Raises:
        ConfigurationError: the sign-in settings are wrong.
    """
    variables = {
        "PYTHONPATH": str(PROJECT_ROOT),
        "PYTHONUNBUFFERED": "1",
        **_callboard(installation),
        **_airflow(installation),
        "AIRFLOW_CONN_LIGHTNING_BOLT_API": _api_connection(installation),
        **installation.connections,
        # Process titles must not be written over the environment: the platform's processes are found by it.
        "SPT_NOENV": "1",
        # Great Expectations neither draws progress bars into task logs nor reports itself to its makers.
        "TQDM_DISABLE": "1",
        "GX_ANALYTICS_ENABLED": "false",
    }
    return {name: value for name, value in variables.items() if value}


def _callboard(of: Installation) -> dict[str, str]:
    return {
        "CALLBOARD_VAR": str(of.var),
        "CALLBOARD_MAPPINGS": str(of.mappings),
        "CALLBOARD_TIME_ZONE": of.time_zone,
        "CALLBOARD_SCHEDULE_DSN": of.schedule_dsn,
        "CALLBOARD_LEDGER_DSN": of.ledger_dsn,
        "CALLBOARD_API_DSN": of.api_dsn,
        "CALLBOARD_AIRFLOW_DSN": of.airflow_dsn,
        "CALLBOARD_ADMIN_DSN": of.admin_dsn,
        "CALLBOARD_API_CLIENT_SECRET": of.api_client_secret,
        "CALLBOARD_AIRFLOW_URL": of.airflow_url,
        "CALLBOARD_PUBLIC_URL": of.public_url,
        "CALLBOARD_AIRFLOW_USER": of.airflow_user,
        "CALLBOARD_AIRFLOW_PASSWORD": of.airflow_password,
        "CALLBOARD_SANDBOX_PASSWORD": of.sandbox_password,
        "CALLBOARD_EXECUTOR": of.executor,
        # Processes start in other folders than this one: they are told the whole path of the settings.
        "CALLBOARD_SIGN_IN": str(of.sign_in) if of.sign_in else "",
    }


def _airflow(of: Installation) -> dict[str, str]:
    celery = of.executor == "celery"
    return {
        "AIRFLOW_HOME": str(of.airflow_home),
        "AIRFLOW_CONFIG": str(PROJECT_ROOT / "config" / "airflow.cfg"),
        "AIRFLOW__CORE__EXECUTOR": EXECUTORS[of.executor],
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT_ROOT / "plugins"),
        "AIRFLOW__CORE__FERNET_KEY": of.fernet_key,
        # Its default is the address for browsers, which tasks may not reach, and should not go round by.
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{of.airflow_url}/execution/" if of.airflow_url else "",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": of.airflow_dsn.replace("postgresql:", "postgresql+psycopg2:", 1),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(of.airflow_home / "logs"),
        "AIRFLOW__API__HOST": of.host,
        "AIRFLOW__API__PORT": "" if of.port is None else str(of.port),
        "AIRFLOW__API__BASE_URL": of.public_url,
        "AIRFLOW__API__SECRET_KEY": of.session_key,
        "AIRFLOW__API_AUTH__JWT_SECRET": of.jwt_secret,
        "AIRFLOW__FAB__CONFIG_FILE": str(PROJECT_ROOT / "config" / "webserver_config.py"),
        # The results stay in Airflow's own database: that is Celery's default under Airflow.
        "AIRFLOW__CELERY__BROKER_URL": of.broker_url if celery else "",
        **airflow_settings(load_sign_in(of.sign_in), of.public_url),
    }


def _api_connection(of: Installation) -> str:
    """How the Dag of the API reaches it: as a client, like everybody else."""
    if not of.airflow_url or not of.api_client_secret:
        return ""
    connection = {"conn_type": "http", "host": of.api_url, "login": API_CLIENT, "password": of.api_client_secret}
    return json.dumps(connection | {"extra": extra} if (extra := plaintext(of.airflow_url)) else connection)

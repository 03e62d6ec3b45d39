"""The environment of every process that `make run` starts: one place that says what they are told."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.database import API_ROLE, LEDGER_ROLE, SCHEDULE_ROLE
from include.platform.access import AIRFLOW_USER, API_CLIENT
from include.platform.leftovers import MARK
from include.platform.ports import HOST
from include.platform.sandbox_connections import sandbox_connections
from include.settings import PROJECT_ROOT, default_time_zone, mappings_folder
from include.sign_in.environment import airflow_settings
from include.sign_in.settings import load_sign_in, sign_in_file

if TYPE_CHECKING:
    from include.platform.generated import Generated
    from include.platform.state import State

DATABASE, AIRFLOW_DATABASE = "callboard", "airflow"
PORT_NAMES = ("postgres", "sftp", "sftp_control", "mail", "mail_control", "partners", "spok")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one start decided before any process runs."""

    state: State
    port: int  # Airflow's, chosen by the user
    ports: dict[str, int]  # of PORT_NAMES
    generated: Generated
    sftp_host_key: str  # its public half

    @property
    def url(self) -> str:
        """Where Airflow answers."""
        return f"http://{HOST}:{self.port}"

    @property
    def api_url(self) -> str:
        """Where the Lightning Bolt API answers: plugins/callboard_api.py mounts it there."""
        return f"{self.url}/lightning-bolt"

    @property
    def schedule_dsn(self) -> str:
        """The schedule store, under its role."""
        return self._dsn(SCHEDULE_ROLE, self.generated.schedule_password, DATABASE)

    @property
    def ledger_dsn(self) -> str:
        """The ledger, under its role."""
        return self._dsn(LEDGER_ROLE, self.generated.ledger_password, DATABASE)

    @property
    def api_dsn(self) -> str:
        """What the API keeps of its clients, under its role, which also reads what is published."""
        return self._dsn(API_ROLE, self.generated.api_password, DATABASE)

    @property
    def airflow_dsn(self) -> str:
        """Airflow's own database, under its role."""
        return self._dsn(AIRFLOW_DATABASE, self.generated.airflow_database_password, AIRFLOW_DATABASE)

    def _dsn(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{password}@{HOST}:{self.ports['postgres']}/{database}"


def platform_environment(plan: Plan, postgres_command: list[str]) -> dict[str, str]:
    """This process's environment, and what the platform decides; ``CALLBOARD_NOW`` passes through as it is.

    Raises:
        ConfigurationError: the sign-in settings are wrong.
    """
    state, secret = plan.state, plan.generated
    # What browsers and identity providers know it by; another one than ours where a proxy stands before it.
    public_url = os.environ.get("AIRFLOW__API__BASE_URL") or plan.url
    return {
        **os.environ,
        MARK: str(state.var),
        "PYTHONPATH": str(PROJECT_ROOT),
        "PYTHONUNBUFFERED": "1",
        **_supervisor_variables(plan, postgres_command),
        "CALLBOARD_VAR": str(state.var),
        "CALLBOARD_MAPPINGS": str(mappings_folder()),
        "CALLBOARD_TIME_ZONE": default_time_zone(),
        "CALLBOARD_SCHEDULE_DSN": plan.schedule_dsn,
        "CALLBOARD_LEDGER_DSN": plan.ledger_dsn,
        "CALLBOARD_API_DSN": plan.api_dsn,
        "CALLBOARD_API_CLIENT_SECRET": secret.api_client_secret,
        "AIRFLOW_CONN_LIGHTNING_BOLT_API": _api_connection(plan),
        "CALLBOARD_AIRFLOW_DSN": plan.airflow_dsn,
        **_mail_variables(plan),
        "CALLBOARD_AIRFLOW_USER": AIRFLOW_USER,
        "CALLBOARD_AIRFLOW_PASSWORD": secret.airflow_password,
        "AIRFLOW_HOME": str(state.airflow),
        "AIRFLOW_CONFIG": str(PROJECT_ROOT / "config" / "airflow.cfg"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT_ROOT / "plugins"),
        "AIRFLOW__CORE__FERNET_KEY": secret.fernet_key,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": plan.airflow_dsn.replace("postgresql:", "postgresql+psycopg2:", 1),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(state.airflow / "logs"),
        "AIRFLOW__API__PORT": str(plan.port),
        "AIRFLOW__API__BASE_URL": public_url,
        **_sign_in(public_url),
        "AIRFLOW__API__SECRET_KEY": secret.session_key,
        "AIRFLOW__API_AUTH__JWT_SECRET": secret.jwt_secret,
        "AIRFLOW__FAB__CONFIG_FILE": str(PROJECT_ROOT / "config" / "webserver_config.py"),
        "CALLBOARD_SANDBOX_PASSWORD": secret.sandbox_password,
        **sandbox_connections(
            plan.ports,
            password=secret.sandbox_password,
            sftp_key=state.keys / "sftp_client_key",
            sftp_host_key=plan.sftp_host_key,
        ),
        # Process titles must not be written over the environment: the platform's processes are found by it.
        "SPT_NOENV": "1",
        # Great Expectations neither draws progress bars into task logs nor reports itself to its makers.
        "TQDM_DISABLE": "1",
        "GX_ANALYTICS_ENABLED": "false",
    }


def _supervisor_variables(plan: Plan, postgres_command: list[str]) -> dict[str, str]:
    """What config/supervisord.conf refers to."""
    return {
        "CALLBOARD_PYTHON": sys.executable,
        "CALLBOARD_RUN": str(plan.state.run),
        "CALLBOARD_LOGS": str(plan.state.logs),
        "CALLBOARD_KEYS": str(plan.state.keys),
        "CALLBOARD_SOCKET": str(plan.state.socket()),
        "CALLBOARD_POSTGRES_COMMAND": shlex.join(postgres_command),
        "CALLBOARD_SFTP_PORT": str(plan.ports["sftp"]),
        "CALLBOARD_SFTP_CONTROL_PORT": str(plan.ports["sftp_control"]),
        "CALLBOARD_MAIL_PORT": str(plan.ports["mail"]),
        "CALLBOARD_MAIL_CONTROL_PORT": str(plan.ports["mail_control"]),
        "CALLBOARD_PARTNERS_PORT": str(plan.ports["partners"]),
        "CALLBOARD_SPOK_PORT": str(plan.ports["spok"]),
    }


def _api_connection(plan: Plan) -> str:
    """How the Dag of the API reaches it: as a client, like everybody else."""
    return json.dumps(
        {
            "conn_type": "http",
            "host": plan.api_url,
            "login": API_CLIENT,
            "password": plan.generated.api_client_secret,
        }
    )


def _sign_in(public_url: str) -> dict[str, str]:
    """Processes start in other folders than this one: they are told the whole path of the settings."""
    file = sign_in_file()
    return airflow_settings(load_sign_in(file), public_url) | ({"CALLBOARD_SIGN_IN": str(file)} if file else {})


def _mail_variables(plan: Plan) -> dict[str, str]:
    """Mails go to the sandbox's catcher, unless whoever starts the platform names a mail server."""
    shown = {"CALLBOARD_AIRFLOW_URL": os.environ.get("CALLBOARD_AIRFLOW_URL") or plan.url}
    if os.environ.get("CALLBOARD_SMTP_HOST"):
        return shown
    return {
        **shown,
        "CALLBOARD_SMTP_HOST": HOST,
        "CALLBOARD_SMTP_PORT": str(plan.ports["mail"]),
        "CALLBOARD_SMTP_USER": "",
        "CALLBOARD_SMTP_PASSWORD": "",
        "CALLBOARD_SMTP_STARTTLS": "false",
        "CALLBOARD_SMTP_FROM": os.environ.get("CALLBOARD_SMTP_FROM") or "callboard@example.org",
        "CALLBOARD_ADMINISTRATORS": os.environ.get("CALLBOARD_ADMINISTRATORS") or "callboard.admins@example.org",
    }

"""The environment of every process that `make run` starts: its installation, and what only a supervised one has."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.database import API_ROLE, LEDGER_ROLE, SCHEDULE_ROLE
from include.platform import bell
from include.platform.installation import Installation, process_environment
from include.platform.leftovers import MARK
from include.platform.ports import HOST
from include.platform.sandbox_connections import sandbox_connections
from include.settings import default_time_zone, mappings_folder
from include.sign_in.settings import sign_in_file

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
    def installation(self) -> Installation:
        """What the processes are told of it."""
        secret = self.generated
        return Installation(
            var=self.state.var,
            mappings=mappings_folder(),
            time_zone=default_time_zone(),
            airflow_home=self.state.airflow,
            airflow_url=self.url,
            # What browsers and identity providers know it by; another one than ours where a proxy stands before it.
            public_url=os.environ.get("CALLBOARD_PUBLIC_URL") or os.environ.get("AIRFLOW__API__BASE_URL") or self.url,
            port=self.port,
            sign_in=sign_in_file(),
            schedule_dsn=self._dsn(SCHEDULE_ROLE, secret.schedule_password, DATABASE),
            ledger_dsn=self._dsn(LEDGER_ROLE, secret.ledger_password, DATABASE),
            api_dsn=self._dsn(API_ROLE, secret.api_password, DATABASE),
            airflow_dsn=self._dsn(AIRFLOW_DATABASE, secret.airflow_database_password, AIRFLOW_DATABASE),
            airflow_password=secret.airflow_password,
            api_client_secret=secret.api_client_secret,
            fernet_key=secret.fernet_key,
            jwt_secret=secret.jwt_secret,
            session_key=secret.session_key,
            sandbox_password=secret.sandbox_password,
            connections=sandbox_connections(
                sftp=(HOST, self.ports["sftp"]),
                partners=(HOST, self.ports["partners"]),
                spok=(HOST, self.ports["spok"]),
                password=secret.sandbox_password,
                sftp_key=str(self.state.keys / "sftp_client_key"),
                sftp_host_key=self.sftp_host_key,
            ),
        )

    def _dsn(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{password}@{HOST}:{self.ports['postgres']}/{database}"


def platform_environment(plan: Plan, postgres_command: list[str]) -> dict[str, str]:
    """This process's environment, and what the platform decides; ``CALLBOARD_NOW`` passes through as it is.

    Raises:
        ConfigurationError: the sign-in settings are wrong.
    """
    return {
        **_restless(plan),
        **os.environ,
        MARK: str(plan.state.var),
        **process_environment(plan.installation),
        **_bell(plan),
        **_supervisor_variables(plan, postgres_command),
        **_mail_variables(plan),
    }


def _bell(plan: Plan) -> dict[str, str]:
    """Where the scheduler is rung for: with the executor that waits for it."""
    if plan.installation.executor != "local" or "AIRFLOW__CORE__EXECUTOR" in os.environ:
        return {}
    return {bell.VARIABLE: str(plan.state.socket().with_name("bell.sock"))}


def _restless(plan: Plan) -> dict[str, str]:
    """A scheduler that is rung for does not sleep, unless somebody wants it to."""
    return {"AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0"} if _bell(plan) else {}


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


def _mail_variables(plan: Plan) -> dict[str, str]:
    """Mails go to the sandbox's catcher, unless whoever starts the platform names a mail server."""
    if os.environ.get("CALLBOARD_SMTP_HOST"):
        return {}
    return {
        "CALLBOARD_SMTP_HOST": HOST,
        "CALLBOARD_SMTP_PORT": str(plan.ports["mail"]),
        "CALLBOARD_SMTP_USER": "",
        "CALLBOARD_SMTP_PASSWORD": "",
        "CALLBOARD_SMTP_STARTTLS": "false",
        "CALLBOARD_SMTP_FROM": os.environ.get("CALLBOARD_SMTP_FROM") or "callboard@example.org",
        "CALLBOARD_ADMINISTRATORS": os.environ.get("CALLBOARD_ADMINISTRATORS") or "callboard.admins@example.org",
    }

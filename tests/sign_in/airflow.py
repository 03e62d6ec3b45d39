"""A real Airflow with this project's sign-in, for all tests of this folder: its settings, process and databases."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import yaml

from include.settings import PROJECT_ROOT
from tests.support.airflow_program import SECRETS, airflow_variables, environment_outside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Database

ADMIN, RESCUE, MACHINE = ("admin", "admin-pw"), ("rescue", "rescue-pw"), ("machine", "machine-pw")
ROLES = {"sched-admins": ["Admin"], "sched-viewers": ["Viewer"], "ghosts": ["No Such Role"]}
_START_SECONDS = 240


@dataclass(frozen=True, slots=True)
class RunningAirflow:
    """Where it answers, where its databases are, and what it has logged so far."""

    url: str
    airflow_dsn: str
    ledger_dsn: str
    log: Path

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask Airflow's own database."""
        with psycopg.connect(self.airflow_dsn) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def ledger(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the ledger."""
        with psycopg.connect(self.ledger_dsn) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def roles(self, username: str) -> set[str] | None:
        """The roles of an account; None where there is no account."""
        if not self.sql("SELECT 1 FROM ab_user WHERE username = %s", username):
            return None
        found = self.sql(
            "SELECT r.name FROM ab_user u JOIN ab_user_role x ON x.user_id = u.id JOIN ab_role r ON r.id = x.role_id"
            " WHERE u.username = %s",
            username,
        )
        return {name for (name,) in found}

    def audit(self, owner: str) -> list[tuple[Any, ...]]:
        """What Airflow's audit log has of a person: event and details, the oldest first."""
        return self.sql("SELECT event, extra FROM log WHERE owner = %s ORDER BY id", owner)

    def logged(self) -> str:
        """Everything that was logged so far."""
        return self.log.read_text("utf-8")


@contextmanager
def running(
    folder: Path, port: int, database: Database, airflow_dsn: str, settings: dict[str, Any]
) -> Iterator[RunningAirflow]:
    """Run it with sign-in ``settings`` (the YAML file's content)."""
    from include.sign_in.environment import airflow_settings
    from include.sign_in.settings import load_sign_in

    file = folder / "sign_in.yaml"
    file.write_text(yaml.safe_dump(settings), "utf-8")
    url = f"http://localhost:{port}"
    environment = {
        **environment_outside(),
        **airflow_variables(folder / "airflow"),
        **SECRETS,
        "CALLBOARD_SIGN_IN": str(file),
        "CALLBOARD_LEDGER_DSN": database.ledger_dsn,
        "CALLBOARD_AIRFLOW_DSN": airflow_dsn,
        "CALLBOARD_AIRFLOW_USER": ADMIN[0],
        "CALLBOARD_AIRFLOW_PASSWORD": ADMIN[1],
        "CALLBOARD_ADMINISTRATORS": "callboard.admins@example.org",
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(folder / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow_dsn.replace("postgresql:", "postgresql+psycopg2:", 1),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__FAB__CONFIG_FILE": str(PROJECT_ROOT / "config" / "webserver_config.py"),
        **airflow_settings(load_sign_in(file), url),
    }
    accounts = ["=".join(account) for account in (RESCUE, MACHINE)]
    found = RunningAirflow(url, airflow_dsn, database.ledger_dsn, folder / "airflow.log")
    with (
        found.log.open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "tests.sign_in.airflow_process", f"127.0.0.1:{port}", *accounts],
            cwd=PROJECT_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not _answers(url):
                assert process.poll() is None, f"Airflow ended:\n{found.logged()}"
                assert time.monotonic() < deadline, f"Airflow did not start:\n{found.logged()}"
                time.sleep(0.2)
            yield found
        finally:
            process.terminate()
            process.wait()


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/api/v2/version", trust_env=False, timeout=5).status_code == 200
    return False

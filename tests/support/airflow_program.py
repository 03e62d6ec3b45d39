"""Programs of a test in a process of their own: Airflow reads its settings when it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from pathlib import Path


#: What a server of Airflow needs beside; of tests alone.
SECRETS = {
    "AIRFLOW__CORE__FERNET_KEY": "VYmQYZGY1Ih0RU1tc8eu1Q_kr-iYDCmmEd9tAkMsCrM=",
    "AIRFLOW__API__SECRET_KEY": "s" * 40,
    "AIRFLOW__API_AUTH__JWT_SECRET": "j" * 40,
}


def environment_outside() -> dict[str, str]:
    """This process's environment, without what it was told for Airflow or for the project."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CALLBOARD"))}


def airflow_variables(home: Path) -> dict[str, str]:
    """The project's settings of Airflow, with the Dags and plugins that ship; what it writes is below ``home``."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(PROJECT_ROOT / "config" / "airflow.cfg"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT_ROOT / "plugins"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "PYTHONPATH": str(PROJECT_ROOT),
    }


def output_of(program: str, home: Path) -> str:
    """What a Python program prints that has the project's Airflow, beside the environment of the test."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT_ROOT,
        env={**os.environ, **airflow_variables(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

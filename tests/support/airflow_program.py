"""Programs of a test in a process of their own: Airflow reads its settings when it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from pathlib import Path


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

"""An Airflow of its own for measuring: its database, with the project's Dags of a mappings folder in it."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from include.platform.airflow_database import create_airflow_database
from include.platform.postgres import EmbeddedPostgres
from tests.conftest import free_port
from tests.support.airflow_program import airflow_variables, environment_outside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

NAME = "airflow"


def airflow_settings(home: Path, mappings: Path) -> dict[str, str]:
    """What processes of Airflow are told that read the project's Dag files; the rest is config/airflow.cfg's."""
    return {
        **airflow_variables(home),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__API_AUTH__JWT_SECRET": "of-a-bench-that-serves-nobody-0123456789abcdef",
        "CALLBOARD_MAPPINGS": str(mappings),
    }


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process took: seconds, and seconds of CPU, its children's included."""

    seconds: float
    cpu: float


@dataclass(frozen=True, slots=True)
class AirflowOfBench:
    """Its processes' settings and its database."""

    env: Mapping[str, str]
    dsn: str

    def read_dags(self) -> Spent:
        """One pass of Airflow's Dag processor over every Dag file, its start included."""
        return self.run("-m", "airflow", "dag-processor", "--num-runs", "1")

    def run(self, *words: str) -> Spent:
        """Run a Python program to its end.

        Raises:
            RuntimeError: it failed; its last words are in the message.
        """
        began, before = time.perf_counter(), _cpu_of_children()
        program = self.start(*words, stderr=subprocess.PIPE)
        _, told = program.communicate()
        if program.returncode != 0:
            raise RuntimeError(f"{words} ended with {program.returncode}: {told.decode()[-2000:]}")
        return Spent(time.perf_counter() - began, _cpu_of_children() - before)

    def start(self, *words: str, **arguments: Any) -> subprocess.Popen[bytes]:
        """Start a Python program; ``arguments`` are Popen's."""
        command, folder = [sys.executable, *words], self.env["AIRFLOW_HOME"]
        env = environment_outside() | dict(self.env)
        return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, **arguments)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Plain SQL."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(statement, values or None).fetchall()


@contextmanager
def airflow_of_bench(folder: Path, mappings: Path, **settings: str) -> Iterator[AirflowOfBench]:
    """Lend one whose database has its tables and nothing else; ``settings`` are more of its variables."""
    home = folder / "home"
    home.mkdir(parents=True)
    server = EmbeddedPostgres(folder / "server", free_port(), durable=False)
    server.start()
    try:
        create_airflow_database(server.admin_dsn(), NAME, NAME)
        dsn = server.admin_dsn(NAME)
        connection = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": dsn.replace("postgresql:", "postgresql+psycopg2:", 1)}
        lent = AirflowOfBench({**airflow_settings(home, mappings), **connection, **settings}, dsn)
        lent.run("-c", "from include.platform.airflow_database import migrate; migrate()")
        yield lent
    finally:
        server.stop()


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

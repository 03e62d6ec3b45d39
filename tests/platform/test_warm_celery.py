"""Celery's workers are born warm, and only they: a real broker, a real worker, and a look into one of its processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest

from include.platform.given import environment_of
from include.platform.secrets_folder import make_secrets
from include.settings import PROJECT_ROOT
from tests.conftest import free_port
from tests.support.whole_platform import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.platform.postgres import EmbeddedPostgres

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server: apt-get install redis-server"),
]
HEAVY = ("pandas", "great_expectations", "duckdb", "pyarrow")
#: A module of settings as Airflow's name for it allows, with ours in it, and a task that looks around.
PROBE = """
import os, sys

from celery import shared_task

from include.platform.warm_celery import CELERY_CONFIG

CONFIG = {**CELERY_CONFIG, "imports": ["probe"]}
AT_IMPORT = sorted(name for name in %(heavy)r if name in sys.modules)


@shared_task(name="look")
def look():
    read, write = os.pipe()
    child = os.fork()  # as a task of Airflow is, by its pool process
    if not child:
        os.write(write, ",".join(name for name in %(heavy)r if name in sys.modules).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    warm = os.read(read, 1000).decode()
    return {"warm": warm.split(",") if warm else [], "at_import": AT_IMPORT, "pid": os.getpid()}
"""


@pytest.fixture
def given(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A worker's environment, with the broker that it finds; Airflow's database holds nothing but Celery's results."""
    secrets, lib, broker = tmp_path / "secrets", tmp_path / "lib", free_port()
    make_secrets(secrets)
    lib.mkdir()
    (lib / "probe.py").write_text(PROBE % {"heavy": HEAVY})
    with psycopg.connect(postgres.admin_dsn(), autocommit=True) as server:
        server.execute("CREATE DATABASE celery_results")
    dsn = postgres.admin_dsn("celery_results")
    environment = environment_of(
        {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{PROJECT_ROOT}:{lib}",
            "CALLBOARD_SECRETS": str(secrets),
            "CALLBOARD_VAR": str(tmp_path / "var"),
            "CALLBOARD_AIRFLOW_URL": "http://127.0.0.1:9",
            "CALLBOARD_EXECUTOR": "celery",
            "CALLBOARD_BROKER_URL": f"redis://127.0.0.1:{broker}/0",
            **{f"CALLBOARD_{name}_DSN": dsn for name in ("SCHEDULE", "LEDGER", "API", "AIRFLOW")},
            "AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS": "probe.CONFIG",
        }
    )
    password = (secrets / "redis_password").read_text()
    words = ["redis-server", "--port", str(broker), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    redis = subprocess.Popen(
        [*words, "--requirepass", password, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL, env=environment
    )
    try:
        yield environment
    finally:
        redis.kill()
        redis.wait()
        with psycopg.connect(postgres.admin_dsn(), autocommit=True) as server:
            server.execute("DROP DATABASE celery_results WITH (FORCE)")


@contextmanager
def worker(given: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker as a deployment starts one, until the block ends; nothing of it is left."""
    words = ["airflow", "celery", "worker", "--skip-serve-logs", "--concurrency", "1", "--without-gossip"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "include.platform.with_settings", *words],
            cwd=PROJECT_ROOT,
            env=given,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            all_of_it = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            process.send_signal(signal.SIGTERM)
            _, left = psutil.wait_procs(all_of_it, timeout=30)
            for each in left:
                each.kill()
        process.wait()


def in_a_scheduler(given: dict[str, str], code: str) -> Any:
    """What a program prints that, like a scheduler, makes Celery's app to send a task by it."""
    head = "from airflow.providers.celery.executors.celery_executor_utils import app\nimport json, sys\n"
    done = subprocess.run(
        [sys.executable, "-c", head + code],
        cwd=PROJECT_ROOT,
        env=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_task_of_a_worker_is_born_with_the_libraries_and_whoever_sends_it_has_none(given, tmp_path):
    log = tmp_path / "worker.log"
    with worker(given, log) as process:

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            return "ready." in log.read_text()

        wait_until(ready, 300, "the worker is ready")
        send = f"""
look = app.send_task("look").get(timeout=60)
print(json.dumps([look, [name for name in {HEAVY!r} if name in sys.modules]]))
"""
        look, of_the_sender = in_a_scheduler(given, send)
        assert look["warm"] == list(HEAVY)
        assert look["at_import"] == []  # the preloading did it, and not whoever imported the settings
        assert psutil.Process(look["pid"]).ppid() == process.pid
        assert of_the_sender == []
    assert process.returncode == 0, log.read_text()


def test_celery_hears_what_config_says(given):
    of_ours = given | {"AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS": "include.platform.warm_celery.CELERY_CONFIG"}
    names = ("worker_concurrency", "worker_prefetch_multiplier", "task_acks_late", "broker_transport_options")
    found = in_a_scheduler(of_ours, f"print(json.dumps({{name: app.conf[name] for name in {names!r}}}))")
    assert found == {
        "worker_concurrency": 8,
        "worker_prefetch_multiplier": 1,
        "task_acks_late": True,
        "broker_transport_options": {"visibility_timeout": 7200},
    }

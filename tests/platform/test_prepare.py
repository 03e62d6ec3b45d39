"""The one-shot programs of a deployment: all is made ready, as often as one likes, beside whatever is at work."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from include.errors import ConfigurationError
from include.platform.patience import one_at_a_time, wait_for_database
from include.platform.postgres import EmbeddedPostgres
from include.platform.secrets_folder import make_secrets
from include.settings import PROJECT_ROOT
from tests.conftest import free_port
from tests.support.whole_platform import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server of one's own, because roles belong to a server; it is not started yet."""
    made = EmbeddedPostgres(tmp_path / "server", free_port(), durable=False)
    made.ensure_initialised()
    yield made
    made.stop()


@pytest.fixture
def given(server: EmbeddedPostgres, tmp_path: Path) -> dict[str, str]:
    """What a deployment would give to its programs."""
    secrets, mappings, place = tmp_path / "secrets", tmp_path / "mappings", f"127.0.0.1:{server.port}"
    make_secrets(secrets)
    password = secrets / "postgres_password"
    password.unlink()
    password.write_text(server.password_file.read_text())
    mappings.mkdir()
    (mappings / "demographic_import.yaml").write_text("integration: demographic_import\n")
    return {
        "PATH": os.environ["PATH"],
        "CALLBOARD_SECRETS": str(secrets),
        "CALLBOARD_VAR": str(tmp_path / "var"),
        "CALLBOARD_MAPPINGS": str(mappings),
        "CALLBOARD_AIRFLOW_URL": "http://127.0.0.1:9",
        "CALLBOARD_ADMIN_DSN": f"postgresql://postgres@{place}/postgres",
        "CALLBOARD_AIRFLOW_DSN": f"postgresql://callboard_airflow@{place}/airflow",
        **{
            f"CALLBOARD_{name.upper()}_DSN": f"postgresql://callboard_{name}@{place}/callboard"
            for name in ("schedule", "ledger", "api")
        },
    }


def start(program: str, given: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"include.platform.{program}"],
        cwd=PROJECT_ROOT,
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(program: str, given: dict[str, str]) -> str:
    process = start(program, given)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    return printed


def test_an_empty_server_becomes_an_installation_and_stays_one(server, given, tmp_path):
    """One story, because Airflow's tables take long: two at once on a server that comes up late, then once more."""
    both = [start("prepare", given) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("prepare: waiting for the database at 127.0.0.1:")
    server.start()
    for process in both:
        printed, _ = process.communicate(timeout=500)
        assert process.returncode == 0, printed
        assert printed.rstrip().endswith("prepare: ready")

    with psycopg.connect(server.admin_dsn("callboard")) as connection:
        roles = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'callboard%' ORDER BY 1").fetchall()
        clients = connection.execute("SELECT client_id FROM api.client").fetchall()
    assert [role for (role,) in roles] == [
        "callboard_airflow",
        "callboard_api",
        "callboard_ledger",
        "callboard_schedule",
    ]
    assert clients == [("callboard",)]
    with psycopg.connect(server.admin_dsn("airflow"), autocommit=True) as connection:
        assert connection.execute("SELECT username FROM ab_user WHERE active").fetchall() == [("admin",)]
        # A scheduler that is at work keeps its job.
        connection.execute("INSERT INTO job (id, state, job_type) VALUES (7, 'running', 'SchedulerJob')")
        run("prepare", given)
        assert connection.execute("SELECT state FROM job WHERE id = 7").fetchall() == [("running",)]

    # Without the superuser it finds what is there.
    without = {name: value for name, value in given.items() if name != "CALLBOARD_ADMIN_DSN"}
    assert "roles" not in run("prepare", without)

    inbound = tmp_path / "var" / "sftp"
    inbound.mkdir(parents=True)
    first, second = [start("seed", given) for _ in range(2)]
    printed = [first.communicate(timeout=300)[0], second.communicate(timeout=300)[0]]
    assert (first.returncode, second.returncode) == (0, 0), printed
    assert sum("loading the demo hospital" in text for text in printed) == 1
    assert (inbound / "demographic_import" / "inbound" / "people.csv").is_file()
    with psycopg.connect(server.admin_dsn("callboard")) as connection:
        assert connection.execute("SELECT count(*) > 100 FROM schedule.personnel").fetchone() == (True,)


def test_what_cannot_be_is_one_line(server, given):
    server.start()
    wrong = given | {"CALLBOARD_ADMIN_DSN": f"postgresql://postgres:wrong@127.0.0.1:{server.port}/postgres"}
    for changed, complaint in (
        (wrong, "refuses this account"),
        ({name: value for name, value in given.items() if name != "CALLBOARD_API_DSN"}, "CALLBOARD_API_DSN is not set"),
        (given | {"CALLBOARD_API_DSN": f"postgresql://somebody:x@127.0.0.1:{server.port}/callboard"}, "another user"),
    ):
        process = start("prepare", changed)
        printed, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert complaint in printed.splitlines()[-1]
        assert "Traceback" not in printed


def test_a_server_that_does_not_come_is_waited_for_so_long_and_no_longer(server):
    said: list[str] = []
    with pytest.raises(ConfigurationError, match=rf"No database answers at 127\.0\.0\.1:{server.port} after 1 s"):
        wait_for_database(server.admin_dsn(), said.append, seconds=1)
    assert said == [f"waiting for the database at 127.0.0.1:{server.port}"]


def test_two_take_turns_and_a_dead_one_lets_go(server):
    server.start()
    code = (
        "import sys, time\nfrom include.platform.patience import one_at_a_time\n"
        "with one_at_a_time(sys.argv[1], 'turns'):\n    print('mine', flush=True)\n    time.sleep(600)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, server.admin_dsn()], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True
    )
    with psycopg.connect(server.admin_dsn(), autocommit=True) as looking, other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        waiting = subprocess.Popen([sys.executable, "-c", code, server.admin_dsn()], cwd=PROJECT_ROOT)
        try:
            question = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted = %s"
            wait_until(lambda: looking.execute(question, [False]).fetchone() == (1,), 60, "the second one waits")
            other.kill()
            wait_until(lambda: looking.execute(question, [False]).fetchone() == (0,), 60, "it is its turn")
            assert looking.execute(question, [True]).fetchone() == (1,)
        finally:
            waiting.kill()
            waiting.wait()
    with one_at_a_time(server.admin_dsn(), "turns"):
        pass

"""Health checks against real processes: those that are well, that hang, that are gone."""

from __future__ import annotations

import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from include.platform import healthy
from include.platform.healthy import Unwell
from tests.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_SECONDS = 60


@contextmanager
def program(*words: str, source: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process whose command line ends with the words; it has printed a line by the time it is handed out."""
    command = [sys.executable, "-c", source, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


_LOOP = "import time; print('on', flush=True)\nwhile True: time.sleep(0.05)"
_STUCK = "import threading; lock = threading.Lock(); lock.acquire(); print('on', flush=True); lock.acquire()"


def test_a_loop_that_goes_round_is_well() -> None:
    with program("callboard-loop", "one", source=_LOOP):
        healthy.turns(["callboard-loop", "one"], seconds=30)


def test_a_loop_that_was_stopped_is_not() -> None:
    with program("callboard-loop", "two", source=_LOOP) as process:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        with pytest.raises(Unwell, match="has not moved"):
            healthy.turns(["callboard-loop", "two"], seconds=1)


def test_a_process_that_waits_for_ever_is_not() -> None:
    with program("callboard-loop", "three", source=_STUCK) as process:
        _await_state(process.pid, "S")  # it has printed, and come to its last wait
        with pytest.raises(Unwell, match="has not moved"):
            healthy.turns(["callboard-loop", "three"], seconds=1)


def _await_state(number: int, letter: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while Path(f"/proc/{number}/stat").read_text("ascii").rpartition(")")[2].split()[0] != letter:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_no_process_is_not_well_and_the_check_does_not_see_itself() -> None:
    words = ["callboard-loop", "nobody"]
    command = [sys.executable, "-m", "include.platform.healthy", "turns", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 1
    assert done.stderr == "No process callboard-loop nobody runs.\n"


def test_a_file_is_fresh_for_its_time(tmp_path: Path) -> None:
    file = tmp_path / "watch.json"
    with pytest.raises(Unwell, match="No such file"):
        healthy.file_is_fresh(file, 60)
    file.touch()
    healthy.file_is_fresh(file, 60)
    os.utime(file, (0, time.time() - 61))
    with pytest.raises(Unwell, match=r"6[12] s ago"):
        healthy.file_is_fresh(file, 60)


@contextmanager
def _answering(status: int) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/api/v2/monitor/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api/v2/monitor/health"
        server.shutdown()


def test_an_address_answers_or_does_not() -> None:
    with _answering(200) as address:
        healthy.url_answers(address)
    with _answering(503) as address, pytest.raises(Unwell, match="answers 503"):
        healthy.url_answers(address)
    with pytest.raises(Unwell, match="does not answer"):
        healthy.url_answers(f"http://127.0.0.1:{free_port()}/")
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unwell, match="does not answer"):
        healthy.url_answers(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.5)


@pytest.fixture
def jobs(database) -> Iterator[str]:
    """Airflow's table as far as the check asks it, with three jobs; the database's address."""
    with psycopg.connect(database.schedule_dsn, autocommit=True) as server:
        server.execute(
            "CREATE TABLE job (job_type text, state text, hostname text, latest_heartbeat timestamptz);"
            "INSERT INTO job VALUES ('SchedulerJob', 'running', 'here', now() - interval '10 s'),"
            " ('SchedulerJob', 'running', 'late', now() - interval '10 min'),"
            " ('SchedulerJob', 'failed', 'dead', now()),"
            " ('TriggererJob', 'running', 'other', now())"
        )
    yield database.schedule_dsn


def test_a_job_beats_on_its_host(jobs: str) -> None:
    healthy.job_beats(jobs, "SchedulerJob", ["somewhere", "here"])


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("late", "heartbeat of SchedulerJob is 6"),
        ("dead", "No SchedulerJob runs"),
        ("other", "No SchedulerJob runs on other"),
    ],
)
def test_a_job_that_does_not_beat_is_told(jobs: str, host: str, why: str) -> None:
    with pytest.raises(Unwell, match=why):
        healthy.job_beats(jobs, "SchedulerJob", [host])


def test_a_database_that_does_not_answer_is_told_without_its_password() -> None:
    with pytest.raises(Unwell, match="Airflow's database does not answer") as caught:
        healthy.job_beats(f"postgresql://airflow:sesame@127.0.0.1:{free_port()}/airflow", "SchedulerJob", ["here"])
    assert "sesame" not in str(caught.value)


def test_airflow_has_the_table_that_is_asked() -> None:
    """The columns are Airflow's own: a version that renames one fails here, not in every container."""
    from airflow.jobs.job import Job

    assert Job.__tablename__ == "job"
    assert {"job_type", "state", "hostname", "latest_heartbeat"} <= {column.name for column in Job.__table__.columns}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """A Redis with a password."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("redis-server missing: install the system package redis-server")
    port = free_port()
    command = [
        server,
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--dir",
        str(tmp_path),
        "--save",
        "",
        "--requirepass",
        "sesame",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            _await_port(port)
            yield f"redis://:sesame@127.0.0.1:{port}/0"
        finally:
            process.terminate()


def _await_port(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def test_a_worker_answers_while_it_lives(broker: str, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(f"import celery\napp = celery.Celery(broker={broker!r})\n")
    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-n", "celery@here", "-P", "solo"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as worker:
        try:
            deadline = time.monotonic() + _START_SECONDS
            while True:
                try:
                    healthy.worker_answers(broker, "here", seconds=5)
                except Unwell:
                    assert worker.poll() is None
                    assert time.monotonic() < deadline
                else:
                    break
            with pytest.raises(Unwell, match="celery@there does not answer"):
                healthy.worker_answers(broker, "there", seconds=1)
        finally:
            worker.kill()
    with pytest.raises(Unwell, match="celery@here does not answer"):
        healthy.worker_answers(broker, "here", seconds=1)


def test_a_broker_that_does_not_answer_is_told_without_its_password() -> None:
    with pytest.raises(Unwell, match="The broker does not answer") as caught:
        healthy.worker_answers(f"redis://:sesame@127.0.0.1:{free_port()}/0", "here", seconds=1)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("words", [[], ["turns"], ["job"], ["nonsense", "x"]])
def test_a_check_that_does_not_exist_is_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert healthy.main(words) == 2
    assert "usage:" in capsys.readouterr().err

"""The watch as a process: its settings, its ping, the one that acts, and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from include.errors import ConfigurationError
from include.platform.watch.ping import Ping
from include.platform.watch.service import acting
from include.platform.watch.settings import WatchSettings, load_watch_settings
from include.settings import PROJECT_ROOT
from tests.platform.watch.conftest import FEED
from tests.support.airflow_server import PASSWORD
from tests.support.mail_catcher import mail_catcher
from tests.support.whole_platform import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.platform.watch.conftest import Installation


def test_the_defaults_are_those_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CALLBOARD_WATCH"):
            monkeypatch.delenv(name)
    assert load_watch_settings() == WatchSettings()
    page = (PROJECT_ROOT / "docs" / "runbooks" / "watch.md").read_text("utf-8")
    assert "| `CALLBOARD_WATCH_SECONDS` | 10 |" in page
    assert "| `CALLBOARD_WATCH_CONFIRM_SECONDS` | 60 |" in page


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECONDS", "0"),
        ("SECONDS", "ten"),
        ("CONFIRM_SECONDS", "-1"),
        ("CANARY_HOUR", "24"),
        ("PING_URL", "ftp://example.org"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"CALLBOARD_WATCH_{name}", value)
    with pytest.raises(ConfigurationError, match=f"CALLBOARD_WATCH_{name}"):
        load_watch_settings()


class Monitoring:
    """A server outside that notes when it is asked, and answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    @contextmanager
    def served(self) -> Iterator[str]:
        monitoring = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                monitoring.asked += 1
                monitoring.may_answer.wait(30)
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/secret-path"
        finally:
            self.may_answer.set()
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def monitoring() -> Monitoring:
    return Monitoring()


def test_the_ping_is_asked_for_and_a_slow_answer_delays_nobody(monitoring: Monitoring) -> None:
    with monitoring.served() as url:
        monitoring.may_answer.clear()
        ping = Ping(url)
        ping.ask()
        wait_until(lambda: monitoring.asked == 1, 10, "the ping")
        for _ in range(20):
            ping.ask()  # returns at once, and makes no second request of it
        monitoring.may_answer.set()
        ping.wait()
        assert monitoring.asked == 1
        ping.ask()
        ping.wait()
        assert monitoring.asked == 2


def test_a_ping_that_nobody_answers_is_logged_once_and_without_its_address(caplog: pytest.LogCaptureFixture) -> None:
    ping = Ping("http://127.0.0.1:9/secret-path")
    for _ in range(3):
        ping.ask()
        ping.wait()
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "The ping address was not reached: ConnectError."
    ]
    assert "secret-path" not in " ".join(record.getMessage() for record in caplog.records if record.name != "httpcore")


def test_one_process_acts_at_a_time(tmp_path: Path) -> None:
    with acting(tmp_path / "new") as first, acting(tmp_path / "new") as second:
        assert (first, second) == (True, False)
    with acting(tmp_path / "new") as again:
        assert again


def environment(installation: Installation, **more: str) -> dict[str, str]:
    settings = installation.services.settings
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CALLBOARD", "AIRFLOW"))}
    return kept | {
        "CALLBOARD_VAR": str(settings.var),
        "CALLBOARD_MAPPINGS": str(settings.mappings),
        "CALLBOARD_SCHEDULE_DSN": settings.schedule_dsn,
        "CALLBOARD_LEDGER_DSN": settings.ledger_dsn,
        "CALLBOARD_AIRFLOW_URL": installation.url,
        "CALLBOARD_AIRFLOW_USER": "admin",
        "CALLBOARD_AIRFLOW_PASSWORD": PASSWORD,
        "CALLBOARD_ADMINISTRATORS": "admin@example.org",
        "CALLBOARD_WATCH_SECONDS": "1",
        "CALLBOARD_WATCH_CONFIRM_SECONDS": "0",
        **more,
    }


def once(env: dict[str, str], *words: str) -> tuple[int, Any]:
    command = [sys.executable, str(PROJECT_ROOT / "callboard"), "watch", "--once", *words]
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout) if "--json" in words else done.stdout


def test_once_is_a_health_check(installation: Installation, monitoring: Monitoring) -> None:
    with monitoring.served() as url:
        env = environment(installation, CALLBOARD_WATCH_PING_URL=url)
        code, found = once(env, "--json")
        assert (code, found["well"], found["troubles"], found["acted"]) == (0, True, [], True)
        assert monitoring.asked == 1
    installation.airflow.states["scheduler"] = "unhealthy"
    code, printed = once(environment(installation))
    assert code == 1
    assert "Airflow's scheduler does not run" in " ".join(printed.split())


def test_it_goes_round_until_it_is_told_to_stop_and_another_only_looks(
    installation: Installation, monitoring: Monitoring, tmp_path: Path
) -> None:
    """One process, from its first round to its end: mails, notes, ping, whatever goes away in between."""
    installation.runs("r1")
    installation.airflow.has(FEED, "r1", "success")
    with mail_catcher(tmp_path / "mail") as server, monitoring.served() as url:
        settings = server.settings()
        env = environment(
            installation,
            CALLBOARD_WATCH_PING_URL=url,
            CALLBOARD_SMTP_HOST=settings.host,
            CALLBOARD_SMTP_PORT=str(settings.port),
        )
        command = [sys.executable, str(PROJECT_ROOT / "callboard"), "watch"]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(command, env=env, cwd="/", stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: installation.airflow.note(FEED, "r1"), 60, "the note")
            wait_until(lambda: monitoring.asked > 1, 60, "the pings")
            installation.airflow.states["scheduler"] = "unhealthy"
            wait_until(server.mails, 60, "the mail")

            code, found = once(env, "--json")
            assert (code, found["acted"]) == (1, False)
            assert [each["key"] for each in found["troubles"]] == ["airflow.scheduler"]
            second = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False, timeout=60)
            assert (second.returncode, "Another watch runs" in second.stderr) == (1, True)

            installation.airflow.states["scheduler"] = "healthy"
            wait_until(lambda: len(server.mails()) == 2, 60, "the mail that it is over")
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()
            process.wait()
        assert [mail["X-Callboard-State"] for mail in server.mails()] == ["open", "closed"]
        log_text = (tmp_path / "log").read_text("utf-8")
        assert "Traceback" not in log_text
        assert "secret-path" not in log_text
        assert "The watch ends." in log_text

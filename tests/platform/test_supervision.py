"""config/supervisord.conf under a real supervisord; only the programs are stand-ins that write down their end."""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from typing import TYPE_CHECKING

import pytest

from include.errors import ConfigurationError
from include.platform.leftovers import MARK, end_at_once, platform_processes
from include.platform.state import State, prepare_state
from include.platform.supervision import CONFIGURATION, Supervision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Stands for Python and for PostgreSQL: whatever it is asked to run, it waits for its end and lingers before it goes.
STAND_IN = """#!{python}
import os, signal, sys, time
def ended(number, frame):
    time.sleep(0.4)
    with open({log!r}, "a") as log:
        log.write(os.environ["SUPERVISOR_PROCESS_NAME"] + " " + signal.Signals(number).name + "\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, ended)
signal.signal(signal.SIGINT, ended)
if "fail" in sys.argv or os.path.exists({log!r} + ".fails." + os.environ["SUPERVISOR_PROCESS_NAME"]):
    sys.exit(1)
with open({log!r}, "a") as log:
    log.write(os.environ["SUPERVISOR_PROCESS_NAME"] + " started\\n")
time.sleep(300)
"""
AT_ONCE = ("postgres", "sandbox-mail", "sandbox-partners", "sandbox-sftp")
ON_DEMAND = (
    "mailer",
    "api-server",
    "airflow:scheduler",
    "airflow:dag-processor",
    "airflow:triggerer",
    "waker",
    "watch",
)


@pytest.fixture
def state(tmp_path: Path) -> State:
    return prepare_state(tmp_path / "a place with spaces")


@pytest.fixture
def supervise(state: State) -> Iterator[Callable[..., Supervision]]:
    started: list[Supervision] = []

    def _supervise(postgres: str = "{program}") -> Supervision:
        program = state.var / "stand-in"
        program.write_text(STAND_IN.format(python=sys.executable, log=str(state.var / "log")))
        program.chmod(0o700)
        environment = {
            **os.environ,
            MARK: str(state.var),
            "CALLBOARD_PYTHON": str(program),
            "CALLBOARD_RUN": str(state.run),
            "CALLBOARD_LOGS": str(state.logs),
            "CALLBOARD_KEYS": str(state.keys),
            "CALLBOARD_VAR": str(state.var),
            "CALLBOARD_SOCKET": str(state.socket()),
            "CALLBOARD_POSTGRES_COMMAND": postgres.format(program=f"'{program}'"),
            **dict.fromkeys(re.findall(r"ENV_(CALLBOARD_\w+_PORT)", CONFIGURATION.read_text("utf-8")), "1"),
        }
        supervision = Supervision(environment, state.socket(), state.logs)
        started.append(supervision)
        return supervision

    yield _supervise
    end_at_once(state.var)
    for supervision in started:
        supervision.wait()


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def lines(state: State) -> list[str]:
    log = state.var / "log"
    return log.read_text().splitlines() if log.exists() else []


def test_stop_order_lets_tasks_report_and_the_database_go_last(
    state: State, supervise: Callable[..., Supervision]
) -> None:
    supervision = supervise()
    wait_for(lambda: len(lines(state)) == len(AT_ONCE))
    assert sorted(lines(state)) == [f"{program} started" for program in AT_ONCE]
    for program in ON_DEMAND:
        supervision.start(program)
        supervision.start(program)  # asking twice is harmless
    started = len(AT_ONCE + ON_DEMAND)
    wait_for(lambda: len(lines(state)) == started)
    supervision.require_alive()

    supervision.ask_to_stop()
    wait_for(lambda: not supervision.alive)
    ended = lines(state)[started:]
    assert ended[:2] == ["watch SIGTERM", "waker SIGTERM"]
    assert sorted(ended[2:5]) == ["dag-processor SIGTERM", "scheduler SIGTERM", "triggerer SIGTERM"]
    assert ended[5:7] == ["api-server SIGTERM", "mailer SIGTERM"]
    assert sorted(ended[7:10]) == [f"sandbox-{name} SIGTERM" for name in ("mail", "partners", "sftp")]
    assert ended[10:] == ["postgres SIGINT"]
    assert platform_processes(str(state.var)) == []
    assert supervision.states() == {}


def test_the_socket_is_private_and_nothing_listens_on_a_port(
    state: State, supervise: Callable[..., Supervision]
) -> None:
    import psutil  # type: ignore[import-untyped]

    supervision = supervise()
    wait_for(lambda: supervision.states().get("postgres") == "RUNNING")
    mode = state.socket().stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert mode & 0o777 == 0o600
    for found in platform_processes(str(state.var)):
        assert psutil.Process(found.pid).net_connections(kind="inet") == []
    assert all(file.stat().st_mode & 0o077 == 0 for file in state.logs.iterdir())


def test_a_killed_program_comes_back(state: State, supervise: Callable[..., Supervision]) -> None:
    supervision = supervise()
    supervision_ready = lambda: supervision.states().get("postgres") == "RUNNING"  # noqa: E731
    wait_for(supervision_ready)
    (postgres,) = (found for found in platform_processes(str(state.var)) if found.program == "postgres")
    os.kill(postgres.pid, 9)
    wait_for(lambda: lines(state).count("postgres started") == 2)
    wait_for(supervision_ready)


def test_a_program_that_does_not_stay_up_is_named(state: State, supervise: Callable[..., Supervision]) -> None:
    supervision = supervise("{program} fail")
    with pytest.raises(ConfigurationError, match=r"postgres does not stay up.*logs/postgres\.log"):
        wait_for(lambda: bool(supervision.require_alive()), seconds=90)


def test_without_a_waker_the_platform_goes_on_by_its_clocks(
    state: State, supervise: Callable[..., Supervision]
) -> None:
    (state.var / "log.fails.waker").touch()
    supervision = supervise()
    wait_for(lambda: supervision.states().get("postgres") == "RUNNING")
    supervision.start("waker")
    wait_for(lambda: supervision.states().get("waker") == "FATAL", seconds=90)
    supervision.require_alive()

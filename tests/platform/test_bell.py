"""The scheduler's bell: heard at once, missed by nobody who is not there, and rung by ends and beginnings."""

from __future__ import annotations

import asyncio
import stat
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any

import pytest

from include.platform import warm_executor
from include.platform.bell import UNRUNG, UNRUNG_WHILE_TASKS_RUN, VARIABLE, Bell, ring
from include.platform.ringing import RingAfterWrites
from include.platform.warm_executor import WarmLocalExecutor
from tests.support.airflow_program import output_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: What nobody waits for: a test that is not rung for runs into its own limit.
_FOR_EVER = 3600.0


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "bell.sock"
    monkeypatch.setenv(VARIABLE, str(found))
    return found


@pytest.fixture
def heard(path: Path) -> Iterator[Bell]:
    made = Bell(path)
    yield made
    made.close()


def test_a_ring_is_heard_even_if_it_came_before_and_a_hundred_are_one(heard: Bell) -> None:
    for _ in range(100):
        ring()
    assert heard.wait(seconds=_FOR_EVER)
    assert not heard.wait(seconds=0)


def test_without_a_ring_the_scheduler_looks_all_the_same(heard: Bell) -> None:
    assert not heard.wait(seconds=0.01)


def test_whatever_else_can_be_read_ends_the_wait(heard: Bell) -> None:
    here, there = Pipe(duplex=False)
    there.send("ended")
    assert heard.wait(here, seconds=_FOR_EVER)
    assert here.recv() == "ended"


def test_more_rings_than_there_is_room_for_keep_nobody_waiting(heard: Bell) -> None:
    for _ in range(10_000):
        ring()
    assert heard.wait(seconds=_FOR_EVER)


def test_where_nobody_listens_or_there_is_no_bell_a_ring_is_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring()
    path.touch()
    ring()  # what is there is no socket
    monkeypatch.delenv(VARIABLE)
    ring()
    assert Bell.of_environment() is None


def test_only_the_platforms_account_can_ring_and_a_killed_scheduler_leaves_nothing_in_the_way(path: Path) -> None:
    killed = Bell(path)
    again = Bell.of_environment()
    assert again is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ring()
    assert again.wait(seconds=_FOR_EVER)
    for each in (killed, again):
        each.close()


@pytest.fixture
def executor(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WarmLocalExecutor]:
    monkeypatch.setattr(warm_executor, "preload", lambda: None)
    made = WarmLocalExecutor(parallelism=1)
    made.start()
    yield made
    made.end()


@pytest.fixture
def waits(executor: WarmLocalExecutor, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the executor was ready to wait each time; it waits until it is rung for, however long that takes."""
    noted: list[float] = []
    wait = Bell.wait

    def patiently(self: Bell, *others: Any, seconds: float) -> bool:
        noted.append(seconds)
        return wait(self, *others, seconds=_FOR_EVER)

    monkeypatch.setattr(Bell, "wait", patiently)
    return noted


def test_the_executor_waits_for_a_ring_or_for_the_end_of_a_task(
    executor: WarmLocalExecutor, waits: list[float]
) -> None:
    ring()
    executor.sync()
    executor.running.add("a task")  # type: ignore[arg-type]
    executor.result_queue.put(("a task", "success", None))
    executor.sync()
    assert executor.get_event_buffer() == {"a task": ("success", None)}  # type: ignore[comparison-overlap]
    # While something runs there is more that nobody rings for.
    assert waits == [UNRUNG, UNRUNG_WHILE_TASKS_RUN] == [0.5, 0.2]


def test_a_look_that_sent_something_is_followed_by_the_next_one_at_once(
    executor: WarmLocalExecutor, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow.executors.local_executor.LocalExecutor._process_workloads", lambda *_: None)
    executor._process_workloads([])
    executor.sync()  # with many runs due at once, each look starts some of them
    assert waits == []
    ring()
    executor.sync()
    assert len(waits) == 1


@pytest.mark.parametrize(
    "told",
    [
        "on_task_instance_success(previous_state=None, task_instance=None)",
        "on_dag_run_success(dag_run=None, msg='')",
        "on_dag_run_failed(dag_run=None, msg='')",
    ],
)
def test_the_ends_of_tasks_and_of_runs_ring(heard: Bell, tmp_path: Path, told: str) -> None:
    """By Airflow's own list of listeners."""
    manager = "airflow.sdk.listener" if "task" in told else "airflow.listeners.listener"
    output_of(f"from {manager} import get_listener_manager\nget_listener_manager().hook.{told}", tmp_path)
    assert heard.wait(seconds=0)


_SERVED = """
from airflow.api_fastapi.app import init_plugins
from fastapi import FastAPI
from starlette.testclient import TestClient

app = FastAPI()
app.add_api_route("/{path:path}", lambda path: None, methods=["GET", "POST", "PATCH"])
init_plugins(app)
assert TestClient(app).request(%r, %r).status_code == 200
"""


@pytest.mark.parametrize(
    ("method", "path_asked", "rings"),
    [
        ("POST", "/api/v2/dags/outlook/dagRuns", True),
        ("PATCH", "/api/v2/dags/outlook", True),
        ("PATCH", "/api/v2/dags", True),  # all of them at once
        ("POST", "/api/v2/backfills", True),
        ("POST", "/airflow/api/v2/dags/outlook/clearTaskInstances", True),  # below a proxy's path
        ("GET", "/api/v2/dags/outlook/dagRuns", False),
        ("PATCH", "/execution/task-instances/1/run", False),  # tasks tell themselves
    ],
)
def test_whoever_starts_something_in_airflow_rings(
    heard: Bell, tmp_path: Path, method: str, path_asked: str, rings: bool
) -> None:
    """By Airflow's own way of putting plugins around its server."""
    output_of(_SERVED % (method, path_asked), tmp_path)
    assert heard.wait(seconds=0) is rings


def test_it_rings_once_the_request_is_over_and_for_nothing_but_requests(heard: Bell) -> None:
    met: list[str] = []

    async def airflow(scope: Any, *_: Any) -> None:
        met.append(scope["type"])
        assert not heard.wait(seconds=0), "rung before what was asked for is committed"

    asked = {"type": "http", "method": "POST", "path": "/api/v2/dags/outlook/dagRuns"}
    for scope, rings in ((asked, True), ({"type": "lifespan"}, False)):
        asyncio.run(RingAfterWrites(airflow)(scope, None, None))  # type: ignore[arg-type]
        assert heard.wait(seconds=0) is rings
    assert met == ["http", "lifespan"]

    async def fails(*_: Any) -> None:
        raise ConnectionResetError  # whoever asked has gone: what was asked for may be committed

    with pytest.raises(ConnectionResetError):
        asyncio.run(RingAfterWrites(fails)(asked, None, None))  # type: ignore[arg-type]
    assert heard.wait(seconds=0)

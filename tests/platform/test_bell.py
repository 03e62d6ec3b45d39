"""The scheduler's bell: heard at once, missed by nobody who is not there, and rung by the ends of tasks."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any

import pytest

from include.platform import warm_executor
from include.platform.bell import UNRUNG, UNRUNG_WHILE_TASKS_RUN, VARIABLE, Bell, ring
from include.platform.warm_executor import WarmLocalExecutor
from include.settings import PROJECT_ROOT

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
    _airflow(f"from {manager} import get_listener_manager\nget_listener_manager().hook.{told}", tmp_path)
    assert heard.wait(seconds=0)


@pytest.mark.parametrize(("command", "expected"), [("dag-processor", True), ("triggerer", False)])
def test_what_reads_dag_files_imports_once_what_each_of_them_would(
    tmp_path: Path, command: str, *, expected: bool
) -> None:
    program = f"""
import sys
sys.argv = ["airflow", "{command}"]
from airflow.listeners.listener import get_listener_manager
get_listener_manager().hook.on_starting(component=None)
print("include.pipeline" in sys.modules, "airflow.providers.amazon.aws.assets.s3" in sys.modules)
"""
    assert _airflow(program, tmp_path).splitlines()[-1] == f"{expected} {expected}"


def test_a_task_finds_everything_imported_that_its_dag_file_and_its_steps_import(tmp_path: Path) -> None:
    """In a process that is forked as a task's is: its Dag is read, and Parquet files and CSV."""
    program = """
import os, sys
from include.platform.preloading import preload
preload()
before = set(sys.modules)
if not os.fork():
    import io
    import pandas as pd
    from airflow.dag_processing.dagbag import BundleDagBag, DagBag
    from airflow.sdk.execution_time import supervisor, task_runner
    from pyarrow import csv
    for name in ("outlook", "epic_on_call_finder", "workday"):
        bag = DagBag(f"dags/{name}.py")
        assert name in bag.dags, bag.import_errors
    pd.DataFrame({"a": ["x", None]}).to_parquet("FILE")
    pd.read_parquet("FILE")
    csv.read_csv(io.BytesIO(b"a,b\\n1,2\\n"))
    new = sorted(name for name in set(sys.modules) - before if not name.startswith("unusual_prefix"))
    print("NEW", new, flush=True)
    os._exit(0)
_, status = os.wait()
sys.exit(os.waitstatus_to_exitcode(status))
""".replace("FILE", str(tmp_path / "file.parquet"))
    [told] = [line for line in _airflow(program, tmp_path).splitlines() if line.startswith("NEW")]
    assert told == "NEW []"


def _airflow(program: str, folder: Path) -> str:
    """What a program prints that runs with the project's Airflow settings."""
    of_airflow = {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW_CONFIG": str(PROJECT_ROOT / "config" / "airflow.cfg"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT_ROOT / "plugins"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
        "PYTHONPATH": str(PROJECT_ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT_ROOT,
        env={**os.environ, **of_airflow},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

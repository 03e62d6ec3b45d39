"""What a feed costs whose runs find nothing to do: CPU of the whole platform and room in Airflow's database, a run."""

from __future__ import annotations

import shutil
import statistics
import time
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from bench.measure import Figure
from bench.whole import NOW, Platform
from include.platform.airflow_api import FINISHED, AirflowApi
from include.settings import PROJECT_ROOT
from tests.support.whole_platform import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FEED = "new_innovations"
_NEVER = "0 0 29 2 *"  # no run by the clock comes in between
_STILL = 30  # seconds without a run, to know what the platform takes anyway
#: Rows that a run leaves behind in Airflow's database, by their tables.
_KEPT = ("dag_run", "task_instance", "task_instance_note", "xcom", "log", "dag_run_note", "task_reschedule", "deadline")


def measure_idle(folder: Path, runs: int) -> Iterator[Figure]:
    """``runs`` runs of a feed that has delivered everything already."""
    mappings = folder / "mappings"
    mappings.mkdir(parents=True)
    shipped = PROJECT_ROOT / "include" / "mappings"
    shutil.copy(shipped / f"{FEED}.csv", mappings)
    lines = (shipped / f"{FEED}.yaml").read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("schedule:")]
    (mappings / f"{FEED}.yaml").write_text("\n".join([*kept, f'schedule: "{_NEVER}"', ""]), "utf-8")
    platform = Platform(folder / "var", mappings, NOW)
    try:
        platform.start()
        with AirflowApi.of_access_file(platform.var / "access.json") as api:
            _run(api)  # once before anything counts
            yield from _measured(platform, api, runs)
    finally:
        platform.kill()


def _measured(platform: Platform, api: AirflowApi, runs: int) -> Iterator[Figure]:
    dsn = platform.environment_of("scheduler")["CALLBOARD_AIRFLOW_DSN"]
    time.sleep(10)  # what the first round left to be done
    began, before = time.perf_counter(), _cpu(platform)
    time.sleep(_STILL)
    still = (_cpu(platform) - before) / (time.perf_counter() - began)
    rows = _rows(platform, dsn)
    size = _size(platform, dsn)
    began, before = time.perf_counter(), _cpu(platform)
    seconds = [_run(api) for _ in range(runs)]
    spent = _cpu(platform) - before - still * (time.perf_counter() - began)
    state = platform.summary()[FEED]["state"]
    if state != "unchanged":
        raise RuntimeError(f"the feed was to find nothing to do, and is {state}")
    beside = {"seconds": round(statistics.median(seconds), 1), "idle_cpu_percent": round(still * 100, 1)}
    yield Figure("CPU of the whole platform for a run that changes nothing", round(spent / runs, 2), "s", beside=beside)
    grown = _rows(platform, dsn)
    left = {table: round((grown[table] - rows[table]) / runs, 1) for table in _KEPT if grown[table] > rows[table]}
    room = (_size(platform, dsn) - size) / runs / 1024
    yield Figure("Airflow's database for a run that changes nothing", round(room, 1), "KB", beside=left)


def _run(api: AirflowApi) -> float:
    """One run; its seconds."""
    began = time.perf_counter()
    run = api.trigger(FEED)
    wait_until(lambda: api.run_state(FEED, run) in FINISHED, 300, "the run's end")
    return time.perf_counter() - began


def _cpu(platform: Platform) -> float:
    """Seconds of CPU that all processes of the platform took so far, and those that they waited for."""
    spent = 0.0
    for pid in platform.processes():
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent += times.user + times.system + times.children_user + times.children_system
    return spent


def _rows(platform: Platform, dsn: str) -> dict[str, int]:
    return {table: platform.sql(dsn, f"SELECT count(*) FROM {table}")[0][0] for table in _KEPT}


def _size(platform: Platform, dsn: str) -> int:
    [(size,)] = platform.sql(dsn, "SELECT pg_database_size(current_database())")
    return int(size)

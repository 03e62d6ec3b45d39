"""The whole platform: cold start, idle CPU, a change's way into the file, and four tasks against stock Airflow."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import statistics
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import psutil  # type: ignore[import-untyped]
import psycopg

from bench.measure import Figure
from include.platform.airflow_api import FINISHED, AirflowApi
from include.settings import PROJECT_ROOT
from tests.support.whole_platform import WholePlatform, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ON_CALL = "epic_on_call_finder"
NOW = "2026-03-04T15:00:00+00:00"
#: What config/airflow.cfg changes for speed, undone: Airflow as it comes, with the executor for one machine.
STOCK = {
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__PARALLELISM": "32",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
}
_NEVER = "0 0 29 2 *"  # no run by the clock comes in between
_ALWAYS = "* * * * *"


@dataclass
class Platform(WholePlatform):
    """The platform as `make run` starts it, with some settings of its own."""

    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """What the test's platform is told, with the waker on."""
        return super().env | {"CALLBOARD_WAKER": "on"} | dict(self.settings)


def measure(folder: Path, rounds: int) -> Iterator[Figure]:
    """``rounds`` runs and changes of each kind."""
    with _platform(folder / "ours", {}) as (ours, first_task):
        yield Figure("cold start to the first task", round(first_task, 1), "s")
        yield Figure("idle CPU of the whole platform, of one core", round(_idle_cpu(ours, 60), 1), "%", 20)
        yield from _latency("quiet", list(_changes(ours, rounds)), 2.5, 4)
        warm = _runs(ours, rounds // 2)
    with _platform(folder / "busy", {}, every_feed=True) as (busy, _):
        yield from _latency("all feeds live, each every minute", list(_changes(busy, rounds)))
    with _platform(folder / "stock", STOCK) as (stock, _):
        slow = _runs(stock, max(2, rounds // 4))
    times = [theirs / mine for theirs in slow for mine in warm]
    beside = {"seconds": round(statistics.median(warm), 2), "stock_seconds": round(statistics.median(slow), 2)}
    name = "a run of four tasks: times as fast as with stock settings"
    spread = (round(min(times), 1), round(max(times), 1))
    yield Figure(name, round(statistics.median(times), 1), "x", 6, at_least=True, spread=spread, beside=beside)


def measure_calendars(folder: Path, rounds: int) -> Iterator[Figure]:
    """A changed slot's way into its holder's calendar: it wakes Outlook alone, all feeds being live by their clocks."""
    with _platform(folder / "live", {}, every_feed=True, clock=None) as (live, _):
        seconds = list(_moved_events(live, rounds))
    yield from _latency("all feeds live", seconds, 2.5, 5, what="commit to the event at Graph")


def _moved_events(platform: Platform, number: int) -> Iterator[float]:
    """Seconds from the commit of a slot's other end to the event that ends so.

    The event is looked at in the stand-in's own file: asking the stand-in for all it holds, again and again, would take
    more of the machine than the run does.
    """
    url = platform.access["sandbox"]["graph"]["control"]
    with (
        psycopg.connect(platform.access["schedule_dsn"], autocommit=True) as store,
        _api(platform) as api,
        closing(sqlite3.connect(platform.var / "sandbox" / "graph.sqlite", isolation_level=None)) as graph,
    ):
        shifts = store.execute(
            "SELECT slot_id FROM schedules JOIN assignments USING (assignment_id) WHERE assignment_type = 'Shift'"
        ).fetchall()
        held = {event["key"].rpartition("|")[2]: event["id"] for event in httpx.get(f"{url}/_state").json()}
        slot = min(slot_id for (slot_id,) in shifts if slot_id in held)

        def event() -> str:
            [(body,)] = graph.execute("SELECT body FROM document WHERE id = ?", [held[slot]])
            return str(json.loads(body)["end"])

        for _ in range(number):
            before = event()
            store.execute(
                "UPDATE schedules SET stop_local = stop_local + interval '1 min', "
                "stop_utc = stop_utc + interval '1 min' WHERE slot_id = %s",
                [slot],
            )
            began = time.perf_counter()
            while event() == before:
                time.sleep(0.01)
            yield time.perf_counter() - began
            wait_until(lambda: api.runs("outlook", limit=1)[0]["state"] in FINISHED, 60, "the run's end")
            time.sleep(2 + 0.1 * (number % 7))


def _latency(
    when: str,
    seconds: list[float],
    p50_limit: float | None = None,
    p95_limit: float | None = None,
    what: str = "commit to the file at the partner",
) -> Iterator[Figure]:
    """How long changes took to the partner: the median and the 95th percentile."""
    changes = sorted(seconds)
    spread = (round(changes[0], 2), round(changes[-1], 2))
    p50, p95 = statistics.median(changes), changes[min(len(changes) - 1, round(0.95 * len(changes)))]
    yield Figure(f"{what}, p50, {when}", round(p50, 2), "s", p50_limit, spread=spread)
    yield Figure(f"{what}, p95, {when}", round(p95, 2), "s", p95_limit)


@contextmanager
def _platform(
    folder: Path, settings: Mapping[str, str], *, every_feed: bool = False, clock: str | None = _ALWAYS
) -> Iterator[tuple[Platform, float]]:
    """A platform that has done its first round, and the seconds from its start to its first task.

    It has the on-call feed alone, or ``every_feed`` that ships, the others by another ``clock`` than their own (None:
    by their own).
    """
    mappings = folder / "mappings"
    mappings.mkdir(parents=True)
    for file in (PROJECT_ROOT / "include" / "mappings").glob("*" if every_feed else f"{ON_CALL}.*"):
        if file.suffix in {".yaml", ".csv"}:
            shutil.copy(file, mappings)
    for yaml in mappings.glob("*.yaml") if clock is not None else ():
        rest = re.sub(r"^schedule: .*\n", "", yaml.read_text("utf-8"), flags=re.MULTILINE)
        yaml.write_text(f"{rest}\nschedule: '{_NEVER if yaml.stem == ON_CALL else clock}'\n", "utf-8")
    platform = Platform(folder / "var", mappings, NOW, settings=settings)
    began = datetime.now(UTC)
    try:
        platform.start()
        with _api(platform) as api:
            run = api.runs(ON_CALL, limit=1)[0]
        yield platform, (datetime.fromisoformat(run["start_date"]) - began).total_seconds()
    finally:
        platform.kill()


def _api(platform: Platform) -> AirflowApi:
    return AirflowApi.of_access_file(platform.var / "access.json")


def _idle_cpu(platform: Platform, seconds: float) -> float:
    """CPU time of all processes in so many seconds, in percent of one core; nothing runs meanwhile."""
    time.sleep(10)  # what the first round left to be done
    processes = [psutil.Process(pid) for pid in platform.processes()]
    before = sum(_cpu(process) for process in processes)
    time.sleep(seconds)
    return (sum(_cpu(process) for process in processes) - before) * 100 / seconds


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _changes(platform: Platform, number: int) -> Iterator[float]:
    """Seconds from the commit of a changed note to the file that has it; each run has ended before the next change."""
    file = next((platform.var / "sftp" / ON_CALL).glob("[!.]*"))
    slot = file.read_text("utf-8").splitlines()[1].rpartition(",")[2]
    with psycopg.connect(platform.access["schedule_dsn"], autocommit=True) as store, _api(platform) as api:
        for each in range(number):
            store.execute("UPDATE schedules SET note = %s WHERE slot_id = %s", [f"change {each}.", slot])
            began = time.perf_counter()
            while f"change {each}." not in file.read_text("utf-8"):
                time.sleep(0.01)
            yield time.perf_counter() - began
            wait_until(lambda: api.runs(ON_CALL, limit=1)[0]["state"] in FINISHED, 60, "the run's end")
            time.sleep(2 + 0.1 * (each % 7))  # not in step with anybody's clock


def _runs(platform: Platform, number: int) -> list[float]:
    """Seconds from the request of a run to the end of its last task."""
    seconds = []
    with _api(platform) as api:
        for _ in range(max(2, number)):
            began = time.perf_counter()
            run = api.trigger(ON_CALL)
            while (state := api.run_state(ON_CALL, run)) not in FINISHED:
                time.sleep(0.02)
            if state != "success":
                raise RuntimeError(f"a run that was measured ended as {state}")
            seconds.append(time.perf_counter() - began)
            time.sleep(2)
    return seconds

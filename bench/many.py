"""Many feeds on one Airflow: their Dag files, a task's start among them, the scheduler's loop."""

from __future__ import annotations

import json
import os
import signal
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.many_airflow import AirflowOfBench, airflow_of_bench, airflow_settings
from bench.measure import Figure, Try, in_child, ratio, side_by_side
from include.settings import PROJECT_ROOT
from tests.support.many_mappings import FEEDS_OF_A_TENANT, ManyFeeds, write_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: What a customer of Airflow's Dag processor may take for all Dag files together, in seconds.
PARSE_LIMIT = 30
_STARTS = 20  # Dag files parsed per try: one alone is too short to be timed
_QUIET = 30  # seconds of the scheduler that are measured once nothing is overdue
_BUSY_AT_MOST = 900
_ALL_DUE = """
    UPDATE dag SET next_dagrun = due, next_dagrun_create_after = due, next_dagrun_data_interval_start = due,
        next_dagrun_data_interval_end = due
    FROM (SELECT date_trunc('minute', now()) AS due) AS this_minute WHERE dag_id <> 'housekeeping' RETURNING dag_id
"""
_ASKED_FOR = "_AIRFLOW_PARSING_CONTEXT_DAG_ID"  # how a task process says which Dag it needs


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop of the scheduler: seconds, those of its own CPU, and how many tasks had ended by then."""

    seconds: float
    cpu: float
    ended: int


def measure(folder: Path, feeds: int, rounds: int) -> Iterator[Figure]:
    """``feeds`` feeds; what is compared, in so many ``rounds``. Starts a database and a scheduler."""
    yield from measure_parsing(folder, feeds, rounds)
    yield from _scheduling(folder / "scheduling", write_many(folder / "scheduled", feeds))


def measure_parsing(folder: Path, feeds: int, rounds: int) -> Iterator[Figure]:
    """Of the same, what needs nothing but the Dag files."""
    many = write_many(folder / "many", feeds)
    few = write_many(folder / "few", FEEDS_OF_A_TENANT)
    yield from _parsing(folder, many)
    yield _starting(folder, many, few, rounds)


# Dag files.


def _parsing(folder: Path, many: ManyFeeds) -> Iterator[Figure]:
    """Every Dag file as Airflow's Dag processor reads it: in a process of its own, up to the serialized Dags."""
    parsed = in_child(lambda: _parse_all(folder / "parsing", many)).answer
    found = sum(file["dags"] for file in parsed)
    if found != len(many.feeds):
        raise RuntimeError(f"{found} of {len(many.feeds)} Dags came out of the Dag files")
    seconds = sum(file["seconds"] for file in parsed)
    beside = {
        "cpu_seconds": round(sum(file["cpu"] for file in parsed), 1),
        "slowest_file_seconds": round(max(file["seconds"] for file in parsed), 1),
        "megabytes": round(max(file["megabytes"] for file in parsed), 1),
    }
    name = f"Dag files of {len(many.feeds):,} feeds, parsed and serialized one after the other"
    yield Figure(name, round(seconds, 1), "s", PARSE_LIMIT, beside=beside)
    size = sum(file["bytes"] for file in parsed) / found / 1024
    yield Figure("serialized Dag of a feed, as it is stored", round(size, 1), "KB")


def _parse_all(home: Path, many: ManyFeeds) -> list[dict[str, Any]]:
    """In a process that has what the Dag processor's has; each file in a fork of it."""
    home.mkdir()
    os.environ.update(airflow_settings(home, many.folder))
    import airflow.dag_processing.processor
    import airflow.sdk  # noqa: F401 - the Dag processor imports for its forks what the Dag files import of Airflow

    files = sorted(file for file in (PROJECT_ROOT / "dags").glob("*.py") if file.stem != "housekeeping")
    answers = []
    for file in files:
        tried = in_child(lambda file=file: _parse(file))  # type: ignore[misc]
        answers.append({**tried.answer, "seconds": tried.seconds, "megabytes": tried.megabytes})
    return answers


def _parse(file: Path) -> dict[str, Any]:
    import structlog
    from airflow.dag_processing.processor import DagFileParseRequest, _parse_file

    asked = DagFileParseRequest(
        file=str(file), bundle_path=file.parent, bundle_name="dags-folder", callback_requests=[]
    )
    result = _parse_file(asked, structlog.get_logger())
    if result is None or result.import_errors:
        raise RuntimeError(f"{file.name} cannot be parsed: {result and result.import_errors}")
    sent = result.model_dump_json()  # as the Dag processor hears it
    return {"dags": len(result.serialized_dags), "bytes": len(sent), "cpu": time.process_time()}


# A task's start.


def _starting(folder: Path, many: ManyFeeds, few: ManyFeeds, rounds: int) -> Figure:
    """A task parses its Dag file again, for its own Dag alone: among many feeds, and among few."""
    feed = next(name for name in few.feeds if name.startswith("epic_on_call_finder"))
    tries = side_by_side(
        {"many": _starts(folder / "starting", many, feed), "few": _starts(folder / "starting", few, feed)}, rounds
    )
    timed = {name: [Try(each.answer, each.megabytes, None) for each in found] for name, found in tries.items()}
    name = f"a task's own Dag among {len(many.feeds):,} feeds / among {len(few.feeds)}"
    return ratio(name, timed["many"], timed["few"], 1.2)


def _starts(home: Path, feeds: ManyFeeds, feed: str) -> Callable[[], float]:
    """Seconds of some parses in a process that has imported already what a warm worker has."""

    def parse() -> float:
        home.mkdir(exist_ok=True)
        os.environ.update({**airflow_settings(home, feeds.folder), _ASKED_FOR: feed})
        from airflow.dag_processing.dagbag import BundleDagBag

        def once() -> None:
            bag = BundleDagBag(
                dag_folder=str(PROJECT_ROOT / "dags" / "epic_on_call_finder.py"),
                bundle_path=PROJECT_ROOT / "dags",
                bundle_name="dags-folder",
                load_op_links=False,
            )
            if list(bag.dags) != [feed]:
                raise RuntimeError(f"{list(bag.dags)} instead of {feed}: {bag.import_errors}")

        once()
        began = time.perf_counter()
        for _ in range(_STARTS):
            once()
        return time.perf_counter() - began

    return parse


# The scheduler.


def _scheduling(folder: Path, many: ManyFeeds) -> Iterator[Figure]:
    """The scheduler's loop: first every feed is due at the same time, then each by its own clock."""
    number = f"{len(many.feeds):,} feeds"
    executor = {"AIRFLOW__CORE__EXECUTOR": "bench.instant.InstantExecutor"}
    with airflow_of_bench(folder, many.folder, **executor) as airflow:
        first, again = airflow.read_dags(), airflow.read_dags()
        beside = {
            "cpu_seconds": round(first.cpu, 1),
            "again": round(again.seconds, 1),
            "again_cpu": round(again.cpu, 1),
        }
        yield Figure(
            f"Dag processor's pass over {number}, into the database", round(first.seconds, 1), "s", beside=beside
        )
        before = _stored(airflow)
        airflow.sql(_ALL_DUE)
        busy, quiet = _loops(airflow, folder / "loops.jsonl", len(many.feeds))
        yield from _of_loops(f"{number}, all due at once", busy, 1)
        yield from _of_loops(f"{number}, by their clocks", quiet, 1)
        [(runs,)] = airflow.sql("SELECT count(*) FROM dag_run")
        grown = _stored(airflow) - before
        yield Figure(
            "Airflow's database, for each run of four tasks, before workers write", round(grown / runs / 1024, 1), "KB"
        )


def _loops(airflow: AirflowOfBench, file: Path, feeds: int) -> tuple[list[Loop], list[Loop]]:
    """The scheduler's loops until every feed had run, and after that."""
    scheduler = airflow.start("-m", "bench.loops", str(file), stderr=(file.parent / "scheduler.log").open("wb"))
    try:
        deadline = time.monotonic() + _BUSY_AT_MOST
        while _dags_that_ran(airflow) < feeds:
            if scheduler.poll() is not None or time.monotonic() > deadline:
                said = (file.parent / "scheduler.log").read_text("utf-8")[-2000:]
                raise RuntimeError(f"the scheduler ended, or did not run every feed: {said}")
            time.sleep(0.5)
        overdue = len(file.read_text("utf-8").splitlines())
        time.sleep(_QUIET)
    finally:
        scheduler.send_signal(signal.SIGTERM)
        scheduler.wait(60)
    loops = [Loop(**json.loads(line)) for line in file.read_text("utf-8").splitlines()]
    return loops[:overdue], loops[overdue:]


def _dags_that_ran(airflow: AirflowOfBench) -> int:
    [(number,)] = airflow.sql(
        "SELECT count(DISTINCT dag_id) FROM dag_run WHERE state = 'success' AND dag_id <> 'housekeeping'"
    )
    return int(number)


def _of_loops(when: str, loops: list[Loop], limit: float) -> Iterator[Figure]:
    each = sorted(loop.seconds for loop in loops)
    beside = {
        "loops": len(loops),
        "tasks": loops[-1].ended - loops[0].ended,
        "own_cpu": round(statistics.median(loop.cpu for loop in loops), 3),
    }
    middle, p95 = statistics.median(each), each[min(len(each) - 1, round(0.95 * len(each)))]
    spread = (round(each[0], 3), round(each[-1], 3))
    yield Figure(f"scheduler's loop, p50, {when}", round(middle, 3), "s", limit, spread=spread, beside=beside)
    yield Figure(f"scheduler's loop, p95, {when}", round(p95, 3), "s", limit)


def _stored(airflow: AirflowOfBench) -> int:
    """The bytes of all tables and indexes."""
    [(size,)] = airflow.sql("SELECT pg_database_size(current_database())")
    return int(size)

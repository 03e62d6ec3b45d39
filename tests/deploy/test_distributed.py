"""Callboard beyond one machine: docker-compose.yaml as it stands, on processes that share nothing but what it names.

Two schedulers, two Celery workers, each with a root, an account and folders of its own; artifacts lie on an S3 API. The
tests stand in the order of a story: everything starts, every Dag runs, a worker is killed in the middle of deliveries,
then a scheduler, and each time every partner ends with what it should hold, and every file was delivered once.
"""

from __future__ import annotations

import random
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from include.database import dispose_engines
from include.settings import PROJECT_ROOT
from tests.support import object_stores
from tests.support.asked import KRONOS
from tests.support.containers import why_not
from tests.support.declarations import fills_tables, pushes
from tests.support.deployment import Deployment
from tests.support.object_stores import VARIABLE
from tests.support.whole_platform import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.containers import Container

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.timeout(1500),
    pytest.mark.xdist_group("platform"),  # one whole platform at a time: two would slow each other down
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="install the system package redis-server"),
]

NOW = "2026-03-04T15:00:00+00:00"  # in the pay period of 1 to 14 March
SELDOM = "0 0 29 2 *"  # no run of Airflow's own comes in between
SHIPPED = [file.stem for file in sorted((PROJECT_ROOT / "include" / "mappings").glob("*.yaml"))]
ON_CALL, OPTIME, DUTIES, TIGER = "epic_on_call_finder", "epic_optime", "new_innovations", "tigerconnect"
PUSHED = {
    feed: {"outlook": "graph"}.get(feed, feed.removeprefix("secure_messaging_")) for feed in SHIPPED if pushes(feed)
}
UNKNOWN_TO_ANYBODY = "user_authentication"  # a hospital without an identity provider: nothing to do
#: For a machine that has much else to do.
BEGIN_SECONDS, RUN_SECONDS = 400, 900


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    # Not in pytest's own folder, which each session of pytest closes to other accounts while this one's still run.
    with tempfile.TemporaryDirectory(prefix="callboard-distributed-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o755)
        yield from _deployed(Path(place))


def _deployed(folder: Path) -> Iterator[Deployment]:
    mappings = folder / "mappings"
    shutil.copytree(
        PROJECT_ROOT / "include" / "mappings", mappings, ignore=shutil.ignore_patterns("*.py", "__pycache__")
    )
    for feed in SHIPPED:
        file = mappings / f"{feed}.yaml"
        text = re.sub(r"^schedule: .*\n", "", file.read_text("utf-8"), flags=re.MULTILINE)
        file.write_text(f'{text}\nschedule: "{SELDOM}"\n', "utf-8")
    patch = pytest.MonkeyPatch()
    with object_stores.s3() as storage:
        storage.create_bucket()
        patch.setenv(VARIABLE, storage.connection)
        patch.setenv("CALLBOARD_MAPPINGS", str(mappings))
        started = Deployment(
            folder / "compose",
            f"127.{random.randrange(64, 128)}.{random.randrange(1, 255)}",
            profiles=("sandbox",),
            variables={
                "CALLBOARD_NOW": NOW,
                "CALLBOARD_MAPPINGS": str(mappings),
                "CALLBOARD_WAKER": "off",
                "CALLBOARD_ARTIFACTS": storage.url,
                VARIABLE: storage.connection,
            },
            private=frozenset({"artifacts"}),
        )
        try:
            started.make_secrets()
            started.up()
            wait_until(lambda: set(SHIPPED) <= known_dags(started), 300, "the Dags")
            yield started
        finally:
            patch.undo()
            dispose_engines()
            started.down()


def test_every_process_is_an_ordinary_account_on_a_root_that_cannot_be_written(deployment):
    for name, container in deployment.containers.items():
        if not container.running:
            continue
        programs = [each for each in container.processes() if "set -e" not in " ".join(each.cmdline())]
        assert programs, name
        assert {each.uids().effective for each in programs} == {container.user[0]}, name
        assert container.user[0] != 0
        refused = container.run(["sh", "-c", "touch /anything /opt/callboard/anything"])
        assert refused.returncode != 0
        assert refused.stderr.count("Read-only file system") == 2, name


def test_every_dag_runs_on_workers_that_share_no_disk(deployment):
    runs = {feed: trigger(deployment, feed) for feed in SHIPPED}
    ended = {feed: wait_for_end(deployment, feed, run) for feed, run in runs.items()}
    assert ended == dict.fromkeys(SHIPPED, "success")
    began = deployment.airflow("GET", "/dags/~/dagRuns?limit=100")["dag_runs"]
    assert {run["run_type"] for run in began if run["dag_id"] in SHIPPED} == {"manual"}  # the waker is switched off
    rows = summary(deployment)
    expected = dict.fromkeys(SHIPPED, "delivered") | {UNKNOWN_TO_ANYBODY: "unchanged"}
    assert {feed: row["state"] for feed, row in rows.items()} == expected
    assert all(
        row["extracted"] == sum(row[name] for name in ("delivered", "pending", "excluded", "rejected"))
        for row in rows.values()
    )
    everybody_holds_what_was_decided(deployment)
    tasks = [task for feed, run in runs.items() for task in tasks_of(deployment, feed, run)]
    assert {task["hostname"] for task in tasks} == {"worker-1", "worker-2"}
    crossed = {
        feed for feed, run in runs.items() if len({task["hostname"] for task in tasks_of(deployment, feed, run)}) > 1
    }
    assert crossed  # one step's artifacts were the next one's, on the other machine


def test_tasks_are_born_with_the_libraries_of_the_steps(deployment):
    for worker in deployment.of("worker"):
        assert re.search(r"Preloaded the steps' libraries", worker.output), worker.output[-2000:]
    for scheduler in (*deployment.of("scheduler-a"), *deployment.of("scheduler-b")):
        assert "Preloaded" not in scheduler.output


def test_a_worker_killed_in_the_middle_of_deliveries_takes_nothing_with_it(deployment):
    held, names = deployment.kronos_holds(), files_of(deployment, KRONOS)
    change_some_slots(deployment, held)
    runs = start_slow_deliveries(deployment)
    worker = wait_until(lambda: delivering(deployment), BEGIN_SECONDS, "a worker that delivers")
    worker.kill()
    worker.start()  # as its restart policy says
    let_everything_end(deployment, runs)
    assert len(files_of(deployment, KRONOS) - names) == 1
    assert deployment.kronos_holds() != held
    everybody_holds_what_was_decided(deployment)


def test_a_scheduler_killed_in_the_middle_of_deliveries_is_not_missed(deployment):
    held, names = deployment.kronos_holds(), files_of(deployment, KRONOS)
    change_some_slots(deployment, held)
    runs = start_slow_deliveries(deployment)
    wait_until(lambda: delivering(deployment), BEGIN_SECONDS, "a worker that delivers")
    [scheduler] = deployment.of(f"scheduler-{random.choice('ab')}")
    scheduler.kill()
    let_everything_end(deployment, runs)  # the other one goes on
    assert not scheduler.running
    assert len(files_of(deployment, KRONOS) - names) == 1
    assert deployment.kronos_holds() != held
    everybody_holds_what_was_decided(deployment)
    scheduler.start()
    wait_until(lambda: deployment.check(scheduler).returncode == 0, 120, "the scheduler is well again")


def test_a_worker_that_is_asked_to_stop_finishes_its_deliveries_first(deployment):
    change_some_slots(deployment, deployment.kronos_holds())
    runs = start_slow_deliveries(deployment)
    worker = wait_until(lambda: delivering(deployment), BEGIN_SECONDS, "a worker that delivers")
    assert worker.stop(seconds=300) == 0, worker.output[-2000:]
    let_everything_end(deployment, runs)
    tries = [task["try_number"] for feed, run in runs.items() for task in tasks_of(deployment, feed, run)]
    assert set(tries) == {1}
    everybody_holds_what_was_decided(deployment)


def known_dags(deployment: Deployment) -> set[str]:
    return {dag["dag_id"] for dag in deployment.airflow("GET", "/dags?limit=100")["dags"]}


def trigger(deployment: Deployment, feed: str) -> str:
    return str(deployment.airflow("POST", f"/dags/{feed}/dagRuns", json={"logical_date": None})["dag_run_id"])


def wait_for_end(deployment: Deployment, feed: str, run: str) -> str:
    path = f"/dags/{feed}/dagRuns/{run}"

    def ended() -> str:
        state = str(deployment.airflow("GET", path)["state"])
        return state if state in ("success", "failed") else ""

    return wait_until(ended, RUN_SECONDS, f"the end of {feed}")


def tasks_of(deployment: Deployment, feed: str, run: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = deployment.airflow("GET", f"/dags/{feed}/dagRuns/{run}/taskInstances")[
        "task_instances"
    ]
    return found


def summary(deployment: Deployment) -> dict[str, dict[str, Any]]:
    code, rows = deployment.callboard("summary")
    assert code == 0
    return {row["feed"]: row for row in rows}


def files_of(deployment: Deployment, folder: str) -> set[str]:
    return {file.name for file in (deployment.served / folder).iterdir()}


def change_some_slots(deployment: Deployment, held: dict[tuple[str, str], tuple[str, ...]]) -> None:
    """One shift to somebody else, one gone, one an hour later: enough for every kind of file."""
    (_, moved), (_, gone), (_, later), *_ = sorted(held)
    new = max(person for person, _ in held)
    [(colleague,)] = deployment.sql("schedule_dsn", "SELECT emp_id FROM personnel WHERE custom2 = %s", new)
    deployment.sql("schedule_dsn", "UPDATE schedules SET emp_id = %s WHERE slot_id = %s", colleague, moved)
    deployment.sql("schedule_dsn", "DELETE FROM schedules WHERE slot_id = %s", gone)
    an_hour = "start_local = start_local + '1 h', start_utc = start_utc + '1 h'"
    an_hour += ", stop_local = stop_local + '1 h', stop_utc = stop_utc + '1 h'"
    deployment.sql("schedule_dsn", f"UPDATE schedules SET {an_hour} WHERE slot_id = %s", later)


def start_slow_deliveries(deployment: Deployment) -> dict[str, str]:
    """Files and records on their way at the same time, at partners that take half a minute over them."""
    for feed in (KRONOS, ON_CALL, OPTIME):
        (deployment.served / feed).mkdir(exist_ok=True)
    slow = [{"match": f"^WRITE /{feed}/", "delay_s": 25, "times": 1} for feed in (KRONOS, ON_CALL, OPTIME, DUTIES)]
    deployment.control("/_faults", slow)
    deployment.control("/_faults", [{"match": "^(POST|PUT|DELETE|PATCH) ", "delay_s": 2, "times": 6}], of=PUSHED[TIGER])
    return {feed: trigger(deployment, feed) for feed in (KRONOS, ON_CALL, OPTIME, DUTIES, TIGER)}


def delivering(deployment: Deployment) -> Container | None:
    """The worker that has Kronos's file under way: its name at the partner is hidden still."""
    if not any(name.startswith(".") for name in files_of(deployment, KRONOS)):
        return None
    running = [task for task in running_deliveries(deployment) if task["dag_id"] == KRONOS]
    if not running:
        return None
    [worker] = [each for each in deployment.of("worker") if each.name == running[0]["hostname"]]
    return worker


def running_deliveries(deployment: Deployment) -> list[dict[str, Any]]:
    path = "/dags/~/dagRuns/~/taskInstances?state=running&limit=100"
    return [task for task in deployment.airflow("GET", path)["task_instances"] if task["task_id"] == "deliver"]


def let_everything_end(deployment: Deployment, runs: dict[str, str]) -> None:
    for of in ("sftp", PUSHED[TIGER]):
        deployment.control("/_faults", [], of=of)
    assert {feed: wait_for_end(deployment, feed, run) for feed, run in runs.items()} == dict.fromkeys(runs, "success")


def everybody_holds_what_was_decided(deployment: Deployment) -> None:
    """Every partner: what the last run decided, once, and nothing half or hidden beside it."""
    rows = summary(deployment)
    assert deployment.kronos_holds() == deployment.kronos_should_hold(rows[KRONOS]["run_id"])
    for feed, partner in PUSHED.items():
        held = deployment.control("/_state", of=partner)
        known = deployment.sql("ledger_dsn", "SELECT slot_id, remote_id FROM row_ack WHERE stream = %s", feed)
        decided = deployment.decisions(feed, rows[feed]["run_id"])
        assert {slot for slot, _ in known} == {slot for slot, (outcome, _) in decided.items() if outcome == "included"}
        assert len(held) == len(known) > 0, feed
    delivered = deployment.sql(
        "ledger_dsn",
        "SELECT run.feed, final_name, delivery.state FROM delivery JOIN delivery_file USING (delivery_id)"
        " JOIN run USING (stream, run_id) ORDER BY delivery_id",
    )
    assert {state for _, _, state in delivered} <= {"COMMITTED", "SUPERSEDED"}
    numbered = [name for feed, name, state in delivered if state == "COMMITTED" and feed in (KRONOS, DUTIES)]
    assert len(numbered) == len(set(numbered))
    files = [path for path in deployment.served.rglob("*") if path.is_file()]
    assert [path.name for path in files if path.name.startswith(".")] == []
    for feed in SHIPPED:
        if not (pushes(feed) or fills_tables(feed)):
            assert files_of(deployment, feed), feed

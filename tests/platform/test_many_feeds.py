"""One hospital's broken partner and long exports, and the other hospital's feeds: nobody waits for somebody else's.

A real platform with six workers. Hospital A has more on-call feeds at a partner that takes connections and never says a
word than there are workers, and more exports that take as long as the test likes than may compute at the same time.
Nothing here rests on how fast anything is: A's deliveries hang until the test ends, and B's runs end before that.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest

from include.database import dispose_engines
from include.pipeline import ON_CALL_PARTNER_POOL, OTHERS_POOL
from include.platform.pools import PARTNER_SLOTS
from include.settings import PROJECT_ROOT
from tests.support.whole_platform import WholePlatform, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1200), pytest.mark.xdist_group("platform")]

NOW = "2026-03-04T15:00:00+00:00"
SELDOM = "0 0 29 2 *"  # nothing runs but what the test asks for
ON_CALL, OTHER, EXPORT = "epic_on_call_finder", "epic_optime", "enterprise_data_warehouse"
WORKERS = 6
COMPUTING = WORKERS // 2
FEEDS_AT_THE_HOLE = WORKERS + 1  # were they let, they would keep every worker
EXPORTS = COMPUTING + 1
PATIENCE = 300  # seconds: how long a slow machine may take for what is under way
HOLE_POOL = f"{ON_CALL_PARTNER_POOL}sftp_hospital_a"


class BlackHole:
    """A server that takes every connection and never says anything; it counts those that are open."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.now = self.most = 0
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # closed
                return
            with self._lock:
                self._open.append(connection)
                self.now += 1
                self.most = max(self.most, self.now)
            threading.Thread(target=self._keep, args=(connection,), daemon=True).start()

    def _keep(self, connection: socket.socket) -> None:
        try:
            while connection.recv(4096):
                pass
        except OSError:
            pass
        with self._lock:
            self.now -= 1

    def close(self) -> None:
        self._listening.close()
        for connection in self._open:
            connection.close()


@dataclass
class TwoHospitals(WholePlatform):
    """A platform with hospital A's connection, few workers, and Dag files that are read often."""

    hole: BlackHole = field(default_factory=BlackHole)

    @property
    def env(self) -> dict[str, str]:
        connection = {
            "conn_type": "sftp",
            "host": "127.0.0.1",
            "port": self.hole.port,
            "login": "callboard",
            "password": "secret",
            # Patience without an end: what hangs hangs until the test is over.
            "extra": {"host_keys": [HOST_KEY], "answer_timeout": 3600, "session_timeout": 3600},
        }
        return super().env | {
            "AIRFLOW_CONN_SFTP_HOSPITAL_A": json.dumps(connection),
            "AIRFLOW__CORE__PARALLELISM": str(WORKERS),
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "2",
        }

    def add(self, kind: str, feed: str, *, connection: str | None = None) -> str:
        """Write one more feed like the one that ships, at its clock's rarest; it delivers into a folder of its own."""
        shipped = PROJECT_ROOT / "include" / "mappings"
        lines = (shipped / f"{kind}.yaml").read_text("utf-8").splitlines()
        kept = [line for line in lines if not line.startswith("schedule:")]
        where = f"destination: {{folder: /{feed}{f', connection: {connection}' if connection else ''}}}"
        if (shipped / f"{kind}.csv").is_file():
            shutil.copy(shipped / f"{kind}.csv", self.mappings / f"{feed}.csv")
        (self.mappings / f"{feed}.yaml").write_text("\n".join([*kept, f'schedule: "{SELDOM}"', where, ""]), "utf-8")
        return feed

    def begin(self, feed: str) -> str:
        """Ask for a run; answers its id."""
        body = {"logical_date": None}
        return str(self.airflow("POST", f"/dags/{feed}/dagRuns", json=body)["dag_run_id"])

    def ended(self, feed: str, run_id: str) -> str:
        """Wait for a run's end; answers how it ended."""
        state = "SELECT state FROM dag_run WHERE dag_id = %s AND run_id = %s AND state IN ('success', 'failed')"
        [(found,)] = wait_until(lambda: self.sql(self.airflow_dsn, state, feed, run_id), PATIENCE, f"{feed} ends")
        return str(found)

    def unfinished(self) -> dict[tuple[str, str, str], int]:
        """How many unfinished tasks there are, by pool, task and state."""
        rows = self.sql(
            self.airflow_dsn,
            "SELECT pool, task_id, coalesce(t.state, 'none'), count(*) FROM task_instance t"
            " JOIN dag_run r USING (dag_id, run_id)"
            " WHERE r.state IN ('queued', 'running') AND t.state IS DISTINCT FROM 'success' GROUP BY 1, 2, 3",
        )
        return {(pool, task, state): number for pool, task, state, number in rows}

    def pools(self) -> dict[str, int]:
        """The slots of every pool."""
        return dict(self.sql(self.airflow_dsn, "SELECT pool, slots FROM slot_pool"))

    @cached_property
    def airflow_dsn(self) -> str:
        return self.environment_of("scheduler")["CALLBOARD_AIRFLOW_DSN"]


HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHospitals]:
    """Hospital B's platform: an on-call feed, another one and an export, all of them delivered once."""
    folder = tmp_path_factory.mktemp("many")
    mappings = folder / "mappings"
    mappings.mkdir()
    whole = TwoHospitals(folder / "var", mappings, NOW)
    for kind in (ON_CALL, OTHER, EXPORT):
        whole.add(kind, f"{kind}_b")
    try:
        whole.start()
        yield whole
    finally:
        dispose_engines()
        whole.kill()
        whole.hole.close()


@contextmanager
def endless_exports(platform: TwoHospitals) -> Iterator[Callable[[], int]]:
    """While this lasts, exports do not end; what it gives answers how many are under way.

    They are caught where they wait for a table that no feed of slots reads, and stopped there: of itself, the wait
    would end after half a minute.
    """
    stopped: set[int] = set()
    waiting = "SELECT client_port FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%view_settings%'"

    def under_way() -> int:
        ports = {port for (port,) in platform.sql("schedule_dsn", waiting)}
        for pid in {each.pid for each in psutil.net_connections("tcp") if each.laddr.port in ports and each.pid}:
            if "postgres" not in psutil.Process(pid).name():  # the task's end of the connection
                os.kill(pid, signal.SIGSTOP)
                stopped.add(pid)
        return len(stopped)

    with psycopg.connect(platform.access["schedule_dsn"]) as holding:
        holding.execute("LOCK TABLE view_settings IN ACCESS EXCLUSIVE MODE")
        try:
            yield under_way
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)


def known_to_airflow(platform: TwoHospitals, feeds: list[str]) -> bool:
    return set(feeds) <= {dag for (dag,) in platform.sql(platform.airflow_dsn, "SELECT dag_id FROM serialized_dag")}


def test_a_broken_partner_and_long_exports_of_one_hospital_delay_no_feed_of_another(platform: TwoHospitals) -> None:
    assert {row["state"] for row in platform.summary().values()} == {"delivered"}
    hole = platform.hole
    at_hole = [
        platform.add(ON_CALL, f"{ON_CALL}_a_{each}", connection="sftp_hospital_a") for each in range(FEEDS_AT_THE_HOLE)
    ]
    exports = [platform.add(EXPORT, f"{EXPORT}_a_{each}") for each in range(EXPORTS)]
    wait_until(lambda: known_to_airflow(platform, at_hole + exports), PATIENCE, "hospital A's Dags")
    assert HOLE_POOL not in platform.pools()  # A's connection is new, and nobody was told

    for feed in at_hole:
        platform.begin(feed)
    hanging = {(HOLE_POOL, "deliver", "running"): PARTNER_SLOTS}
    waiting = {(HOLE_POOL, "deliver", "scheduled"): FEEDS_AT_THE_HOLE - PARTNER_SLOTS}
    wait_until(lambda: platform.unfinished() == hanging | waiting, PATIENCE, "A's feeds are at their partner")
    wait_until(lambda: hole.now == PARTNER_SLOTS, PATIENCE, "A's partner takes connections")
    assert platform.pools()[HOLE_POOL] == PARTNER_SLOTS

    # B's feeds are on call or not: neither waits for A's partner.
    runs = {feed: platform.begin(feed) for feed in (f"{OTHER}_b", f"{ON_CALL}_b")}
    assert {feed: platform.ended(feed, run) for feed, run in runs.items()} == dict.fromkeys(runs, "success")
    assert platform.unfinished() == hanging | waiting

    # Now A's exports take all that may compute, beside its deliveries, which hang on.
    with endless_exports(platform) as under_way:
        for feed in exports:
            platform.begin(feed)
        full = {
            (OTHERS_POOL, "extract", "running"): COMPUTING,
            (OTHERS_POOL, "extract", "scheduled"): EXPORTS - COMPUTING,
        }
        wait_until(lambda: under_way() == COMPUTING, PATIENCE, "A's exports compute")
        wait_until(lambda: full.items() <= platform.unfinished().items(), PATIENCE, "one export waits for the others")
        for _ in range(2):
            assert platform.ended(f"{ON_CALL}_b", platform.begin(f"{ON_CALL}_b")) == "success"
        assert (full | hanging | waiting).items() <= platform.unfinished().items()
        assert hole.now == hole.most == PARTNER_SLOTS
    assert platform.summary()[f"{ON_CALL}_b"]["state"] == "delivered"


def test_slots_that_somebody_gave_a_pool_stay(platform: TwoHospitals) -> None:
    pool = f"{ON_CALL_PARTNER_POOL}callboard_sandbox_sftp"
    body = {"name": pool, "slots": 7, "description": "ours", "include_deferred": False}
    platform.airflow("PATCH", f"/pools/{pool}", json=body)
    assert platform.ended(f"{ON_CALL}_b", platform.begin(f"{ON_CALL}_b")) == "success"
    assert platform.pools()[pool] == 7
    assert platform.pools()[OTHERS_POOL] == COMPUTING

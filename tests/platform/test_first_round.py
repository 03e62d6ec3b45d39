"""The first round: which run counts as a feed's first, and the table of what became of it.

Airflow is played by a small HTTP server that speaks the part of its REST API that the client uses.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from rich.console import Console

from include.errors import ConfigurationError
from include.platform.airflow_api import AirflowApi, AirflowSilent
from include.platform.feeds import Feed
from include.platform.files import write_private_json
from include.platform.first_round import as_table, table_rows, trigger_all, wait_for_round
from tests.support.airflow_server import PASSWORD, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Airflow:
    """What the server knows: tokens that are still good, runs by Dag, and every request it was sent."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()
        self.issued = 0
        self.runs: dict[str, list[dict[str, Any]]] = {}
        self.requests: list[str] = []
        self.due: dict[str, list[bool]] = {}  # by Dag: what it answers one time after the other; False from then on

    def answer(self, method: str, url: str, token: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.requests.append(f"{method} {parts.path}")
        if parts.path == "/auth/token":
            if body["password"] != PASSWORD:
                return 401, {"detail": "Invalid credentials"}
            self.issued += 1
            self.tokens.add(f"token-{self.issued}")
            return 201, {"access_token": f"token-{self.issued}"}
        if token not in self.tokens:
            return 401, {"detail": "Not authenticated"}
        if parts.path == "/api/v2/dags":
            offset, limit = int(query["offset"]), int(query["limit"])
            dags = [{"dag_id": f"d{n:03}", "last_parsed_time": START.isoformat()} for n in range(250)]
            return 200, {"dags": dags[offset : offset + limit], "total_entries": len(dags)}
        _, _, _, _, dag, *rest = parts.path.split("/")
        if method == "PATCH":
            return 200, {}
        if method == "POST":
            run = {"dag_run_id": f"manual__{dag}", "queued_at": START.isoformat(), "state": "queued"}
            self.runs.setdefault(dag, []).insert(0, run)
            return 200, run
        if not rest:
            due = self.due.get(dag) and self.due[dag].pop(0)
            strikes = datetime.now(UTC) + timedelta(minutes=0 if due else 5)
            return 200, {"next_dagrun_run_after": strikes.isoformat()}
        if rest == ["dagRuns"]:
            return 200, {"dag_runs": self.runs.get(dag, [])[: int(query["limit"])]}
        found = [run for run in self.runs.get(dag, []) if run["dag_run_id"] == rest[1]]
        return (200, found[0]) if found else (404, {"detail": "no such run"})


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


@pytest.fixture
def api(airflow: Airflow) -> Iterator[AirflowApi]:
    with served(airflow.answer) as url, AirflowApi(url, "admin", PASSWORD) as client:
        yield client


def feeds(*names: str) -> list[Feed]:
    return [Feed(name, name) for name in names]


def row(feed: str, run_id: str, state: str = "delivered", **more: Any) -> dict[str, Any]:
    counts = {"extracted": 10, "delivered": 7, "pending": 0, "excluded": 2, "rejected": 1}
    return {"feed": feed, "dag_id": feed, "run_id": run_id, "state": state, **counts, "artifacts": [], **more}


def test_every_page_of_a_list_is_read_with_one_sign_in(api: AirflowApi, airflow: Airflow) -> None:
    assert len(api.dags()) == 250
    assert airflow.requests == ["POST /auth/token", *["GET /api/v2/dags"] * 3]


def test_a_token_that_ran_out_is_renewed(api: AirflowApi, airflow: Airflow) -> None:
    api.dags()
    airflow.tokens.clear()
    assert len(api.dags()) == 250
    assert airflow.issued == 2


def test_a_refused_account_and_a_silent_server_are_told_apart(api: AirflowApi) -> None:
    with AirflowApi(api.url, "admin", "wrong") as stranger, pytest.raises(ConfigurationError, match="refused the acc"):
        stranger.dags()
    with AirflowApi("http://127.0.0.1:9", "admin", PASSWORD) as nobody:
        assert nobody.health() == {}
        with pytest.raises(ConfigurationError, match="does not answer"):
            nobody.dags()


def test_a_refusal_says_what_was_refused_and_why(api: AirflowApi) -> None:
    with pytest.raises(ConfigurationError, match=r"GET /api/v2/dags/a/dagRuns/x: 404 no such run"):
        api.run_state("a", "x")


def test_a_run_that_airflow_queued_since_the_start_is_the_first(api: AirflowApi, airflow: Airflow) -> None:
    later, earlier = (START + timedelta(seconds=1)).isoformat(), (START - timedelta(seconds=1)).isoformat()
    airflow.runs = {
        "caught_up": [{"dag_run_id": "scheduled__1", "queued_at": later, "state": "running"}],
        "interrupted": [{"dag_run_id": "scheduled__2", "queued_at": earlier, "state": "running"}],
    }
    airflow.due = {"interrupted": [True] * 9}  # Airflow queues no other while that one goes on
    assert trigger_all(api, feeds("caught_up", "interrupted", "new"), START, pause=_never) == {
        "caught_up": "scheduled__1",
        "interrupted": "manual__interrupted",
        "new": "manual__new",
    }
    assert airflow.requests.count("PATCH /api/v2/dags/new") == 1


def test_a_run_that_airflow_is_about_to_queue_is_waited_for(api: AirflowApi, airflow: Airflow) -> None:
    airflow.due = {"slow": [True, True, False]}
    later = (START + timedelta(seconds=1)).isoformat()

    def queued() -> Iterator[None]:
        yield
        airflow.runs["slow"] = [{"dag_run_id": "scheduled__1", "queued_at": later, "state": "queued"}]
        yield
        pytest.fail("it waits for ever")

    moments = queued()
    runs = trigger_all(api, feeds("slow", "other"), START, pause=lambda: next(moments))
    assert runs == {"slow": "scheduled__1", "other": "manual__other"}
    assert "POST /api/v2/dags/slow/dagRuns" not in airflow.requests


def test_a_busy_airflow_is_asked_again_and_queues_one_run(api: AirflowApi, airflow: Airflow) -> None:
    silences = {"unpause": 2, "trigger": 1}

    class Busy(AirflowApi):
        def unpause(self, dag_id: str) -> None:
            self._silent("unpause")
            super().unpause(dag_id)

        def trigger(self, dag_id: str, conf: Any = None, note: str | None = None) -> str:
            run_id = super().trigger(dag_id, conf, note)
            queued = {"dag_run_id": run_id, "queued_at": (START + timedelta(seconds=1)).isoformat(), "state": "queued"}
            airflow.runs[dag_id] = [queued]
            self._silent("trigger")  # it has queued the run, and nobody hears of it
            return run_id

        def _silent(self, what: str) -> None:
            if silences[what]:
                silences[what] -= 1
                raise AirflowSilent("Airflow does not answer.", next_step="wait")

    with Busy(api.url, "admin", PASSWORD) as busy:
        assert trigger_all(busy, feeds("feed"), START, pause=lambda: None) == {"feed": "manual__feed"}
    assert airflow.requests.count("POST /api/v2/dags/feed/dagRuns") == 1
    assert set(silences.values()) == {0}


def _never() -> None:
    pytest.fail("there is nothing to wait for")


def test_the_round_ends_when_every_run_has_its_row_or_has_ended_without(
    api: AirflowApi, airflow: Airflow, tmp_path: Path
) -> None:
    summary = tmp_path / "summary.json"
    airflow.runs = {name: [{"dag_run_id": name, "state": "running"}] for name in ("good", "dead", "overtaken")}
    write_private_json(summary, [row("good", "an earlier run", "failed")])
    said: list[str] = []

    def meanwhile() -> Iterator[None]:
        write_private_json(summary, [row("good", "good")])
        yield
        airflow.runs["dead"][0]["state"] = "failed"
        yield
        airflow.runs["overtaken"][0]["state"] = "success"
        write_private_json(summary, [row("good", "good"), row("overtaken", "a later run", "unchanged")])
        yield
        pytest.fail("the round did not end")

    steps = meanwhile()
    pause: Callable[[], None] = lambda: next(steps)  # noqa: E731
    runs = {name: name for name in airflow.runs}
    rows = wait_for_round(api, runs, summary, pause=pause, note=said.append)
    assert {feed: found and (found["run_id"], found["state"]) for feed, found in rows.items()} == {
        "good": ("good", "delivered"),
        "dead": None,
        "overtaken": ("a later run", "unchanged"),
    }
    assert said == [
        "0 of 3 feeds, waiting for dead, good, overtaken",
        "1 of 3 feeds, waiting for dead, overtaken",
        "2 of 3 feeds, waiting for overtaken",
    ]


def test_the_round_outlives_a_silence_of_airflow(api: AirflowApi, airflow: Airflow, tmp_path: Path) -> None:
    runs = {"feed": "run"}
    silences = iter([True, False])
    said: list[str] = []

    class Restarting(AirflowApi):
        def run_state(self, dag_id: str, run_id: str) -> str:
            with AirflowApi("http://127.0.0.1:9" if next(silences) else api.url, "admin", PASSWORD) as through:
                return through.run_state(dag_id, run_id)

    airflow.runs = {"feed": [{"dag_run_id": "run", "state": "failed"}]}
    with Restarting(api.url, "admin", PASSWORD) as restarting:
        rows = wait_for_round(restarting, runs, tmp_path / "summary.json", pause=lambda: None, note=said.append)
    assert rows == {"feed": None}
    assert said == ["waiting for Airflow to answer"]


def test_the_table_has_a_line_for_every_feed_and_says_where_or_why(tmp_path: Path) -> None:
    found = {
        "delivers": row("delivers", "1", artifacts=["sftp/delivers/a.csv", "sftp/delivers/b.csv"]),
        "pushes": row("pushes", "4"),
        "quiet": row("quiet", "2", "unchanged"),
        "stopped": row("stopped", "3", "failed", error="The partner refused the delivery"),
        "dead": None,
    }
    configured = feeds("dead", "delivers", "pushes", "quiet", "stopped", "wrong")
    configured[2] = replace(configured[2], where="records at some_connection")
    rows = table_rows(configured, found, {"wrong": "wrong.yaml:1: x"}, tmp_path)
    assert [(each.feed, each.state, each.good) for each in rows] == [
        ("dead", "failed", False),
        ("delivers", "delivered", True),
        ("pushes", "delivered", True),
        ("quiet", "unchanged", True),
        ("stopped", "failed", False),
        ("wrong", "failed", False),
    ]
    assert [each.where for each in rows[1:]] == [
        f"{tmp_path}/sftp/delivers/a.csv (+1)",
        "records at some_connection",
        "-",
        "The partner refused the delivery",
        "wrong.yaml:1: x",
    ]
    console = Console(width=200, record=True, file=None, quiet=False)
    with console.capture() as printed:
        console.print(as_table(rows))
    heading, *lines = printed.get().splitlines()
    assert heading.split() == ["feed", "state", "delivered", "pending", "excluded", "rejected", "where"]
    assert lines[0].split()[:6] == ["dead", "failed", "-", "-", "-", "-"]
    assert lines[1].split()[:6] == ["delivers", "delivered", "7", "0", "2", "1"]

"""A small HTTP server that stands in for Airflow's API: what it answers is a function of the test."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answer = Callable[[str, str, str, dict[str, Any]], tuple[int, dict[str, Any]]]

PASSWORD = "right"
#: The beginning of every request.
ALL = ("GET", "POST", "PATCH")


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """Serve ``answer(method, path with query, token, body) -> (status, body)``; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet for head and body: two would wait for each other

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, content = answer(self.command, self.path, token, body)
            payload = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - the base class calls them so

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class WatchedAirflow:
    """An Airflow as the watch and the waker see it: its health, its runs with their notes, the Dags that are switched
    off, and the assets that Dags wait for, with the events that were made of them.

    ``down`` and ``broken`` are beginnings of "METHOD /path": what is down answers like a proxy whose server is gone
    (503), what is broken like a server that met a fault (500). ``refused``: what events of an asset, by its id, are
    answered with instead of being made.
    """

    states: dict[str, str | None] = field(
        default_factory=lambda: dict.fromkeys(("metadatabase", "scheduler", "dag_processor", "triggerer"), "healthy")
    )
    runs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    assets: dict[str, int] = field(default_factory=dict)
    woken: list[str] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    password: str = PASSWORD
    down: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    token: str = "token-0"

    def has(self, dag: str, run_id: str, state: str, *, ended: datetime | None = None, note: str | None = None) -> None:
        """Take down a run."""
        self.runs[dag, run_id] = {
            "dag_id": dag,
            "dag_run_id": run_id,
            "state": state,
            "end_date": ended.isoformat() if ended else None,
            "note": note,
        }

    def note(self, dag: str, run_id: str) -> str | None:
        """The note that a run carries."""
        found: str | None = self.runs[dag, run_id]["note"]
        return found

    def renew(self) -> None:
        """Let every token run out."""
        self.token = f"token-{int(self.token[6:]) + 1}"

    def answer(self, method: str, url: str, token: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer like Airflow."""
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.requests.append(f"{method} {parts.path}")
        if self.requests[-1].startswith(self.down):
            return 503, {"detail": "no server"}
        if self.requests[-1].startswith(self.broken):
            return 500, {"detail": "Internal Server Error"}
        if parts.path == "/api/v2/monitor/health":
            return 200, {name: {"status": state} for name, state in self.states.items()}
        if parts.path == "/auth/token":
            right = body["password"] == self.password
            return (201, {"access_token": self.token}) if right else (401, {"detail": "Invalid credentials"})
        if token != self.token:
            return 401, {"detail": "Not authenticated"}
        if parts.path == "/api/v2/dags":
            dags = [{"dag_id": dag} for dag in sorted(self.paused)] if query["paused"] == "true" else []
            return 200, _page("dags", dags, query)
        if parts.path == "/api/v2/assets":
            prefix = query["name_prefix_pattern"]
            waiting = [{"id": number, "name": name} for name, number in self.assets.items() if name.startswith(prefix)]
            return 200, _page("assets", waiting, query)
        if parts.path == "/api/v2/assets/events":
            names = {number: name for name, number in self.assets.items()}
            if body["asset_id"] in self.refused:
                return self.refused[body["asset_id"]], {"detail": "refused"}
            if body["asset_id"] not in names:
                return 404, {"detail": "no such asset"}
            self.woken.append(names[body["asset_id"]])
            return 200, {"id": len(self.woken)}
        if parts.path == "/api/v2/dags/~/dagRuns":
            since = datetime.fromisoformat(query["end_date_gte"])
            ended = [run for run in self.runs.values() if run["state"] == query["state"] and run["end_date"]]
            found = [run for run in ended if datetime.fromisoformat(run["end_date"]) >= since]
            return 200, _page("dag_runs", sorted(found, key=lambda run: run[query["order_by"]]), query)
        _, _, _, _, dag, *_, run_id = parts.path.split("/")
        if run_id == "dagRuns":
            if dag not in {known for known, _ in self.runs}:
                return 404, {"detail": "no such Dag"}
            newest_first = [run for (known, _), run in reversed(self.runs.items()) if known == dag]
            return 200, _page("dag_runs", newest_first, {"offset": "0"} | query)
        run = self.runs.get((dag, run_id))
        if run is None:
            return 404, {"detail": "no such run"}
        if method == "PATCH":
            if len(body["note"]) > 1000:
                return 422, {"detail": "String should have at most 1000 characters"}
            run["note"] = body["note"]
        return 200, run


def _page(key: str, found: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    offset, limit = int(query["offset"]), int(query["limit"])
    return {key: found[offset : offset + limit], "total_entries": len(found)}


def minutes_ago(minutes: float) -> datetime:
    """A moment of real time."""
    return datetime.now(UTC) - timedelta(minutes=minutes)

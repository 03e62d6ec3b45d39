"""Pages of the API: how near they come to the query alone, how far they leave a plain response-model route behind.

All three read the same slots, in turns, four at a time: the API and the plain route for four clients, the query in four
threads of one process, as the server has them. The API is asked as its clients ask it, token and all.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import make_url

from bench.measure import Figure, in_child
from bench.stores import store
from include.api.resources.schedules import SCHEDULES
from include.database import API_ROLE, transaction
from include.settings import PROJECT_ROOT
from tests.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

    from include.api.resources.fields import Field

_CLIENTS = 4
_ROWS = 1000
_PLAIN = "/plain"
#: The API's own page, without what makes it JSON.
_QUERY = f"""
    SELECT {", ".join(f"r.{field.name}" for field in SCHEDULES.fields)} FROM {SCHEDULES.table}
    WHERE period.published_at <= now() AND r.slot_id > %(after)s ORDER BY r.slot_id LIMIT {_ROWS}
"""


def measure(folder: Path, slots: int, pages: int, rounds: int) -> Iterator[Figure]:
    """Rates of ``pages`` pages for each client, and one pull of all ``slots`` slots, page by page."""
    with store(folder) as filled:
        filled.grow_to(slots)
        dsn = make_url(filled.admin_dsn).set(username=API_ROLE, password="api").render_as_string(hide_password=False)
        with _server(dsn) as (port, process):
            token = _token(dsn, port)
            works = {
                "ours": lambda: _turn_pages(port, token, pages),
                "query": lambda: _run_query(dsn, pages),
                "plain": lambda: _turn_plain_pages(port, pages),
            }
            rates: dict[str, list[float]] = {name: [] for name in works}
            for _ in range(rounds):
                for name, work in works.items():
                    rates[name].append(_CLIENTS * pages / _at_once(work))
            yield _figure("API pages of 1,000 slots: rate beside that of the query alone", rates, "query", 0.6)
            yield _figure("API pages of 1,000 slots: rate beside a plain response model's", rates, "plain", 3)
            yield from _whole_pull(port, token, process, slots)


def _figure(name: str, rates: dict[str, list[float]], other: str, limit: float) -> Figure:
    ratios = sorted(mine / theirs for mine, theirs in zip(rates["ours"], rates[other], strict=True))
    beside = {f"{each}_per_s": round(statistics.median(rates[each])) for each in ("ours", other)}
    spread = (round(ratios[0], 2), round(ratios[-1], 2))
    return Figure(name, round(statistics.median(ratios), 2), "x", limit, at_least=True, spread=spread, beside=beside)


def _whole_pull(port: int, token: str, process: subprocess.Popen[bytes], slots: int) -> Iterator[Figure]:
    """One client from the first page to the last: no page may be slower than twice the first, and memory stays flat."""
    status = Path(f"/proc/{process.pid}")
    (status / "clear_refs").write_text("5")
    before = _megabytes(status, "VmRSS")
    seconds, rows = [], 0
    asked = _Asking(port, token)
    path: str | None = f"/v1/schedules?limit={_ROWS}"
    while path:
        began = time.perf_counter()
        page = asked.get(path)
        seconds.append(time.perf_counter() - began)
        found = json.loads(page)
        rows, path = rows + len(found["data"]), found["next"]
    if rows != slots:
        raise RuntimeError(f"{rows} of {slots} slots came")
    # What else the machine does meanwhile meets single pages: those that follow one another are told by their median.
    some = min(20, len(seconds))
    medians = [statistics.median(seconds[place : place + some]) for place in range(0, len(seconds) - some + 1, some)]
    name = f"API pull of {slots / 1e6:g} million slots: slowest pages beside the first"
    beside = {"pages": len(seconds), "first_ms": round(medians[0] * 1000, 1), "seconds": round(sum(seconds), 1)}
    yield Figure(name, round(max(medians) / medians[0], 2), "x", 2, beside=beside)
    grown = max(_megabytes(status, "VmHWM") - before, 0.1)
    yield Figure("memory of the API's server, beyond what it had before", round(grown, 1), "MB", 50)


def _megabytes(status: Path, name: str) -> float:
    [line] = [line for line in (status / "status").read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024


def _at_once(work: Callable[[], Callable[[], None]]) -> float:
    """Seconds that four at a time take, in threads of a process of its own; what ``work`` prepares is not counted."""

    def threads() -> float:
        runs = [work() for _ in range(_CLIENTS)]
        with ThreadPoolExecutor(_CLIENTS) as pool:
            began = time.perf_counter()
            for done in [pool.submit(run) for run in runs]:
                done.result()
            return time.perf_counter() - began

    return float(in_child(threads).answer)


class _Asking:
    """One client's connection."""

    def __init__(self, port: int, token: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> bytes:
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {body.decode()[:500]}")
        return body


def _turn_pages(port: int, token: str, pages: int) -> Callable[[], None]:
    asking = _Asking(port, token)
    first = f"/v1/schedules?limit={_ROWS}"
    asking.get(first)

    def run() -> None:
        path = first
        for _ in range(pages):
            body = asking.get(path)
            place = body.rindex(b'"next":')  # whoever only stores pages has no need to read them
            path = json.loads(b"{" + body[place:])["next"] or first

    return run


def _turn_plain_pages(port: int, pages: int) -> Callable[[], None]:
    asking = _Asking(port)
    asking.get(_PLAIN)

    def run() -> None:
        after = ""
        for _ in range(pages):
            body = asking.get(f"{_PLAIN}?after={after}")
            place = body.rindex(b'"slot_id":"') + len(b'"slot_id":"')
            after = body[place : body.index(b'"', place)].decode()

    return run


def _run_query(dsn: str, pages: int) -> Callable[[], None]:
    connection = psycopg.connect(dsn, autocommit=True)
    connection.execute(_QUERY, {"after": ""})

    def run() -> None:
        after = ""
        for _ in range(pages):
            rows = connection.execute(_QUERY, {"after": after}).fetchall()
            after = rows[-1][0] if len(rows) == _ROWS else ""

    return run


@contextmanager
def _server(dsn: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The API, and beside it the plain route, under uvicorn; its port and its process."""
    port = free_port()
    words = [sys.executable, "-m", "uvicorn", "--factory", "bench.api:app", "--port", str(port), "--log-level", "error"]
    limit = {"CALLBOARD_API_REQUESTS_PER_MINUTE": "1000000", "CALLBOARD_API_DSN": dsn}
    process = subprocess.Popen(words, cwd=PROJECT_ROOT, env={**os.environ, **limit})
    try:
        for _ in range(300):
            try:
                _Asking(port).get(_PLAIN)
                break
            except OSError:
                if process.poll() is not None:
                    raise RuntimeError("the server did not start") from None
                time.sleep(0.1)
        yield port, process
    finally:
        process.terminate()
        process.wait(timeout=30)


def _token(dsn: str, port: int) -> str:
    from urllib.parse import urlencode

    from include.api import clients

    with transaction(dsn) as connection:
        client, secret = clients.add(connection, "bench", ["schedules"])
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": secret}
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    typed = {"Content-Type": "application/x-www-form-urlencoded"}
    asked.request("POST", "/oauth/token", urlencode(form), typed)
    return str(json.loads(asked.getresponse().read())["access_token"])


def app() -> FastAPI:
    """The real app, and the route that anybody would write first."""
    from datetime import date, datetime

    from pydantic import create_model
    from sqlalchemy import text

    from include.api.app import create_app
    from include.database import engine

    kinds: dict[str, Any] = {
        "text": str,
        "integer": int,
        "decimal": float,
        "boolean": bool,
        "date": date,
        "local_datetime": datetime,
        "utc_datetime": datetime,
    }

    def of(field: Field) -> Any:
        kind = kinds[field.type]
        return (kind | None if field.nullable else kind, ...)

    slot: Any = create_model("Slot", **{field.name: of(field) for field in SCHEDULES.fields})
    served, dsn = create_app(), os.environ["CALLBOARD_API_DSN"]
    query = text(_QUERY.replace("%(after)s", ":after"))

    @served.get(_PLAIN, response_model=list[slot])
    def plain(after: str = "") -> Any:
        with engine(dsn).connect() as connection:
            return [dict(row) for row in connection.execute(query, {"after": after}).mappings()]

    return served

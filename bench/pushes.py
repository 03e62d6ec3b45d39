"""Pushes to Microsoft Graph's stand-in: how near thousands of new events come to what its limits allow.

What they allow is measured beside it: the same number of events by a loop that does nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import psycopg

from bench.measure import Figure, in_child
from bench.stores import store
from include.destinations.connection import ConnectionDetails
from include.destinations.graph import PARTS
from include.run.deliver import deliver
from include.run.extract import extract
from include.run.services import Services
from include.run.transform import transform
from include.run.validate import validate
from include.settings import PROJECT_ROOT, Settings
from tests.support.declarations import declared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.stores import Store

_PASSWORD = "bench"  # noqa: S105 - of a stand-in that lives for a minute
#: How long the stand-in takes for one event. Graph's own time is not documented; a quarter of a second is ours.
_TAKES = 0.25
#: Graph serves so many requests of one application at a time, each with up to 20 operations.
_AT_A_TIME = 4
_MAPPING = "integration: outlook\npersonnel_id: custom3\nlimits: {rejected_percent: 100}\n"


def measure(folder: Path, events: int) -> Iterator[Figure]:
    """As many creations as ``events``, from the plan to the last acknowledgement in the ledger."""
    with store(folder) as filled, _graph(folder / "sandbox") as url:
        _fill(filled, events)
        services = _services(folder, filled, url)
        httpx.post(f"{url}/_limits", json={"takes_s": _TAKES}).raise_for_status()
        outlook = declared("outlook")
        decided = transform(outlook, validate(extract(outlook, "outlook", "bench", services), services), services)
        done = in_child(lambda: deliver(outlook, decided, services).counts.pending)
        held = httpx.get(f"{url}/_state", timeout=120).json()
    if done.answer or len(held) != decided.records or len({event["key"] for event in held}) != len(held):
        raise RuntimeError(f"{len(held)} events of {decided.records} records, {done.answer} pending")
    with _graph(folder / "another") as url:
        httpx.post(f"{url}/_limits", json={"takes_s": _TAKES}).raise_for_status()
        bare = in_child(lambda: _bare(url, len(held)))
    allowed = bare.seconds
    beside = {
        "events": len(held),
        "seconds": round(done.seconds, 1),
        "allowed_seconds": round(allowed, 1),
        "megabytes": round(done.megabytes, 1),
    }
    name = f"{events:,} new events: part of the speed that Graph's limits allow"
    yield Figure(name, round(100 * allowed / done.seconds, 1), "%", 90, at_least=True, beside=beside)


def _bare(url: str, events: int) -> None:
    """Make as many events as fast as the stand-in takes them: no ledger, no difference, no doubt, one per mailbox."""
    form = {"grant_type": "client_credentials", "client_id": "callboard", "client_secret": _PASSWORD}
    event = {
        "subject": "Assignment",
        "body": {"contentType": "text", "content": ""},
        "start": {"dateTime": "2026-01-01T07:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-01-01T19:00:00", "timeZone": "UTC"},
    }
    typed = {"Content-Type": "application/json"}
    batches = [
        [
            {
                "id": str(n),
                "method": "POST",
                "url": f"/users/m{n}@example.org/events",
                "headers": typed,
                "body": event,
            }
            for n in range(first, min(first + PARTS, events))
        ]
        for first in range(0, events, PARTS)
    ]
    with httpx.Client(timeout=60) as http, ThreadPoolExecutor(_AT_A_TIME) as pool:
        token = http.post(f"{url}/bench/oauth2/v2.0/token", data=form).json()["access_token"]
        signed = {"Authorization": f"Bearer {token}"}
        for answer in pool.map(
            lambda parts: http.post(f"{url}/v1.0/$batch", json={"requests": parts}, headers=signed), batches
        ):
            answer.raise_for_status()


def _fill(filled: Store, events: int) -> None:
    filled.grow_to(round(events / 0.97))  # some are open, some wait for a swap
    with psycopg.connect(filled.admin_dsn, autocommit=True) as server:
        server.execute("UPDATE schedule.personnel SET custom3 = emp_id || '@example.org'")


def _services(folder: Path, filled: Store, url: str) -> Services:
    mappings = folder / "mappings"
    mappings.mkdir()
    (mappings / "outlook.yaml").write_text(_MAPPING, "utf-8")
    rows = "".join(f"A{number},true\n" for number in range(1, 601))
    (mappings / "outlook.csv").write_text(f"assignment_id,send_to_outlook\n{rows}", "utf-8")
    settings = Settings(
        var=folder / "var",
        mappings=mappings,
        schedule_dsn=filled.schedule_dsn,
        ledger_dsn=filled.ledger_dsn,
        time_zone="UTC",
    )
    extra = {"tenant_id": "bench", "authority": url}
    details = ConnectionDetails("graph", url, None, "callboard", _PASSWORD, extra)
    return Services(settings, lambda _: details)


@contextmanager
def _graph(folder: Path) -> Iterator[str]:
    """The stand-in in a process of its own, as the platform runs it; its address."""
    words = [sys.executable, "-m", "sandbox.partners", "--folder", str(folder), "--port", "0", "--spok-port", "0"]
    environment = {**os.environ, "CALLBOARD_SANDBOX_PASSWORD": _PASSWORD}
    process = subprocess.Popen(words, cwd=PROJECT_ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        ports: dict[str, Any] = json.loads((process.stdout or sys.stdin).readline())
        yield f"http://127.0.0.1:{ports['port']}/graph"
    finally:
        process.terminate()
        process.wait(timeout=30)

"""The whole run of each feed that ships, without Airflow: ``python -m bench.profile_runs [FEED ...]`` profiles them.

One warm process, the demo hospital, and the sandbox's partners as processes of their own: what a task of a started
worker does, without starting the task. Time is the process's own clock on the wall: waiting for partners is in it.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
from sqlalchemy import make_url

from bench.measure import Figure, warm_up
from bench.stores import store
from include.database import API_ROLE, dispose_engines
from include.destinations.connection import ConnectionDetails
from include.errors import ConfigurationError
from include.mappings import loader
from include.platform.sandbox_connections import sandbox_connections
from include.run.deliver import deliver
from include.run.extract import extract
from include.run.services import Services
from include.run.transform import transform
from include.run.validate import validate
from include.schedule.demo import write_demo_hospital
from include.schedule.demo.demographics import write_demographic_file
from include.schedule.importing import import_files
from include.settings import PROJECT_ROOT, Settings
from tests.conftest import free_port
from tests.support.declarations import declared_for
from tests.support.sftp_servers import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.stores import Store
    from include.schedule.demo.model import Hospital
    from tests.support.sftp_servers import SftpServer

STEPS = ("extract", "validate", "transform", "deliver")
NOW = datetime(2026, 3, 5, 17, tzinfo=UTC)
MAPPINGS = PROJECT_ROOT / "include" / "mappings"
#: The feed that takes a file in: each of its runs needs one.
INBOUND = "demographic_import"
_PASSWORD = "bench"  # noqa: S105 - of stand-ins that live for minutes
_HERE = "127.0.0.1"
_API_CONNECTION = "lightning_bolt_api"
#: So many functions of a profile are told.
_TOLD = 25


@dataclass(frozen=True)
class Outside:
    """What the runs need of the outside world, and where the files that come in lie."""

    services: Services
    inbound: Path
    hospital: Hospital

    def put_file_in(self) -> None:
        """The human resources' file, as if it had just come."""
        self.inbound.mkdir(parents=True, exist_ok=True)
        write_demographic_file(self.inbound / "people.csv", self.hospital)
        (self.inbound / "people.csv.done").touch()


def measure(folder: Path, rounds: int) -> Iterator[Figure]:
    """Each feed's steady run in seconds, the fastest of ``rounds``; beside it its steps, and its first run."""
    with outside(folder) as world:
        first = {feed: run(feed, world) for feed in feeds()}
        again = [{feed: run(feed, world) for feed in feeds()} for _ in range(rounds)]
    for feed in feeds():
        fastest = min((each[feed] for each in again), key=lambda told: told["all"])
        beside = {**fastest, "first": first[feed]["all"]}
        yield Figure(feed, beside.pop("all"), "s", beside=beside)


def feeds() -> list[str]:
    """Every feed that ships, by name."""
    return [head.feed for head in loader.feeds(MAPPINGS)]


def run(feed: str, world: Outside, observe: Callable[[str, Callable[[], Any]], Any] | None = None) -> dict[str, Any]:
    """One run: the seconds of each step and of all, the rows that were read, and how it ended.

    ``observe`` is called with a step's name and its work, and answers what the work does.
    """
    if feed == INBOUND:
        world.put_file_in()
    integration, services = declared_for(feed), world.services
    works: dict[str, Callable[[Any], Any]] = {
        "extract": lambda _: extract(integration, feed, str(uuid4()), services),
        "validate": lambda extracted: validate(extracted, services),
        "transform": lambda validated: transform(integration, validated, services),
        "deliver": lambda decided: deliver(integration, decided, services),
    }
    told: dict[str, Any] = {}
    handed: Any = None
    for step, work in works.items():
        before, began = handed, time.perf_counter()
        handed = observe(step, lambda work=work, before=before: work(before)) if observe else work(before)  # type: ignore[misc]
        told[step] = round(time.perf_counter() - began, 4)
        if step == "extract":
            rows = handed.rows
    return told | {"rows": rows, "state": str(handed.state), "all": round(sum(told.values()), 4)}


@contextmanager
def outside(folder: Path) -> Iterator[Outside]:
    """A store with the demo hospital, its own API, and every partner of the sandbox."""
    warm_up()
    os.environ["CALLBOARD_NOW"] = NOW.isoformat()
    (folder / "var").mkdir()
    with store(folder) as filled, sandbox(folder / "sftp") as server, _partners(folder / "partners") as ports:
        hospital = write_demo_hospital(folder / "exchange", date(NOW.year, NOW.month, NOW.day))
        import_files(filled.schedule_dsn, folder / "exchange", mode="replace", user="bench")
        with _api(filled) as api:
            connections = _connections(server, folder / "sftp", ports) | {_API_CONNECTION: api}
            for feed in feeds():
                (server.root / feed).mkdir(exist_ok=True)
            settings = Settings(
                var=folder / "var",
                mappings=MAPPINGS,
                schedule_dsn=filled.schedule_dsn,
                ledger_dsn=filled.ledger_dsn,
                time_zone="America/New_York",
            )
            yield Outside(
                Services(settings, lambda name: _found(connections, name)), server.root / INBOUND / "inbound", hospital
            )
        dispose_engines()


def _found(connections: Mapping[str, ConnectionDetails], name: str) -> ConnectionDetails:
    if name not in connections:
        raise ConfigurationError(f"There is no connection {name} here.", next_step="add it to bench/profile_runs.py")
    return connections[name]


def _connections(server: SftpServer, folder: Path, ports: Mapping[str, int]) -> dict[str, ConnectionDetails]:
    """Those that feeds use as they ship, from what the platform would tell Airflow."""
    told = sandbox_connections(
        sftp=(_HERE, server.port),
        partners=(_HERE, ports["partners"]),
        spok=(_HERE, ports["spok"]),
        password=_PASSWORD,
        sftp_key=str(folder / "client"),
        sftp_host_key=next(iter(server.host_keys.values())),
    )
    return {
        variable.removeprefix("AIRFLOW_CONN_").lower(): _details(variable, json.loads(value))
        for variable, value in told.items()
    }


def _details(variable: str, told: Mapping[str, Any]) -> ConnectionDetails:
    return ConnectionDetails(
        name=variable.removeprefix("AIRFLOW_CONN_").lower(),
        host=told["host"],
        port=told.get("port"),
        login=told.get("login"),
        password=told.get("password"),
        extra=told.get("extra", {}),
    )


@contextmanager
def _partners(folder: Path) -> Iterator[dict[str, int]]:
    """The partners of records in a process of their own; their ports."""
    words = [sys.executable, "-m", "sandbox.partners", "--folder", str(folder), "--port", "0", "--spok-port", "0"]
    environment = {**os.environ, "CALLBOARD_SANDBOX_PASSWORD": _PASSWORD}
    process = subprocess.Popen(words, cwd=PROJECT_ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        told: dict[str, int] = json.loads((process.stdout or sys.stdin).readline())
        yield {"partners": told["port"], "spok": told["spok_port"]}
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def _api(filled: Store) -> Iterator[ConnectionDetails]:
    """The API in a process of its own, as the feed of its tallies reaches it."""
    from include.api import clients
    from include.database import transaction

    dsn = make_url(filled.admin_dsn).set(username=API_ROLE, password="api").render_as_string(hide_password=False)
    with transaction(dsn) as connection:
        client, secret = clients.add(connection, "bench", ["tallies"])
    port = free_port()
    words = [sys.executable, "-m", "uvicorn", "--factory", "include.api.app:create_app", "--port", str(port)]
    environment = {**os.environ, "CALLBOARD_API_DSN": dsn}
    process = subprocess.Popen([*words, "--log-level", "error"], cwd=PROJECT_ROOT, env=environment)
    try:
        _wait_for(f"http://{_HERE}:{port}/", process)
        yield ConnectionDetails(_API_CONNECTION, f"http://{_HERE}:{port}", login=client.client_id, password=secret)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the API did not start")


def main(words: list[str] | None = None) -> None:
    """Profile the steady runs of some feeds, or of all, and print where their time goes."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile_runs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("only", nargs="*", metavar="FEED", help="default: every feed that ships")
    parser.add_argument("--first", action="store_true", help="the first runs, in which everything is delivered")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as folder, outside(Path(folder)) as world:
        for feed in arguments.only or feeds():
            if not arguments.first:
                run(feed, world)
            profiles: dict[str, cProfile.Profile] = {}

            def observe(step: str, work: Callable[[], Any], into: dict[str, cProfile.Profile] = profiles) -> Any:
                into[step] = cProfile.Profile()
                return into[step].runcall(work)

            told = run(feed, world, observe)
            print(f"\n=== {feed}: {told}")
            for step, profile in profiles.items():
                print(f"--- {step}")
                _tell(profile)


def _tell(profile: cProfile.Profile) -> None:
    """The functions with the most time in them and in what they call: name, calls, own seconds, all seconds."""
    stats: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    rows = sorted(stats.items(), key=lambda entry: -entry[1][3])[:_TOLD]
    for (file, line, name), (_, calls, own, total, _) in rows:
        place = f"{Path(file).as_posix().removeprefix(f'{PROJECT_ROOT.as_posix()}/')}:{line}" if line else ""
        print(f"{total:>9.4f} {own:>9.4f} {calls:>8}  {name}  {place.rpartition('site-packages/')[2]}")


if __name__ == "__main__":
    main()

"""A whole small world for a delivery test: store, ledger, mappings, a partner's SFTP server, and processes to kill."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.destinations.connection import ConnectionDetails
from include.effects import Moment, observed_by
from include.errors import DeliveryUncertain, FencedOut
from include.run.deliver import deliver
from include.run.extract import extract
from include.run.services import Services
from include.run.transform import transform
from include.run.validate import validate
from include.schedule.importing import import_files
from include.settings import Settings
from tests.support import small_hospital as hospital
from tests.support.declarations import declared

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from include.integration import Integration
    from include.run.handed import Decided, Receipt
    from include.run.order import Order
    from tests.support.sftp_servers import SftpServer

EPIC, KRONOS = "epic_on_call_finder", "kronos_workforce_dimensions"
Deliver = "Callable[[Integration, Decided, Services, Order | None], Any]"


def integration(slug: str) -> Integration:
    """The integration as its Dag file declares it."""
    return declared(slug)


def decide(which: Integration, feed: str, run_id: str, services: Services, order: Order | None = None) -> Decided:
    """The three steps before `deliver`, of any feed."""
    extracted = extract(which, feed, run_id, services, order)
    return transform(which, validate(extracted, services), services)


@dataclass
class World:
    """Where everything is; ``partner`` is its own folder on the partner's server, and ``place`` its name there."""

    services: Services
    schedule_dsn: str
    partner: Path
    place: str
    runs: int = 0

    @property
    def address(self) -> tuple[str, int]:
        """Where the partner's server listens."""
        details = self.services.connections("any")
        return details.host, details.port or 22

    def run_id(self) -> str:
        self.runs += 1
        return f"run-{self.runs}"

    def run(
        self, slug: str, *, order: Order | None = None, run_id: str | None = None, how: Deliver = deliver
    ) -> Receipt:
        """All four steps in this process."""
        receipt: Receipt = how(integration(slug), self.decide(slug, run_id, order), self.services, order)
        return receipt

    def run_decided(self, slug: str, decided: Decided, order: Order | None = None) -> Receipt:
        """The last step in this process."""
        return deliver(integration(slug), decided, self.services, order)

    def decide(self, slug: str, run_id: str | None = None, order: Order | None = None) -> Decided:
        """The three steps before `deliver`."""
        return decide(integration(slug), slug, run_id or self.run_id(), self.services, order)

    def add_feed(self, slug: str, yaml: str, **tables: str) -> Path:
        """Write a feed's mapping, over one that is there: ``yaml`` without its destination, and its tables.

        ``tables`` by suffix: ``csv`` is that of assignments, ``matrix`` stands beside it. Returns the folder that the
        partner looks into.
        """
        mappings, folder = self.services.settings.mappings, self.partner / slug
        folder.mkdir(exist_ok=True)
        (mappings / f"{slug}.yaml").write_text(
            f"destination: {{folder: {self.place}/{slug}}}\n{yaml}", encoding="utf-8"
        )
        for suffix, text in tables.items():
            name = f"{slug}.csv" if suffix == "csv" else f"{slug}.{suffix}.csv"
            (mappings / name).write_text(text, encoding="utf-8")
        return folder

    def publish_by(self, slug: str, publish: str) -> str:
        """Let a feed be published by another profile; the suffix of its markers, empty where it has none."""
        yaml = self.services.settings.mappings / f"{slug}.yaml"
        yaml.write_text(yaml.read_text().replace("destination: {", f"destination: {{publish: {publish}, "))
        return ".done" if publish == "done_marker" else ""

    def store(self) -> Any:
        import psycopg

        return psycopg.connect(self.schedule_dsn)


def build_world(database: Any, server: SftpServer, folder: Path, slots: int = 30) -> World:
    """Load the small hospital, write both mappings, and give them folders of their own on the partner's server."""
    import_files(
        database.schedule_dsn,
        hospital.Hospital.with_slots(slots).write(folder / "exchange"),
        mode="replace",
        user="test",
    )
    mappings = folder / "mappings"
    mappings.mkdir()
    place = f"{server.base}/{folder.name}"
    for slug, yaml, table in (
        (EPIC, hospital.EPIC_YAML, hospital.EPIC_CSV),
        (KRONOS, hospital.KRONOS_YAML, hospital.KRONOS_CSV),
    ):
        (server.root / folder.name / slug).mkdir(parents=True)
        (mappings / f"{slug}.yaml").write_text(yaml.format(folder=f"{place}/{slug}"), encoding="utf-8")
        (mappings / f"{slug}.csv").write_text(table, encoding="utf-8")
    services = services_of(database, server, folder / "var", mappings)
    return World(services, database.schedule_dsn, server.root / folder.name, place)


def services_of(database: Any, server: SftpServer, var: Path, mappings: Path) -> Services:
    """What the steps need: this database, this state directory, and the one server behind every connection."""
    var.mkdir()
    settings = Settings(
        var=var,
        mappings=mappings,
        schedule_dsn=database.schedule_dsn,
        ledger_dsn=database.ledger_dsn,
        time_zone="America/New_York",
    )
    details = ConnectionDetails(
        name="callboard_sandbox_sftp",
        host="127.0.0.1",
        port=server.port,
        login=server.user,
        extra={"private_key": server.client_key, "host_keys": [*server.host_keys.values()]},
    )
    return Services(settings, lambda _: details)


#: How a child ends whose run was overtaken by a newer one.
OVERTAKEN = 3
#: How a child ends that must look before it repeats anything.
UNCERTAIN = 4


def start_child(work: Callable[[], Any], observer: Callable[[str, Moment], None] | None = None) -> int:
    """Do ``work`` in a forked process; returns its pid. It exits with 0, OVERTAKEN, UNCERTAIN, or 1 (it raised)."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with observed_by(observer) if observer else nullcontext():
            work()
        code = 0
    except FencedOut:
        code = OVERTAKEN
    except DeliveryUncertain:
        code = UNCERTAIN
    except BaseException:  # noqa: BLE001 - a child must never return into pytest
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def in_child(work: Callable[[], Any], observer: Callable[[str, Moment], None] | None = None) -> int:
    """Do ``work`` in a forked process and wait for it; returns how it ended, minus the signal if it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(start_child(work, observer), 0)[1])


def kill_at(number: int, moment: Moment) -> Callable[[str, Moment], None]:
    """An observer that kills its own process at the ``number``-th effect (from 1), before or after it."""
    seen = {"before": 0, "after": 0}

    def observer(_: str, now: Moment) -> None:
        seen[now] += 1
        if now == moment and seen["before"] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return observer


def kill_when(
    name: str, moment: Moment, beside: Callable[[str, Moment], None] | None = None, nth: int = 1
) -> Callable[[str, Moment], None]:
    """An observer that kills its own process at the ``nth`` effect of that name; until then ``beside`` observes too."""
    seen = 0

    def observer(effect: str, now: Moment) -> None:
        nonlocal seen
        if beside is not None:
            beside(effect, now)
        seen += (effect, now) == (name, "before")
        if (effect, now, seen) == (name, moment, nth):
            os.kill(os.getpid(), signal.SIGKILL)

    return observer


def effects_of(work: Callable[[], Any], file: Path) -> list[str]:
    """The names of the side effects of ``work``, in order, counted in a run that is not disturbed."""
    names: list[str] = []

    def observer(name: str, moment: Moment) -> None:
        if moment == "before":
            names.append(name)

    def counted() -> None:
        try:
            work()
        finally:
            file.write_text(json.dumps(names), encoding="utf-8")

    assert in_child(counted, observer) == 0
    found: list[str] = json.loads(file.read_text(encoding="utf-8"))
    return found


class Paused:
    """``work`` in a child that stops itself before its ``number``-th effect (``of`` a name), or ends without it."""

    def __init__(self, number: int, work: Callable[[], Any], of: str = "") -> None:
        seen = 0

        def observer(name: str, moment: str) -> None:
            nonlocal seen
            if of not in ("", name):
                return
            seen += moment == "before"
            if seen == number and moment == "before":
                os.kill(os.getpid(), signal.SIGSTOP)

        self._pid = start_child(work, observer)
        _, self._status = os.waitpid(self._pid, os.WUNTRACED)

    @property
    def is_paused(self) -> bool:
        """Whether it stands still; else it has ended before."""
        return os.WIFSTOPPED(self._status)

    def wake(self) -> int:
        """Let it go on; returns how it ended."""
        if self.is_paused:
            os.kill(self._pid, signal.SIGCONT)
            _, self._status = os.waitpid(self._pid, 0)
        return os.waitstatus_to_exitcode(self._status)

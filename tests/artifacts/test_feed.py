"""A feed whose every step runs on another machine: what they share is the ledger and the object storage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from include.housekeeping.periods import Periods
from include.housekeeping.tidying import tidy_artifacts
from include.ledger import deliveries
from include.run.deliver import deliver
from include.run.explain import explain_slot
from include.run.extract import extract
from include.run.order import Order
from include.run.services import Services
from include.run.summary import delivered_paths
from include.run.transform import transform
from include.run.validate import validate
from tests.support.sftp_servers import SftpServer, sandbox
from tests.support.small_hospital import NOW
from tests.support.world import KRONOS, World, build_world, integration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.run.handed import Receipt

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")


@pytest.fixture(scope="module")
def partner_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with sandbox(tmp_path_factory.mktemp("partner")) as server:
        yield server


class Machines:
    """Every step asks for one, and finds nothing on it."""

    def __init__(self, world: World, folder: Path, url: str) -> None:
        self.world, self._folder, self._url, self.used = world, folder, url, 0

    def next(self) -> Services:
        self.used += 1
        services = self.world.services
        var = self._folder / f"machine-{self.used}"
        var.mkdir()
        return Services(replace(services.settings, var=var, artifacts_url=self._url), services.connections)

    def run(self, order: Order | None = None) -> Receipt:
        which = integration(KRONOS)
        extracted = extract(which, KRONOS, self.world.run_id(), self.next(), order)
        decided = transform(which, validate(extracted, self.next()), self.next())
        return deliver(which, decided, self.next(), order)


@pytest.fixture
def machines(remote, partner_server, tmp_path, monkeypatch) -> Machines:
    monkeypatch.setenv("CALLBOARD_NOW", NOW)
    folder = tmp_path / f"world-{remote.storage.bucket}"
    folder.mkdir()
    return Machines(build_world(remote.database, partner_server, folder), tmp_path, remote.storage.url)


def test_a_feed_runs_and_an_old_delivery_is_sent_again_from_any_machine(machines, remote):
    folder = machines.world.partner / KRONOS
    first = machines.run()
    assert first.state == "delivered"
    (file,) = folder.iterdir()
    sent = file.read_bytes()

    with machines.world.store() as store:
        (person,) = store.execute("SELECT min(custom2) FROM personnel WHERE custom2 IS NOT NULL").fetchone()
        store.execute("UPDATE personnel SET custom2 = 'K-NEW' WHERE custom2 = %s", [person])
    second = machines.run()
    assert second.state == "delivered"
    (delta,) = set(folder.iterdir()) - {file}
    changed = delta.read_bytes()

    with machines.world.services.ledger_reading() as connection:
        last = deliveries.last_committed(connection, KRONOS)
    delta.unlink()
    assert machines.run(Order(resend=True)).state == "delivered"
    assert delta.read_bytes() == changed
    assert file.read_bytes() == sent

    elsewhere = replace(last, destination={**last.destination, "connection": "another"})
    any_machine = machines.next()
    assert delivered_paths(elsewhere, any_machine) == tuple(
        f"artifacts/sha256/{each.sha256[:2]}/{each.sha256}" for each in last.files
    )
    assert not (any_machine.settings.var / "artifacts").exists(), "that needed no copy"
    (stored,) = last.files
    assert any_machine.artifacts.path(stored.sha256).read_bytes() == changed


def test_retention_leaves_what_the_next_delivery_needs(machines, remote):
    assert machines.run().state == "delivered"
    before = len(remote.storage.objects())
    remote.now()  # the clock of the storage has gone on
    counts = tidy_artifacts(machines.next(), Periods(unreferenced=Periods().unreferenced * 0))
    left = len(remote.storage.objects())
    assert counts["removed"] > 0
    assert counts["referenced"] + counts["young"] == left - 2, "beside the probe and the note of whose they are"
    assert left < before + 2
    assert machines.run().state == "unchanged", "the head is still there to be compared with"
    with machines.world.store() as store:
        (slot_id,) = store.execute("SELECT min(slot_id) FROM schedules").fetchone()
    assert explain_slot(machines.next(), KRONOS, slot_id).outcome in ("delivered", "excluded", "rejected")

"""How often a whole try of `deliver` logs in: once, whatever it has to do, and never to a server that is not pinned.

Each refusal ends the task without a retry: another login with the same password could lock the account.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from include.errors import ConfigurationError, DeliveryRefused
from include.ledger import deliveries
from include.run.deliver import deliver
from include.run.services import Services
from tests.support import small_hospital as hospital
from tests.support.figures import counting
from tests.support.sftp_servers import SSHD, SftpServer, openssh, sandbox, write_key
from tests.support.world import KRONOS, World, build_world, in_child, integration, kill_when

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.run.handed import Decided

needs_sshd = pytest.mark.skipif(SSHD is None, reason="needs sshd: install the system package openssh-server")
SERVERS = {"sandbox": sandbox, "openssh": openssh}


@pytest.fixture(params=["sandbox", pytest.param("openssh", marks=needs_sshd)])
def known(
    request: pytest.FixtureRequest, database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[World, SftpServer]]:
    monkeypatch.setenv("CALLBOARD_NOW", hospital.NOW)
    folder = tmp_path / "world"
    folder.mkdir()
    with SERVERS[request.param](tmp_path / "partner") as server:
        yield build_world(database, server, folder), server


def wrongly(world: World, tmp_path: Path, what: str) -> Services:
    """The same services with one thing wrong about the connection."""
    key = write_key(tmp_path / "stranger", "ed25519")
    wrong: dict[str, dict[str, Any]] = {
        "key": {"private_key": (tmp_path / "stranger").read_text()},
        "password": {"private_key": None},
        "host key": {"host_keys": [key]},
        "host": {"host_keys": None, "known_hosts": f"[127.0.0.1]:1 {key}\n"},
    }
    details = world.services.connections("any")
    password = "not the password" if what == "password" else None
    changed = replace(details, password=password, extra={**details.extra, **wrong[what]})
    return Services(world.services.settings, lambda _: changed)


@pytest.mark.parametrize(("what", "logins"), [("key", 1), ("password", 1), ("host key", 0), ("host", 0)], ids=str)
def test_a_try_that_is_refused_has_logged_in_once_at_most(
    known: tuple[World, SftpServer], tmp_path: Path, what: str, logins: int
) -> None:
    world, server = known
    if what == "password" and server.kind == "sandbox":
        logins = 0  # it takes no passwords, says so, and is not offered one a second time
    services = wrongly(world, tmp_path, what)
    decided = world.decide(KRONOS)
    with counting(f"logins of a refused try ({server.kind})") as figures:
        for _ in range(2):
            before = server.logins()
            with pytest.raises(ConfigurationError if what == "host" else DeliveryRefused) as refused:
                deliver(integration(KRONOS), decided, services)
            figures.tries += 1
            figures.wrong += server.logins() - before != logins or refused.value.retryable
            assert not figures.faults, str(refused.value)
            assert "not the password" not in str(refused.value)
    assert list((world.partner / KRONOS).iterdir()) == []
    with services.ledger_reading() as connection:
        assert deliveries.in_flight(connection, KRONOS) is None


@pytest.mark.parametrize("publish", ["rename", "done_marker"])
def test_a_refused_try_that_finds_a_delivery_begun_has_logged_in_once(
    known: tuple[World, SftpServer], tmp_path: Path, publish: str
) -> None:
    world, server = known
    world.publish_by(KRONOS, publish)
    in_child(lambda: world.run(KRONOS), kill_when("sftp.upload", "after"))
    services, decided, before = wrongly(world, tmp_path, "key"), world.decide(KRONOS), server.logins()
    with pytest.raises(DeliveryRefused, match="login was refused"):
        deliver(integration(KRONOS), decided, services)
    assert server.logins() - before == 1


def test_a_try_that_finishes_one_delivery_and_sends_another_logs_in_once(known: tuple[World, SftpServer]) -> None:
    world, server = known
    left = world.decide(KRONOS)

    def killed(decided: Decided) -> None:
        in_child(lambda: deliver(integration(KRONOS), decided, world.services), kill_when("ledger.staged", "after"))

    killed(left)
    with world.store() as store:
        store.execute("UPDATE schedules SET stop_local = stop_local + interval '1 hour' WHERE emp_id IS NOT NULL")
        store.commit()
    before = server.logins()
    receipt = world.run(KRONOS)
    assert server.logins() - before == 1
    assert receipt.sent.seq == 2
    assert len(list((world.partner / KRONOS).iterdir())) == 2

"""Callboard delivers into a hosted account, and the customer collects."""

from __future__ import annotations

import os

import pytest

from tests.hosting.hosted import ALONE
from tests.support.sftp_servers import SftpServer
from tests.support.small_hospital import NOW
from tests.support.world import EPIC, KRONOS, build_world

pytestmark = ALONE


@pytest.fixture
def world(running, database, tmp_path, monkeypatch):
    monkeypatch.setenv("CALLBOARD_NOW", NOW)
    outbound = running.root / "mercy" / "outbound"
    details = running.connection("mercy")
    server = SftpServer(
        kind="openssh",
        port=running.port,
        user="mercy",
        root=outbound,
        base="/outbound",
        client_key=running.callboard.file.read_text(),
        host_keys=dict(enumerate(details.extra["host_keys"])),
        logins=lambda: 0,
    )
    folder = tmp_path / tmp_path.name
    folder.mkdir()
    world = build_world(database, server, folder)
    number = outbound.stat().st_uid
    for place in (outbound / folder.name, *(outbound / folder.name).iterdir()):
        os.chown(place, number, number)
    return world


def test_the_customer_collects_what_callboard_delivered(running, world, tmp_path):
    receipt = world.run(KRONOS)
    assert receipt.state == "delivered"
    (delivered,) = (world.partner / KRONOS).iterdir()
    answer = running.sftp(
        "mercy",
        f"cd {world.place}/{KRONOS}",
        "ls -1",
        f"get {delivered.name} {tmp_path}/collected.csv",
        f"rm {delivered.name}",
    )
    assert answer.returncode == 0, answer.stderr
    frozen = [path.read_bytes() for path in world.services.settings.artifacts.rglob("*") if path.is_file()]
    assert (tmp_path / "collected.csv").read_bytes() in frozen
    assert not list((world.partner / KRONOS).iterdir())

    assert world.run(KRONOS).state == "unchanged", "what the customer took is delivered"


def test_a_file_under_one_name_is_replaced_and_never_half(running, world):
    assert world.run(EPIC).state == "delivered"
    assert world.run(EPIC).state in ("delivered", "unchanged")
    with running.session("mercy") as sftp:
        (name,) = sftp.listdir(f"{world.place}/{EPIC}")
        assert sftp.stat(f"{world.place}/{EPIC}/{name}").st_size > 0

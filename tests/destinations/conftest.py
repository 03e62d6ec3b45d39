"""The two servers that every SFTP test runs against, and a target for each."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from include.destinations.connection import ConnectionDetails
from include.destinations.sftp_target import SftpTarget, target_from_connection
from tests.support import sftp_servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.sftp_servers import SftpServer

_numbers = itertools.count()
needs_sshd = pytest.mark.skipif(
    sftp_servers.SSHD is None, reason="needs sshd: install the system package openssh-server"
)


@pytest.fixture(scope="session")
def sandbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with sftp_servers.sandbox(tmp_path_factory.mktemp("sandbox")) as server:
        yield server


@pytest.fixture(scope="session")
def openssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with sftp_servers.openssh(tmp_path_factory.mktemp("openssh")) as server:
        yield server


@pytest.fixture(params=["sandbox", pytest.param("openssh", marks=needs_sshd)])
def server(request: pytest.FixtureRequest) -> SftpServer:
    """Each test that asks for it runs once per server."""
    found: SftpServer = request.getfixturevalue(f"{request.param}_server")
    if found.control:
        found.set_faults()
    return found


class Place:
    """A folder of its own on a server: ``folder`` as clients name it, ``local`` as the disk does."""

    def __init__(self, server: SftpServer) -> None:
        self.server = server
        self.name = f"feed{next(_numbers)}"
        self.folder = f"{server.base}/{self.name}"
        self.local = server.root / self.name
        self.local.mkdir()

    def target(self, **changed: Any) -> SftpTarget:
        """The server's target; ``port``, ``password`` and extra keys may be changed, ``key=None`` drops the key."""
        details: dict[str, Any] = {
            "private_key": self.server.client_key,
            "host_keys": [*self.server.host_keys.values()],
        }
        port = changed.pop("port", self.server.port)
        password = changed.pop("password", None)
        details.update(changed)
        extra = {name: value for name, value in details.items() if value is not None}
        return target_from_connection(
            ConnectionDetails("partner", "127.0.0.1", port, self.server.user, password, extra)
        )

    def content(self, name: str) -> bytes | None:
        """What is under a name now."""
        path: Path = self.local / name
        return path.read_bytes() if path.exists() else None


@pytest.fixture
def place(server: SftpServer) -> Place:
    return Place(server)

"""One partner's server for all delivery tests; a world of its own for each."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.support.sftp_servers import SftpServer, sandbox
from tests.support.small_hospital import NOW
from tests.support.world import World, build_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_numbers = count(1)


@pytest.fixture(scope="session")
def partner_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with sandbox(tmp_path_factory.mktemp("partner")) as server:
        yield server


@pytest.fixture
def world(database, partner_server: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("CALLBOARD_NOW", NOW)
    folder = tmp_path / f"world-{next(_numbers)}"
    folder.mkdir()
    return build_world(database, partner_server, folder)

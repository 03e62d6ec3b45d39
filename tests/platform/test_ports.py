"""Ports: the user's own is checked with one clear line, the others are free, distinct and remembered."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from include.errors import ConfigurationError, StateDamaged
from include.platform.ports import HOST, is_free, remembered_ports, require_free

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("postgres", "sftp", "sftp_control")


def listening(port: int = 0) -> socket.socket:
    server = socket.create_server((HOST, port))
    server.listen()
    return server


def test_a_port_in_use_is_named_with_the_way_out() -> None:
    with listening() as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigurationError) as raised:
            require_free(port)
    assert str(raised.value) == (
        f"Port {port} is in use. Next step: stop what uses it, or choose another port: make run PORT={port + 1}"
    )
    require_free(port)


@pytest.mark.parametrize("port", [0, -1, 65536, 80_000])
def test_what_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(ConfigurationError, match=f"PORT={port} is not a port"):
        require_free(port)


def test_ports_are_distinct_free_and_the_same_next_time(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = remembered_ports(file, NAMES)
    assert set(first) == set(NAMES)
    assert len(set(first.values())) == len(NAMES)
    assert all(is_free(port) for port in first.values())
    assert remembered_ports(file, NAMES) == first
    assert file.stat().st_mode & 0o777 == 0o600


def test_only_a_port_that_was_taken_meanwhile_is_chosen_anew(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = remembered_ports(file, NAMES)
    with listening(first["sftp"]):
        second = remembered_ports(file, NAMES)
    assert second["sftp"] != first["sftp"]
    assert {name: second[name] for name in ("postgres", "sftp_control")} == {
        name: first[name] for name in ("postgres", "sftp_control")
    }
    assert json.loads(file.read_text()) == second


def test_a_damaged_memory_says_which_file(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    file.write_text('{"postgres": ')
    with pytest.raises(StateDamaged, match=r"ports\.json is damaged"):
        remembered_ports(file, NAMES)

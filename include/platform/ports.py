"""The ports that the platform listens on: one that the user chose, the others free ones that are remembered."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.platform.files import read_json_object, write_private_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

HOST = "127.0.0.1"
# Below the range that systems hand out for outgoing connections, so that a restarted process finds its port free.
_FIRST, _LAST = 15_000, 31_999


def is_free(port: int) -> bool:
    """Whether a server of ours could listen on ``port`` of this machine now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def require_free(port: int) -> None:
    """Check the port that the user chose.

    Raises:
        ConfigurationError: it is in use, is no port, or needs rights that this user lacks.
    """
    if not 1 <= port <= 65535:
        raise ConfigurationError(f"PORT={port} is not a port.", next_step="choose one from 1024 to 65535")
    if is_free(port):
        return
    if port < 1024 and not _is_answered(port):
        raise ConfigurationError(f"Port {port} is reserved for the administrator.", next_step=_other(8080))
    raise ConfigurationError(f"Port {port} is in use.", next_step=f"stop what uses it, or {_other(port + 1)}")


def remembered_ports(file: Path, names: Iterable[str]) -> dict[str, int]:
    """A free port for each name: the one of last time where it is still free.

    Raises:
        StateDamaged: ``file`` is not what this function wrote.
    """
    before = read_json_object(file)
    ports: dict[str, int] = {}
    for name in names:
        port = before.get(name)
        if not isinstance(port, int) or port in ports.values() or not is_free(port):
            port = _any_free(taken=ports.values())
        ports[name] = port
    if ports != before:
        write_private_json(file, ports)
    return ports


def _any_free(taken: Iterable[int]) -> int:
    taken = set(taken)
    for _ in range(1000):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST + 1)
        if port not in taken and is_free(port):
            return port
    raise ConfigurationError(
        f"No port from {_FIRST} to {_LAST} is free.", next_step="stop something that listens there"
    )


def _is_answered(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _other(port: int) -> str:
    return f"choose another port: make run PORT={port}"

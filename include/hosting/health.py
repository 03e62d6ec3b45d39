"""Whether the service is well: what a container engine asks every few seconds."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.hosting.applying import read_inputs, remembered

if TYPE_CHECKING:
    from include.hosting.settings import HostingSettings

_SECONDS = 5.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound to, looked up


def troubles(settings: HostingSettings) -> list[str]:
    """Everything that is wrong at this moment, in sentences; empty if all is well."""
    found = []
    try:
        address = _ANYWHERE.get(settings.address, settings.address)
        with socket.create_connection((address, settings.port), timeout=_SECONDS) as connection:
            if not connection.recv(255).startswith(b"SSH-2.0-"):
                found.append("What answers is no SSH server.")
    except OSError:
        found.append(f"Nothing answers at port {settings.port}.")
    try:
        if read_inputs(settings) != remembered(settings):
            found.append("The file of accounts, or of Callboard's keys, is not in force: the log says what is wrong.")
    except ConfigurationError as error:
        found.append(str(error))
    return found

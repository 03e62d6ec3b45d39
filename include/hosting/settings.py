"""What one hosted SFTP service is told: from the command line, else from ``CALLBOARD_HOSTING_*``."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATHS = {
    "accounts": "the file of accounts (YAML)",
    "root": "the folder that holds a folder for each account",
    "keys": "the folder of what must outlive this machine: host keys, and which account has which number",
    "callboard_key": "a file with the public keys by which Callboard itself comes in, one a line",
    "passwd": "the file that sshd's users are written to (default /etc/passwd)",
}
_NUMBERS = {
    "port": (2222, 65535, "where sshd listens"),
    "idle_seconds": (1800, 86400, "after how long without a word a session is ended"),
    "stop_seconds": (6, 600, "how long sessions may finish after the service is asked to stop"),
}


@dataclass(frozen=True, slots=True)
class HostingSettings:
    """Files and folders as absolute paths; ``idle_seconds`` and ``stop_seconds`` in seconds.

    ``address`` is the local address that sshd listens at. ``passwd`` is a file in the form of ``/etc/passwd`` that the
    machine's name service reads; only the lines of hosted accounts in it are ever touched.
    """

    accounts: Path
    root: Path
    keys: Path
    callboard_key: Path
    passwd: Path
    address: str
    port: int
    idle_seconds: int
    stop_seconds: int

    @property
    def applied(self) -> Path:
        """What is in force: made anew at each start, except for the last file of accounts that was right."""
        return self.keys / "applied"


def read_settings(words: Sequence[str]) -> tuple[HostingSettings, bool]:
    """Read the command line; also whether it asks for a check alone.

    Raises:
        ConfigurationError: something is missing, or no number within its limits.
    """
    parser = argparse.ArgumentParser("python -m include.hosting", description="Hosted SFTP accounts over OpenSSH.")
    for name, said in _PATHS.items():
        parser.add_argument(_option(name), metavar="PATH", help=said)
    parser.add_argument("--address", help="the local address that sshd listens at (default 127.0.0.1)")
    for name, (default, _, said) in _NUMBERS.items():
        parser.add_argument(_option(name), metavar="N", help=f"{said} (default {default})")
    parser.add_argument("--check", action="store_true", help="only ask whether the service answers and is up to date")
    given = parser.parse_args(words)

    def value(name: str, default: str = "") -> str:
        found: str = getattr(given, name) or os.environ.get(_variable(name)) or default
        if not found:
            raise ConfigurationError(
                f"{_variable(name)} is not set.", next_step=f"set it, or give {_option(name)}: {_PATHS[name]}"
            )
        return found

    def path(name: str, default: str = "") -> Path:
        found = Path(value(name, default)).absolute()
        if not all(letter.isprintable() and letter not in ': "%' for letter in str(found)):
            raise ConfigurationError(
                f"{_variable(name)} holds a space, a colon, a quote or a percent sign.",
                next_step="choose a path without; sshd's files could not name it",
            )
        return found

    settings = HostingSettings(
        accounts=path("accounts"),
        root=path("root"),
        keys=path("keys"),
        callboard_key=path("callboard_key"),
        passwd=path("passwd", "/etc/passwd"),
        address=value("address", "127.0.0.1"),
        **{name: _number(name, value(name, str(_NUMBERS[name][0]))) for name in _NUMBERS},
    )
    return settings, given.check


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _variable(name: str) -> str:
    return f"CALLBOARD_HOSTING_{name.upper()}"


def _number(name: str, value: str) -> int:
    most = _NUMBERS[name][1]
    if not value.isascii() or not value.isdigit() or not 0 < int(value) <= most:
        raise ConfigurationError(f"{_variable(name)} is not a whole number from 1 to {most}.", next_step="correct it")
    return int(value)

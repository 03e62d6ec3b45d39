"""The sandbox's SFTP server as a process of its own, for tests that deliver."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class SftpServer:
    """A running server: its folder, address, and what a client needs."""

    root: Path
    port: int
    control: str
    client_key: Path
    host_key: str


@contextmanager
def sftp_server(folder: Path) -> Iterator[SftpServer]:
    """Run the server while the block lasts."""
    import asyncssh

    host, client = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    host.write_private_key(str(folder / "host"))
    client.write_private_key(str(folder / "client"))
    client.write_public_key(str(folder / "client.pub"))
    root = folder / "root"
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "sandbox.sftp", "--root", str(root), "--port", "0", "--control-port", "0"),
            *("--host-key", str(folder / "host"), "--authorized-key", str(folder / "client.pub")),
        ],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        public = " ".join(host.export_public_key().decode().split()[:2])
        try:
            yield SftpServer(
                root, ready["port"], f"http://127.0.0.1:{ready['control_port']}", folder / "client", public
            )
        finally:
            process.terminate()

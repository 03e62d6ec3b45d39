"""Real SFTP servers for tests: OpenSSH's ``sshd`` and the sandbox's, each a process of its own on a free port."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
KEY_TYPES = ("ed25519", "rsa", "ecdsa")


@dataclass(frozen=True)
class SftpServer:
    """A running server. ``root`` is the local folder that clients see as ``base``."""

    kind: str
    port: int
    user: str
    root: Path
    base: str
    client_key: str
    host_keys: dict[str, str]
    logins: Callable[[], int]
    """How many authentications were attempted so far."""
    control: str = ""
    pid: int = 0

    def set_faults(self, *faults: dict[str, Any]) -> None:
        """Sandbox only: misbehave like this from now on."""
        body = json.dumps(faults).encode()
        with urllib.request.urlopen(f"{self.control}/_faults", body) as answer:  # noqa: S310 - our own
            answer.read()

    def get(self, path: str) -> Any:
        """Sandbox only: ask the control side."""
        with urllib.request.urlopen(self.control + path) as answer:  # noqa: S310 - our own
            return json.load(answer)


def write_key(path: Path, kind: str) -> str:
    """Make a key pair; answers the public key's text."""
    import asyncssh

    algorithm = {"ed25519": "ssh-ed25519", "rsa": "ssh-rsa", "ecdsa": "ecdsa-sha2-nistp256"}[kind]
    key = asyncssh.generate_private_key(algorithm, **({"key_size": 2048} if kind == "rsa" else {}))
    path.write_bytes(key.export_private_key())
    path.chmod(0o600)
    public = key.export_public_key().decode().strip()
    Path(f"{path}.pub").write_text(public + "\n")
    return public


@contextmanager
def openssh(folder: Path, *, sftp_options: str = "", extra_config: str = "") -> Iterator[SftpServer]:
    """Run ``sshd`` with a configuration, host keys and authorized keys of its own under ``folder``."""
    assert SSHD is not None
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd run by root insists on it
    folder.mkdir(parents=True, exist_ok=True)
    host_keys = {kind: write_key(folder / f"host_{kind}", kind) for kind in KEY_TYPES}
    write_key(folder / "client", "ed25519")
    root = folder / "files"
    root.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\nLogLevel VERBOSE\n"
        f"AuthorizedKeysFile {folder}/client.pub\nPermitRootLogin yes\nPasswordAuthentication yes\n"
        f"Subsystem sftp internal-sftp {sftp_options}\n{extra_config}\n"
        + "".join(f"HostKey {folder}/host_{kind}\n" for kind in KEY_TYPES)
    )
    log = folder / "sshd.log"
    with log.open("wb") as sink:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=sink, stdin=subprocess.DEVNULL)
    try:
        _wait_for_port(port, process, log)
        yield SftpServer(
            kind="openssh",
            port=port,
            user=getpass.getuser(),
            root=root,
            base=str(root),
            client_key=(folder / "client").read_text(),
            host_keys=host_keys,
            logins=lambda: _logins(log, process.pid),
            pid=process.pid,
        )
    finally:
        process.terminate()
        process.wait()


@contextmanager
def sandbox(folder: Path) -> Iterator[SftpServer]:
    """Run ``python -m sandbox.sftp``."""
    folder.mkdir(parents=True, exist_ok=True)
    host_keys = {kind: write_key(folder / f"host_{kind}", kind) for kind in KEY_TYPES}
    write_key(folder / "client", "ed25519")
    root = folder / "files"
    command = [sys.executable, "-m", "sandbox.sftp", "--root", str(root), "--port", "0", "--control-port", "0"]
    command += ["--authorized-key", str(folder / "client.pub")]
    for kind in KEY_TYPES:
        command += ["--host-key", str(folder / f"host_{kind}")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    try:
        ports = json.loads(process.stdout.readline())
        server = SftpServer(
            kind="sandbox",
            port=ports["port"],
            user="callboard",
            root=root,
            base="",
            client_key=(folder / "client").read_text(),
            host_keys=host_keys,
            logins=lambda: sum(line.startswith("AUTH ") for line in server.get("/_requests")),
            control=f"http://127.0.0.1:{ports['control_port']}",
            pid=process.pid,
        )
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, "the sandbox must end cleanly"
        process.stdout.close()


def _logins(log: Path, pid: int) -> int:
    """Count authentications, once the process of every connection has ended: it logs a little after it answers."""
    while psutil.Process(pid).children():
        time.sleep(0.01)
    return len(re.findall(r"^(?:Accepted|Failed) (?:publickey|password) for", log.read_text(), re.MULTILINE))


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"sshd ended: {log.read_text()}")

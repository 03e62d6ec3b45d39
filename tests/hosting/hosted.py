"""The hosted SFTP service as a process, on a machine that is this one but for /etc, /run and two folders.

A private mount namespace gives it an /etc of its own, so that no user is left behind, and lets its folders lie where
sshd accepts them: below folders that only root may change, which those of tests are not.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko
import psutil
import pytest

from include.destinations.connection import ConnectionDetails
from include.hosting.health import troubles
from include.hosting.settings import read_settings
from tests.support.sftp_servers import SSHD, write_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROJECT = Path(__file__).resolve().parents[2]
#: What docs/deploy/hosted-sftp.md tells container engines to leave to the service.
CAPABILITIES = ("chown", "kill", "setgid", "setuid", "sys_chroot")
#: One service at a time: each takes the sessions of all hosted accounts of a machine for its own.
ALONE = pytest.mark.xdist_group("hosting")
#: What paramiko raises when the server has ended the session: which one depends on where it stood at that moment.
CUT = (OSError, EOFError, paramiko.SSHException)
#: In the namespace: where the folders of a test are mounted.
ROOT, KEYS = "/srv", "/mnt"
_MACHINE = """\
set -eu
cp -a /etc "$0/etc"
mount --bind "$0/etc" /etc
mount -t tmpfs -o mode=755 tmpfs /run
mount --bind "$0/root" /srv
mount --bind "$0/keys" /mnt
{more}
exec "$@"
"""


def why_not() -> str:
    """Why the service cannot be run here; empty if it can."""
    if SSHD is None:
        return "no sshd: install the package openssh-server"
    if os.geteuid() != 0:
        return "only root can run the hosted SFTP service"
    for name, package in (("unshare", "util-linux"), ("setpriv", "util-linux"), ("sftp", "openssh-client")):
        if shutil.which(name) is None:
            return f"no {name}: install the package {package}"
    probe = ["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/run"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        return "this root may not make mount namespaces (no CAP_SYS_ADMIN)"
    return ""


@dataclass
class Key:
    """A customer's key pair."""

    file: Path
    public: str


@dataclass
class Hosted:
    """One service, its files, and clients of it."""

    folder: Path
    port: int
    callboard: Key
    process: subprocess.Popen[bytes] | None = None
    keys: dict[str, Key] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The accounts' folders, as this side of the namespace sees them."""
        return self.folder / "root"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def key(self, name: str, kind: str = "ed25519") -> Key:
        """The key pair of that name; made at the first call."""
        if name not in self.keys:
            file = self.folder / f"client_{name}"
            self.keys[name] = Key(file, write_key(file, kind))
        return self.keys[name]

    def write_accounts(self, text: str) -> None:
        """Replace the file of accounts; ``{name}`` stands for the public key of that name."""
        names = set(re.findall(r"\{(\w+)\}", text))
        part = self.folder / "accounts.part"
        part.write_text(text.format(**{name: self.key(name).public for name in names}), encoding="utf-8")
        part.replace(self.folder / "accounts.yaml")

    def change(self, text: str) -> None:
        """Replace the file of accounts, and wait until it is in force."""
        self.write_accounts(text)
        wait_for(lambda: not self.troubles(), "the accounts to be in force")

    def start(
        self,
        *options: str,
        more: str = "",
        capabilities: Sequence[str] = CAPABILITIES,
        program: Sequence[str] = ("-m", "include.hosting"),
        wait: bool = True,
    ) -> None:
        """Start the service, with nothing but these capabilities, and wait until it serves."""
        bounds = ",".join(["-all", *(f"+{each}" for each in capabilities)])
        shutil.rmtree(self.folder / "etc", ignore_errors=True)  # a new container has no users of the last one
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _MACHINE.replace("{more}", more)]
        command += [str(self.folder), "setpriv", f"--bounding-set={bounds}", f"--inh-caps={bounds}", "--no-new-privs"]
        command += [sys.executable, *program, *self.options, *options]
        with (self.folder / "log").open("ab") as sink:
            self.process = subprocess.Popen(command, stderr=sink, stdin=subprocess.DEVNULL, cwd=PROJECT)
        if wait:
            wait_for(lambda: self.ended or answers(self.port), "the service to answer")
            assert not self.ended, self.log

    @property
    def options(self) -> list[str]:
        return [
            *("--accounts", str(self.folder / "accounts.yaml"), "--root", ROOT, "--keys", KEYS),
            *("--callboard-key", f"{self.callboard.file}.pub", "--port", str(self.port)),
        ]

    @property
    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    @property
    def options_outside(self) -> list[str]:
        """The same, for whoever does not live in the namespace."""
        return [{KEYS: str(self.folder / "keys"), ROOT: str(self.root)}.get(word, word) for word in self.options]

    def troubles(self) -> list[str]:
        """What the check of a container engine would find."""
        return troubles(read_settings(self.options_outside)[0])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask for the end, wait for it; the exit code."""
        assert self.process is not None
        if not self.ended:
            self.process.send_signal(number)
        return self.process.wait(timeout=60)

    @property
    def known_hosts(self) -> Path:
        file = self.folder / "known_hosts"
        lines = [path.read_text() for path in sorted((self.folder / "keys").glob("host_*.pub"))]
        file.write_text("".join(f"[127.0.0.1]:{self.port} {line}" for line in lines))
        return file

    def client(self, account: str, key: Key | None = None, *options: str) -> list[str]:
        """The options that OpenSSH's clients have in common."""
        given = ["-F", "none", "-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "IdentitiesOnly=yes"]
        given += ["-o", f"IdentityFile={(key or self.key(account)).file}", "-o", f"User={account}"]
        return [*given, "-o", f"Port={self.port}", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", *options]

    def sftp(
        self, account: str, *commands: str, key: Key | None = None, options: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Give commands to OpenSSH's ``sftp``; it stops at the first that fails."""
        return subprocess.run(
            ["sftp", "-b", "-", *self.client(account, key, *options), "127.0.0.1"],
            input="".join(f"{command}\n" for command in commands),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def may_sign_in(self, account: str, key: Key | None = None, *options: str) -> bool:
        """Whether that key opens that account; any other answer than yes or "permission denied" is an error."""
        answer = self.sftp(account, "pwd", key=key, options=options)
        assert answer.returncode == 0 or "Permission denied" in answer.stderr, answer.stderr
        return answer.returncode == 0

    @contextmanager
    def session(self, account: str, key: Key | None = None) -> Iterator[Any]:
        """A session of another client: paramiko's."""
        with paramiko.SSHClient() as client:
            client.load_host_keys(str(self.known_hosts))
            client.connect(
                *("127.0.0.1", self.port, account),
                key_filename=str((key or self.key(account)).file),
                allow_agent=False,
                look_for_keys=False,
                banner_timeout=60,
                auth_timeout=60,
            )
            sftp = client.open_sftp()
            sftp.get_channel().settimeout(30)
            yield sftp

    def connection(self, account: str) -> ConnectionDetails:
        """Callboard's own way in: the details of the Airflow connection."""
        pinned = [path.read_text().strip() for path in sorted((self.folder / "keys").glob("host_*.pub"))]
        return ConnectionDetails(
            name=f"hosted_{account}",
            host="127.0.0.1",
            port=self.port,
            login=account,
            extra={"key_file": str(self.callboard.file), "host_keys": pinned},
        )

    def in_use(self, account: str) -> list[psutil.Process]:
        """The processes of an account's sessions."""
        number = (self.root / account / "outbound").stat().st_uid
        return [
            process
            for process in psutil.process_iter(["uids", "status"])
            if process.info["uids"].real == number and process.info["status"] != psutil.STATUS_ZOMBIE
        ]


@contextmanager
def hosted(folder: Path) -> Iterator[Hosted]:
    """A service that is not started yet, and is stopped at the end."""
    for name in ("root", "keys"):
        (folder / name).mkdir(parents=True, mode=0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    key = folder / "callboard"
    service = Hosted(folder, port, Key(key, write_key(key, "ed25519")))
    try:
        yield service
    finally:
        if not service.ended:
            service.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
            service.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
            service.stop()


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return connection.recv(8) == b"SSH-2.0-"
    except OSError:
        return False


def wait_for(done: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Look again and again; the time is only there so that a broken service does not hang the tests."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.05)

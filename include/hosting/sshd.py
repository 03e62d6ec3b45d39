"""OpenSSH's ``sshd``: its host keys, its configuration, its process."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from include.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from include.hosting.settings import HostingSettings

#: Kind of host key -> what `ssh-keygen` is asked for. Clients that do not know Ed25519 take one of the others.
_HOST_KEYS = {"ed25519": (), "ecdsa": ("-b", "256"), "rsa": ("-b", "3072")}
_PRIVILEGE_SEPARATION = "/run/sshd"

# No SHA-1 anywhere, no CBC (and so no DSA, no ssh-rsa signatures); the older half of each list is for clients of ten
# years ago. `-P` refuses links: nobody needs them to exchange files, and whoever looks after the folders could trip.
_CONFIGURATION = """\
ListenAddress {address}
Port {port}
{host_keys}
PidFile none
LogLevel VERBOSE
VersionAddendum none
UsePAM no
UseDNS no

AuthenticationMethods publickey
AuthorizedKeysFile {authorized}/%u
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
StrictModes yes
RequiredRSASize 2048
LoginGraceTime 30
MaxAuthTries 6
MaxStartups 20:30:100
MaxSessions 4

ChrootDirectory %h
Subsystem sftp internal-sftp
ForceCommand internal-sftp -l INFO -u 0077 -P symlink,hardlink
DisableForwarding yes
AllowTcpForwarding no
AllowStreamLocalForwarding no
AllowAgentForwarding no
X11Forwarding no
PermitTunnel no
GatewayPorts no
PermitTTY no
PermitUserEnvironment no
PermitUserRC no
PrintMotd no
PrintLastLog no
Compression no

TCPKeepAlive yes
ClientAliveInterval 30
ClientAliveCountMax 3
ChannelTimeout session:*={idle}
UnusedConnectionTimeout 60

KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,\
ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group18-sha512,diffie-hellman-group16-sha512,\
diffie-hellman-group-exchange-sha256,diffie-hellman-group14-sha256
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr
MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-512,hmac-sha2-256
HostKeyAlgorithms ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256
PubkeyAcceptedAlgorithms ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
rsa-sha2-512,rsa-sha2-256
"""


def program(name: str) -> str:
    """The path of one of OpenSSH's programs.

    Raises:
        ConfigurationError: it is not installed.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise ConfigurationError(f"{name} is not installed.", next_step="install the package openssh-server")
    return found


def make_host_keys(folder: Path) -> None:
    """Make the host keys that are missing; those that are there stay for ever, since customers have pinned them."""
    for kind, how in _HOST_KEYS.items():
        key, part = folder / f"host_{kind}", folder / f".host_{kind}.part"
        if key.exists():
            continue
        part.unlink(missing_ok=True)
        command = [program("ssh-keygen"), "-q", "-t", kind, *how, "-N", "", "-C", "", "-f", str(part)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        folder.joinpath(f".host_{kind}.part.pub").replace(folder / f"host_{kind}.pub")
        part.replace(key)


def write_configuration(settings: HostingSettings, authorized: Path) -> Path:
    """Write sshd's configuration, and have sshd judge it.

    Raises:
        ConfigurationError: this sshd does not take it (it is older than 9.2).
    """
    file = settings.applied / "sshd_config"
    file.write_text(
        _CONFIGURATION.format(
            address=settings.address,
            port=settings.port,
            host_keys="\n".join(f"HostKey {settings.keys / f'host_{kind}'}" for kind in _HOST_KEYS),
            authorized=authorized,
            idle=settings.idle_seconds,
        ),
        encoding="ascii",
    )
    os.makedirs(_PRIVILEGE_SEPARATION, mode=0o755, exist_ok=True)  # noqa: PTH103 - a fixed place, made by nobody else in a container
    judged = subprocess.run(
        [program("sshd"), "-t", "-f", str(file)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if judged.returncode != 0:
        raise ConfigurationError(
            f"sshd does not take its configuration: {judged.stderr.strip()}",
            next_step="OpenSSH 9.2 or newer is needed, and the user sshd, which its package makes",
        )
    return file


class Sshd:
    """The listening process, a child that ends when this process does. What it says goes to our standard error."""

    def __init__(self, configuration: Path) -> None:
        with_parent = ["setpriv", "--pdeathsig=TERM"] if shutil.which("setpriv") else []
        self._process = subprocess.Popen(
            [*with_parent, program("sshd"), "-D", "-e", "-f", str(configuration)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C at a terminal is for the service alone
        )
        self._connections: list[psutil.Process] = []

    @property
    def alive(self) -> bool:
        """Whether sshd listens, or is about to."""
        return self._process.poll() is None

    def stop_listening(self) -> None:
        """Take no more connections. Those that there are go on."""
        if self.alive:
            self._connections = psutil.Process(self._process.pid).children(recursive=True)
            self._process.terminate()
            self._process.wait()

    def end_connections(self) -> None:
        """Kill what of sshd is left, logins that are not finished among it."""
        for connection in self._connections:
            with suppress(psutil.Error):
                if connection.uids().real == 0:
                    connection.kill()

"""One authenticated SFTP channel to a server whose host key is pinned, with an end to every wait.

Paramiko alone waits for ever in several places (a write to a peer that stopped reading, the answer to the subsystem
request), retries nothing here, and logs a traceback for each lost connection; this module mends the first and the last.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.destinations.host_keys import algorithms_in_order, fingerprint
from include.destinations.sftp_target import SftpTarget, load_private_key
from include.effects import effect
from include.errors import CallboardError, DeliveryRefused, DestinationUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import paramiko

# SFTP version 3 status codes (draft-ietf-secsh-filexfer-02, section 7).
EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, OP_UNSUPPORTED = 1, 2, 3, 4, 8

_LOG_CHANNEL = "callboard.ssh"
_POLL = 0.1  # seconds; how late the watchdog may be
# Broken or brittle; whoever offers nothing better should be asked to.
_DISABLED = {
    "ciphers": ["3des-cbc", "aes128-cbc", "aes192-cbc", "aes256-cbc"],
    "macs": ["hmac-md5", "hmac-md5-96", "hmac-sha1-96"],
}


class SftpStatus(OSError):
    """The server answered a request with something other than OK. The connection is well."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"status {code}")
        self.code = code
        self.text = text


class Watchdog(threading.Thread):
    """Shuts a socket down when a step or the whole session outlives its time: whoever waits on it is released."""

    def __init__(self, sock: socket.socket, session_seconds: float) -> None:
        super().__init__(name="sftp-watchdog", daemon=True)
        self._socket = sock
        self._end = time.monotonic() + session_seconds
        self._deadline = self._end
        self._stopped = threading.Event()
        self.bitten = False
        self.start()

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Give the block at most ``seconds``, and never more than what the session has left."""
        self._deadline = min(time.monotonic() + seconds, self._end)
        try:
            yield
        finally:
            self._deadline = self._end

    def run(self) -> None:
        """Look at the clock until stopped."""
        while not self._stopped.wait(_POLL):
            if time.monotonic() > self._deadline:
                self.bitten = True
                self.cut()
                return

    def cut(self) -> None:
        """End the connection now."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()


@dataclass(frozen=True, slots=True)
class Wire:
    """An open SFTP channel, who is at its other end, and the watchdog beside it."""

    client: paramiko.SFTPClient
    watchdog: Watchdog
    server: str
    host_key: str


def lost_connection_errors() -> tuple[type[Exception], ...]:
    """List what paramiko raises when a connection breaks, falls silent, or talks nonsense."""
    import paramiko
    from paramiko.sftp import SFTPError

    return (EOFError, OSError, paramiko.SSHException, SFTPError)


@contextmanager
def open_wire(target: SftpTarget) -> Iterator[Wire]:
    """Connect, check the host key, authenticate once, open SFTP; close all of it at the end.

    Raises:
        ConfigurationError: the private key cannot be used.
        DestinationUnavailable: no connection, or no answer in time.
        DeliveryRefused: another host key than the pinned ones (nothing was authenticated), or the login was refused.
    """
    key = load_private_key(target)
    with ExitStack() as opened:
        with effect("sftp.login"):
            transport, watchdog = opened.enter_context(_connected(target))
            with _step(target, watchdog, "the key exchange"):
                host_key = _shake_hands(target, transport)
            with _step(target, watchdog, "authentication"):
                _authenticate(target, transport, key, watchdog)
        with _step(target, watchdog, "opening SFTP"):
            client = _open_client(target, transport)
        yield Wire(client, watchdog, transport.remote_version, host_key)


@contextmanager
def _connected(target: SftpTarget) -> Iterator[tuple[paramiko.Transport, Watchdog]]:
    """Connect, and say nothing yet."""
    import paramiko

    logging.getLogger(_LOG_CHANNEL).setLevel(logging.CRITICAL)
    try:
        sock = socket.create_connection((target.host, target.port), timeout=target.connect_timeout)
    except OSError as error:
        raise _unavailable(target, "connecting", error) from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small requests, each of which waits for its answer
    watchdog = Watchdog(sock, target.session_timeout)
    transport = paramiko.Transport(sock, disabled_algorithms=_DISABLED)
    transport.set_log_channel(_LOG_CHANNEL)
    # The watchdog is to bite before paramiko's own limits, which are not told from a refusal.
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = target.session_timeout
    try:
        yield transport, watchdog
    finally:
        watchdog.stop()
        watchdog.cut()
        transport.packetizer.complete_handshake()  # else its timer outlives a failed handshake, and holds the process
        transport.close()
        sock.close()
        for thread in (watchdog, transport):
            if thread.is_alive():
                thread.join(timeout=2)


def _shake_hands(target: SftpTarget, transport: paramiko.Transport) -> str:
    import paramiko

    transport.get_security_options().key_types = algorithms_in_order(target.host_keys)
    try:
        transport.start_client()
        shown = transport.get_remote_server_key().asbytes()
    except paramiko.ssh_exception.IncompatiblePeer as error:
        raise DeliveryRefused(
            f"SFTP {target.place}: no common algorithm in the key exchange ({error}).",
            next_step="ask the partner which host key types, ciphers and key exchanges the server offers",
        ) from error
    if not any(pinned.blob == shown for pinned in target.host_keys):
        raise _wrong_host_key(target, shown)
    return fingerprint(shown)


def _wrong_host_key(target: SftpTarget, shown: bytes) -> DeliveryRefused:
    pinned = ", ".join(key.fingerprint for key in target.host_keys)
    return DeliveryRefused(
        f"SFTP {target.place}: the server shows host key {fingerprint(shown)}, pinned are {pinned}; not logged in.",
        next_step="ask the partner, not the network, whether the key was changed; then add the new key to host_keys",
    )


def _authenticate(
    target: SftpTarget, transport: paramiko.Transport, key: paramiko.PKey | None, watchdog: Watchdog
) -> None:
    """Try to log in exactly once: a second try could lock the account."""
    import paramiko

    try:
        if key is not None:
            transport.auth_publickey(target.user, key)
        elif target.password_method == "password":  # noqa: S105 - the name of a method
            transport.auth_password(target.user, target.password or "", fallback=False)
        else:
            transport.auth_interactive(
                target.user, lambda _title, _text, prompts: [target.password or ""] * len(prompts)
            )
    except paramiko.BadAuthenticationType as error:
        raise DeliveryRefused(
            f"SFTP {target.place}: this login may use only {', '.join(error.allowed_types) or 'nothing'}.",
            next_step="give the connection a key or a password accordingly (extra: password_method)",
        ) from None
    except paramiko.AuthenticationException:
        # Also when the server hangs up instead of answering, as some do after a wrong password: counted as a refusal,
        # because trying again could lock the account. Silence is different.
        if watchdog.bitten:
            raise
        raise DeliveryRefused(
            f"SFTP {target.place}: the login was refused (one attempt was made).",
            next_step="check the login, password or key of the connection, and whether the account is locked",
        ) from None
    if not transport.is_authenticated():
        raise DeliveryRefused(
            f"SFTP {target.place}: the server wants a second way of authentication.",
            next_step="ask the partner for an account that logs in by key or password alone",
        )


def _open_client(target: SftpTarget, transport: paramiko.Transport) -> paramiko.SFTPClient:
    import paramiko

    try:
        channel = transport.open_session(timeout=target.session_timeout)
        channel.settimeout(target.answer_timeout)
        channel.invoke_subsystem("sftp")
    except paramiko.SSHException as error:
        if not transport.is_active():
            raise
        raise DeliveryRefused(
            f"SFTP {target.place}: the server lets this login in, but offers it no SFTP.",
            next_step="ask the partner to allow the sftp subsystem for the account",
        ) from error
    return _client_class()(channel)


def _client_class() -> type[paramiko.SFTPClient]:
    import paramiko

    class Client(paramiko.SFTPClient):
        """Keeps the status codes that paramiko folds into one OSError, and reads messages in any encoding."""

        def _convert_status(self, msg: paramiko.Message) -> None:
            code = msg.get_int()
            if code == EOF:
                raise EOFError
            if code != 0:
                raise SftpStatus(code, msg.get_binary().decode("utf-8", "replace"))

    return Client


@contextmanager
def _step(target: SftpTarget, watchdog: Watchdog, what: str) -> Iterator[None]:
    try:
        with watchdog.limit(target.answer_timeout):
            yield
    except CallboardError:
        raise
    except lost_connection_errors() as error:
        raise _unavailable(target, what, error, silent=watchdog.bitten) from error


def _unavailable(target: SftpTarget, what: str, error: Exception, *, silent: bool = False) -> DestinationUnavailable:
    how = "no answer in time" if silent or isinstance(error, TimeoutError) else type(error).__name__
    return DestinationUnavailable(
        f"SFTP {target.place}: {what} failed ({how}).",
        next_step="check host name, port, firewall and whether the partner's server is up; the task tries again",
    )

"""Which SFTP server, as whom, and how it proves who it is: read from the details of an Airflow connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from include.destinations.host_keys import HostKey, keys_of_known_hosts, parse_host_key
from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import paramiko

    from include.destinations.connection import ConnectionDetails

PasswordMethod = Literal["password", "keyboard-interactive"]


@dataclass(frozen=True, slots=True)
class SftpTarget:
    """A server and a login. Validated at construction; secrets stay out of its representation.

    ``private_key`` is the key's text (OpenSSH or PEM); it is used when both it and a password are given.
    ``connect_timeout``, ``answer_timeout`` (for each single answer) and ``session_timeout`` (for everything between
    connecting and closing) are seconds.

    Raises:
        ConfigurationError: no pinned host key, neither password nor key, or a value that makes no sense.
    """

    host: str
    port: int
    user: str
    host_keys: tuple[HostKey, ...]
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    password_method: PasswordMethod = "password"  # noqa: S105 - the name of a method
    connect_timeout: float = 10.0
    answer_timeout: float = 30.0
    session_timeout: float = 900.0

    def __post_init__(self) -> None:
        if not self.host or not self.user:
            raise ConfigurationError("An SFTP connection has no host or no login.", next_step="complete the connection")
        if not 0 < self.port < 65536:
            raise ConfigurationError(f"SFTP {self.host}: the port is not 1..65535.", next_step="mend the connection")
        if not self.host_keys:
            raise ConfigurationError(
                f"SFTP {self.place}: no host key is pinned, so the server could be anybody.",
                next_step="put the server's keys into the connection's extra as host_keys (a list) or known_hosts",
            )
        if self.password is None and self.private_key is None:
            raise ConfigurationError(
                f"SFTP {self.place}: neither a password nor a private key is given.",
                next_step="set the connection's password, or key_file or private_key in its extra",
            )
        if self.password_method not in ("password", "keyboard-interactive"):
            raise ConfigurationError(
                f"SFTP {self.place}: unknown password_method.", next_step="use password or keyboard-interactive"
            )
        if min(self.connect_timeout, self.answer_timeout, self.session_timeout) <= 0:
            raise ConfigurationError(f"SFTP {self.place}: a timeout is not positive.", next_step="use seconds above 0")

    @property
    def place(self) -> str:
        """``host:port``, as messages name it."""
        return f"{self.host}:{self.port}"


def target_from_connection(details: ConnectionDetails) -> SftpTarget:
    """Build a target from the details of an Airflow connection of type ``sftp``.

    Extra keys as that type knows them: ``key_file`` (a path) or ``private_key`` (text), ``private_key_passphrase``,
    ``host_key``, ``conn_timeout``. Ours: ``host_keys`` (a list of ``<type> <base64>``), ``known_hosts`` (a path, or the
    text), ``answer_timeout``, ``session_timeout``, ``password_method``. Switches of that type that would accept any
    host key are refused, not obeyed.

    Raises:
        ConfigurationError: something is missing, unreadable or contradictory.
    """
    host, port, extra = details.host, details.port or 22, details.extra
    place = f"{host}:{port}"
    for switch in ("no_host_key_check", "allow_host_key_change", "ignore_hostkey_verification"):
        if str(extra.get(switch, "false")).lower() == "true":
            raise ConfigurationError(
                f"SFTP {place}: {switch} would accept any server.", next_step="remove it and pin the server's host keys"
            )
    if extra.get("key_file") and extra.get("private_key"):
        raise ConfigurationError(f"SFTP {place}: key_file and private_key are both given.", next_step="keep one")
    private_key = extra.get("private_key") or None
    if extra.get("key_file"):
        private_key = _read(str(extra["key_file"]), "key_file", place)
    return SftpTarget(
        host=host,
        port=port,
        user=details.login or "",
        host_keys=_pinned(extra, host, port),
        password=details.password or None,
        private_key=private_key,
        passphrase=extra.get("private_key_passphrase") or None,
        password_method=extra.get("password_method", "password"),
        connect_timeout=_seconds(extra, "conn_timeout", 10.0, place),
        answer_timeout=_seconds(extra, "answer_timeout", 30.0, place),
        session_timeout=_seconds(extra, "session_timeout", 900.0, place),
    )


def load_private_key(target: SftpTarget) -> paramiko.PKey | None:
    """Load the target's private key; ``None`` if it logs in by password.

    Raises:
        ConfigurationError: the key cannot be read, its passphrase is wrong or missing, or its type is not accepted.
    """
    if target.private_key is None:
        return None
    from io import StringIO

    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from paramiko import ECDSAKey, Ed25519Key, RSAKey

    text = target.private_key.strip().encode() + b"\n"
    load = form.load_ssh_private_key if b"BEGIN OPENSSH" in text else form.load_pem_private_key
    try:
        key = load(text, password=target.passphrase.encode() if target.passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The library's message may quote the key's text: neither shown nor chained.
        raise ConfigurationError(
            f"SFTP {target.place}: the private key cannot be read ({type(error).__name__}).",
            next_step="check the key (OpenSSH or PEM) and private_key_passphrase",
        ) from None
    for kind, paramiko_class in (
        (ed25519.Ed25519PrivateKey, Ed25519Key),
        (ec.EllipticCurvePrivateKey, ECDSAKey),
        (rsa.RSAPrivateKey, RSAKey),
    ):
        if isinstance(key, kind):
            plain = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
            return paramiko_class.from_private_key(StringIO(plain.decode()))
    raise ConfigurationError(
        f"SFTP {target.place}: the private key's type is not accepted.", next_step="use Ed25519, ECDSA or RSA"
    )


def _pinned(extra: Mapping[str, Any], host: str, port: int) -> tuple[HostKey, ...]:
    listed = extra.get("host_keys") or []
    if isinstance(listed, str):
        listed = listed.splitlines()
    texts = [str(text) for text in [*listed, extra.get("host_key")] if text and str(text).strip()]
    keys = [parse_host_key(text) for text in texts]
    known_hosts = str(extra.get("known_hosts") or "")
    if known_hosts.startswith(("/", "~")) and "\n" not in known_hosts.strip():
        known_hosts = _read(known_hosts.strip(), "known_hosts", f"{host}:{port}")
    keys += keys_of_known_hosts(known_hosts, host, port)
    return tuple(dict.fromkeys(keys))


def _read(path: str, what: str, place: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"SFTP {place}: {what} cannot be read ({type(error).__name__}).",
            next_step="check the path in the connection's extra, and that Callboard's account may read it",
        ) from None


def _seconds(extra: Mapping[str, Any], name: str, default: float, place: str) -> float:
    try:
        return float(extra.get(name) or default)
    except (TypeError, ValueError):
        raise ConfigurationError(f"SFTP {place}: {name} is not a number of seconds.", next_step="mend it") from None

"""Pinned SSH host keys: reading them, matching a server against them, and asking the server for the right one.

Several keys may be pinned, so that a partner can rotate without a flag day (docs/runbooks/sftp-profiles.md).
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Key type -> the signature algorithms that prove possession of such a key. No SHA-1.
_ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
_EXAMPLE = "write it like 'ssh-ed25519 AAAAC3Nz...', as `ssh-keyscan` prints it without the host name"


@dataclass(frozen=True, slots=True)
class HostKey:
    """A public host key: its type (``ssh-ed25519`` ...) and its bytes on the wire."""

    type: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """``SHA256:...``, as ``ssh-keygen -l`` prints it."""
        return fingerprint(self.blob)


def fingerprint(blob: bytes) -> str:
    """Hash a public key's bytes as ``ssh-keygen -l`` does."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def parse_host_key(text: str) -> HostKey:
    """Read ``<type> <base64> [comment]``.

    Raises:
        ConfigurationError: it is no such key, or of a type that is not accepted.
    """
    words = text.split()
    if len(words) < 2:
        raise ConfigurationError("A pinned host key is not of the form '<type> <base64>'.", next_step=_EXAMPLE)
    key_type = words[0]
    if key_type not in _ALGORITHMS:
        raise ConfigurationError(
            "A pinned host key has a type that is not accepted.", next_step=f"pin one of {', '.join(_ALGORITHMS)}"
        )
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigurationError(f"A pinned {key_type} host key is not base64.", next_step=_EXAMPLE) from error
    announced = struct.pack(">I", len(key_type)) + key_type.encode()
    if not blob.startswith(announced) or len(blob) < len(announced) + 32:
        raise ConfigurationError(f"A pinned {key_type} host key is cut short or of another type.", next_step=_EXAMPLE)
    return HostKey(key_type, blob)


def keys_of_known_hosts(text: str, host: str, port: int) -> tuple[HostKey, ...]:
    """Find a server's keys in the text of a ``known_hosts`` file: plain, patterned and hashed names, ``[host]:port``.

    Keys marked ``@revoked`` are left out even if they stand elsewhere without the mark; ``@cert-authority`` lines and
    lines of other hosts are passed over.

    Raises:
        ConfigurationError: a key of this server is damaged.
    """
    name = host.lower() if port == 22 else f"[{host.lower()}]:{port}"
    found: list[HostKey] = []
    revoked: set[bytes] = set()
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        if len(words) < 3 or marker == "@cert-authority" or not _names_match(words[0], name):
            continue
        if words[1] not in _ALGORITHMS:  # servers announce more types than we accept; the others count
            continue
        key = parse_host_key(" ".join(words[1:3]))
        if marker == "@revoked":
            revoked.add(key.blob)
        else:
            found.append(key)
    return tuple(key for key in dict.fromkeys(found) if key.blob not in revoked)


def algorithms_in_order(pinned: Iterable[HostKey]) -> tuple[str, ...]:
    """Order host key algorithms so that a server with several keys shows a pinned one.

    The types that are not pinned come last: a server that has none of the pinned is then refused with the fingerprint
    that it showed, which is what an operator needs.
    """
    wanted = [algorithm for key in pinned for algorithm in _ALGORITHMS[key.type]]
    return tuple(dict.fromkeys([*wanted, *(one for group in _ALGORITHMS.values() for one in group)]))


def _names_match(field: str, name: str) -> bool:
    if field.startswith("|1|"):
        try:
            salt, digest = (base64.b64decode(part, validate=True) for part in field[3:].split("|"))
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)
    patterns = [pattern.lower() for pattern in field.split(",")]
    if any(_matches(name, pattern[1:]) for pattern in patterns if pattern.startswith("!")):
        return False
    return any(_matches(name, pattern) for pattern in patterns if not pattern.startswith("!"))


def _matches(name: str, pattern: str) -> bool:
    """Match ``*`` and ``?`` only: the brackets of ``[host]:port`` are themselves."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))

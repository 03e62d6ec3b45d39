"""Public keys of customers: what sshd accepts, and nothing that would only be found out at the first login."""

from __future__ import annotations

import base64
import hashlib

#: What a key may be. DSA is broken, and so are RSA keys of fewer bits.
_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
LEAST_RSA_BITS = 2048


def public_key(text: str) -> str:
    """``<type> <base64>`` of one line of a ``.pub`` file; its comment is left out.

    Raises:
        ValueError: it is no such key; the text follows the name of what holds it, and does not quote it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    if "PRIVATE KEY" in text:
        raise ValueError(
            "holds a private key: whoever has read this file knows it. Have a new pair made, give its .pub"
        )
    words = text.split()
    if len(words) < 2 or "\n" in text.strip():
        raise ValueError("must be one line of a .pub file, like 'ssh-ed25519 AAAAC3Nz... name'")
    if words[0] not in _TYPES:
        raise ValueError(f"must begin with the key's type, one of {', '.join(_TYPES)}; options are not written here")
    try:
        key = load_ssh_public_key(" ".join(words[:2]).encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is damaged: copy the line of the .pub file once more, whole") from None
    if isinstance(key, RSAPublicKey) and key.key_size < LEAST_RSA_BITS:
        raise ValueError(f"is an RSA key of {key.key_size} bits; {LEAST_RSA_BITS} are the least, Ed25519 is better")
    return " ".join(words[:2])


def fingerprint(key: str) -> str:
    """``SHA256:...`` of a :func:`public_key`, as sshd logs it and ``ssh-keygen -l`` prints it."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

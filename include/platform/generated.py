"""Passwords and keys, made once at the first start and kept in the state directory, mode 0600."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from include.errors import StateDamaged
from include.platform.files import read_json_object, write_private, write_private_json

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Generated:
    """Everything secret that a platform makes for itself; never shown in its representation."""

    airflow_password: str
    airflow_database_password: str
    schedule_password: str
    ledger_password: str
    api_password: str
    api_client_secret: str
    fernet_key: str
    jwt_secret: str
    session_key: str
    sandbox_password: str

    def __repr__(self) -> str:
        return "Generated(...)"


def load_or_generate(keys: Path) -> Generated:
    """Read ``secrets.json`` of the folder ``keys``; make what is missing of it.

    Raises:
        StateDamaged: the file is not what this function wrote.
    """
    file = keys / "secrets.json"
    kept = read_json_object(file)
    if not all(isinstance(value, str) and value for value in kept.values()):
        raise StateDamaged(
            f"{file} is damaged.", next_step="restore it from a backup, or delete it to have it made anew"
        )
    made = {field.name: kept.get(field.name) or new_secret(field.name) for field in fields(Generated)}
    if made != kept:
        write_private_json(file, made)
    return Generated(**made)


def key_pair(private: Path) -> str:
    """Make an Ed25519 key pair in OpenSSH's format where there is none; the public half lies beside it as ``.pub``.

    Returns the public half: ``ssh-ed25519 <base64>``.

    Raises:
        StateDamaged: the private key cannot be read.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if private.exists():
        try:
            key = form.load_ssh_private_key(private.read_bytes(), password=None)
        except ValueError:
            raise StateDamaged(f"{private} is damaged.", next_step="delete it to have it made anew") from None
    else:
        key = Ed25519PrivateKey.generate()
        write_private(private, key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption()))
    public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    write_private(private.with_name(f"{private.name}.pub"), public + b"\n")
    return public.decode("ascii")


def new_secret(name: str) -> str:
    """Make a value for the secret ``name``: random, of characters that addresses and shells leave alone."""
    if name == "fernet_key":
        return urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii")
    return secrets.token_urlsafe(48 if name == "jwt_secret" else 24)  # SHA-512 signs with that, and wants 64 bytes

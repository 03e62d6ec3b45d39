"""Passwords, keys and access.json: made once, kept, and for their owner's eyes only."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet

from include.errors import StateDamaged
from include.platform.access import write_access, write_known_hosts
from include.platform.files import write_private
from include.platform.generated import key_pair, load_or_generate

if TYPE_CHECKING:
    from pathlib import Path


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture(autouse=True)
def _careless_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    first = load_or_generate(tmp_path)
    assert load_or_generate(tmp_path) == first
    assert mode(tmp_path / "secrets.json") == 0o600
    values = json.loads((tmp_path / "secrets.json").read_text())
    assert len(set(values.values())) == len(values)
    assert all(len(value) >= 32 for value in values.values())
    Fernet(first.fernet_key)
    assert first.airflow_password not in repr(first)


def test_a_secret_that_a_newer_version_needs_is_added_and_the_others_stay(tmp_path: Path) -> None:
    first = load_or_generate(tmp_path)
    file = tmp_path / "secrets.json"
    kept = json.loads(file.read_text())
    del kept["session_key"]
    write_private(file, json.dumps(kept).encode())
    second = load_or_generate(tmp_path)
    assert second.session_key
    assert second.session_key != first.session_key
    assert second.airflow_password == first.airflow_password


@pytest.mark.parametrize("content", [b"", b"[]", b'{"airflow_password": 7}', b'{"airflow_password": ""}', b"\xff"])
def test_damaged_secrets_are_not_silently_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secrets.json").write_bytes(content)
    with pytest.raises(StateDamaged, match=r"secrets\.json is damaged"):
        load_or_generate(tmp_path)
    assert (tmp_path / "secrets.json").read_bytes() == content


def test_a_key_pair_is_made_once_and_its_halves_belong_together(tmp_path: Path) -> None:
    import asyncssh

    public = key_pair(tmp_path / "key")
    assert key_pair(tmp_path / "key") == public
    assert mode(tmp_path / "key") == 0o600
    assert (tmp_path / "key.pub").read_text() == f"{public}\n"
    assert asyncssh.read_private_key(tmp_path / "key").export_public_key().decode().split()[:2] == public.split()[:2]
    (tmp_path / "key").write_text("no key")
    with pytest.raises(StateDamaged, match="key is damaged"):
        key_pair(tmp_path / "key")


def test_access_has_exactly_the_contracts_keys_and_replaces_a_readable_file(tmp_path: Path) -> None:
    file = tmp_path / "access.json"
    file.write_text("old")
    file.chmod(0o644)
    write_access(
        file,
        airflow={"url": "u", "user": "admin", "password": "p"},
        schedule_dsn="postgresql://a",
        ledger_dsn="postgresql://b",
        api_dsn="postgresql://c",
        api={"url": "u", "client_id": "c", "client_secret": "s"},
        sftp={"host": "h", "port": 1, "user": "u", "key_file": "k", "known_hosts": "h"},
        sandbox={"sftp": {"url": "u", "control": "c"}},
    )
    assert mode(file) == 0o600
    assert set(json.loads(file.read_text())) == {
        *("airflow", "schedule_dsn", "ledger_dsn", "api_dsn", "api", "sftp", "sandbox")
    }
    assert [entry.name for entry in tmp_path.iterdir()] == ["access.json"]


def test_known_hosts_is_what_ssh_clients_read(tmp_path: Path) -> None:
    import asyncssh

    public = key_pair(tmp_path / "key")
    write_known_hosts(tmp_path / "known_hosts", "127.0.0.1", 2222, [public])
    trusted, *_ = asyncssh.match_known_hosts(str(tmp_path / "known_hosts"), "127.0.0.1", "127.0.0.1", 2222)
    assert {key.export_public_key().decode().split()[1] for key in trusted} == {public.split()[1]}
    assert asyncssh.match_known_hosts(str(tmp_path / "known_hosts"), "127.0.0.1", "127.0.0.1", 2223)[0] == []

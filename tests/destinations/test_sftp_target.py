"""Reading connections: what is pinned, what is refused, and what is never shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from include.destinations.connection import ConnectionDetails
from include.destinations.host_keys import algorithms_in_order, keys_of_known_hosts, parse_host_key
from include.destinations.sftp_target import load_private_key, target_from_connection
from include.errors import ConfigurationError
from tests.support.sftp_servers import KEY_TYPES, write_key

if TYPE_CHECKING:
    from include.destinations.sftp_target import SftpTarget


@pytest.fixture(scope="module")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def keys(key_folder: Path) -> dict[str, str]:
    return {kind: write_key(key_folder / kind, kind) for kind in KEY_TYPES}


def _target(extra: dict[str, Any], *, password: str = "") -> SftpTarget:
    """Build a target; without a private key in the extra, it logs in by some password."""
    by_key = "key_file" in extra or "private_key" in extra
    password = password or ("" if by_key else "some password")
    details = ConnectionDetails("partner", "mft.example.org", None, "callboard", password, extra)
    return target_from_connection(details)


def test_pins_come_from_every_key_of_the_extra(keys: dict[str, str], tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"mft.example.org {keys['ecdsa']}\n")
    target = _target(
        {"host_key": keys["rsa"], "host_keys": [keys["ed25519"], keys["rsa"]], "known_hosts": str(known_hosts)}
    )
    assert [key.type for key in target.host_keys] == ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"]
    assert target.port == 22
    assert _target({"host_keys": f"{keys['ed25519']} comment\n\n{keys['rsa']}"}).host_keys == target.host_keys[:2]


def test_fingerprints_are_those_of_ssh_keygen(keys: dict[str, str]) -> None:
    import asyncssh

    for text in keys.values():
        assert parse_host_key(text).fingerprint == asyncssh.import_public_key(text).get_fingerprint()


@pytest.mark.parametrize("field", ["{name}", "other,{name}", "*.example.org", "MFT.example.o??", "{hashed}"])
def test_known_hosts_names(keys: dict[str, str], field: str) -> None:
    from paramiko.hostkeys import HostKeys

    name = "mft.example.org"
    line = f"{field.format(name=name, hashed=HostKeys.hash_host(name))} {keys['ed25519']}"
    assert keys_of_known_hosts(line, name, 22) == (parse_host_key(keys["ed25519"]),)
    assert keys_of_known_hosts(line, name, 2222) == ()
    assert keys_of_known_hosts(line, "mft.example.com", 22) == ()


def test_known_hosts_ports_negations_and_marks(keys: dict[str, str]) -> None:
    from paramiko.hostkeys import HostKeys

    name, port, key = "mft.example.org", 2222, keys["ed25519"]
    for field in (f"[{name}]:{port}", f"[*]:{port}", HostKeys.hash_host(f"[{name}]:{port}")):
        assert len(keys_of_known_hosts(f"{field} {key}", name, port)) == 1, field
    for line in (
        f"!{name},*.example.org {key}",
        f"@cert-authority {name} {key}",
        f"# {name} {key}",
        f"{name} ssh-dss AAAA",
        f"{name} {key}\n@revoked {name} {key}",
        f"|1|damaged|x {key}",
        "",
    ):
        assert keys_of_known_hosts(line, name, 22) == (), line


@pytest.mark.parametrize(
    "text", ["ssh-ed25519", "ssh-dss AAAA", "ssh-ed25519 !!!!", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "rsa {ed25519}"]
)
def test_damaged_pins_are_refused(keys: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigurationError, match="Next step"):
        _target({"host_keys": [text.format(**keys)]})


def test_a_key_under_another_type_is_refused(keys: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="another type"):
        parse_host_key("ssh-rsa " + keys["ed25519"].split()[1])


def test_pinned_algorithms_come_first(keys: dict[str, str]) -> None:
    order = algorithms_in_order([parse_host_key(keys["rsa"]), parse_host_key(keys["ecdsa"])])
    assert order[:3] == ("rsa-sha2-512", "rsa-sha2-256", "ecdsa-sha2-nistp256")
    assert "ssh-ed25519" in order
    assert "ssh-rsa" not in order, "SHA-1"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"host_keys": []}, "no host key is pinned"),
        ({"no_host_key_check": True}, "would accept any server"),
        ({"allow_host_key_change": "true"}, "would accept any server"),
        ({"key_file": "/nowhere/key"}, "key_file cannot be read"),
        ({"known_hosts": "/nowhere/known_hosts"}, "known_hosts cannot be read"),
        ({"key_file": "/a", "private_key": "b"}, "both given"),
        ({"answer_timeout": "soon"}, "not a number"),
        ({"answer_timeout": -1}, "not positive"),
        ({"password_method": "telepathy"}, "password_method"),
    ],
)
def test_contradictions_are_configuration_errors(keys: dict[str, str], changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        _target({"host_keys": [keys["ed25519"]], **changed})


def test_somebody_must_log_in(keys: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="neither a password nor a private key"):
        _target({"host_keys": [keys["ed25519"]], "private_key": ""})


@pytest.mark.parametrize("kind", KEY_TYPES)
@pytest.mark.parametrize("form", ["openssh", "pkcs1-pem", "pkcs8-pem"])
@pytest.mark.parametrize("passphrase", [None, "opens it"])
def test_private_keys_of_every_form(
    keys: dict[str, str], key_folder: Path, tmp_path: Path, kind: str, form: str, passphrase: str | None
) -> None:
    import asyncssh

    if (kind, form) == ("ed25519", "pkcs1-pem"):
        return  # there is no such form
    key = asyncssh.read_private_key(str(key_folder / kind))
    (tmp_path / "key").write_bytes(key.export_private_key(form, passphrase, rounds=50))
    extra = {"host_keys": [keys["rsa"]], "key_file": str(tmp_path / "key"), "private_key_passphrase": passphrase}
    loaded = load_private_key(_target(extra))
    assert loaded is not None
    assert loaded.asbytes() == key.public_data
    if passphrase:
        for wrong in (None, "does not"):
            with pytest.raises(ConfigurationError, match="private key cannot be read"):
                load_private_key(_target({**extra, "private_key_passphrase": wrong}))


def test_secrets_are_not_shown(keys: dict[str, str]) -> None:
    target = _target(
        {"host_keys": [keys["rsa"]], "private_key": "KEYTEXT", "private_key_passphrase": "PHRASE"}, password="PASS"
    )
    assert not {"KEYTEXT", "PHRASE", "PASS"} & set(repr(target).replace("'", " ").split())
    with pytest.raises(ConfigurationError) as caught:
        load_private_key(target)
    assert "KEYTEXT" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_status_text_in_any_encoding_is_read() -> None:
    from paramiko import Message

    from include.destinations import sftp_wire as wire

    message = Message()
    message.add_int(wire.PERMISSION_DENIED)
    message.add_string("Zugriff verweigert: ä".encode("latin-1"))
    message.rewind()
    client = object.__new__(wire._client_class())
    with pytest.raises(wire.SftpStatus) as caught:
        client._convert_status(message)
    assert caught.value.code == wire.PERMISSION_DENIED
    assert caught.value.text.startswith("Zugriff verweigert")


def test_nothing_heavy_is_imported() -> None:
    import subprocess
    import sys

    code = "import sys, include.destinations.sftp; sys.exit('paramiko' in sys.modules or 'cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0

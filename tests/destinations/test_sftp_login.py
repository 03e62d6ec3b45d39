"""Who the server is, and how often we try to log in: never to a stranger, and once."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from include.destinations.sftp import open_sftp
from include.errors import ConfigurationError, DeliveryRefused
from tests.destinations.conftest import Place, needs_sshd
from tests.support import sftp_servers
from tests.support.sftp_servers import KEY_TYPES, write_key
from tests.support.tcp_proxy import proxied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _wrong_key(tmp_path: Path) -> str:
    write_key(tmp_path / "stranger", "ed25519")
    return (tmp_path / "stranger").read_text()


def test_a_good_key_logs_in_once(place: Place) -> None:
    before = place.server.logins()
    with open_sftp(place.target(), place.folder) as session:
        assert session.files() == {}
    assert place.server.logins() - before == 1


def test_a_wrong_key_is_tried_once(place: Place, tmp_path: Path) -> None:
    before = place.server.logins()
    target = place.target(private_key=_wrong_key(tmp_path))
    with pytest.raises(DeliveryRefused, match="login was refused"), open_sftp(target, place.folder):
        pass
    assert place.server.logins() - before == 1


@needs_sshd
def test_a_wrong_password_is_tried_once(openssh_server: sftp_servers.SftpServer) -> None:
    place = Place(openssh_server)
    before = place.server.logins()
    target = place.target(private_key=None, password="not the password")
    with pytest.raises(DeliveryRefused, match="login was refused") as refused, open_sftp(target, place.folder):
        pass
    assert place.server.logins() - before == 1
    assert "not the password" not in f"{refused.value} {target!r}"


@needs_sshd
def test_a_server_that_hangs_up_after_a_wrong_password_has_refused(tmp_path: Path) -> None:
    with sftp_servers.openssh(tmp_path / "strict", extra_config="MaxAuthTries 1") as strict:
        place = Place(strict)
        target = place.target(private_key=None, password="not the password")
        with pytest.raises(DeliveryRefused, match="login was refused"), open_sftp(target, place.folder):
            pass
        assert strict.logins() == 1


@needs_sshd
def test_a_server_that_takes_no_passwords_says_what_it_takes(tmp_path: Path) -> None:
    config = "AuthenticationMethods publickey"
    with sftp_servers.openssh(tmp_path / "keys", extra_config=config) as keys_only:
        place = Place(keys_only)
        target = place.target(private_key=None, password="x")
        with pytest.raises(DeliveryRefused, match="may use only publickey"), open_sftp(target, place.folder):
            pass


@needs_sshd
def test_a_login_without_sftp_is_refused(tmp_path: Path) -> None:
    with sftp_servers.openssh(tmp_path / "shell", sftp_options="", extra_config="MaxSessions 0") as shell:
        place = Place(shell)
        with pytest.raises(DeliveryRefused, match="no SFTP"), open_sftp(place.target(), place.folder):
            pass


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_a_server_with_several_keys_is_asked_for_the_pinned_one(place: Place, kind: str) -> None:
    with open_sftp(place.target(host_keys=[place.server.host_keys[kind]]), place.folder) as session:
        assert session.files() == {}


def test_rotation_with_two_pins(place: Place, tmp_path: Path) -> None:
    retired = write_key(tmp_path / "retired", "ed25519")
    for pins in ([retired, place.server.host_keys["ed25519"]], [place.server.host_keys["ed25519"], retired]):
        with open_sftp(place.target(host_keys=pins), place.folder) as session:
            assert session.files() == {}


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_a_changed_host_key_gets_no_login(place: Place, tmp_path: Path, kind: str) -> None:
    before = place.server.logins()
    changed = write_key(tmp_path / "changed", kind)
    target = place.target(host_keys=[changed])
    refused = pytest.raises(DeliveryRefused, match=r"shows host key SHA256:.*pinned are SHA256:")
    with refused, open_sftp(target, place.folder):
        pass
    assert place.server.logins() - before == 0


def test_a_server_without_a_pinned_key_is_not_even_connected_to(place: Place) -> None:
    with proxied(place.server.port) as proxy:
        for extra in ({}, {"known_hosts": f"[127.0.0.1]:{place.server.port} {place.server.host_keys['rsa']}\n"}):
            with pytest.raises(ConfigurationError, match="no host key is pinned"):
                place.target(port=proxy.port, host_keys=None, **extra)
        assert proxy.connections == 0


def test_nothing_is_said_to_a_server_with_another_key_once_it_is_shown(place: Place, tmp_path: Path) -> None:
    """Not even the name of the login leaves: the key exchange is the last that such a server hears."""
    changed = write_key(tmp_path / "changed", "ed25519")
    before = place.server.logins()
    with proxied(place.server.port) as proxy:
        refused = pytest.raises(DeliveryRefused, match="not logged in")
        with refused, open_sftp(place.target(port=proxy.port, host_keys=[changed]), place.folder):
            pass
        stranger = proxy.passed["up"]
        with open_sftp(place.target(port=proxy.port), place.folder):
            pass
        assert stranger < proxy.passed["up"] - 100  # a signature alone has more
    assert place.server.logins() - before == 1


def test_known_hosts_of_this_port_only(place: Place) -> None:
    key = place.server.host_keys["ed25519"]
    good = f"# partner\n[127.0.0.1]:{place.server.port} {key}\n"
    with open_sftp(place.target(host_keys=None, known_hosts=good), place.folder) as session:
        assert session.files() == {}
    with pytest.raises(ConfigurationError, match="no host key is pinned"):
        place.target(host_keys=None, known_hosts=f"127.0.0.1 {key}\n[127.0.0.1]:1 {key}\n")


@contextmanager
def _interactive_server(key_file: Path, password: str, logins: list[str]) -> Iterator[int]:
    """Run a server that takes passwords only as answers to a question, as some managed file transfers do."""
    import asyncssh

    class Login(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return False

        def kbdint_auth_supported(self) -> bool:
            return True

        def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> object:
            return "", "", "", [("Password:", False)]

        def validate_kbdint_response(self, username: str, responses: list[str]) -> bool:
            logins.append(username)
            return responses == [password]

    ready, ports = threading.Event(), []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        server = await asyncssh.create_server(
            Login, "127.0.0.1", 0, server_host_keys=[str(key_file)], sftp_factory=True
        )
        ports.append(server.get_port())
        ready.set()
        await stop.wait()
        server.close()
        await server.wait_closed()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def test_keyboard_interactive_is_asked_for_by_name(sandbox_server: sftp_servers.SftpServer, tmp_path: Path) -> None:
    place = Place(sandbox_server)
    key = write_key(tmp_path / "host", "ed25519")
    logins: list[str] = []
    with _interactive_server(tmp_path / "host", "right", logins) as port:
        common = {"port": port, "host_keys": [key], "private_key": None}
        plain = place.target(**common, password="right")
        refused = pytest.raises(DeliveryRefused, match=r"only .*keyboard-interactive.*password_method")
        with refused, open_sftp(plain, "/"):
            pass
        assert logins == []
        interactive = {**common, "password_method": "keyboard-interactive"}
        with open_sftp(place.target(**interactive, password="right"), str(tmp_path)) as session:
            assert "host" in session.files()
        wrong = place.target(**interactive, password="wrong")
        with pytest.raises(DeliveryRefused, match="login was refused"), open_sftp(wrong, "/"):
            pass
        assert len(logins) == 2

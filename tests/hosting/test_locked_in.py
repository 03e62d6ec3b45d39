"""What an account can reach, and what it cannot, by real clients."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko
import pytest

from tests.hosting.hosted import ALONE, CAPABILITIES, names, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hosting.hosted import Hosted

pytestmark = ALONE
SECRET = "nobody-else-may-read-this"


@pytest.fixture(scope="module", autouse=True)
def _of_the_other(running: Hosted) -> None:
    """A file of the account stluke, and links in mercy's folder that a careless person could have made."""
    with running.session("stluke") as sftp, sftp.open("outbound/theirs.csv", "w") as file:
        file.write(SECRET)
    for name, target in (
        ("absolute", "/srv/stluke/outbound/theirs.csv"),
        ("upwards", "../../stluke/outbound/theirs.csv"),
        ("outside", f"{running.root}/stluke/outbound/theirs.csv"),
        ("system", "/etc/passwd"),
    ):
        (running.root / "mercy" / "outbound" / name).symlink_to(target)


def test_an_account_sees_its_own_folders_and_nothing_above_them(running):
    with running.session("mercy") as sftp:
        assert sorted(sftp.listdir("/")) == ["dev", "inbound", "outbound"]
        assert sorted(sftp.listdir("/../../..")) == ["dev", "inbound", "outbound"]
        for path in ("/etc/passwd", "../../etc/passwd", "/../stluke", "../stluke/outbound/theirs.csv", "/srv", "/proc"):
            with pytest.raises(FileNotFoundError):
                sftp.stat(path)


def test_links_lead_nowhere(running):
    with running.session("mercy") as sftp:
        for name in ("absolute", "upwards", "outside", "system"):
            with pytest.raises(FileNotFoundError):
                sftp.open(f"outbound/{name}").read()


def test_links_cannot_be_made(running, tmp_path):
    (tmp_path / "x").write_text("x")
    for link in ("ln -s /etc/passwd outbound/soft", "ln outbound/x outbound/hard"):
        answer = running.sftp("mercy", f"put {tmp_path}/x outbound/x", link)
        assert answer.returncode == 1
        assert "Permission denied" in answer.stderr or "does not support hardlink" in answer.stderr
    assert not {"soft", "hard"} & set(names(running.root / "mercy" / "outbound"))


def test_only_the_own_folders_are_writable(running, tmp_path):
    (tmp_path / "x").write_text("x")
    for command in (f"put {tmp_path}/x /x", "mkdir /new", "rmdir /inbound", "rename /outbound /other", "rm /dev/log"):
        assert running.sftp("mercy", command).returncode == 1, command
    assert names(running.root / "mercy") == ["dev", "inbound", "outbound"]


def test_what_is_uploaded_can_be_renamed_listed_and_read(running, tmp_path):
    (tmp_path / "people.csv").write_text("a,b\n")
    answer = running.sftp(
        "mercy",
        "cd inbound",
        f"put {tmp_path}/people.csv people.csv.part",
        "rename people.csv.part people.csv",
        "ls -1",
        f"get people.csv {tmp_path}/back.csv",
    )
    assert answer.returncode == 0, answer.stderr
    assert "\npeople.csv\n" in answer.stdout
    assert ".part\n" not in answer.stdout.split("ls -1")[1]
    assert (tmp_path / "back.csv").read_text() == "a,b\n"
    assert (running.root / "mercy/inbound/people.csv").stat().st_mode & 0o777 == 0o600


def test_one_customers_key_does_not_open_the_account_of_another(running):
    assert running.may_sign_in("stluke", running.key("stluke"))
    assert not running.may_sign_in("stluke", running.key("mercy"))
    assert not running.may_sign_in("mercy", running.key("unknown"))


def test_callboards_key_opens_every_account(running):
    assert running.may_sign_in("mercy", running.callboard)
    assert running.may_sign_in("stluke", running.callboard)


def test_nobody_of_the_system_signs_in(running):
    for user in ("root", "sshd", "daemon", "nobody"):
        assert not running.may_sign_in(user, running.callboard)


def test_a_password_is_not_even_asked_for(running):
    answer = running.sftp("mercy", "pwd", options=["-o", "PubkeyAuthentication=no", "-o", "BatchMode=no"])
    assert "Permission denied (publickey)." in answer.stderr
    with pytest.raises(paramiko.BadAuthenticationType) as refused, transport(running) as connection:
        connection.auth_password("mercy", "secret")
    assert refused.value.allowed_types == ["publickey"]


def test_a_command_is_not_run(running):
    ssh = ["ssh", *running.client("mercy"), "127.0.0.1"]
    for command in (["id"], ["touch /outbound/proof"], []):
        answer = subprocess.run(
            [*ssh, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
        assert "uid=" not in answer.stdout + answer.stderr
    assert not (running.root / "mercy" / "outbound" / "proof").exists()


@contextmanager
def transport(running: Hosted) -> Iterator[paramiko.Transport]:
    """A connection without a login."""
    with paramiko.Transport(("127.0.0.1", running.port)) as connection:
        connection.start_client(timeout=30)
        yield connection


@pytest.fixture
def signed_in(running):
    with transport(running) as connection:
        connection.auth_publickey("mercy", paramiko.Ed25519Key.from_private_key_file(str(running.key("mercy").file)))
        yield connection


def test_nothing_is_forwarded(running, signed_in):
    for kind, to in (("direct-tcpip", ("127.0.0.1", running.port)), ("x11", None)):
        with pytest.raises(paramiko.ChannelException):
            signed_in.open_channel(kind, to, ("127.0.0.1", 1), timeout=30)
    with pytest.raises(paramiko.SSHException):
        signed_in.request_port_forward("127.0.0.1", 0)
    listening = f"{running.folder}/forwarded"
    answer = subprocess.run(
        [
            "ssh",
            *running.client("mercy", None, "-R", f"{listening}:{listening}"),
            "-N",
            "-o",
            "ExitOnForwardFailure=yes",
            "127.0.0.1",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode != 0
    assert not Path(listening).exists()


def test_there_is_no_terminal_and_no_agent(signed_in):
    for ask in ("get_pty", "request_x11"):
        with pytest.raises(paramiko.SSHException):
            getattr(signed_in.open_session(timeout=30), ask)()


def test_sshd_agrees_for_every_account(running):
    config = (running.folder / "keys/applied/sshd_config").read_text().replace("/mnt/", f"{running.folder}/keys/")
    file = running.folder / "judged"
    file.write_text(config)
    asked = ["/usr/sbin/sshd", "-T", "-f", str(file), "-C", "user=mercy,host=x,addr=127.0.0.1"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    for line in (
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "permitrootlogin no",
        "allowtcpforwarding no",
        "allowstreamlocalforwarding no",
        "allowagentforwarding no",
        "x11forwarding no",
        "permittunnel no",
        "permittty no",
        "permituserrc no",
        "disableforwarding yes",
        "strictmodes yes",
        "chrootdirectory %h",
        "authenticationmethods publickey",
    ):
        assert line in said


@pytest.mark.parametrize(
    "weak",
    [
        "Ciphers=aes128-cbc",
        "MACs=hmac-sha1",
        "KexAlgorithms=diffie-hellman-group14-sha1",
        "HostKeyAlgorithms=ssh-rsa",
    ],
)
def test_what_is_broken_by_now_is_not_spoken(running, weak):
    # A cipher with a tag of its own needs no MAC: then the MAC would not be looked at.
    options = [weak, *(["Ciphers=aes128-ctr"] if weak.startswith("MACs") else [])]
    ssh = ["ssh", *(f"-o{option}" for option in options), *running.client("mercy"), "127.0.0.1"]
    answer = subprocess.run(ssh, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 255
    wait_for(lambda: "Unable to negotiate with 127.0.0.1" in running.log, "sshd to tell that it did not agree")


@pytest.mark.parametrize("type_", ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512"])
def test_clients_of_any_age_find_a_host_key(running, type_):
    assert running.may_sign_in("mercy", None, "-o", f"HostKeyAlgorithms={type_}")


def test_logins_and_file_operations_are_logged_without_contents(running, tmp_path):
    (tmp_path / "x").write_text("do-not-log-this")
    done = running.sftp("mercy", f"put {tmp_path}/x outbound/logged.csv", "rm outbound/logged.csv")
    assert done.returncode == 0
    wait_for(lambda: 'remove name "/outbound/logged.csv"' in running.log, "the log of the removal")
    opened = next(line for line in running.log.splitlines() if 'open "/outbound/logged.csv"' in line)
    assert " INFO mercy[" in opened
    assert "Accepted publickey for mercy from 127.0.0.1" in running.log
    assert "do-not-log-this" not in running.log
    assert SECRET not in running.log


def test_the_service_has_no_other_rights_than_documented(running):
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    numbers = {"chown": 0, "kill": 5, "setgid": 6, "setuid": 7, "sys_chroot": 18}
    assert int(status.partition("CapBnd:")[2].split()[0], 16) == sum(1 << numbers[name] for name in CAPABILITIES)


def test_this_machine_has_no_users_of_it(running):
    assert "Callboard hosted account" not in Path("/etc/passwd").read_text()
    assert "Callboard hosted account" in (running.folder / "etc/passwd").read_text()

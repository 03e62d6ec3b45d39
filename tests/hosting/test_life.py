"""Starting, stopping, starting again."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.hosting.conftest import TWO
from tests.hosting.hosted import ALONE, CAPABILITIES, CUT, PROJECT, answers, hosted, names, wait_for

pytestmark = ALONE


def keys_of(service) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (service.folder / "keys").glob("host_*")}


def test_host_keys_and_numbers_stay_over_restarts(service):
    service.start()
    keys, number = keys_of(service), (service.root / "stluke" / "outbound").stat().st_uid
    with service.session("stluke") as sftp:
        sftp.open("outbound/x", "w").close()
    assert service.stop() == 0
    assert set(keys) == {f"host_{kind}{pub}" for kind in ("ed25519", "ecdsa", "rsa") for pub in ("", ".pub")}
    assert all((service.folder / "keys" / name).stat().st_mode & 0o777 == 0o600 for name in keys if ".pub" not in name)

    service.start()
    assert keys_of(service) == keys
    assert (service.root / "stluke" / "outbound").stat().st_uid == number
    with service.session("stluke") as sftp:
        sftp.remove("outbound/x")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_transfer_finishes_when_the_service_is_asked_to_stop(service, number):
    service.start("--stop-seconds", "60")
    with service.session("mercy") as sftp, sftp.open("outbound/big", "w") as file:
        file.write(b"a" * 100_000)
        service.process.send_signal(number)
        wait_for(lambda: not answers(service.port), "the service to take no more connections")
        assert not service.ended
        file.write(b"b" * 100_000)
    assert service.process.wait(timeout=60) == 0
    assert (service.root / "mercy/outbound/big").stat().st_size == 200_000
    assert "0 session(s) were cut short" in service.log


def test_a_session_that_goes_on_is_ended_in_time(service):
    service.start("--stop-seconds", "1")
    with service.session("mercy") as sftp:
        assert service.stop() == 0
        with pytest.raises(CUT):
            sftp.stat("/")
    assert "1 session(s) were cut short" in service.log
    wait_for(lambda: "session closed for local user mercy" in service.log, "the farewell of the file server")
    assert not service.in_use("mercy")


def test_who_asks_twice_does_not_wait(service):
    service.start("--stop-seconds", "600")
    with service.session("mercy"):
        service.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not answers(service.port), "the service to take no more connections")
        assert not service.ended
        assert service.stop() == 0


def test_a_silent_session_is_ended(service):
    service.start("--idle-seconds", "5")  # enough to sign in on a machine that is busy
    with service.session("mercy") as sftp:
        sftp.stat("/")
        wait_for(lambda: sftp.get_channel().closed, "the server to end the session")


def test_a_service_without_its_sshd_ends(service):
    import psutil

    service.start()
    listening = next(each for each in psutil.Process(service.process.pid).children() if each.name() == "sshd")
    listening.kill()
    assert service.process.wait(timeout=60) == 1
    assert "sshd has ended" in service.log


def test_sshd_ends_with_a_service_that_is_killed(service):
    service.start()
    service.process.kill()
    service.process.wait()
    wait_for(lambda: not answers(service.port), "sshd to end")


def test_two_services_do_not_share_their_folders(service):
    service.start()
    second = type(service)(service.folder, service.port, service.callboard)
    (service.folder / "etc").rename(service.folder / "etc.first")
    second.start(wait=False)
    assert second.process.wait(timeout=60) == 1
    assert "Another hosting service holds /mnt/applied/lock." in service.log


def test_two_services_do_not_share_a_machine(service, tmp_path):
    """They would end each other's sessions, whose accounts have the same numbers."""
    machine = tmp_path / "run"
    machine.mkdir()
    service.start(more=f"mount --bind {machine} /run")
    with hosted(tmp_path / "second") as second:
        second.write_accounts(TWO)
        second.start(more=f"mount --bind {machine} /run", wait=False)
        assert second.process.wait(timeout=60) == 1
        assert "Another hosting service holds /run/callboard-hosting.lock." in second.log
    assert not service.ended


def test_a_port_that_is_taken_is_told(service):
    import socket

    with socket.create_server(("127.0.0.1", service.port)):
        service.start(wait=False)
        assert service.process.wait(timeout=60) == 1
    assert "Address already in use" in service.log


@pytest.mark.parametrize("missing", CAPABILITIES)
def test_a_missing_right_is_named(service, missing):
    service.start(capabilities=[each for each in CAPABILITIES if each != missing], wait=False)
    assert service.process.wait(timeout=60) == 1
    assert f"missing: {missing.upper()}." in service.log


def test_folders_that_others_may_change_are_refused(service):
    (service.folder / "root").chmod(0o777)
    service.start(wait=False)
    assert service.process.wait(timeout=60) == 1
    assert "/srv is not a folder of root" in service.log


@pytest.mark.skipif(
    not Path("/usr/lib/libnss_extrausers.so.2").exists(), reason="no extrausers: install the package libnss-extrausers"
)
def test_the_systems_own_files_need_not_be_writable(service):
    service.start(
        *("--passwd", "/var/lib/extrausers/passwd"),
        more="sed -i 's/^passwd:.*/passwd: files extrausers/' /etc/nsswitch.conf\n"
        "mount -t tmpfs tmpfs /var/lib/extrausers\nmount -o remount,bind,ro /etc",
    )
    assert "mercy" not in (service.folder / "etc/passwd").read_text()
    assert service.may_sign_in("mercy")
    service.change('accounts:\n  mercy: {{keys: ["{mercy}"], retention_days: 30}}\n')
    assert not service.may_sign_in("stluke")


def test_a_slow_login_does_not_keep_the_service_from_stopping(service):
    import socket

    service.start()
    with socket.create_connection(("127.0.0.1", service.port)) as waiting:
        assert waiting.recv(8) == b"SSH-2.0-"
        assert service.stop() == 0
        waiting.settimeout(30)
        while waiting.recv(4096):
            pass


HURRIED = """\
import sys
from include.hosting import sshd
from include.hosting.__main__ import main
sshd._CONFIGURATION = sshd._CONFIGURATION.replace("LoginGraceTime 30", "LoginGraceTime 1")
sys.exit(main())
"""


def test_a_connection_that_never_signs_in_is_ended(service):
    """As anybody can open them by the thousand. sshd needs the right to kill for this."""
    import paramiko

    service.start(program=["-c", HURRIED])
    with paramiko.Transport(("127.0.0.1", service.port)) as waiting:
        waiting.start_client(timeout=30)
        wait_for(lambda: not waiting.is_active(), "sshd to end the connection")


def test_many_sessions_at_once_are_all_found(service):
    service.start("--stop-seconds", "1")
    ready = threading.Barrier(7)

    def stay() -> None:
        with service.session("mercy") as sftp:
            ready.wait(timeout=60)
            with pytest.raises(CUT):
                while True:
                    sftp.stat("/")
                    time.sleep(0.05)

    threads = [threading.Thread(target=stay) for _ in range(6)]
    for thread in threads:
        thread.start()
    ready.wait(timeout=60)
    assert service.stop() == 0
    for thread in threads:
        thread.join(timeout=60)
    assert not service.in_use("mercy")
    assert "6 session(s) were cut short" in service.log


def test_nothing_is_left_on_this_machine(service, tmp_path):
    before = Path("/etc/passwd").read_bytes(), names(Path("/srv")), names(Path("/mnt"))
    service.start()
    service.stop()
    with hosted(tmp_path / "never started"):
        pass
    assert before == (Path("/etc/passwd").read_bytes(), names(Path("/srv")), names(Path("/mnt")))


def test_the_check_is_a_program(service):
    def check() -> tuple[int, str]:
        asked = [sys.executable, "-m", "include.hosting", *service.options_outside, "--check"]
        answer = subprocess.run(asked, capture_output=True, text=True, cwd=PROJECT, check=False)
        return answer.returncode, answer.stderr

    service.start()
    assert check() == (0, "")
    service.stop()
    code, said = check()
    assert code == 1
    assert "Nothing answers" in said

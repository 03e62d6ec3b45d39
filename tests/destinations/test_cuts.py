"""A connection cut at many bytes while a file is published, under the eyes of a partner that looks every 5 ms.

By every profile, under a new name and over an older file: the partner never sees a part of a file, and keeps the last
good one where the profile promises that (docs/runbooks/sftp-profiles.md).
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from include.destinations.sftp import open_sftp
from include.errors import CallboardError, DeliveryRefused, DeliveryUncertain
from include.ledger.records import PayloadFile
from include.run.publishing import publishing
from tests.destinations.conftest import Place
from tests.support.figures import counting
from tests.support.sftp_servers import SSHD
from tests.support.tcp_proxy import Break, proxied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.run.publishing import Publishing

OLD = b"the last good file\r\n" * 20_000
NEW = b"the file of this run\r\n" * 30_000
FILE = PayloadFile("out.csv", ".out.csv.part", hashlib.sha256(NEW).hexdigest(), len(NEW), 30_000)
#: Offsets for each profile, new name or old file, and server. The real server by itself; both with CALLBOARD_CHAOS.
CUTS = int(os.environ.get("CALLBOARD_CUTS", "32"))
SERVERS = ["sandbox", "openssh"] if os.environ.get("CALLBOARD_CHAOS") else ["openssh" if SSHD else "sandbox"]
PROFILES = ("posix_rename", "rename", "done_marker")
LOOK_S = 0.005


@dataclass
class Partner:
    """Looks every 5 ms, takes nothing away, and counts what it should never have seen."""

    place: Place
    marker: str = ""
    looks: int = 0
    partial: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def looking(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            self.look()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        """Read the file; with markers, only between two looks at the same one."""
        marked = self._marker()
        try:
            seen = (self.place.local / "out.csv").read_bytes()
        except FileNotFoundError:
            return
        if not self.marker or (marked and self._marker() == marked):
            self.looks += 1
            self.partial += seen not in (OLD, NEW)

    def _marker(self) -> tuple[int, int] | None:
        try:
            found = (self.place.local / f"out.csv{self.marker}").stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest) -> Place:
    return Place(request.getfixturevalue(f"{request.param}_server"))


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    path = tmp_path / "payload"
    path.write_bytes(NEW)
    return path


def way_of(profile: str, over: bytes | None) -> Publishing:
    """A done marker over an older file means a name that is used again."""
    replace = "true" if over is not None else "false"
    return publishing({"publish": profile, "done_suffix": ".done", "replace": replace})


def lay_out(place: Place, profile: str, over: bytes | None) -> None:
    for file in place.local.iterdir():
        file.unlink()
    if over is not None:
        (place.local / "out.csv").write_bytes(over)
        if profile == "done_marker":
            (place.local / "out.csv.done").touch()


def deliver(place: Place, payload: Path, way: Publishing, port: int) -> None:
    with open_sftp(place.target(port=port), place.folder) as session:
        way.stage(FILE, payload, session)
        way.publish(FILE, payload, session)


def offsets(place: Place, payload: Path, profile: str, over: bytes | None) -> list[int]:
    """Half of them all over the connection, half in its last requests, where the file becomes visible."""
    lay_out(place, profile, over)
    with proxied(place.server.port) as proxy:
        try:
            deliver(place, payload, way_of(profile, over), proxy.port)
        except DeliveryRefused:
            assert (profile, over) == ("rename", OLD)
        total = proxy.passed["up"]
    half = CUTS // 2
    everywhere = [total * cut // (half + 1) for cut in range(1, half + 1)]
    return everywhere + [total - 1200 * cut // half for cut in range(half)]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("over", [None, OLD], ids=["new name", "over an older file"])
@pytest.mark.parametrize("profile", PROFILES)
def test_a_cut_at_any_byte_shows_the_partner_no_part_of_a_file(
    place: Place, payload: Path, profile: str, over: bytes | None
) -> None:
    way, broken = way_of(profile, over), 0
    promised = over is not None and profile != "done_marker"
    with counting(f"connections cut, read every 5 ms ({profile}, {place.server.kind})") as figures:
        for cut in offsets(place, payload, profile, over):
            lay_out(place, profile, over)
            partner = Partner(place, ".done" if profile == "done_marker" else "")
            error: CallboardError | None = None
            with proxied(place.server.port, Break(up=cut)) as proxy, partner.looking():
                try:
                    deliver(place, payload, way, proxy.port)
                except CallboardError as caught:
                    error = caught
            broken += error is not None
            figures.tries += 1
            figures.partial += partner.partial
            visible = [NEW, over] if error is None or isinstance(error, DeliveryUncertain) else [over]
            if promised:
                assert partner.looks > 0
                figures.lost += place.content("out.csv") not in visible
            figures.wrong += error is not None and not (error.retryable or isinstance(error, DeliveryRefused))
            assert not figures.faults, f"cut at {cut}: {error}"
            try:  # the next try mends whatever the last one left
                deliver(place, payload, way, place.server.port)
            except DeliveryRefused:
                assert (profile, over) == ("rename", OLD)
            figures.lost += place.content("out.csv") != (OLD if (profile, over) == ("rename", OLD) else NEW)
            assert not figures.faults, f"cut at {cut}, then again"
    assert broken > CUTS * 3 // 4


def test_the_same_cuts_are_seen_when_a_file_is_written_in_place(place: Place, payload: Path) -> None:
    """The measure of the test above: what it must be able to see."""
    lay_out(place, "posix_rename", OLD)
    partner = Partner(place)
    with (
        proxied(place.server.port, Break(up=len(NEW) // 2)) as proxy,
        partner.looking(),
        pytest.raises(CallboardError),
        open_sftp(place.target(port=proxy.port), place.folder) as session,
    ):
        session.upload(payload, "out.csv")
    assert partner.partial > 0
    assert place.content("out.csv") not in (OLD, NEW)

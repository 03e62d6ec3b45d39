"""Publishing by a done marker: what a try finds at the partner, and what it makes of it.

Against OpenSSH and the sandbox. The table is that of docs/runbooks/sftp-profiles.md.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from include.destinations.sftp import open_sftp
from include.effects import observed_by
from include.errors import DeliveryRefused, DeliveryUncertain
from include.ledger.records import PayloadFile
from include.run.publishing import ByMarker
from tests.destinations.conftest import Place, needs_sshd
from tests.support import sftp_servers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.sftp_servers import SftpServer

OURS = b"ProviderID,StartDate\r\n1,2\r\n" * 5_000
#: What may be under the final name: nothing, what we write, its beginning, or anything else.
UNDER = {
    "nothing": None,
    "ours": OURS,
    "a part": OURS[:70_000],
    "other": b"ProviderID,StartDate\r\n9,9\r\n",
    "empty": b"",
}
FILE = PayloadFile("out.csv", "out.csv", hashlib.sha256(OURS).hexdigest(), len(OURS), 5_000)
REFUSED, UNCHANGED, WRITTEN, MARKED = "refused", "unchanged", "written", "marked"

#: (under the name, marker there) -> what staging makes of it: a numbered name, and one that is used again.
STAGE = {
    ("nothing", False): (WRITTEN, WRITTEN),
    ("ours", False): (UNCHANGED, WRITTEN),
    ("a part", False): (WRITTEN, WRITTEN),
    ("empty", False): (WRITTEN, WRITTEN),
    ("other", False): (REFUSED, WRITTEN),
    ("nothing", True): (WRITTEN, WRITTEN),
    ("ours", True): (UNCHANGED, WRITTEN),
    ("a part", True): (REFUSED, WRITTEN),
    ("other", True): (REFUSED, WRITTEN),
}
#: The same once STAGED is recorded, for publishing.
PUBLISH = {
    ("nothing", False): (UNCHANGED, UNCHANGED),
    ("ours", False): (MARKED, MARKED),
    ("a part", False): (REFUSED, MARKED),
    ("other", False): (REFUSED, MARKED),
    ("nothing", True): (UNCHANGED, UNCHANGED),
    ("ours", True): (UNCHANGED, UNCHANGED),
    ("other", True): (UNCHANGED, UNCHANGED),
}


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    path = tmp_path / "payload"
    path.write_bytes(OURS)
    return path


def found(place: Place, under: str, marked: bool) -> tuple[bytes | None, bytes | None]:
    """Lay out what a try finds; the content of both names."""
    for name, data in (("out.csv", UNDER[under]), ("out.csv.done", b"" if marked else None)):
        (place.local / name).unlink(missing_ok=True)
        if data is not None:
            (place.local / name).write_bytes(data)
    return here(place)


def here(place: Place) -> tuple[bytes | None, bytes | None]:
    return place.content("out.csv"), place.content("out.csv.done")


@pytest.mark.parametrize("replace", [False, True], ids=["numbered", "one name"])
def test_what_staging_makes_of_what_it_finds(place: Place, payload: Path, replace: bool) -> None:
    way = ByMarker(".done", replace=replace)
    with open_sftp(place.target(), place.folder) as session:
        for (under, marked), expected in STAGE.items():
            before = found(place, under, marked)
            if expected[replace] == REFUSED:
                with pytest.raises(DeliveryRefused, match="another file named"):
                    way.stage(FILE, payload, session)
                assert here(place) == before, (under, marked)
                continue
            way.stage(FILE, payload, session)
            after = before if expected[replace] == UNCHANGED else (OURS, None)
            assert here(place) == after, (under, marked)


@pytest.mark.parametrize("replace", [False, True], ids=["numbered", "one name"])
def test_what_publishing_makes_of_what_it_finds(place: Place, payload: Path, replace: bool) -> None:
    way = ByMarker(".done", replace=replace)
    with open_sftp(place.target(), place.folder) as session:
        for (under, marked), expected in PUBLISH.items():
            before = found(place, under, marked)
            effects: list[str] = []
            with observed_by(lambda name, _, seen=effects: seen.append(name)):
                if expected[replace] == REFUSED:
                    with pytest.raises(DeliveryRefused, match="another file named"):
                        way.publish(FILE, payload, session)
                else:
                    way.publish(FILE, payload, session)
            assert here(place) == ((OURS, b"") if expected[replace] == MARKED else before), (under, marked)
            assert bool(effects) is (expected[replace] == MARKED), (under, marked)


def test_discarding_removes_what_is_ours_and_unmarked(place: Place, payload: Path) -> None:
    with open_sftp(place.target(), place.folder) as session:
        for replace in (False, True):
            way = ByMarker(".done", replace=replace)
            for under in UNDER:
                before = found(place, under, marked=False)
                way.discard(FILE, payload, session)
                assert here(place) == (before if under == "other" else (None, None)), under
                before = found(place, under, marked=True)
                way.discard(FILE, payload, session)
                assert here(place) == before, under


def test_an_older_file_is_gone_before_its_marker_and_both_before_the_first_byte(place: Place, payload: Path) -> None:
    """A paused try that wakes up between the two never leaves an old content under a new marker."""
    found(place, "other", marked=True)
    seen: list[tuple[str, str, bool, bool]] = []

    def observer(name: str, moment: str) -> None:
        there = here(place)
        seen.append((name, moment, there[0] is not None, there[1] is not None))

    way = ByMarker(".done", replace=True)
    with open_sftp(place.target(), place.folder) as session, observed_by(observer):
        way.stage(FILE, payload, session)
    assert seen == [
        ("sftp.remove", "before", True, True),
        ("sftp.remove", "after", False, True),
        ("sftp.remove", "before", False, True),
        ("sftp.remove", "after", False, False),
        ("sftp.upload", "before", False, False),
        ("sftp.upload", "after", True, False),
    ]


def test_two_tries_at_once_write_the_same_file(place: Place, payload: Path) -> None:
    """One is stopped in the middle, the other completes, is marked and goes; then the first one goes on."""
    way = ByMarker(".done", replace=False)
    with open_sftp(place.target(), place.folder) as late, open_sftp(place.target(), place.folder) as session:
        found(place, "a part", marked=False)

        def newer_try(name: str, moment: str) -> None:
            if (name, moment) == ("sftp.upload", "before") and place.content("out.csv.done") is None:
                with observed_by(lambda *_: None):
                    way.stage(FILE, payload, session)
                    way.publish(FILE, payload, session)

        with observed_by(newer_try):
            way.stage(FILE, payload, late)
    assert here(place) == (OURS, b"")


def test_a_file_that_appears_while_it_is_written_is_uncertain(place: Place, payload: Path) -> None:
    way = ByMarker(".done", replace=False)
    found(place, "nothing", marked=False)

    def other_try(name: str, moment: str) -> None:
        if (name, moment) == ("sftp.upload", "before"):
            (place.local / "out.csv").write_bytes(OURS)

    uncertain = pytest.raises(DeliveryUncertain, match="appeared or vanished")
    with open_sftp(place.target(), place.folder) as session, observed_by(other_try), uncertain:
        way.stage(FILE, payload, session)
    assert place.content("out.csv") == OURS


@pytest.mark.parametrize("request_", ["CLOSE", "OPEN"])
def test_a_lost_answer_to_the_marker_is_uncertain(sandbox_server: SftpServer, payload: Path, request_: str) -> None:
    place = Place(sandbox_server)
    found(place, "ours", marked=False)
    sandbox_server.set_faults({"match": rf"^{request_} .*\.done$", "drop_after_commit": True})
    uncertain = pytest.raises(DeliveryUncertain, match="marking")
    with open_sftp(place.target(), place.folder) as session, uncertain:
        session.mark("out.csv.done")
    assert here(place) == (OURS, b"")


@needs_sshd
def test_a_server_that_knows_no_rename_is_told_which_profile_it_needs(tmp_path: Path, payload: Path) -> None:
    with sftp_servers.openssh(tmp_path / "plain", sftp_options="-P rename,posix-rename") as plain:
        place = Place(plain)
        with open_sftp(place.target(), place.folder) as session:
            session.upload(payload, ".part")
            for replace in (True, False):
                with pytest.raises(DeliveryRefused, match=r"did not re.*done_marker"):
                    session.publish(".part", "out.csv", replace=replace)
            way = ByMarker(".done", replace=False)
            way.stage(FILE, payload, session)
            assert way.publish(FILE, payload, session) == "done_marker"
        assert here(place) == (OURS, b"")

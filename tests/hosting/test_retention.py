"""Files whose time is over, and those that only look like it."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from include.hosting.folders import make_account
from include.hosting.retention import sweep
from tests.hosting.hosted import ALONE, names, wait_for

pytestmark = ALONE
DAY = 86_400
NUMBER, OTHER = 20_000, 20_001


@pytest.fixture
def home():
    if os.geteuid() != 0:
        pytest.skip("only root can act as an account")
    with tempfile.TemporaryDirectory() as folder:  # those of pytest are for root alone; an account must reach its own
        Path(folder).chmod(0o755)
        home = Path(folder) / "mercy"
        make_account(home, NUMBER, ("outbound", "inbound"))
        yield home


def put(folder, name: str, owner: int = NUMBER) -> None:
    (folder / name).write_text("12345")
    os.chown(folder / name, owner, owner)


def test_old_files_go_and_young_ones_stay(home):
    put(home / "outbound", "a.csv")
    put(home / "inbound", ".b.csv.part")
    now = time.time()
    assert sweep(home, NUMBER, 30, now + 29.9 * DAY).removed == 0
    swept = sweep(home, NUMBER, 30, now + 30.1 * DAY)
    assert (swept.removed, swept.size, swept.failed) == (2, 10, 0)
    assert names(home) == ["dev", "inbound", "outbound"]


def test_folders_stay_and_what_is_in_them_goes(home):
    inner = home / "outbound" / "2026"
    inner.mkdir()
    os.chown(inner, NUMBER, NUMBER)
    put(inner, "a.csv")
    assert sweep(home, NUMBER, 30, time.time() + 31 * DAY).removed == 1
    assert inner.is_dir()


def test_a_file_that_has_just_come_stays_whatever_its_time_of_writing(home):
    put(home / "inbound", "people.csv")
    os.utime(home / "inbound" / "people.csv", (0, 0))
    assert sweep(home, NUMBER, 30, time.time() + 29 * DAY).removed == 0


def test_a_file_that_is_still_written_stays(home):
    put(home / "inbound", "people.csv.part")
    later = time.time() + 40 * DAY
    os.utime(home / "inbound" / "people.csv.part", (later, later))
    assert sweep(home, NUMBER, 30, later + 29 * DAY).removed == 0


def test_a_link_leads_nowhere(home):
    elsewhere = home.with_name("stluke")
    make_account(elsewhere, OTHER, ("outbound",))
    elsewhere.joinpath("outbound").chmod(0o777)  # what sshd keeps apart, the sweep must not bring together
    put(elsewhere / "outbound", "theirs.csv", OTHER)
    (home / "outbound" / "way").symlink_to(elsewhere / "outbound")
    (home / "outbound" / "file").symlink_to(elsewhere / "outbound" / "theirs.csv")
    assert sweep(home, NUMBER, 30, time.time() + 31 * DAY).removed == 0
    assert (elsewhere / "outbound" / "theirs.csv").exists()


def test_it_is_done_with_the_rights_of_the_account(home):
    """A file of somebody else in a folder of somebody else, as if a folder had been swapped for it meanwhile."""
    foreign = home / "outbound" / "foreign"
    foreign.mkdir(mode=0o755)
    put(foreign, "a.csv", OTHER)
    swept = sweep(home, NUMBER, 30, time.time() + 31 * DAY)
    assert (swept.removed, swept.failed) == (0, 1)
    assert (foreign / "a.csv").exists()
    assert os.geteuid() == 0
    assert os.getegid() == 0


def test_a_home_that_cannot_be_reached_is_counted(home):
    home.parent.chmod(0o700)
    assert sweep(home, NUMBER, 30, time.time()).failed == 1
    assert os.geteuid() == 0


def test_a_folder_that_cannot_be_read_is_counted(home):
    shut = home / "outbound" / "shut"
    shut.mkdir(mode=0o700)
    swept = sweep(home, NUMBER, 30, time.time() + 31 * DAY)
    assert (swept.removed, swept.failed) == (0, 1)


LATER = """\
import runpy, sys, time
really, days = time.time, {days}
time.time = lambda: really() + days * 86400
sys.argv[0] = "include.hosting"
runpy.run_module("include.hosting", run_name="__main__")
"""


def test_the_service_removes_and_says_so(service):
    """A machine whose clock is 40 days ahead, with one account that keeps files for less and one for longer."""
    service.write_accounts(
        'accounts:\n  mercy: {{keys: ["{mercy}"], retention_days: 30}}\n'
        '  stluke: {{keys: ["{stluke}"], retention_days: 50}}\n'
    )
    service.start(program=["-c", LATER.format(days=0)])
    for account in ("mercy", "stluke"):
        with service.session(account) as sftp:
            for name in ("outbound/a.csv", "outbound/b.csv", "inbound/c.csv"):
                sftp.open(name, "w").close()
    service.stop()
    assert "removed" not in service.log.replace("Removed", "")

    service.start(program=["-c", LATER.format(days=40)])
    wait_for(lambda: "mercy: 3 file(s) older than 30 days removed, 0 bytes." in service.log, "the removal")
    with service.session("stluke") as sftp:
        assert len(sftp.listdir("outbound")) == 2
    service.write_accounts(
        'accounts:\n  stluke: {{keys: ["{stluke}"], retention_days: 39, disabled: true}}\n'
        '  mercy: {{keys: ["{mercy}"], retention_days: 30}}\n'
    )
    wait_for(lambda: "stluke: 3 file(s) older than 39 days removed" in service.log, "the other removal")

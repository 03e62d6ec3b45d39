"""The waker as a process: it hears of commits, waits out bursts, and comes back from whatever breaks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest

from include.database import dispose_engines
from include.errors import ConfigurationError
from include.platform.healthy import turns
from include.platform.signals import Stopped
from include.platform.waker.service import Pace, go_on, wait_for_quiet
from include.platform.waker.waking import Waking
from include.settings import PROJECT_ROOT, wakes
from tests.platform.waker.conftest import ASSET
from tests.support.store import query
from tests.support.tcp_proxy import proxied
from tests.support.whole_platform import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.platform.watch.conftest import Installation

#: It neither looks by itself nor waits long: whatever is seen was heard.
QUICK = Pace(quiet=0.05, longest=0.3, tick=0.1, safety=3600, first_pause=0.05, last_pause=0.2)


class Asked:
    """Stands for the signals of a process."""

    def __init__(self) -> None:
        self.stop = threading.Event()

    def pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Stopped


@contextmanager
def running(hospital: Installation, dsn: str, pace: Pace = QUICK) -> Iterator[None]:
    """A waker that runs, in a thread, listens at ``dsn`` and has looked once."""
    signals = Asked()
    waking = Waking(hospital.services, hospital.api)
    thread = threading.Thread(target=go_on, args=(dsn, waking, signals, pace))
    thread.start()
    try:
        wait_until(lambda: hospital.sql("SELECT 1 FROM wake_mark"), 30, "the first look")
        wait_until(lambda: listeners(hospital), 30, "the waker")
        hospital.airflow.woken.clear()
        yield
        assert thread.is_alive()
    finally:
        signals.stop.set()
        thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def awake(hospital: Installation) -> Iterator[Installation]:
    """An installation whose waker runs."""
    with running(hospital, hospital.services.settings.ledger_dsn):
        yield hospital


def change(hospital: Installation, note: str) -> None:
    query(hospital.services.settings.schedule_dsn, "UPDATE schedules SET note = %s WHERE slot_id = 'S1'", note)


def listeners(hospital: Installation) -> list[Any]:
    with psycopg.connect(hospital.admin_dsn) as server:
        return server.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'callboard waker' AND query LIKE 'LISTEN%'"
        ).fetchall()


def woken(hospital: Installation, times: int = 1) -> None:
    wait_until(lambda: len(hospital.airflow.woken) >= times, 30, "the feed to be woken")


def test_a_commit_is_heard(awake):
    change(awake, "a")
    woken(awake)
    assert set(awake.airflow.woken) == {ASSET}


def test_a_connection_that_is_cut_before_or_after_a_change_loses_none(awake):
    for round_ in range(1, 4):
        with psycopg.connect(awake.admin_dsn, autocommit=True) as server:
            [(pid,)] = listeners(awake)
            if round_ % 2:
                change(awake, str(round_))
            server.execute("SELECT pg_terminate_backend(%s)", [pid])
            if not round_ % 2:
                change(awake, str(round_))
        woken(awake, round_)
        wait_until(lambda: listeners(awake), 30, "the waker to listen again")
        wait_until(lambda: not unseen(awake), 30, "the mark")
        del awake.airflow.woken[round_:]


def test_a_connection_that_falls_silent_is_noticed_by_what_was_not_heard(hospital):
    """Nothing breaks, and no commit is heard any more: a look by the clock finds one, and the waker listens anew."""
    dsn = urlsplit(hospital.services.settings.ledger_dsn)
    with proxied(dsn.port or 0) as proxy:
        through = dsn._replace(netloc=dsn.netloc.replace(f":{dsn.port}", f":{proxy.port}")).geturl()
        with running(hospital, through, replace(QUICK, safety=0.5)):
            assert proxy.connections == 1
            proxy.strike("hole")
            change(hospital, "unheard")
            woken(hospital)
            wait_until(lambda: proxy.connections > 1, 30, "the waker to listen anew")


def test_whatever_is_wrong_with_the_store_the_waker_goes_on_and_its_log_quotes_nothing(awake, caplog):
    def rename(old: str, new: str) -> None:
        with psycopg.connect(awake.admin_dsn) as server:
            server.execute(f"ALTER TABLE schedule.change_logs RENAME COLUMN {old} TO {new}")
            server.execute("NOTIFY callboard_changes")

    rename("entity", "something")
    try:
        wait_until(lambda: "Nothing is lost" in caplog.text, 30, "its stumbling")
    finally:
        rename("something", "entity")
    change(awake, "a")
    woken(awake)
    assert "UndefinedColumn at include/sources/changes.py:" in caplog.text
    assert "entity" not in caplog.text


def unseen(hospital: Installation) -> bool:
    """Whether the mark is behind the newest change."""
    return bool(
        hospital.sql(
            "SELECT 1 FROM schedule.change_logs, wake_mark WHERE xid >= pg_snapshot_xmin(seen)"
            " AND NOT pg_visible_in_snapshot(xid, seen) LIMIT 1"
        )
    )


def test_an_airflow_that_comes_back_is_told_what_happened_meanwhile(awake):
    awake.airflow.down = ("POST /api/v2/assets/events",)
    change(awake, "a")
    wait_until(lambda: "POST /api/v2/assets/events" in awake.airflow.requests, 30, "a try")
    assert awake.airflow.woken == []
    awake.airflow.down = ()
    woken(awake)
    wait_until(lambda: not unseen(awake), 30, "the mark")


def test_five_thousand_changes_are_few_events_and_the_last_one_is_seen(awake):
    dsn = awake.services.settings.schedule_dsn
    with psycopg.connect(dsn, autocommit=True) as store:
        for number in range(5000):
            store.execute("UPDATE schedules SET note = %s WHERE slot_id = 'S1'", [str(number)])
    wait_until(lambda: not unseen(awake), 60, "the mark")
    began = awake.sql("SELECT extract(epoch FROM max(changed_at) - min(changed_at)) FROM schedule.change_logs")[0][0]
    # At most one a `longest`, one that was on its way, and one at the end.
    assert 1 <= len(awake.airflow.woken) <= float(began) / QUICK.longest + 3


class Clock:
    """Time that passes only while somebody listens."""

    def __init__(self, *heard_after: float) -> None:
        self.now, self.heard_after = 0.0, list(heard_after)

    def hears(self, seconds: float) -> bool:
        if self.heard_after and self.heard_after[0] <= seconds:
            self.now += self.heard_after.pop(0)
            return True
        self.now += seconds
        return False


@pytest.mark.parametrize(
    ("heard", "until"),
    [((), 0.05), ((0.03,), 0.08), ((0.03, 0.04, 0.3), 0.12), ((0.04,) * 50, 1.0), ((0.06,), 0.05)],
)
def test_a_burst_ends_with_quiet_but_is_looked_at_after_a_second_at_most(heard, until):
    clock = Clock(*heard)
    wait_for_quiet(clock.hears, Pace(), lambda: clock.now)
    assert clock.now == pytest.approx(until)


def test_it_ends_when_it_is_asked_to_whatever_is_down(hospital, caplog):
    hospital.airflow.down = ("GET /", "POST /")
    signals = Asked()
    waking = Waking(hospital.services, hospital.api)
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    thread = threading.Thread(target=go_on, args=(nowhere, waking, signals, QUICK))
    thread.start()
    wait_until(lambda: "Nothing is lost" in caplog.text, 30, "a try")
    signals.stop.set()
    thread.join(30)
    assert not thread.is_alive()
    dispose_engines()


@pytest.mark.parametrize(("said", "expected"), [("", True), ("on", True), ("off", False)])
def test_it_can_be_switched_off(monkeypatch, said, expected):
    monkeypatch.setenv("CALLBOARD_WAKER", said)
    assert wakes() is expected


def test_switched_off_as_a_container_it_stays_and_touches_nothing(tmp_path):
    """It asks neither for a store nor for Airflow: there are none here."""
    nothing = {name: value for name, value in os.environ.items() if not name.startswith("CALLBOARD_")}
    log = tmp_path / "log"
    with log.open("wb") as sink:
        waker = subprocess.Popen(
            [sys.executable, "callboard", "waker"],
            cwd=PROJECT_ROOT,
            env=nothing | {"CALLBOARD_WAKER": "off", "CALLBOARD_VAR": str(tmp_path)},
            stderr=sink,
        )
    try:
        wait_until(
            lambda: "changes wake no feed" in log.read_text("utf-8") or waker.poll() is not None, 60, "the waker"
        )
        turns(["callboard", "waker"])  # the health check of its container
    finally:
        waker.terminate()
    assert waker.wait(timeout=60) == 0, log.read_text("utf-8")


def test_whatever_is_neither_on_nor_off_is_refused(monkeypatch):
    monkeypatch.setenv("CALLBOARD_WAKER", "no")
    with pytest.raises(ConfigurationError, match="'no'"):
        wakes()

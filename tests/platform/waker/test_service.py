"""The waker as a process: it hears of commits, waits out bursts, and comes back from whatever breaks."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from include.database import dispose_engines
from include.platform.signals import Stopped
from include.platform.waker.service import Pace, go_on, wait_for_quiet
from include.platform.waker.waking import Waking
from tests.platform.waker.conftest import ASSET
from tests.support.store import query
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


@pytest.fixture
def awake(hospital: Installation) -> Iterator[Installation]:
    """An installation whose waker runs, in a thread, and has looked once."""
    signals, dsn = Asked(), hospital.services.settings.ledger_dsn
    waking = Waking(hospital.services, hospital.api)
    thread = threading.Thread(target=go_on, args=(dsn, waking, signals, QUICK))
    thread.start()
    wait_until(lambda: hospital.sql("SELECT 1 FROM wake_mark"), 30, "the first look")
    wait_until(lambda: listeners(hospital), 30, "the waker")
    hospital.airflow.woken.clear()
    yield hospital
    signals.stop.set()
    thread.join(30)
    assert not thread.is_alive()


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
    [((), 0.2), ((0.1,), 0.3), ((0.1, 0.15, 0.3), 0.45), ((0.1,) * 50, 1.0), ((0.25,), 0.2)],
)
def test_a_burst_ends_with_quiet_but_is_looked_at_after_a_second_at_most(heard, until):
    clock = Clock(*heard)
    wait_for_quiet(clock.hears, Pace(), lambda: clock.now)
    assert clock.now == pytest.approx(until)


def test_it_ends_when_it_is_asked_to_whatever_is_down(hospital, monkeypatch):
    hospital.airflow.down = ("GET /", "POST /")
    signals = Asked()
    waking = Waking(hospital.services, hospital.api)
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    thread = threading.Thread(target=go_on, args=(nowhere, waking, signals, QUICK))
    thread.start()
    time.sleep(0)  # it may or may not have tried by now
    signals.stop.set()
    thread.join(30)
    assert not thread.is_alive()
    dispose_engines()

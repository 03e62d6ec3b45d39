"""What is found, what is told: time is passed in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from include.platform.watch.alarms import Alarm, advance, due, told
from include.platform.watch.memory import AWAY, Memory, recall, remember
from include.platform.watch.trouble import Findings, Trouble

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 3, 4, 12, tzinfo=UTC)
CONFIRM = timedelta(seconds=60)


def trouble(key: str = "airflow.scheduler", **more: str) -> Trouble:
    return Trouble(key, "the title", more.get("what", "what"), ("the next step",), "it is over")


class Watched:
    """Rounds at given seconds; every mail that is due is sent, unless the mail server is down."""

    def __init__(self) -> None:
        self.alarms: dict[str, Alarm] = {}
        self.next_number = 1
        self.smtp_is_up = True
        self.mails: list[tuple[int, str, str, int]] = []

    def round(self, second: int, *troubles: Trouble, looked: tuple[str, ...] = ("airflow",)) -> None:
        now = START + timedelta(seconds=second)
        found = Findings()
        for area in looked:
            found.looked(area, *(each for each in troubles if each.key.partition(".")[0] == area))
        self.next_number = advance(self.alarms, found, now, CONFIRM, self.next_number)
        for mail in due(self.alarms, found, now, CONFIRM):
            if self.smtp_is_up:
                self.mails.append((second, mail.news, mail.alarm.trouble.key, mail.alarm.number))
                told(self.alarms, mail, now)

    def news(self) -> list[tuple[int, str]]:
        return [(second, news) for second, news, _, _ in self.mails]


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_one_mail_when_it_begins_and_one_when_it_is_over(watched: Watched) -> None:
    for second in range(0, 300, 10):
        watched.round(second, trouble())
    assert watched.news() == [(60, "open")]
    for second in range(300, 600, 10):
        watched.round(second)
    assert watched.news() == [(60, "open"), (360, "closed")]
    assert watched.alarms == {}


def test_what_is_started_again_within_seconds_is_no_news(watched: Watched) -> None:
    watched.round(0, trouble())
    watched.round(50, trouble())
    watched.round(55)
    for second in range(60, 200, 10):
        watched.round(second)
    assert watched.mails == []
    # Each hiccup is counted from its own beginning.
    watched.round(200, trouble())
    watched.round(259, trouble())
    assert watched.mails == []


def test_a_single_look_tells_nothing_however_long_nobody_looked(watched: Watched) -> None:
    watched.round(0, trouble())
    watched.round(3000, looked=())
    assert watched.mails == []
    watched.round(3010)
    assert watched.alarms == {}


def test_what_is_gone_for_a_moment_is_not_over(watched: Watched) -> None:
    watched.round(0, trouble())
    watched.round(60, trouble())
    watched.round(70)
    watched.round(120)
    watched.round(125, trouble())
    watched.round(190)
    watched.round(240)
    assert watched.news() == [(60, "open")]
    watched.round(250)
    assert watched.news() == [(60, "open"), (250, "closed")]


def test_what_nobody_looked_at_has_neither_begun_nor_ended(watched: Watched) -> None:
    watched.round(0, trouble())
    watched.round(60, trouble())
    for second in range(70, 1000, 10):
        watched.round(second, trouble("api_server"), looked=("api_server",))
    assert [(news, key) for _, news, key, _ in watched.mails] == [
        ("open", "airflow.scheduler"),
        ("open", "api_server"),
    ]
    watched.round(1000)
    watched.round(1010, looked=("api_server",))
    watched.round(1070, looked=("api_server",))
    assert watched.mails[2:] == [(1070, "closed", "api_server", 2)]
    watched.round(1080)
    assert watched.mails[3:] == [(1080, "closed", "airflow.scheduler", 1)]


def test_a_day_later_people_are_reminded_once_a_day(watched: Watched) -> None:
    day = 24 * 3600
    for second in range(0, 3 * day, 3600):
        watched.round(second, trouble())
    assert watched.news() == [(3600, "open"), (3600 + day, "digest"), (3600 + 2 * day, "digest")]


def test_a_silent_mail_server_loses_no_news(watched: Watched) -> None:
    watched.smtp_is_up = False
    for second in range(0, 600, 10):
        watched.round(second, trouble())
    watched.smtp_is_up = True
    watched.round(600, trouble())
    watched.round(610, trouble())
    assert watched.news() == [(600, "open")]


def test_what_came_and_went_while_no_mail_could_leave_is_told_afterwards(watched: Watched) -> None:
    watched.smtp_is_up = False
    watched.round(0, trouble())
    watched.round(60, trouble())
    for second in range(70, 300, 10):
        watched.round(second)
    watched.smtp_is_up = True
    watched.round(300)
    watched.round(310)
    assert watched.news() == [(300, "closed")]


def test_it_begins_again_under_a_new_number(watched: Watched) -> None:
    for begin in (0, 1000):
        watched.round(begin, trouble())
        watched.round(begin + 60, trouble())
        watched.round(begin + 70)
        watched.round(begin + 130)
    assert [(news, number) for _, news, _, number in watched.mails] == [
        ("open", 1),
        ("closed", 1),
        ("open", 2),
        ("closed", 2),
    ]


def test_a_restart_repeats_nothing_and_forgets_nothing(tmp_path: Path) -> None:
    file = tmp_path / "watch.json"
    before = Watched()
    before.round(0, trouble())
    before.round(60, trouble(what="as it was last seen"))
    memory = Memory.empty(START)
    memory.alarms, memory.next_number = before.alarms, before.next_number
    remember(file, memory)
    assert file.stat().st_mode & 0o777 == 0o600

    after = Watched()
    kept = recall(file, START)
    assert kept == memory
    after.alarms, after.next_number = kept.alarms, kept.next_number
    after.round(70, trouble())
    assert after.mails == []
    after.round(80)
    after.round(140)
    assert after.news() == [(140, "closed")]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"round_at": "yesterday"}', b"\xff\xfe"])
def test_a_damaged_memory_is_an_empty_one(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "watch.json"
    file.write_bytes(content)
    assert recall(file, START) == Memory.empty(START)


def test_a_memory_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    remember(tmp_path / "no such folder" / "watch.json", Memory.empty(START))


def test_a_long_absence_begins_the_watch_anew_and_a_short_one_does_not() -> None:
    memory = Memory.empty(START)
    memory.begin_round(START + AWAY, {"a"})
    assert memory.watching_since == START
    memory.begin_round(START + 3 * AWAY, {"a", "b"})
    assert memory.watching_since == START + 3 * AWAY
    assert memory.feeds == {"a": START + AWAY, "b": START + 3 * AWAY}
    memory.begin_round(START + 3 * AWAY, {"b"})
    assert memory.feeds == {"b": START + 3 * AWAY}

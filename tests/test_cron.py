"""When a clock strikes, and when it has struck twice for nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.cron import interval, missed_twice

NEW_YORK = "America/New_York"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("*/5 * * * *", timedelta(minutes=5)),
        ("0 2 * * *", timedelta(days=1)),
        ("0 6 * * 1", timedelta(days=7)),
        ("", timedelta.max),
    ],
)
def test_the_interval_is_that_of_the_next_two_strikes(schedule: str, expected: timedelta) -> None:
    assert interval(schedule) == expected


@pytest.mark.parametrize(
    ("schedule", "zone", "since", "expected"),
    [
        ("*/5 * * * *", "UTC", "2026-03-04T12:00:20", "2026-03-04T12:10:20"),
        ("*/5 * * * *", "UTC", "2026-03-04T12:04:59", "2026-03-04T12:14:59"),
        ("*/5 * * * *", "UTC", "2026-03-04T12:05:00", "2026-03-04T12:15:00"),
        ("0 2 * * *", "UTC", "2026-03-04T02:03:00", "2026-03-06T02:03:00"),
        # Out of its turn, in the afternoon.
        ("0 2 * * *", "UTC", "2026-03-04T15:00:00", "2026-03-06T15:00:00"),
        # Both nights in which the clocks are changed pass without an alarm that the wall clock does not justify.
        ("*/5 * * * *", NEW_YORK, "2026-03-08T06:58:10", "2026-03-08T07:08:10"),
        ("*/5 * * * *", NEW_YORK, "2026-11-01T05:58:10", "2026-11-01T06:08:10"),
        ("0 2 * * *", NEW_YORK, "2026-03-06T07:01:00", "2026-03-08T07:01:00"),
        ("0 4 * * *", NEW_YORK, "2026-03-07T09:01:00", "2026-03-09T08:01:00"),
        ("0 4 * * *", NEW_YORK, "2026-10-31T08:01:00", "2026-11-02T09:01:00"),
        # Weekdays at eight: what was delivered on Friday is not stale on Sunday, but on Tuesday.
        ("0 8 * * 1-5", "UTC", "2026-03-06T08:01:00", "2026-03-10T08:01:00"),
        ("0 8 * * 1-5", "UTC", "2026-03-04T08:01:00", "2026-03-06T08:01:00"),
        # By hand on Sunday: at most one distance of the strikes is added.
        ("0 8 * * 1-5", "UTC", "2026-03-08T12:00:00", "2026-03-11T08:00:00"),
    ],
)
def test_two_strikes_for_nothing_are_twice_the_interval(schedule: str, zone: str, since: str, expected: str) -> None:
    assert missed_twice(schedule, zone, at(since)) == at(expected)


def test_what_has_no_schedule_misses_nothing() -> None:
    assert missed_twice("", "UTC", at("2026-03-04T12:00:00")) is None

"""What a run must read: rolling windows, and pay periods of all and of single pay groups."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from include.errors import ConfigurationError
from include.frames import GroupDays, Span
from include.integration import Slots
from include.mappings.pay_periods import Recurrence
from include.plan.windows import pay_period, span_of

PAID = Slots("pay_period")


def mapping(**settings: Any) -> Any:
    return SimpleNamespace(feed="paid", time_zone=None, window=None, settings=SimpleNamespace(**settings))


def span(moment: str, **settings: Any) -> Span:
    return span_of(PAID, mapping(**settings), datetime.fromisoformat(moment), "America/New_York")


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [
        ("2026-01-04", "2026-01-04", "2026-01-17"),
        ("2026-01-17", "2026-01-04", "2026-01-17"),
        ("2026-01-18", "2026-01-18", "2026-01-31"),
        ("2026-01-03", "2025-12-21", "2026-01-03"),  # before the anchor
    ],
)
def test_a_pay_period_is_counted_from_its_anchor_both_ways(day: str, first: str, last: str) -> None:
    dates = (date.fromisoformat(each) for each in (first, last))
    assert pay_period(date.fromisoformat(day), date(2026, 1, 4), 14) == tuple(dates)


def test_the_pay_period_is_that_of_today_on_the_feeds_clock() -> None:
    recurrence = Recurrence(anchor=date(2026, 3, 1), days=14)
    before = span("2026-03-15T03:59:00+00:00", recurrence=recurrence)  # still the 14th in New York
    assert before == Span("pay_period", date(2026, 3, 1), date(2026, 3, 14), "2026-03-01")
    assert span("2026-03-15T04:00:00+00:00", recurrence=recurrence).first_day == date(2026, 3, 15)


def test_pay_groups_that_have_their_own_are_named_and_the_epoch_is_all_their_first_days() -> None:
    everybody = Recurrence(anchor=date(2026, 3, 1), days=14)
    own = {
        "west": Recurrence(anchor=date(2026, 2, 22), days=14),
        "east": Recurrence(anchor=date(2026, 3, 1), days=14),
        "weekly": Recurrence(anchor=date(2026, 3, 1), days=7),
    }
    found = span("2026-03-09T12:00:00+00:00", recurrence=everybody, pay_periods=own)
    assert found.groups == (
        GroupDays("east", date(2026, 3, 1), date(2026, 3, 14)),
        GroupDays("weekly", date(2026, 3, 8), date(2026, 3, 14)),
        GroupDays("west", date(2026, 3, 8), date(2026, 3, 21)),
    )
    assert found.epoch == "2026-03-01,2026-03-08"
    assert found.days_of("west") == (date(2026, 3, 8), date(2026, 3, 21))
    assert found.days_of("north") == found.days_of(None) == (date(2026, 3, 1), date(2026, 3, 14))


def test_a_feed_of_pay_periods_without_a_recurrence_says_what_it_needs() -> None:
    with pytest.raises(ConfigurationError, match="no recurrence"):
        span_of(PAID, mapping(), datetime(2026, 3, 1, tzinfo=UTC), "UTC")

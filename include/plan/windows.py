"""Which slots a run concerns: rolling windows and pay periods. Pure date arithmetic."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from include.clock import business_date
from include.errors import ConfigurationError
from include.frames import GroupDays, Span

if TYPE_CHECKING:
    from include.integration import Slots
    from include.mappings.pay_periods import Recurrence
    from include.mappings.schema import FeedMapping


def pay_period(today: date, anchor: date, days: int) -> tuple[date, date]:
    """First and last day of the period of ``days`` days that holds ``today``, one of which begins on ``anchor``."""
    first = anchor + timedelta(days=(today - anchor).days // days * days)
    return first, first + timedelta(days=days - 1)


def span_of(source: Slots, mapping: FeedMapping, now: datetime, default_zone: str) -> Span:
    """What a run at ``now`` must read.

    "Today" is the calendar date in the feed's zone, or ``default_zone`` where the feed names none; inside a rolling
    window each department then counts from its own today.

    Raises:
        ConfigurationError: the mapping lacks the window or recurrence that the integration needs.
    """
    if source.within == "published":
        return Span("published")
    today = business_date(now, mapping.time_zone or default_zone)
    if source.within == "window":
        window = mapping.window
        if window is None:
            raise ConfigurationError(f"Feed {mapping.feed} has no window.", next_step="give its mapping a `window`")
        return Span(
            "window",
            first_day=today - timedelta(days=window.past_days),
            last_day=today + timedelta(days=window.future_days),
            past_days=window.past_days,
            future_days=window.future_days,
        )
    recurrence = getattr(mapping.settings, "recurrence", None)
    if recurrence is None:
        raise ConfigurationError(
            f"Feed {mapping.feed} has no recurrence.",
            next_step="give its mapping `settings.recurrence: {anchor, days}`",
        )
    first, last = pay_period(today, recurrence.anchor, recurrence.days)
    own: dict[str, Recurrence] = getattr(mapping.settings, "pay_periods", {})
    groups = tuple(GroupDays(name, *pay_period(today, each.anchor, each.days)) for name, each in sorted(own.items()))
    first_days = sorted({first, *(days.first_day for days in groups)})
    return Span("pay_period", first, last, epoch=",".join(day.isoformat() for day in first_days), groups=groups)

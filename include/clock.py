"""The business clock: "now" for windows, pay periods, stamps, file names and the demo hospital's today.

``CALLBOARD_NOW`` (ISO 8601 with offset) freezes it. Tokens, locks, leases and the ledger's own times use real time and
must not come here.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from include.errors import ConfigurationError


def business_now() -> datetime:
    """The business clock's time, aware, in UTC.

    Raises:
        ConfigurationError: ``CALLBOARD_NOW`` is not an ISO 8601 date-time with an offset.
    """
    frozen = os.environ.get("CALLBOARD_NOW")
    if not frozen:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(frozen)
    except ValueError as error:
        raise ConfigurationError(
            "CALLBOARD_NOW is not an ISO 8601 date-time.", next_step="write it like 2026-03-08T01:30:00-05:00"
        ) from error
    if moment.tzinfo is None:
        raise ConfigurationError(
            "CALLBOARD_NOW has no UTC offset.", next_step="write it like 2026-03-08T01:30:00-05:00"
        )
    return moment.astimezone(UTC)


def business_date(now: datetime, zone: str) -> date:
    """The calendar date at ``now`` in the IANA zone ``zone``."""
    return now.astimezone(ZoneInfo(zone)).date()


def first_instant(day: date, zone: str) -> datetime:
    """When a calendar day begins in the IANA zone ``zone``, in UTC, also where clocks change at midnight.

    Of two midnights it is the first; where there is none, the moment at which it is skipped.
    """
    return datetime.combine(day, time(0), ZoneInfo(zone)).astimezone(UTC)  # a gap is told by the offset before it


def business_time(moment: datetime) -> datetime:
    """What the business clock showed at the real ``moment`` (aware): a frozen one always shows the same."""
    return business_now() if os.environ.get("CALLBOARD_NOW") else moment

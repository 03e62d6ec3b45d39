"""Clock schedules: cron expressions of five fields, as mappings have them. An empty one never strikes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def interval(schedule: str) -> timedelta:
    """The time between two strikes, as the schedule's first two of 2026 have it; ``timedelta.max`` without any."""
    from croniter import croniter

    if not schedule:
        return timedelta.max
    strikes = croniter(schedule, _SOME_DAY)
    first: datetime = strikes.get_next(datetime)
    second: datetime = strikes.get_next(datetime)
    return second - first


def missed_twice(schedule: str, zone: str, since: datetime) -> datetime | None:
    """When two strikes after ``since`` have come to nothing; None for a schedule that never strikes.

    Where strikes are evenly spaced that is twice their interval after ``since``. Where they are not (weekdays at
    eight), it is the second strike, put off by as much as ``since`` came after its own: a feed that delivered on Friday
    morning has missed nothing on Sunday. ``since`` is aware, ``zone`` the IANA zone whose wall clock strikes; answers
    UTC.
    """
    from croniter import croniter

    if not schedule:
        return None
    local = since.astimezone(ZoneInfo(zone))
    before: datetime = croniter(schedule, local + timedelta(seconds=1)).get_prev(datetime)
    # In the hour that a night has twice, the library looks back into the first one.
    later = croniter(schedule, before)
    while (next_one := later.get_next(datetime).astimezone(UTC)) <= since:
        before = next_one
    strikes = croniter(schedule, local)
    first: datetime = strikes.get_next(datetime)
    second: datetime = strikes.get_next(datetime)
    # In UTC from here on: a wall clock's difference is not the time that passed in the night when it is put forward.
    after, apart = since - before.astimezone(UTC), second.astimezone(UTC) - first.astimezone(UTC)
    return second.astimezone(UTC) + min(after, apart)

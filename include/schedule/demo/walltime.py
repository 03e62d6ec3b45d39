"""Wall times and instants of one zone, on ordinary days and on the two nights when the clock is changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=100_000)
def settle(day: date, wall: str, zone: str, *, second: bool = False) -> tuple[datetime, datetime]:
    """Answer the naive wall time and the UTC instant of ``wall`` (HH:MM) on ``day`` in the IANA zone ``zone``.

    A wall time that the spring night skips moves forward by the skipped hour. Of a wall time that the autumn night
    passes twice, the first pass is meant, or the ``second``.
    """
    hour, minute = map(int, wall.split(":"))
    local = datetime.combine(day, time(hour, minute), ZoneInfo(zone)).replace(fold=int(second))
    instant = local.astimezone(UTC)
    if instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != local.replace(tzinfo=None):
        # Skipped: the offset before the change puts it an hour later on the clock, whichever pass was asked for.
        instant = local.replace(fold=0).astimezone(UTC)
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None), instant

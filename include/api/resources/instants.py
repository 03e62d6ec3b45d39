"""Instants as requests name them: the mark of a pull, or the time since when Workday asks."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)


def read_instant(text: str) -> datetime:
    """Read an instant: ISO 8601 with an offset; answers it in UTC.

    Raises:
        ValueError: it is none, saying what it must look like.
    """
    message = "must be an instant with an offset, like 2026-03-02T17:45:00Z (a + in an address is written %2B)"
    if not _INSTANT.fullmatch(text):
        raise ValueError(message)
    try:
        return datetime.fromisoformat(text.upper().replace(" ", "T")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(message) from None

"""Personal data, and whether a text gives any of it away."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Hashes, and times of day with fractions of a second: their digits may look like anybody's ID.
_NO_TEXT = re.compile(r"\b[0-9a-f]{64}\b|\d\d:\d\d:\d\d[.,]\d+")


def personal(*columns: Iterable[str]) -> set[str]:
    """The values of these columns that can be told from ordinary words: names, notes, phone numbers, IDs."""
    return {value.strip() for column in columns for value in column if len(value.strip()) >= 3}


def leaks(text: str, values: Iterable[str]) -> list[str]:
    """Those of the values that stand in the text, as words of their own."""
    told = _NO_TEXT.sub("", text)
    return sorted(value for value in values if value in told and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", told))

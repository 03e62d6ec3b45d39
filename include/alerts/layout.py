"""How a mail looks: plain text that reads well on any screen, and times and numbers as people say them."""

from __future__ import annotations

import textwrap
from datetime import UTC
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

WIDTH = 72


def paragraph(text: str, indent: str = "") -> str:
    """Wrapped text; ``indent`` stands before each line. Words, and so addresses and commands, are never cut."""
    return textwrap.fill(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Facts, one a line, the values under each other; rows without a value are left out."""
    shown = [(name, value) for name, value in rows if value]
    width = max(len(name) for name, _ in shown) + 2
    return "\n".join(_hanging(f"{name}:".ljust(width), value, " " * width) for name, value in shown)


def verbatim(rows: Iterable[tuple[str, str]]) -> str:
    """Addresses and commands to be copied, each on a line of its own below its name; never wrapped."""
    return "\n".join(f"{name}:\n  {value}" for name, value in rows if value)


def steps(sentences: Sequence[str]) -> str:
    """Numbered steps."""
    return "\n".join(_hanging(f"{number}. ", text, "   ") for number, text in enumerate(sentences, 1))


def item(head: str, lines: Sequence[str]) -> str:
    """One entry of a list: its head, and what belongs to it indented below."""
    return "\n".join([_hanging("- ", head, "  "), *(paragraph(line, "  ") for line in lines)])


def section(title: str, *blocks: str) -> str:
    """A heading and what stands below it."""
    return "\n".join([title.upper(), *(block for block in blocks if block)])


def some(words: Sequence[str], most: int) -> str:
    """The first words of a list, and that there are more."""
    return ", ".join(words[:most]) + (f" and {len(words) - most:,} more" if len(words) > most else "")


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 slot``, ``1,200 slots``."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def moment(at: datetime, zone: str) -> str:
    """A moment in the hospital's time, with the zone's name: ``Tuesday, 3 March 2026, 10:05 (America/New_York)``."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{local:%A}, {local.day} {local:%B %Y, %H:%M} ({zone})"


def duration(begin: datetime, end: datetime) -> str:
    """How long something lasted, roughly: ``12 minutes``, ``3 hours``, ``2 days``."""
    minutes = max(0, int((end.astimezone(UTC) - begin.astimezone(UTC)).total_seconds() // 60))
    if minutes < 2:
        return "a minute"
    if minutes < 120:
        return f"{minutes} minutes"
    hours = minutes // 60
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"


def _hanging(first: str, text: str, rest: str) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
